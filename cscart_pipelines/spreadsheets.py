"""Cells that go to spreadsheets or come from them: guards against formulas, put on and taken off.

What `guarded` puts before a cell, `unguarded` takes off again, letter by letter, and so do the
readers of feeds (`bare`). Not here: what a cell of a feed means (`fulfilment.feeds.fields`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Any, TextIO

LONGEST = 10_000
"""Characters of a cell that is looked at; no value of ours is nearly as long."""
_ZERO_WIDTH = (
    "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufe0e\ufe0f\ufeff"
)
_OUTER = "".join(filter(str.isspace, map(chr, range(0x3001)))) + _ZERO_WIDTH
"""White space of every kind and what has no width: never part of a value at its ends."""
_BLANK = f"[ \u00a0{_ZERO_WIDTH}]*"
_BREAK = r";\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
"""Where a spreadsheet of another locale, or a careless reader, begins a new cell."""
_NUMBER = rf"[+-]\d[\d ]*(?:[.,]\d+)?(?=[{_BREAK}]|\Z)"
"""Amounts below zero and phone numbers: no formula, and other tools read them as they are."""
_FORMULA = rf"(?='*{_BLANK}[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20])"
_RISKY = re.compile(rf"(^|[{_BREAK}])(?!{_NUMBER}){_FORMULA}")
_GUARDED = re.compile(rf"(^|[{_BREAK}])'{_FORMULA}")
_TEXT_FORMULA = re.compile(r"""=\s*"((?:[^"]|"")*)\"""", re.DOTALL)


def guarded(value: Any) -> Any:
    """The cell with an apostrophe before whatever a spreadsheet would run as a formula.

    Also inside a text, after a line end, tab or semicolon: where lists are separated by semicolons
    a spreadsheet begins a cell there. Numbers below zero and phone numbers stay as they are.
    """
    return _RISKY.sub(r"\1'", value) if isinstance(value, str) else value


def unguarded(text: str) -> str:
    """What `guarded` made the text of."""
    return _GUARDED.sub(r"\1", text)


def bare(text: str) -> str:
    """The text of a cell without what is surely not part of its value.

    White space and characters without width at its ends, the apostrophe and the `="…"` by which a
    cell is marked as text, quotes around the whole.
    """
    if text and text[0].isalnum() and text[-1].isalnum():
        return text  # most cells by far
    while len(text) < LONGEST:
        inner = text.strip(_OUTER)
        if formula := _TEXT_FORMULA.fullmatch(inner):
            inner = formula[1].replace('""', '"')
        elif inner.startswith("'"):
            inner = inner[1:-1] if len(inner) > 1 and inner.endswith("'") else inner[1:]
        elif len(inner) > 1 and inner[0] == inner[-1] == '"':
            inner = inner[1:-1].replace('""', '"')
        if inner == text:
            break
        text = inner
    return text


def is_formula(text: str) -> bool:
    """True if a spreadsheet's formula was exported and not its value; `="…"` is text."""
    text = text.strip(_OUTER)
    while len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].strip(_OUTER)
    return text.startswith("=") and _TEXT_FORMULA.fullmatch(text) is None


class Table:
    """A CSV file being written, for people (guarded) or for machines (`raw`)."""

    def __init__(self, stream: TextIO, *, raw: bool = False) -> None:
        """The stream is opened with newline=""."""
        self._writer = csv.writer(stream)
        self._raw = raw

    def row(self, cells: Iterable[Any]) -> None:
        """Writes one row."""
        self._writer.writerow(cells if self._raw else map(guarded, cells))

    def rows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Writes several."""
        for cells in rows:
            self.row(cells)

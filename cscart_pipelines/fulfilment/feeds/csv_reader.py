"""CSV: separator, header and records, each with the line it starts on.

A record that is malformed costs that record only; a quote that is never closed costs the file,
since the lines inside the quotes cannot be told apart. Not here: what a cell means (`fields`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from cscart_pipelines.fulfilment.feeds.text import UnreadableFileError, is_text, printable
from cscart_pipelines.spreadsheets import bare

SEPARATORS = (",", ";", "\t", "|")
_DECLARED = re.compile(r"\"?sep=([,;\t|])\"?", re.I)
"""Excel's own way to say it, above the header."""
Cell = str | Decimal
"""Text; a Decimal where the file itself says that it is a number (JSON)."""
Cells = Mapping[str, Cell]
"""By column name; a column that the file does not have is missing."""


@dataclass(frozen=True)
class Record:
    """One row: cells by column name, or `problem`, why there are none. Lines count from 1."""

    line: int
    last_line: int
    cells: Cells = field(default_factory=dict)
    problem: str | None = None
    unread: Collection[str] = ()
    """Names of other columns of the row."""


def column_name(text: str) -> str:
    """Returns one name for `Order Number`, `order_number` and `ORDER-NUMBER`."""
    return re.sub(r"[\s_\-]+", "", bare(text)).casefold()


def read_csv(
    lines: Sequence[str], known: Sequence[str], required: Sequence[str], unknown: set[str]
) -> Iterator[Record]:
    """Reads the records of the known columns.

    Args:
        lines: of the file, without their ends.
        known: names of columns.
        required: those that must be there.
        unknown: names of other columns are added to it.

    Raises:
        UnreadableFileError: also in the middle of the file.
    """
    first = next(number for number, line in enumerate(lines) if line.strip())
    separator = None
    if declared := _DECLARED.fullmatch(lines[first]):
        separator, first = declared[1], first + 1
    source = iter([line + "\n" for line in lines[first:]])
    if separator is None:
        separator = _separator(lines[first], known)
    reader = csv.reader(source, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise UnreadableFileError(
            f"the header (line {first + 1}) is malformed: {error}; expected {','.join(known)}"
        ) from None
    columns = _columns(header, known, required)
    unread = {
        printable(cell.strip())[:60]
        for cell, name in zip(header, columns, strict=True)
        if name is None and cell.strip()
    }
    unknown.update(unread)
    return _records(reader, lines, first, columns, sorted(unread))


def _separator(header: str, known: Sequence[str]) -> str:
    """Returns the separator by which most known columns are found; of equals the first."""
    wanted = {column_name(name) for name in known}

    def found(separator: str) -> int:
        cells = header.split(separator)
        return len(wanted & {column_name(cell) for cell in cells})

    return max(SEPARATORS, key=found)


def _columns(
    header: Sequence[str], known: Sequence[str], required: Sequence[str]
) -> list[str | None]:
    names = {column_name(name): name for name in known}
    columns = [names.get(column_name(cell)) for cell in header]
    if missing := [name for name in required if name not in columns]:
        raise UnreadableFileError(
            f"the header has no column {' and no '.join(missing)}; expected"
            f" {','.join(known)} in any order, of which {', '.join(required)} must be there"
        )
    if twice := {name for name in columns if name and columns.count(name) > 1}:
        raise UnreadableFileError(
            f"the header has the column {', '.join(sorted(twice))} more than once; keep one"
        )
    return columns


def _records(
    reader: Iterator[list[str]],
    lines: Sequence[str],
    skipped: int,
    columns: list[str | None],
    unread: Collection[str],
) -> Iterator[Record]:
    width = len(columns)
    places = [(place, name) for place, name in enumerate(columns) if name]
    clean = is_text("\n".join(lines))
    line_number = getattr(reader, "line_num")  # noqa: B009 (typeshed hides the reader's type)
    while True:
        first = skipped + line_number + 1
        try:
            cells = next(reader, None)
            problem = None
        except csv.Error as error:
            cells, problem = [], f"malformed: {error}"
        line_number = getattr(reader, "line_num")  # noqa: B009
        last = skipped + line_number
        if cells is None:
            return
        if problem is not None and (last > first or "unexpected end" in problem):
            raise UnreadableFileError(
                f"a quote that is opened in line {first} is not closed properly; close it, or write"
                " a quote inside a quoted cell twice"
            )
        if problem is None and not any(map(str.strip, cells)):
            continue  # an empty line, or the empty rows that spreadsheets leave below a table
        if not clean and not all(map(is_text, lines[first - 1 : last])):
            problem = "not UTF-8; save the file as CSV (UTF-8)"
        elif problem is None and (len(cells) < width or any(map(str.strip, cells[width:]))):
            # A row cut short could mean something else: without a sku, all that is left.
            problem = f"has {len(cells)} cells, the header has {width}"
        if problem is not None:
            yield Record(first, last, problem=problem)
        else:
            found = {name: cells[place] for place, name in places}
            yield Record(first, last, found, unread=unread)

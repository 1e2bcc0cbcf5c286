"""How the command line looks: consoles, numbers, times, JSON. No commands here."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from cscart_pipelines.spreadsheets import guarded

PROGRAM = "cscart-pipelines"
WIDE = 10_000_000
"""Columns where the output goes to a file or a pipe: nothing is cut there."""
ASCII = str.maketrans(
    {
        **dict.fromkeys("✓•", "*"), "✗": "x", **dict.fromkeys("–—─━╌╭╮╰╯", "-"), "│": "|",
        "…": "~", "→": ">", "·": ".", "“": '"', "”": '"', "’": "'", "█": "#", "░": ".",
        **dict.fromkeys("▏▎▍▌▋▊▉", "#"), **{chr(dots): "*" for dots in range(0x2800, 0x2900)},
    }
)  # fmt: skip
"""What is drawn, for terminals that have no such characters."""
verbose = False
"""Whether --verbose was given."""


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """What the terminal's encoding has no character for."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(ASCII)
    return text.encode("ascii", "replace").decode(), error.end


codecs.register_error("cscart_pipelines", _replaced)


class _Console(Console):
    """Leaves a broken pipe to the caller. Output that is no terminal is not cut to a width."""

    def __init__(self, *, stderr: bool) -> None:
        stream = sys.stderr if stderr else sys.stdout
        width = _columns() if stream.isatty() else WIDE
        # With a height rich takes the width as it is, also where TERM is dumb.
        super().__init__(
            stderr=stderr, highlight=False, emoji=False, width=width, height=width and 25
        )

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError


def _columns() -> int | None:
    """Of the terminal, where rich would not believe it; None: rich asks it."""
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return shutil.get_terminal_size().columns if dumb or "COLUMNS" in os.environ else None


out, err = _Console(stderr=False), _Console(stderr=True)
"""Results, and everything else: progress, notes, errors."""


def begin() -> None:
    """Before a command: what the one before it has set is set back, streams take any text."""
    global verbose
    verbose, err.quiet = False, False
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="cscart_pipelines")


def be_quiet() -> None:
    """Results and errors only."""
    err.quiet = True


def be_verbose() -> None:
    """The package's log on standard error."""
    global verbose
    if not verbose:
        verbose = True
        logging.basicConfig(
            level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s"
        )
        logging.getLogger("cscart_pipelines").setLevel(logging.DEBUG)


def note(text: str = "", *, soft_wrap: bool = True) -> None:
    """A confirmation or a next step, beside the results: not with --quiet."""
    if not err.quiet:
        out.print(text, soft_wrap=soft_wrap)


def complain(
    message: object,
    code: int,
    *,
    as_json: bool = False,
    problems: Mapping[str, str] | None = None,
    mark: str = "[red]✗[/] ",
) -> None:
    """An error, also with --quiet. With --json one line of JSON on standard error."""
    if as_json:
        told = {"code": code, "message": str(message), "problems": dict(problems or {})}
        sys.stderr.write(json.dumps({"error": told}, ensure_ascii=not _utf(sys.stderr)) + "\n")
        return
    was, err.quiet = err.quiet, False
    err.print(f"{mark}{plain(message)}{':' * bool(problems)}", soft_wrap=True)
    for name, text in (problems or {}).items():
        err.print(f"  [bold]{plain(name)}[/] {plain(text)}", soft_wrap=True)
    err.quiet = was


STATUS_STYLES = {
    "ready": "cyan",
    "syncing": "yellow",
    "enabled": "green",
    "failed": "bold red",
    "disabled": "dim",
}


def command(words: str) -> str:
    """A command to type next, spelled so that it works from here (the .venv may not be active)."""
    beside = Path(sys.executable).with_name(PROGRAM)
    found = shutil.which(PROGRAM)
    if beside.exists() and (found is None or not Path(found).samefile(beside)):
        with contextlib.suppress(ValueError):
            beside = beside.relative_to(Path.cwd())
        return f"{beside} {words}"
    return f"{PROGRAM} {words}"


def plain(value: Any) -> str:
    """What others wrote, shown as it is: no markup, no control characters."""
    text = str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
    return escape(text)


def status(text: str) -> str:
    """A status in its colour."""
    return f"[{STATUS_STYLES.get(text, 'white')}]{text}[/]"


def whole(value: Any) -> str:
    """A count; a dash where there is none."""
    return "–" if value is None else f"{int(value):,}"


def quantity(value: Any) -> str:
    """Pieces or a weight: 1, 1.5, 1,000; a dash where there is none."""
    if value is None:
        return "–"
    number = Decimal(str(value))
    plain = number.is_finite() and abs(number) < 10**15
    return f"{number.normalize():,f}" if plain else str(value)


def money(value: Any, currency: str = "") -> str:
    """An amount with the decimals of its currency (KWD three, JPY none); two without one."""
    if value is None:
        return "–"
    from babel.numbers import get_currency_precision  # not needed by most commands

    return f"{Decimal(value):,.{get_currency_precision(currency)}f} {currency}".rstrip()


def share(value: Any) -> str:
    return "–" if value is None else f"{Decimal(value) * 100:.1f} %"


def decimal(value: Any, places: int = 2) -> str:
    return "–" if value is None else f"{Decimal(value):,.{places}f}"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago, as a person would say it."""
    if moment is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def duration(seconds: float | None) -> str:
    """A time span as a person would say it."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def tell_wait(reason: str, at_most: float | None) -> None:
    """What a command waits for, and for how long (seconds; None: until it is over)."""
    limit = "" if at_most is None else f" for at most {duration(at_most)}"
    err.print(f"Waiting{limit}: {plain(reason)}. Ctrl-C ends the wait.", soft_wrap=True)


def bar(value: float, most: float, width: int = 18) -> str:
    """A bar in eighths of a character."""
    if most <= 0 or value <= 0:
        return ""
    eighths = max(1, round(value / most * width * 8))
    rest = eighths % 8
    return "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[rest - 1] if rest else "")


def table(*columns: str | tuple[str, Literal["right", "text"]]) -> Table:
    """A plain table for `show`.

    Args:
        columns: names; (name, "right") is aligned so, (name, "text") may be broken into lines.
    """
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        name, kind = (column, "") if isinstance(column, str) else column
        made.add_column(
            name,
            justify="right" if kind == "right" else "left",
            header_style="dim",
            no_wrap=kind != "text",
            overflow="fold",
        )
    return made


LEAST_TEXT, LEAST_VALUE = 16, 8
"""Columns of the terminal that a text may be squeezed into; in a table of names and values."""


def show(shown: Table, *narrower: Table) -> None:
    """Prints a table; where its rows are too wide for the terminal, one field a line.

    Nothing is ever cut: names and numbers stay whole in the table, texts are broken into lines.

    Args:
        narrower: tables to take instead, the first that fits, before the fields are listed.
    """
    if out.width >= WIDE:  # a file or a pipe
        with out.capture() as captured:
            out.print(shown)
        out.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
        return
    for table in (shown, *narrower):
        least = LEAST_TEXT if len(table.columns) > 3 else LEAST_VALUE
        widths = [
            _width(column) if column.no_wrap else min(_width(column), least)
            for column in table.columns
        ]
        if sum(widths) + 2 * (len(widths) - 1) <= out.width:
            out.print(table)
            return
    cells = [list(column.cells) for column in shown.columns]
    for number in range(shown.row_count):
        record = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        record.add_column(style="dim", overflow="fold")
        record.add_column(overflow="fold")
        mark = "" if shown.columns[0].header else f"{cells[0][number]} "
        for column, texts in zip(shown.columns, cells, strict=True):
            if column.header and (mark.strip() or texts[number] != ""):
                record.add_row(column.header, f"{mark}{texts[number]}")
                mark = ""
        out.print(record)
        if number + 1 < shown.row_count:
            out.print()


def _width(column: Column) -> int:
    """Of the widest line, as it is on the screen."""
    texts = (Text.from_markup(str(cell)).plain for cell in (column.header, *column.cells))
    return max((cell_len(line) for text in texts for line in text.split("\n")), default=0)


def print_csv(
    names: Sequence[str], rows: Iterable[Mapping[str, Any]], *, raw: bool = False
) -> None:
    """Rows with a header, in UTF-8: NULL is empty, an empty text is \"\".

    A text that a spreadsheet would run as a formula gets an apostrophe before it, but not with
    `raw`.
    """
    guard: Callable[[Any], Any] = (lambda value: value) if raw else guarded
    lines = [",".join(_csv_cell(guard(name)) for name in names)]
    lines += [",".join(_csv_cell(guard(row.get(name))) for name in names) for row in rows]
    text = "".join(f"{line}\r\n" for line in lines)
    if _utf(sys.stdout):
        sys.stdout.write(text)
    else:
        sys.stdout.buffer.write(text.encode())


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list | tuple):
        value = json.dumps(value, default=_plain, ensure_ascii=False)
    text = value.isoformat() if isinstance(value, datetime | date) else str(value)
    if not text or text != text.strip() or any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def count(number: int, one: str, many: str | None = None) -> str:
    """1 row, 2 rows, 1,000 rows."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def print_json(value: Any) -> None:
    """One JSON document: money as text (exact), times as ISO 8601."""
    sys.stdout.write(json_text(value))


def json_text(value: Any) -> str:
    """The same as text, with escapes where the output could not show every character."""
    escaped = not _utf(sys.stdout)
    return json.dumps(value, default=_plain, indent=2, ensure_ascii=escaped) + "\n"


def _utf(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().startswith("utf")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)

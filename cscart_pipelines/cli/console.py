"""How the command line looks: consoles, numbers, times, JSON. No commands here."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

PROGRAM = "cscart-pipelines"
WIDE = 240
"""Columns where no terminal says how many it has: tables in files and pipes are not cut."""


class _Console(Console):
    """Leaves a broken pipe to whoever runs the command."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError


def _console(stream: TextIO, *, stderr: bool) -> Console:
    told = stream.isatty() or "COLUMNS" in os.environ
    return _Console(stderr=stderr, highlight=False, emoji=False, width=None if told else WIDE)


out = _console(sys.stdout, stderr=False)
err = _console(sys.stderr, stderr=True)

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


def money(value: Any, currency: str = "") -> str:
    return "–" if value is None else f"{Decimal(value):,.2f} {currency}".rstrip()


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


def bar(value: float, most: float, width: int = 18) -> str:
    """A bar in eighths of a character."""
    if most <= 0 or value <= 0:
        return ""
    eighths = max(1, round(value / most * width * 8))
    rest = eighths % 8
    return "█" * (eighths // 8) + ("▏▎▍▌▋▊▉"[rest - 1] if rest else "")


def table(*columns: str | tuple[str, Literal["right"]]) -> Table:
    """A plain table; a column given as (name, "right") is aligned so."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        name = column if isinstance(column, str) else column[0]
        justify: Literal["left", "right"] = "left" if isinstance(column, str) else "right"
        made.add_column(name, justify=justify, header_style="dim", no_wrap=justify == "right")
    return made


def print_json(value: Any) -> None:
    """One JSON document: money as text (exact), times as ISO 8601."""
    sys.stdout.write(json_text(value))


def json_text(value: Any) -> str:
    """The same as text."""
    return json.dumps(value, default=_plain, indent=2, ensure_ascii=False) + "\n"


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

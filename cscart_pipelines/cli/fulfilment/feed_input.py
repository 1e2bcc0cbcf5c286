"""A feed as a command gets it: a file, or standard input.

Not here: its rows (`fulfilment.feeds`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from cscart_pipelines.cli.support import console
from cscart_pipelines.fulfilment.feeds.parse import Parsed, read_shipments, read_stock
from cscart_pipelines.fulfilment.feeds.time_fields import file_time
from cscart_pipelines.fulfilment.push_session import PushKind

STDIN = "-"
File = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE", help="CSV or JSON lines; - is stdin. Without FILE what waits is pushed."
    ),
]


def read_input(file: Path) -> bytes:
    """Returns the bytes of a file, or of standard input, also of a terminal.

    Raises:
        OSError: the file cannot be read.
    """
    if str(file) != STDIN:
        return file.read_bytes()
    if sys.stdin.isatty():
        console.err.print("[dim]reading rows from the terminal; Ctrl-D ends them[/]")
    return sys.stdin.buffer.read()


def read_feed(kind: PushKind, file: Path, source: str, zone: ZoneInfo) -> Parsed[Any]:
    """Reads a feed.

    Args:
        kind: shipments or stock.
        file: the file; `-` is standard input.
        source: the file as refused rows name it.
        zone: of times without one.

    Raises:
        UnreadableFileError: it is no feed.
        OSError: the file cannot be read.
    """
    data = read_input(file)
    if kind == "shipments":
        return read_shipments(data, source, zone)
    counted = None
    if str(file) != STDIN:
        # Levels without a time of their own were counted when the file was written: the same file
        # read twice gives the same levels.
        counted = file_time(file.stat().st_mtime)
    return read_stock(data, source, zone, as_of=counted)

"""Tables on a terminal: never cut, and one field a line where the terminal is too narrow."""

from __future__ import annotations

from typing import Literal

from rich.cells import cell_len
from rich.table import Column, Table
from rich.text import Text

from cscart_pipelines.cli.support.console import WIDE, out

LEAST_TEXT, LEAST_VALUE = 16, 8
"""Narrowest column of broken texts, in characters; the same in a table of names and values."""


def table(*columns: str | tuple[str, Literal["right", "text"]]) -> Table:
    """Returns an empty table for `show`.

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


def show(shown: Table, *narrower: Table) -> None:
    """Prints a table; where its rows are too wide for the terminal, one field a line.

    Nothing is ever cut: names and numbers stay whole in the table, texts are broken into lines.

    Args:
        shown: the table with all fields.
        narrower: tables to take instead, the first that fits, before the fields are listed.
            Columns that they lack are named below them.
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
            kept = [column.header for column in table.columns]
            left_out = [str(one.header) for one in shown.columns if one.header not in kept]
            if left_out and shown.show_header:
                out.print(f"[dim]not shown on so few columns: {', '.join(left_out)}[/]")
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
    """Returns the width of the widest line, in characters of the terminal."""
    texts = (Text.from_markup(str(cell)).plain for cell in (column.header, *column.cells))
    return max((cell_len(line) for text in texts for line in text.split("\n")), default=0)

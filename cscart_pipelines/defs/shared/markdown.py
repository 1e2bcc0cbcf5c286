"""Tables in the metadata of runs and materialisations, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: int = 0,
    limit: int | None = None,
) -> dg.MarkdownMetadataValue:
    """Returns a Markdown table.

    Args:
        head: names of the columns.
        rows: cells; numbers get separators, None and missing cells at the end are empty.
        right: so many of the last columns are aligned to the right.
        limit: at most so many rows are shown, and the rest is counted.
    """
    left = len(head) - right
    lines = [_line(head), "|" + "---|" * left + "--:|" * right]
    lines += [_line([*row, *[None] * (len(head) - len(row))]) for row in rows[:limit]]
    if limit is not None and len(rows) > limit:
        lines.append(f"\nand {len(rows) - limit:,} more")
    return dg.MarkdownMetadataValue("\n".join(lines))


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
    return str(value).replace("|", "\\|").replace("\n", " ")

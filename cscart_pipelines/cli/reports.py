"""`lists` and `segments`: what the last build has computed, for people and for scripts.

Reads the `analytics` schema and computes nothing itself. Not here: the definitions (dbt_project),
how they look on a terminal (`report_display`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli import segment_report
from cscart_pipelines.cli.report_display import (
    PREBUILT,
    not_built,
    print_lists,
    print_overview,
    print_segments,
)
from cscart_pipelines.cli.support import console, exit_codes, formats, machine_output
from cscart_pipelines.cli.support.arguments import Csv, Json, Key, Raw
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.spreadsheets import Table
from cscart_pipelines.warehouse import reports as warehouse_reports

Row = dict[str, Any]
LIST_COLUMNS = (
    "integration", "list_name", "status", "status_reason", "currency", "timezone", "last_synced_at",
)  # fmt: skip
SEGMENT_COLUMNS = (
    "integration", "segment", "definition", "part_of", "as_of", "members", "purchases", "revenue",
    "average_order_value",
)  # fmt: skip
"""Columns of the CSV, as of the JSON."""


def lists(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="Only this integration.")] = None,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """All lists with their metrics; with KEY one list in full."""
    with opened() as app:
        rows = overview(app, key)
        if key is not None and not rows:
            app.registry.get(key)  # says that there is none
    if as_json:
        machine_output.print_json(rows if key is None else rows[0])
    elif as_csv:
        names = dict.fromkeys(name for row in rows for name in row["metrics"] or ())
        machine_output.print_csv(
            [*LIST_COLUMNS, *names], [{**row, **(row["metrics"] or {})} for row in rows]
        )
    elif key is not None:
        print_overview(rows[0])
    elif not rows:
        console.out.print(f"No lists yet. Next: {console.command('integration add --help')}")
    else:
        print_lists(rows)


def segments(
    key: Key,
    segment: Annotated[
        str | None,
        typer.Argument(metavar="SEGMENT", help="Explain this segment and list its members."),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write one CSV of members per segment into this folder."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="With SEGMENT: list N members; the newest first."),
    ] = None,
    raw: Raw = False,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """Segments of a list: sizes and revenue, or one in detail."""
    if segment is not None and export is not None:
        raise exit_codes.CommandError(
            "--export is of all segments, without SEGMENT", exit_codes.WRONG_USAGE
        )
    if segment is None and limit is not None:
        raise exit_codes.CommandError("--limit goes with SEGMENT", exit_codes.WRONG_USAGE)
    if raw and not (export or as_csv):
        raise exit_codes.CommandError(
            "--raw goes with --export DIR or --csv", exit_codes.WRONG_USAGE
        )
    with opened() as app:
        rows = segment_rows(app, key)
        if not rows:
            app.registry.get(key)  # not built yet, or unknown
            raise exit_codes.CommandError(not_built(key), exit_codes.NOT_ALLOWED)
        currency = str(overview(app, key)[0]["currency"])
        if segment is not None:
            known = {row["segment"]: row for row in rows}
            segment_report.check_name(segment, [*known], key)
            most = limit or (None if as_csv or as_json else segment_report.SHOWN)
            with app.warehouse.connect(autocommit=True) as connection:
                found = segment_report.explained(connection, key, known[segment], most)
        written = 0
        if export is not None:
            written = export_members(app, key, rows, export, raw=raw)
    if segment is not None:
        _print_segment(found, currency, as_csv=as_csv, as_json=as_json, raw=raw)
    elif as_json:
        machine_output.print_json(rows)
    elif as_csv:
        machine_output.print_csv(SEGMENT_COLUMNS, rows, raw=raw)
    else:
        print_segments(rows, key)
    if export is not None and not (as_csv or as_json):
        console.out.print(
            f"{formats.count(written, 'member')} in {formats.count(len(rows), 'file')}"
            f" written to {formats.plain(export)}"
        )


def _print_segment(found: Row, currency: str, *, as_csv: bool, as_json: bool, raw: bool) -> None:
    if as_json:
        machine_output.print_json(found)
        return
    if as_csv:
        machine_output.print_csv(warehouse_reports.MEMBER_COLUMNS, found["people"], raw=raw)
        return
    segment_report.print_explained(found, currency)
    listed = len(found["people"])
    if listed < found["members"]:
        console.note(
            f"[dim]{listed:,} of {formats.count(found['members'], 'member')}; --limit lists more,"
            " --csv all[/]"
        )


def overview(app: AppContext, key: str | None) -> list[Row]:
    """Returns lists with their metrics: all, or the one of an integration."""
    with app.warehouse.connect(autocommit=True) as connection:
        return warehouse_reports.lists(connection, key)


def segment_rows(app: AppContext, key: str) -> list[Row]:
    """Returns the segments of one list, the seven prebuilt ones first."""
    with app.warehouse.connect(autocommit=True) as connection:
        rows = warehouse_reports.segments(connection, key)
    order = {name: place for place, name in enumerate(PREBUILT)}
    return sorted(rows, key=lambda row: (order.get(row["segment"], 99), row["segment"]))


def export_members(
    app: AppContext, key: str, rows: list[Row], folder: Path, *, raw: bool = False
) -> int:
    """Writes one CSV per segment; a file appears whole or not at all.

    Args:
        app: for the warehouse.
        key: of the integration.
        rows: the segments.
        folder: where the files are written; made if it is missing.
        raw: alter nothing; else names, which customers choose, get a guard against spreadsheets
            that would run them as formulas.

    Returns:
        The number of members written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    with app.warehouse.connect() as connection:
        for row in rows:
            path = folder / f"{row['segment']}.csv"
            scratch = path.with_suffix(".csv.part")
            with scratch.open("w", newline="", encoding="utf-8") as file:
                table = Table(file, raw=raw)
                table.row(warehouse_reports.MEMBER_COLUMNS)
                for member in warehouse_reports.all_members(connection, key, row["segment"]):
                    table.row(member)
                    written += 1
            scratch.replace(path)
    return written

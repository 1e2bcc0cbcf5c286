"""`lists` and `segments`: what the last build says, for people and for scripts.

Reads the `analytics` schema and computes nothing itself. Not here: the definitions (dbt_project).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.panel import Panel

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli import segment_report
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.spreadsheets import Table
from cscart_pipelines.warehouse import reports as warehouse_reports

Row = dict[str, Any]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]

RAW = (
    "CSV for machines: cells as they are. Without it, an apostrophe keeps spreadsheets from running"
    " a cell as a formula."
)
APIFON = (
    "new_customers", "recent_buyers_30", "recent_buyers_90", "non_buyers_30", "non_buyers_90",
    "frequent_buyers", "lapsed_customers",
)  # fmt: skip
"""The seven prebuilt segments of seed 000, shown first."""
LEAST_OVERVIEW = 76
"""Columns of the terminal in which the overview of one list stands side by side."""
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
        console.print_json(rows if key is None else rows[0])
    elif as_csv:
        names = dict.fromkeys(name for row in rows for name in row["metrics"] or ())
        console.print_csv(
            [*LIST_COLUMNS, *names], [{**row, **(row["metrics"] or {})} for row in rows]
        )
    elif key is not None:
        print_overview(rows[0])
    elif not rows:
        console.out.print(f"No lists yet. Next: {console.command('integration add --help')}")
    else:
        _print_lists(rows)


def segments(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The integration's key.")],
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
    raw: Annotated[bool, typer.Option("--raw", help=RAW)] = False,
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
            raise exit_codes.CommandError(_not_built(key), exit_codes.NOT_ALLOWED)
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
        console.print_json(rows)
    elif as_csv:
        console.print_csv(SEGMENT_COLUMNS, rows, raw=raw)
    else:
        print_segments(rows, key)
    if export is not None and not (as_csv or as_json):
        console.out.print(
            f"{console.count(written, 'member')} in {console.count(len(rows), 'file')}"
            f" written to {console.plain(export)}"
        )


def _print_segment(found: Row, currency: str, *, as_csv: bool, as_json: bool, raw: bool) -> None:
    if as_json:
        console.print_json(found)
        return
    if as_csv:
        console.print_csv(warehouse_reports.MEMBER_COLUMNS, found["people"], raw=raw)
        return
    segment_report.print_explained(found, currency)
    listed = len(found["people"])
    if listed < found["members"]:
        console.note(
            f"[dim]{listed:,} of {console.count(found['members'], 'member')}; --limit lists more,"
            " --csv all[/]"
        )


def _not_built(key: str) -> str:
    words = console.command(f"integration start {key}")
    return f"The list of {key} has not been built yet; this builds it: {words}"


# --- reading -------------------------------------------------------------------------------------


def overview(app: AppContext, key: str | None) -> list[Row]:
    """Lists with their metrics: all, or the one of an integration."""
    with app.warehouse.connect(autocommit=True) as connection:
        return warehouse_reports.lists(connection, key)


def segment_rows(app: AppContext, key: str) -> list[Row]:
    """The segments of one list, Apifon's seven first."""
    with app.warehouse.connect(autocommit=True) as connection:
        rows = warehouse_reports.segments(connection, key)
    order = {name: place for place, name in enumerate(APIFON)}
    return sorted(rows, key=lambda row: (order.get(row["segment"], 99), row["segment"]))


def export_members(
    app: AppContext, key: str, rows: list[Row], folder: Path, *, raw: bool = False
) -> int:
    """Writes one CSV per segment; a file appears whole or not at all.

    Names come from strangers: without `raw` no spreadsheet takes them for formulas.

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


# --- showing -------------------------------------------------------------------------------------


def _print_lists(rows: list[Row]) -> None:
    columns: list[Any] = [
        ("list", "text"), "status", ("subscribers", "right"), ("buyers", "right"),
        ("orders 30 d", "right"), ("value 30 d", "right"), ("average order", "right"),
        ("synchronised", "right"),
    ]  # fmt: skip
    full, narrow = console.table(*columns), console.table(*columns[:6])
    for row in rows:
        metrics = row["metrics"] or {}
        cells = [
            f"{console.plain(row['list_name'])} [dim]{row['integration']}[/]",
            console.status(row["status"]),
            console.whole(metrics.get("subscribers")),
            console.whole(metrics.get("buyers")),
            console.whole(metrics.get("orders_30d")),
            console.money(metrics.get("order_value_30d"), row["currency"]),
            console.money(metrics.get("average_order_value"), row["currency"]),
            console.ago(row["last_synced_at"]),
        ]
        full.add_row(*cells)
        narrow.add_row(*cells[:6])
    console.show(full, narrow)


def print_overview(row: Row) -> None:
    """One list: the five metrics of seed 000 first, then the rest."""
    metrics, currency = row["metrics"], row["currency"]
    status = console.status(row["status"])
    head = f"[bold]{console.plain(row['list_name'])}[/] [dim]{row['integration']}[/]  {status}"
    if metrics is None:
        console.out.print(
            f"{head}\n{console.plain(row['status_reason'] or _not_built(row['integration']))}"
        )
        return
    table = console.table("", ("", "right"), "  ", "", ("", "right"))
    table.show_header = False
    left = [
        ("subscribers", console.whole(metrics["subscribers"])),
        ("  reachable by e-mail", console.whole(metrics["contactable_email"])),
        ("  reachable by mobile", console.whole(metrics["contactable_mobile"])),
        ("buyers", console.whole(metrics["buyers"])),
        ("  new in 30 d", console.whole(metrics["new_buyers_30d"])),
        ("  returning in 30 d", console.whole(metrics["returning_buyers_30d"])),
        ("repeat purchase rate", console.share(metrics["repeat_purchase_rate"])),
        ("days between orders", console.decimal(metrics["median_days_between_orders"], 1)),
    ]
    right = [
        ("[bold]orders, 30 d[/]", console.whole(metrics["orders_30d"])),
        ("[bold]order value, 30 d[/]", console.money(metrics["order_value_30d"], currency)),
        ("[bold]average order value[/]", console.money(metrics["average_order_value"], currency)),
        ("[bold]order frequency[/]", console.decimal(metrics["order_frequency_30d"])),
        ("[bold]lifespan, years[/]", console.decimal(metrics["customer_lifespan_years"])),
        ("purchases in all", console.whole(metrics["purchases"])),
        ("net revenue in all", console.money(metrics["net_revenue"], currency)),
        ("abandoned, 30 d", console.whole(metrics["abandoned_checkouts_30d"])),
    ]
    for (name, value), (other, figure) in zip(left, right, strict=True):
        table.add_row(name, value, "", other, figure)
    synced = console.ago(row["last_synced_at"])
    footer = f"[dim]as of {metrics['as_of']:%Y-%m-%d %H:%M} UTC · synchronised {synced}[/]"
    if console.out.width < LEAST_OVERVIEW:
        console.out.print(head)
        narrow = console.table(("", "text"), ("", "right"))
        narrow.show_header = False
        for name, value in left + right:
            narrow.add_row(name, value)
        console.out.print(narrow)
        console.out.print(footer)
        return
    console.out.print(
        Panel(
            table,
            title=head,
            title_align="left",
            subtitle=footer,
            subtitle_align="left",
            expand=False,
            padding=(1, 2),
        )
    )


def print_segments(rows: list[Row], key: str) -> None:
    """Segments with a bar for their size; empty ones are counted at the end."""
    full = [row for row in rows if row["members"]]
    empty = [row["segment"] for row in rows if not row["members"]]
    most = max((row["members"] for row in full), default=0)
    columns: list[Any] = [
        "segment", ("members", "right"), ("purchases", "right"), ("revenue", "right"),
        ("average order", "right"),
    ]  # fmt: skip
    tables = [console.table(*columns[:2], "", *columns[2:]) for _ in (20, 6)]
    tables += [console.table(*columns), console.table(*columns[:4])]
    for row in full:
        cells = [
            f"[bold]{row['segment']}[/]" if row["segment"] in APIFON else row["segment"],
            console.whole(row["members"]),
            console.whole(row["purchases"]),
            console.money(row["revenue"]),
            console.money(row["average_order_value"]),
        ]
        for table, width in zip(tables, (20, 6), strict=False):
            bar = f"[cyan]{console.bar(row['members'], most, width)}[/]"
            table.add_row(*cells[:2], bar, *cells[2:])
        tables[2].add_row(*cells)
        tables[3].add_row(*cells[:4])
    console.show(*tables)
    if empty:
        console.out.print(f"[dim]without members: {', '.join(empty)}[/]")
    one = console.command(f"segments {key} {full[0]['segment'] if full else rows[0]['segment']}")
    console.note(f"[dim]members and reasons: {one}[/]")
    console.note(f"[dim]all of them as CSV: {console.command(f'segments {key} --export DIR')}[/]")

"""`lists` and `segments`: what the last build says, for people and for scripts.

Reads the `analytics` schema and computes nothing itself. Not here: the definitions (dbt_project).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg.rows import dict_row
from rich.panel import Panel

from cscart_pipelines.cli import console, exits
from cscart_pipelines.cli.premises import opened
from cscart_pipelines.integrations.premises import Premises
from cscart_pipelines.spreadsheets import Table

Row = dict[str, Any]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

RAW = (
    "CSV for machines: cells as they are. Without it, an apostrophe keeps spreadsheets from running"
    " a cell as a formula."
)
APIFON = (
    "new_customers", "recent_buyers_30", "recent_buyers_90", "non_buyers_30", "non_buyers_90",
    "frequent_buyers", "lapsed_customers",
)  # fmt: skip
"""The seven prebuilt segments of seed 000, shown first."""
MEMBER_COLUMNS = (
    "identity", "email", "mobile", "firstname", "lastname", "is_guest", "email_subscribed",
    "mobile_subscribed", "category", "member_since", "reason",
)  # fmt: skip


def lists(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="Only this integration.")] = None,
    as_json: Json = False,
) -> None:
    """All lists with their metrics; with KEY one list in full."""
    with opened() as premises:
        if key is not None:
            premises.registry.get(key)
        rows = overview(premises, key)
    if as_json:
        console.print_json(rows if key is None else rows[0])
    elif key is not None:
        print_overview(rows[0])
    elif not rows:
        console.out.print(f"No lists yet. Next: {console.command('integration add --help')}")
    else:
        _print_lists(rows)


def segments(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The integration's key.")],
    export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write one CSV of members per segment into this folder."),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help=RAW)] = False,
    as_json: Json = False,
) -> None:
    """Segments of a list: how many are in each, what they bought."""
    if raw and export is None:
        raise exits.CommandError("--raw goes with --export DIR", exits.WRONG_USAGE)
    with opened() as premises:
        premises.registry.get(key)
        rows = segment_rows(premises, key)
        if not rows:
            raise exits.CommandError(_not_built(key), exits.NOT_ALLOWED)
        written = 0
        if export is not None:
            written = export_members(premises, key, rows, export, raw=raw)
    if as_json:
        console.print_json(rows)
        return
    print_segments(rows, key)
    if export is not None:
        console.out.print(
            f"{written:,} members in {len(rows)} files written to {console.plain(export)}"
        )


def _not_built(key: str) -> str:
    words = console.command(f"integration start {key}")
    return f"The list of {key} has not been built yet; this builds it: {words}"


# --- reading -------------------------------------------------------------------------------------


def overview(premises: Premises, key: str | None) -> list[Row]:
    """Lists with their metrics; a list that is not built yet has its status and no metrics."""
    rows = _query(
        premises,
        "SELECT integration, list_name, status, status_reason, currency, timezone, last_synced_at"
        " FROM registry.integrations WHERE %(key)s::text IS NULL OR integration = %(key)s"
        " ORDER BY integration",
        {"key": key},
    )
    built = {
        row["integration"]: row
        for row in _query(premises, "SELECT * FROM analytics.list_metrics", {})
    }
    for row in rows:
        found = built.get(row["integration"])
        row["metrics"] = found and {
            name: value for name, value in found.items() if name not in ("integration", "currency")
        }
    return rows


def segment_rows(premises: Premises, key: str) -> list[Row]:
    """The segments of one list, Apifon's seven first."""
    rows = _query(
        premises, "SELECT * FROM analytics.segments WHERE integration = %(key)s", {"key": key}
    )
    order = {name: place for place, name in enumerate(APIFON)}
    return sorted(rows, key=lambda row: (order.get(row["segment"], 99), row["segment"]))


def export_members(
    premises: Premises, key: str, rows: list[Row], folder: Path, *, raw: bool = False
) -> int:
    """One CSV per segment; a file appears whole or not at all. Returns the members written.

    Names come from strangers: without `raw` no spreadsheet takes them for formulas.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    with premises.warehouse.connect() as connection:
        for row in rows:
            path = folder / f"{row['segment']}.csv"
            scratch = path.with_suffix(".csv.part")
            with scratch.open("w", newline="", encoding="utf-8") as file:
                table = Table(file, raw=raw)
                table.row(MEMBER_COLUMNS)
                with connection.cursor(name="members") as cursor:
                    cursor.execute(
                        """
                        SELECT member.identity, person.email, person.mobile, person.firstname,
                               person.lastname, person.is_guest, person.email_subscribed,
                               person.mobile_subscribed, member.category,
                               member.member_since, member.reason
                        FROM analytics.segment_members AS member
                        JOIN analytics.subscribers AS person USING (integration, identity)
                        WHERE member.integration = %s AND member.segment = %s
                        ORDER BY member.identity, member.category
                        """,
                        [key, row["segment"]],
                    )
                    for member in cursor:
                        table.row(member)
                        written += 1
            scratch.replace(path)
    return written


def _query(premises: Premises, query: str, arguments: dict[str, Any]) -> list[Row]:
    """Rows of a query; none where its table has not been built yet."""
    with premises.warehouse.connect(autocommit=True) as connection:
        try:
            return (
                connection.cursor(row_factory=dict_row)
                .execute(query.encode(), arguments)
                .fetchall()
            )
        except psycopg.errors.UndefinedTable:
            return []


# --- showing -------------------------------------------------------------------------------------


def _print_lists(rows: list[Row]) -> None:
    table = console.table(
        "list", "status", ("subscribers", "right"), ("buyers", "right"), ("orders 30 d", "right"),
        ("value 30 d", "right"), ("average order", "right"), ("synchronised", "right"),
    )  # fmt: skip
    for row in rows:
        metrics = row["metrics"] or {}
        table.add_row(
            f"{console.plain(row['list_name'])} [dim]{row['integration']}[/]",
            console.status(row["status"]),
            console.whole(metrics.get("subscribers")),
            console.whole(metrics.get("buyers")),
            console.whole(metrics.get("orders_30d")),
            console.money(metrics.get("order_value_30d"), row["currency"]),
            console.money(metrics.get("average_order_value"), row["currency"]),
            console.ago(row["last_synced_at"]),
        )
    console.out.print(table)


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
    width = 8 if console.out.width < 96 else 20
    table = console.table(
        "segment", ("members", "right"), "", ("purchases", "right"), ("revenue", "right"),
        ("average order", "right"),
    )  # fmt: skip
    for row in full:
        name = f"[bold]{row['segment']}[/]" if row["segment"] in APIFON else row["segment"]
        table.add_row(
            name,
            console.whole(row["members"]),
            f"[cyan]{console.bar(row['members'], most, width)}[/]",
            console.whole(row["purchases"]),
            console.money(row["revenue"]),
            console.money(row["average_order_value"]),
        )
    table.columns[0].no_wrap = True
    console.out.print(table)
    if empty:
        console.out.print(f"[dim]nobody in: {', '.join(empty)}[/]")
    console.out.print(
        f"[dim]who and why: {console.command(f'segments {key} --export DIR')}[/]", soft_wrap=True
    )

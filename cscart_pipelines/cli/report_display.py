"""How lists and segments look on a terminal.

Not here: reading them and the commands (`reports`), one segment in detail (`segment_report`).
"""

from __future__ import annotations

from typing import Any

from rich.panel import Panel

from cscart_pipelines.cli.support import console, formats, tables

Row = dict[str, Any]

PREBUILT = (
    "new_customers", "recent_buyers_30", "recent_buyers_90", "non_buyers_30", "non_buyers_90",
    "frequent_buyers", "lapsed_customers",
)  # fmt: skip
"""The seven segments that every list has from the start, shown first."""
MIN_OVERVIEW_WIDTH = 76
"""Columns of the terminal in which the overview of one list stands side by side."""
BARS = (20, 6)
"""Widths of the bars, in characters: the second for narrow terminals."""


def not_built(key: str) -> str:
    """Returns that a list has not been built yet, and the command that builds it."""
    words = console.command(f"integration start {key}")
    return f"The list of {key} has not been built yet; this builds it: {words}"


def print_lists(rows: list[Row]) -> None:
    """Prints a line for each list."""
    columns: list[Any] = [
        ("list", "text"), "status", ("subscribers", "right"), ("buyers", "right"),
        ("orders 30 d", "right"), ("value 30 d", "right"), ("average order", "right"),
        ("synchronised", "right"),
    ]  # fmt: skip
    full, narrow = tables.table(*columns), tables.table(*columns[:6])
    for row in rows:
        metrics = row["metrics"] or {}
        cells = [
            f"{formats.plain(row['list_name'])} [dim]{row['integration']}[/]",
            formats.status(row["status"]),
            formats.whole(metrics.get("subscribers")),
            formats.whole(metrics.get("buyers")),
            formats.whole(metrics.get("orders_30d")),
            formats.money(metrics.get("order_value_30d"), row["currency"]),
            formats.money(metrics.get("average_order_value"), row["currency"]),
            formats.ago(row["last_synced_at"]),
        ]
        full.add_row(*cells)
        narrow.add_row(*cells[:6])
    tables.show(full, narrow)


def print_overview(row: Row) -> None:
    """Prints one list: the five main metrics first, then the rest."""
    metrics, currency = row["metrics"], row["currency"]
    status = formats.status(row["status"])
    head = f"[bold]{formats.plain(row['list_name'])}[/] [dim]{row['integration']}[/]  {status}"
    if metrics is None:
        console.out.print(
            f"{head}\n{formats.plain(row['status_reason'] or not_built(row['integration']))}"
        )
        return
    table = tables.table("", ("", "right"), "  ", "", ("", "right"))
    table.show_header = False
    left = [
        ("subscribers", formats.whole(metrics["subscribers"])),
        ("  reachable by e-mail", formats.whole(metrics["contactable_email"])),
        ("  reachable by mobile", formats.whole(metrics["contactable_mobile"])),
        ("buyers", formats.whole(metrics["buyers"])),
        ("  new in 30 d", formats.whole(metrics["new_buyers_30d"])),
        ("  returning in 30 d", formats.whole(metrics["returning_buyers_30d"])),
        ("repeat purchase rate", formats.share(metrics["repeat_purchase_rate"])),
        ("days between orders", formats.decimal(metrics["median_days_between_orders"], 1)),
    ]
    right = [
        ("[bold]orders, 30 d[/]", formats.whole(metrics["orders_30d"])),
        ("[bold]order value, 30 d[/]", formats.money(metrics["order_value_30d"], currency)),
        ("[bold]average order value[/]", formats.money(metrics["average_order_value"], currency)),
        ("[bold]order frequency[/]", formats.decimal(metrics["order_frequency_30d"])),
        ("[bold]lifespan, years[/]", formats.decimal(metrics["customer_lifespan_years"])),
        ("purchases in all", formats.whole(metrics["purchases"])),
        ("net revenue in all", formats.money(metrics["net_revenue"], currency)),
        ("abandoned, 30 d", formats.whole(metrics["abandoned_checkouts_30d"])),
    ]
    for (name, value), (other, figure) in zip(left, right, strict=True):
        table.add_row(name, value, "", other, figure)
    synced = formats.ago(row["last_synced_at"])
    footer = f"[dim]as of {metrics['as_of']:%Y-%m-%d %H:%M} UTC · synchronised {synced}[/]"
    if console.out.width < MIN_OVERVIEW_WIDTH:
        console.out.print(head)
        narrow = tables.table(("", "text"), ("", "right"))
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
    """Prints segments with a bar for their size; those without members are named at the end."""
    full = [row for row in rows if row["members"]]
    empty = [row["segment"] for row in rows if not row["members"]]
    most = max((row["members"] for row in full), default=0)
    columns: list[Any] = [
        "segment", ("members", "right"), ("purchases", "right"), ("revenue", "right"),
        ("average order", "right"),
    ]  # fmt: skip
    sizes = [tables.table(*columns[:2], "", *columns[2:]) for _ in BARS]
    sizes += [tables.table(*columns), tables.table(*columns[:4])]
    for row in full:
        cells = [
            f"[bold]{row['segment']}[/]" if row["segment"] in PREBUILT else row["segment"],
            formats.whole(row["members"]),
            formats.whole(row["purchases"]),
            formats.money(row["revenue"]),
            formats.money(row["average_order_value"]),
        ]
        for table, width in zip(sizes, BARS, strict=False):
            bar = f"[cyan]{formats.bar(row['members'], most, width)}[/]"
            table.add_row(*cells[:2], bar, *cells[2:])
        sizes[2].add_row(*cells)
        sizes[3].add_row(*cells[:4])
    tables.show(*sizes)
    if empty:
        console.out.print(f"[dim]without members: {', '.join(empty)}[/]")
    one = console.command(f"segments {key} {full[0]['segment'] if full else rows[0]['segment']}")
    console.note(f"[dim]members and reasons: {one}[/]")
    console.note(f"[dim]all of them as CSV: {console.command(f'segments {key} --export DIR')}[/]")

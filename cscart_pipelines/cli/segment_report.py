"""`segments KEY NAME`: one segment of a list explained, with its members and why they are in it.

Not here: the overview of all segments and their export (`reports`), the rules (dbt_project).
"""

from __future__ import annotations

import difflib
from decimal import Decimal
from typing import Any

from cscart_pipelines.cli.support import console, exit_codes, formats, tables
from cscart_pipelines.warehouse import reports
from cscart_pipelines.warehouse.driver import Connection

Row = dict[str, Any]

SHOWN = 20
"""Members that a terminal shows where --limit says nothing."""
WORDS: dict[str, tuple[str, str]] = {
    "vip_revenue_365d": ("spent in 365 days, more than", "money"),
    "mean_purchases_365d": ("purchases in 365 days, at least", "number"),
    "small_spender_revenue_365d": ("spent in 365 days, less than", "money"),
    "bottom_average_order_value": (
        "where that is below zero: average order value, at most",
        "money",
    ),
    "list_average_order_value": ("average order value of the list", "money"),
    "lifecycle_1": ("days since the last purchase: recent below", "number"),
    "lifecycle_2": ("days since the last purchase: needs nurturing below", "number"),
    "lifecycle_3": ("days since the last purchase: at risk up to", "number"),
    "interval_active": ("days since the last purchase: active up to", "number"),
    "interval_slipping": ("days since the last purchase: slipping away up to", "number"),
    "discount_share_limit": ("share of purchases with a discount, at least", "share"),
}
"""Limits that come from the list itself (`list_thresholds` of the catalogue) in words."""


def check_name(name: str, known: list[str], key: str) -> None:
    """Checks the name of a segment.

    Raises:
        CommandError: there is no such segment; the message suggests similar names.
    """
    if name in known:
        return
    spelled = name.strip().lower().replace("-", "_").replace(" ", "_")
    near = [spelled] if spelled in known else difflib.get_close_matches(spelled, known, 3, 0.5)
    meant = f"; did you mean {' or '.join(near)}?" if near else "."
    words = console.command(f"segments {key}")
    raise exit_codes.CommandError(
        f"there is no segment {name!r}{meant} All segments: {words}", exit_codes.WRONG_USAGE
    )


def explained(connection: Connection, key: str, segment: Row, limit: int | None) -> Row:
    """Returns one segment with thresholds, changes, and its members under `people`.

    Args:
        connection: to the warehouse.
        key: of the integration.
        segment: its row in `analytics.segments`.
        limit: at most so many members; None: all.
    """
    name = segment["segment"]
    return {
        **segment,
        "thresholds": reports.list_thresholds(connection, key, name),
        **reports.segment_changes(connection, key, segment),
        "people": reports.segment_members(connection, key, name, limit),
    }


def print_explained(found: Row, currency: str) -> None:
    """Prints one segment."""
    console.out.print(f"[bold]{found['segment']}[/]  {formats.plain(found['definition'])}")
    table = tables.table("", ("", "text"))
    table.show_header = False
    table.add_row("members", formats.whole(found["members"]))
    table.add_row("purchases", formats.whole(found["purchases"]))
    table.add_row("revenue", formats.money(found["revenue"], currency))
    table.add_row("average order", formats.money(found["average_order_value"], currency))
    for column, value in found["thresholds"].items():
        words, kind = WORDS[column]
        table.add_row(f"threshold of this list: {words}", _threshold(value, kind, currency))
    if since := found.get("since"):
        table.add_row("first member", f"{since:%Y-%m-%d %H:%M} UTC")
    for days in (7, 30):
        table.add_row(
            f"in the last {days} days",
            f"{found.get(f'entered_{days}d', 0):,} entered, {found.get(f'left_{days}d', 0):,} left",
        )
    table.add_row("as of", f"{found['as_of']:%Y-%m-%d %H:%M} UTC")
    tables.show(table)
    if not found["people"]:
        return
    console.out.print()
    with_category = any(person["category"] for person in found["people"])
    people = tables.table("member", *["category"] * with_category, "since", ("reason", "text"))
    for person in found["people"]:
        category = [formats.plain(person["category"] or "–")] * with_category
        people.add_row(
            formats.plain(person["identity"]),
            *category,
            f"{person['member_since']:%Y-%m-%d}",
            formats.plain(person["reason"]),
        )
    tables.show(people)


def _threshold(value: Any, kind: str, currency: str) -> str:
    if kind == "money":
        return formats.money(value, currency)
    return formats.share(value) if kind == "share" else formats.decimal(Decimal(str(value)), 1)

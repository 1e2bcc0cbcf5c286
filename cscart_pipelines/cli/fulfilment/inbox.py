"""`fulfilment inbox`: rows that wait, are held or were refused, and the last files.

Not here: pushing them (`push`), what was written (`journal`).
"""

from __future__ import annotations

import contextlib
import enum
from typing import Annotated, Any

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.fulfilment.display import print_refusals, print_release, unheld
from cscart_pipelines.cli.fulfilment.journal import Limit
from cscart_pipelines.cli.support import console, formats, machine_output, tables
from cscart_pipelines.cli.support.arguments import Csv, Json, Key
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.cscart.quantities import shown
from cscart_pipelines.fulfilment import overview
from cscart_pipelines.fulfilment.feeds.drop_folder import folder
from cscart_pipelines.fulfilment.report import RefusedRow

Row = dict[str, Any]

INBOX = (
    "inbox", "target", "sku", "quantity", "state", "reason", "source", "received_at", "settled_at"
)  # fmt: skip
"""Columns of the CSV."""
STATES = ("waiting", "taken", "held", "refused", "done")
_STYLES = {"waiting": "cyan", "taken": "yellow", "held": "bold red", "refused": "red"}
ALIKE = 3
"""Lines that rows with the same reason take."""


class Inbox(enum.StrEnum):
    """The two inboxes."""

    SHIPMENTS = "shipments"
    STOCK = "stock"


TABLES: dict[Inbox, overview.InboxTable] = {
    Inbox.SHIPMENTS: "shipments",
    Inbox.STOCK: "stock_levels",
}


def inbox(
    key: Key,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try refused rows again with the next push.")
    ] = False,
    limit: Limit = 20,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """The inbox: rows that wait, are held or were refused.

    Also the last files that came in, and where the drop folders are.
    """
    with opened() as app:
        app.registry.get(key)
        if retry:
            with app.warehouse.connect(autocommit=True) as connection:
                overview.retry_refused(connection, key)
        found = _inbox(app, key, limit)
        with contextlib.suppress(OSError):  # the step that takes files in reports it
            folder(app.settings, key)
    if as_json:
        machine_output.print_json(found)
        return
    if as_csv:
        rows = [{"inbox": box, **row} for box in Inbox for row in found[box]["rows"]]
        machine_output.print_csv(INBOX, rows)
        return
    for box in Inbox:
        _print_box(key, box, found[box])
    _print_feeds(found["feeds"])
    console.out.print("[dim]drop folders; the daemon of `up` takes in files that are put there:[/]")
    for box in Inbox:
        console.out.print(f"  {formats.plain(found[box]['folder'])}", soft_wrap=True)


def _inbox(app: AppContext, key: str, limit: int) -> Row:
    found: Row = {"integration": key}
    with app.warehouse.connect(autocommit=True) as connection:
        for box, table in TABLES.items():
            counts = overview.inbox_counts(connection, key, table)
            rows = overview.inbox_rows(connection, key, table, limit)
            found[box] = {
                "counts": {row["state"]: row["rows"] for row in counts},
                "oldest_waiting": next(
                    (row["oldest"] for row in counts if row["state"] == "waiting"), None
                ),
                "rows": [
                    {**row, "quantity": None if row["quantity"] is None else shown(row["quantity"])}
                    for row in rows
                ],
                "folder": str(app.settings.home / "inbox" / key / box),
            }
        found["feeds"] = overview.last_feeds(connection, key)
    return found


def _print_box(key: str, box: Inbox, found: Row) -> None:
    counts = found["counts"]
    said = [f"{counts[state]:,} {state}" for state in STATES if counts.get(state)]
    since = f"  [dim]the oldest came {formats.ago(found['oldest_waiting'])}[/]"
    console.out.print(
        f"[bold]{box}[/]  {', '.join(said) or 'empty'}{since if counts.get('waiting') else ''}"
    )
    if found["rows"]:
        table = tables.table("", "order or SKU", ("pieces", "right"), "from", ("reason", "text"))
        for (state, reason), rows in _by_reason(found["rows"]).items():
            mark = f"[{_STYLES[state]}]{state}[/]"
            shown = rows if not reason or len(rows) <= ALIKE else rows[: ALIKE - 1]
            for place, row in enumerate(shown):
                sku = f" {row['sku']}" if box is Inbox.SHIPMENTS and row["sku"] else ""
                table.add_row(
                    mark,
                    formats.plain(row["target"] + sku),
                    formats.quantity(row["quantity"]),
                    formats.plain(row["source"] or "SQL"),
                    "[dim]the same[/]" if place and reason else formats.plain(unheld(reason)),
                )
            if len(shown) < len(rows):
                rest = f"{len(rows) - len(shown):,} more with this reason; --csv lists them"
                table.add_row(mark, "…", "", "", f"[dim]{rest}[/]")
        tables.show(table)
    if counts.get("held"):
        print_release(key)
    elif counts.get("waiting"):
        verb = "ship" if box is Inbox.SHIPMENTS else "stock"
        words = console.command(f"fulfilment {verb} {key}")
        console.note(f"  [dim]to push now:[/] {words}", soft_wrap=True)


def _by_reason(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    """Returns rows by state and reason, in the order in which the reasons come first.

    Reasons that differ only in the number of their order are the same.
    """
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        alike = row["reason"] or ""
        for word in row["target"].split():
            alike = alike.replace(f"{word!r}", "")
        grouped.setdefault((row["state"], alike), []).append(row)
    return {(state, same[0]["reason"] or ""): same for (state, _), same in grouped.items()}


def _print_feeds(feeds: list[Row]) -> None:
    if not feeds:
        return
    console.out.print("[bold]last files[/]")
    table = tables.table(
        "when (UTC)", "what", ("file", "text"), ("taken", "right"), ("known", "right"),
        ("refused", "right"), ("outcome", "text"),
    )  # fmt: skip
    for feed in feeds:
        bad = feed["state"] in ("held", "refused")
        state = (
            f"[red]{feed['state']}[/] " if bad else f"{feed['state']} " * (feed["state"] != "taken")
        )
        table.add_row(
            f"{feed['received_at']:%m-%d %H:%M}",
            feed["kind"],
            formats.plain(feed["source"]),
            formats.whole(feed["rows_taken"]),
            formats.whole(feed["rows_known"]),
            formats.whole(feed["rows_refused"]),
            state + formats.plain(unheld(feed["reason"])),
        )
    tables.show(table)
    for kind in Inbox:
        newest = next((feed for feed in feeds if feed["kind"] == kind), None)
        if newest is not None and newest["refusals"]:
            print_refusals(
                [
                    RefusedRow(one["target"], one["reason"], one["line"])
                    for one in newest["refusals"]
                ]
            )

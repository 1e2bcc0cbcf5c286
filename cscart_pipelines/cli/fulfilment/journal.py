"""`fulfilment journal`: what was written to a shop.

Not here: what waits to be written (`inbox`), pushing it (`push`).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cscart_pipelines.cli.fulfilment.display import print_journal
from cscart_pipelines.cli.support import console, exit_codes, machine_output
from cscart_pipelines.cli.support.arguments import Csv, Json, Key
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.fulfilment import overview
from cscart_pipelines.fulfilment.journal import Kind, State
from cscart_pipelines.fulfilment.shipments.order_lookup import match_orders
from cscart_pipelines.warehouse.driver import Connection

Row = dict[str, Any]
Limit = Annotated[
    int, typer.Option(min=1, max=100_000, metavar="N", help="Show the newest N entries.")
]
JOURNAL = (
    "id", "kind", "target", "state", "order_id", "product_id", "tracking", "plan", "before",
    "after", "reason", "attempts", "created_at", "sent_at", "finished_at", "run_id",
)  # fmt: skip
"""Columns of the CSV."""


def journal(
    key: Key,
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Only this run; the first letters of its id are enough."),
    ] = None,
    order: Annotated[str | None, typer.Option(metavar="NUMBER", help="Only this order.")] = None,
    sku: Annotated[str | None, typer.Option(metavar="SKU", help="Only this SKU.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only writes of this kind.")] = None,
    state: Annotated[State | None, typer.Option(help="Only writes in this state.")] = None,
    limit: Limit = 50,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """The write journal: what was written to the shop, newest first.

    With the values before and after, the outcome, and the run.
    """
    with opened() as app:
        prefix = app.registry.get(key).settings.order_prefix
        with app.warehouse.connect(autocommit=True) as connection:
            order_id = None if order is None else order_id_of(connection, key, prefix, order)
            rows = overview.journal_entries(
                connection, key, run=run, order_id=order_id, sku=sku, kind=kind, state=state,
                limit=limit,
            )  # fmt: skip
    if as_json:
        machine_output.print_json([{"integration": key, **row} for row in rows])
        return
    if as_csv:
        machine_output.print_csv(JOURNAL, rows)
        return
    if not rows:
        asked = any(what is not None for what in (run, order, sku, kind, state))
        console.out.print("No entry matches." if asked else f"Nothing was written to {key}.")
        return
    print_journal(rows)
    if len(rows) == limit:
        console.out.print(f"[dim]the newest {limit:,}; --limit shows more[/]")


def order_id_of(connection: Connection, key: str, prefix: str, number: str) -> int:
    """Returns the order that `--order` names.

    Raises:
        CommandError: it is no order number of this integration.
    """
    meant = match_orders(connection, key, prefix, [number])
    if number not in meant.orders:
        raise exit_codes.CommandError(f"--order: {meant.foreign[number]}", exit_codes.WRONG_USAGE)
    return meant.orders[number]

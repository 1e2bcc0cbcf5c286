"""`fulfilment deleted`: shipments that were deleted in the shop, and what to do about them.

Not here: how they are found and resolved (`fulfilment.shipments.deleted`).
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import asdict, fields
from typing import Annotated

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.fulfilment.journal import order_id_of
from cscart_pipelines.cli.fulfilment.push import LOCK_WAIT_SECONDS
from cscart_pipelines.cli.support import console, exit_codes, formats, machine_output, tables
from cscart_pipelines.cli.support.arguments import Csv, Json, Key
from cscart_pipelines.cli.support.confirm import Yes, confirm
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.cscart.coerce import UnreadableRowError
from cscart_pipelines.fulfilment import push_session
from cscart_pipelines.fulfilment.shipments.deleted import (
    DeletedShipment,
    Resolution,
    find_deleted,
    resolve_deleted,
    shipments_of_order,
)

SAID: dict[Resolution, str] = {
    "there": "[yellow]still in the shop; nothing to do[/]",
    "accepted": "[green]accepted[/]",
    "waits again": "[green]waits in the inbox again[/]",
    "no rows": "[yellow]cannot be shipped again: its rows are no longer in the inbox[/]",
}


def deleted(
    key: Key,
    order: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="Only this order; the shop is asked, not the last synchronisation.",
        ),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="The deletion is right: never ship these again.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="The deletion is wrong: ship these again with the next push."),
    ] = False,
    yes: Yes = False,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """Shipments that were pushed, and deleted in the shop since.

    Without --accept or --again they are only shown. What the shop still has is left as it is.
    """
    if accept and again:
        raise exit_codes.CommandError(
            "--accept and --again exclude each other", exit_codes.WRONG_USAGE
        )
    with opened() as app:
        parcels = _parcels(app, key, order, settling=accept or again)
        if not (accept or again):
            _show(key, parcels, as_json=as_json, as_csv=as_csv)
            return
        if parcels:
            effect = (
                "this puts them into the inbox again, and the next push writes them to the shop"
                if again
                else "this accepts it for good, and they are never shipped again"
            )
            sent = formats.count(len(parcels), "shipment")
            confirm(f"Of {sent} of {key}, as far as the shop has deleted them: {effect}", yes=yes)
        outcome = _settle(app, key, parcels, again=again) if parcels else []
    if as_json:
        machine_output.print_json([{**asdict(one), "outcome": verdict} for one, verdict in outcome])
    else:
        _print_outcome(key, outcome)
    if not any(verdict in ("accepted", "waits again") for _, verdict in outcome):
        raise typer.Exit(exit_codes.RUN_FAILED)


def _parcels(
    app: AppContext, key: str, order: str | None, *, settling: bool
) -> list[DeletedShipment]:
    """Returns the shipments that are missing, as of the last synchronisation.

    To settle those of one order, all that was ever shipped of it is returned: the shop is asked
    which of it is missing.
    """
    prefix = app.registry.get(key).settings.order_prefix
    with app.warehouse.connect(autocommit=True) as connection:
        if order is None:
            return find_deleted(connection, [key])
        order_id = order_id_of(connection, key, prefix, order)
        if settling:
            return shipments_of_order(connection, key, order_id)
        return [one for one in find_deleted(connection, [key]) if one.order_id == order_id]


def _settle(
    app: AppContext, key: str, parcels: list[DeletedShipment], *, again: bool
) -> list[tuple[DeletedShipment, Resolution]]:
    with (
        console.err.status("reading the shop"),
        push_session.open_push(
            "shipments",
            app.warehouse,
            app.registry,
            app.settings,
            key,
            run_id=f"deleted-{secrets.token_hex(4)}",
            wait=LOCK_WAIT_SECONDS,
            ignore_disabled=not again,
        ) as context,
    ):
        try:
            return resolve_deleted(context, parcels, again=again)
        except UnreadableRowError as error:
            raise exit_codes.CommandError(f"{key}: {error}", exit_codes.SHOP_UNREACHABLE) from None


def _show(key: str, parcels: list[DeletedShipment], *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        machine_output.print_json([asdict(one) for one in parcels])
        return
    if as_csv:
        machine_output.print_csv(
            [one.name for one in fields(DeletedShipment)], [asdict(one) for one in parcels]
        )
        return
    if not parcels:
        console.out.print(f"Nothing that was shipped is missing in {key}, as of its last sync.")
        return
    table = tables.table("order and tracking number", ("was shipment", "right"))
    for one in parcels:
        table.add_row(formats.plain(one.target), str(one.shipment_id))
    tables.show(table)
    deed = console.command(f"fulfilment deleted {key}")
    console.note(f"  [dim]if they were deleted on purpose:[/] {deed} --accept", soft_wrap=True)
    console.note(f"  [dim]to ship them again:[/] {deed} --again", soft_wrap=True)
    console.note("  [dim]--order NUMBER: only those of one order[/]")


def _print_outcome(key: str, outcome: list[tuple[DeletedShipment, Resolution]]) -> None:
    if not outcome:
        console.out.print("Nothing was shipped that matches.")
        return
    for one, verdict in outcome:
        console.out.print(f"  {formats.plain(one.target)}  {SAID[verdict]}", soft_wrap=True)
    counts = Counter(verdict for _, verdict in outcome)
    if counts["waits again"]:
        push = console.command(f"fulfilment ship {key}")
        console.out.print(
            f"  [dim]shipped by the next push, within a minute, or now:[/] {push}", soft_wrap=True
        )

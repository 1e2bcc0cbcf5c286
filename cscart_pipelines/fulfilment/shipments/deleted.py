"""Shipments that were pushed, and deleted in the shop since: found, then accepted or queued again.

The journal calls them verified, so a repeated row would count as done, and the check of the journal
against the shop stays red. A person decides; the shop is read once more before anything is changed,
and nothing is written to it. Not here: sending (`push`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from cscart_pipelines.cscart.order_fulfilment import read_shipments
from cscart_pipelines.fulfilment.journal import Entry, State
from cscart_pipelines.fulfilment.push_session import PushContext
from cscart_pipelines.fulfilment.shipments import inbox as shipments_inbox

Connection = psycopg.Connection[Any]
Resolution = Literal["there", "accepted", "waits again", "no rows"]

_MISSING = """
    SELECT entry.id, entry.integration, entry.target, entry.order_id,
           (entry.after ->> 'shipment_id')::bigint AS shipment_id
    FROM fulfilment.journal AS entry
    JOIN (
        SELECT integration, max(started_at) AS began FROM registry.sync_runs
        WHERE state = 'succeeded' AND stats -> 'entities' ? 'shipments' GROUP BY integration
    ) AS run ON run.integration = entry.integration AND run.began > entry.finished_at
    WHERE entry.integration = ANY(%s) AND entry.kind = 'shipment'
      AND entry.state = 'verified' AND entry.finished_at > now() - interval '90 days'
      AND NOT EXISTS (
          SELECT FROM cscart.shipments AS sent
          WHERE sent.integration = entry.integration AND sent.deleted_at IS NULL
            AND sent.shipment_id = (entry.after ->> 'shipment_id')::bigint
      )
      AND NOT EXISTS (
          SELECT FROM cscart.orders AS gone
          WHERE gone.integration = entry.integration AND gone.order_id = entry.order_id
            AND gone.deleted_at IS NOT NULL
      )
    ORDER BY entry.integration, entry.id
"""
_SHIPMENTS_OF_ORDER = """
    SELECT id, integration, target, order_id, (after ->> 'shipment_id')::bigint AS shipment_id
    FROM fulfilment.journal
    WHERE integration = %s AND order_id = %s AND kind = 'shipment' AND after ? 'shipment_id'
      AND state = 'verified'
    ORDER BY id
"""


@dataclass(frozen=True)
class DeletedShipment:
    """A shipment that the journal knows.

    Attributes:
        id: of its journal entry.
        target: order number and tracking number.
    """

    id: int
    integration: str
    target: str
    order_id: int
    shipment_id: int


def find_deleted(connection: Connection, integrations: Sequence[str]) -> list[DeletedShipment]:
    """Finds shipments verified within 90 days that the last synchronisation did not see.

    Shipments of orders that were deleted themselves are left out.
    """
    cursor = connection.cursor(row_factory=class_row(DeletedShipment))
    return cursor.execute(_MISSING, [list(integrations)]).fetchall()


def shipments_of_order(
    connection: Connection, integration: str, order_id: int
) -> list[DeletedShipment]:
    """Returns what counts as shipped of an order; only the shop can tell whether it is deleted."""
    cursor = connection.cursor(row_factory=class_row(DeletedShipment))
    return cursor.execute(_SHIPMENTS_OF_ORDER, [integration, order_id]).fetchall()


def resolve_deleted(
    context: PushContext, parcels: Sequence[DeletedShipment], *, again: bool
) -> list[tuple[DeletedShipment, Resolution]]:
    """Accepts the deletion of shipments that the shop no longer has, or queues their rows again.

    Accepted is for good: the same rows may come again in a file.

    Args:
        context: of an open push session.
        parcels: to be looked up in the shop.
        again: queue the rows once more instead of accepting.

    Returns:
        Each shipment with what became of it: `there` if the shop has it, `no rows` if the inbox no
        longer has its rows.

    Raises:
        ShopError: the shop could not be read.
        UnreadableRowError: its answer could not be parsed.
    """
    found: list[tuple[DeletedShipment, Resolution]] = []
    for order_id in dict.fromkeys(parcel.order_id for parcel in parcels):
        present = {seen.shipment_id for seen in read_shipments(context.client, order_id)}
        with context.journal.transaction() as connection:
            entries = {
                entry.id: entry
                for entry in context.journal.entries_of_order(order_id)
                if entry.state is State.VERIFIED
            }
            for parcel in parcels:
                entry = entries.get(parcel.id)
                if parcel.order_id != order_id or entry is None:
                    continue
                if parcel.shipment_id in present:
                    found.append((parcel, "there"))
                else:
                    found.append((parcel, _resolve(context, connection, entry, again=again)))
    return found


def _resolve(
    context: PushContext, connection: Connection, entry: Entry, *, again: bool
) -> Resolution:
    if again:
        rows = entry.plan.get("rows", [])
        if not shipments_inbox.requeue(connection, context.integration.key, rows):
            return "no rows"
    shipment_id = (entry.after or {}).get("shipment_id")
    said = "to be sent again" if again else "accepted"
    reason = f"deleted in the shop, where it was shipment {shipment_id}; {said}"
    context.journal.finish(entry, State.SKIPPED, reason=reason)
    return "waits again" if again else "accepted"

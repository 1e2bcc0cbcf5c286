"""Parcels of ours that somebody has deleted in the shop: found, and then accepted or sent again.

The journal calls them verified, so a repeated row would be taken for done, and the check of the
journal against the shop stays red. A person decides; the shop is asked once more before anything is
changed here, and nothing is written to it. Not here: sending (`tracking`).
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
Verdict = Literal["there", "accepted", "waits again", "no rows"]

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
_OF_ORDER = """
    SELECT id, integration, target, order_id, (after ->> 'shipment_id')::bigint AS shipment_id
    FROM fulfilment.journal
    WHERE integration = %s AND order_id = %s AND kind = 'shipment' AND after ? 'shipment_id'
      AND state = 'verified'
    ORDER BY id
"""


@dataclass(frozen=True)
class Missing:
    """A parcel that the journal knows. `id`: of its journal entry; `target`: order and tracking."""

    id: int
    integration: str
    target: str
    order_id: int
    shipment_id: int


def missing(connection: Connection, integrations: Sequence[str]) -> list[Missing]:
    """Verified within 90 days, and not in the shop when it was synchronised last. Not of orders
    that went as a whole."""
    cursor = connection.cursor(row_factory=class_row(Missing))
    return cursor.execute(_MISSING, [list(integrations)]).fetchall()


def sent_for(connection: Connection, integration: str, order_id: int) -> list[Missing]:
    """All that counts as shipped of an order; whether it is missing, only the shop can tell."""
    cursor = connection.cursor(row_factory=class_row(Missing))
    return cursor.execute(_OF_ORDER, [integration, order_id]).fetchall()


def settle_missing(
    context: PushContext, parcels: Sequence[Missing], *, again: bool
) -> list[tuple[Missing, Verdict]]:
    """What the shop still has stays as it is; the rest is accepted as deleted, and with `again` its
    rows wait in the inbox once more, unless they are no longer there. Accepted is for good: the
    same rows may come again in a file that knows nothing of it. Raises ShopError, UnreadableRow.
    """
    found: list[tuple[Missing, Verdict]] = []
    for order_id in dict.fromkeys(parcel.order_id for parcel in parcels):
        present = {seen.shipment_id for seen in read_shipments(context.client, order_id)}
        with context.journal.transaction() as connection:
            entries = {
                entry.id: entry
                for entry in context.journal.of_order(order_id)
                if entry.state is State.VERIFIED
            }
            for parcel in parcels:
                entry = entries.get(parcel.id)
                if parcel.order_id != order_id or entry is None:
                    continue
                if parcel.shipment_id in present:
                    found.append((parcel, "there"))
                else:
                    found.append((parcel, _settle(context, connection, entry, again=again)))
    return found


def _settle(context: PushContext, connection: Connection, entry: Entry, *, again: bool) -> Verdict:
    if again:
        rows = entry.plan.get("rows", [])
        if not shipments_inbox.wait_again(connection, context.integration.key, rows):
            return "no rows"
    shipment_id = (entry.after or {}).get("shipment_id")
    said = "to be sent again" if again else "accepted"
    reason = f"deleted in the shop, where it was shipment {shipment_id}; {said}"
    context.journal.finish(entry, State.SKIPPED, reason=reason)
    return "waits again" if again else "accepted"

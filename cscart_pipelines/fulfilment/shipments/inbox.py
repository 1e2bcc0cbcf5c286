"""The inbox of shipment requests as the push sees it: what waits, what became of each row.

Rows go from waiting to taken (the journal has them), then to done or refused; back to waiting when
their entry was surely not applied. All inside the caller's transaction. Not here: how rows get in
(`feeds/ingest_shipments`), which of them are shipped (`parcels/plan`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cscart_pipelines.fulfilment.models import ShipmentRow

Connection = psycopg.Connection[Any]

_ROW = (
    "order_number, tracking_number, sku, quantity, carrier, tracking_url, shipped_at, source"
    " FROM fulfilment.shipments"
)


def waiting_numbers(connection: Connection, integration: str) -> list[str]:
    """Returns order numbers with waiting rows, those that wait longest first."""
    rows = connection.execute(
        "SELECT order_number FROM fulfilment.shipments WHERE integration = %s"
        " AND state = 'waiting' GROUP BY order_number ORDER BY min(received_at), order_number",
        [integration],
    ).fetchall()
    return [row[0] for row in rows]


def waiting_rows(
    connection: Connection, integration: str, order_numbers: Sequence[str], *, lock: bool = False
) -> list[ShipmentRow]:
    """Returns the waiting rows of these orders, in the order they were received.

    Args:
        connection: within the caller's transaction.
        integration: key of the integration.
        order_numbers: as the rows spell them.
        lock: no correction until the transaction ends. Locked in the order of the key, as ingesting
            does, or the two could deadlock.
    """
    cursor = connection.cursor(row_factory=dict_row)
    rows = cursor.execute(
        f"SELECT received_at, {_ROW} WHERE integration = %s AND order_number = ANY(%s)"
        " AND state = 'waiting' ORDER BY order_number, tracking_number, sku"
        + (" FOR UPDATE" if lock else ""),
        [integration, list(order_numbers)],
    ).fetchall()
    rows.sort(key=lambda row: row["received_at"])  # stable: then by key
    return [ShipmentRow(**{k: v for k, v in row.items() if k != "received_at"}) for row in rows]


def waiting_count(connection: Connection, integration: str) -> int:
    """Returns how many rows are neither done nor refused."""
    row = connection.execute(
        "SELECT count(*) FROM fulfilment.shipments WHERE integration = %s"
        " AND state IN ('waiting', 'taken')",
        [integration],
    ).fetchone()
    return int(row[0]) if row else 0


def waiting_versions(connection: Connection) -> dict[str, str]:
    """Returns a text by integration with waiting rows, which changes when those rows do.

    Rows of deferred orders are left out until their time.
    """
    rows = connection.execute(
        """
        SELECT integration, concat_ws(' ', 'rows', count(*), max(received_at))
        FROM fulfilment.shipments AS waiting
        WHERE state = 'waiting' AND NOT EXISTS (
            SELECT FROM fulfilment.deferred_orders AS late
            WHERE late.integration = waiting.integration AND late.not_before > now()
              AND waiting.order_number = ANY(late.order_numbers))
        GROUP BY integration
        """
    )
    return dict(rows.fetchall())


def mark_taken(
    connection: Connection, integration: str, rows: Iterable[ShipmentRow], journal_id: int
) -> None:
    """Marks the rows as taken by a journal entry."""
    for row in rows:
        connection.execute(
            "UPDATE fulfilment.shipments SET state = 'taken', journal_id = %s, reason = NULL"
            " WHERE integration = %s AND order_number = %s AND tracking_number = %s AND sku = %s",
            [journal_id, integration, row.order_number, row.tracking_number, row.sku],
        )


def update_state(
    connection: Connection,
    integration: str,
    rows: Iterable[ShipmentRow],
    state: str,
    reason: str | None,
) -> None:
    """Marks waiting rows as done or refused."""
    for row in rows:
        connection.execute(
            "UPDATE fulfilment.shipments SET state = %s, reason = %s, settled_at = now()"
            " WHERE integration = %s AND order_number = %s AND tracking_number = %s AND sku = %s"
            " AND state = 'waiting'",
            [state, reason, integration, row.order_number, row.tracking_number, row.sku],
        )


def update_rows_of_entry(
    connection: Connection, integration: str, journal_id: int, state: str, reason: str | None
) -> list[str]:
    """Marks the rows of a journal entry as done or refused, or lets them wait again.

    Returns:
        Their order numbers.
    """
    rows = connection.execute(
        "UPDATE fulfilment.shipments SET state = %(state)s, reason = %(reason)s,"
        " journal_id = CASE WHEN %(state)s = 'waiting' THEN NULL ELSE journal_id END,"
        " settled_at = CASE WHEN %(state)s = 'waiting' THEN NULL ELSE now() END"
        " WHERE integration = %(key)s AND journal_id = %(entry)s AND state = 'taken'"
        " RETURNING order_number",
        {"state": state, "reason": reason, "key": integration, "entry": journal_id},
    ).fetchall()
    return [row[0] for row in rows]


def requeue(connection: Connection, integration: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Lets settled rows wait once more.

    Args:
        connection: within the caller's transaction.
        integration: key of the integration.
        rows: with the columns of their key, as the journal keeps them.

    Returns:
        False, and nothing is changed, if one of them is no longer in the inbox.
    """
    keys = [
        [row[name] or "" for row in rows] for name in ("order_number", "tracking_number", "sku")
    ]
    present = connection.execute(
        "SELECT order_number, tracking_number, sku FROM fulfilment.shipments"
        " WHERE integration = %s AND state = 'done' AND (order_number, tracking_number, sku)"
        " IN (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]))"
        " ORDER BY order_number, tracking_number, sku FOR UPDATE",
        [integration, *keys],
    ).fetchall()
    if not rows or len(present) < len(set(zip(*keys, strict=True))):
        return False
    for row in present:
        connection.execute(
            "UPDATE fulfilment.shipments SET state = 'waiting', reason = NULL, journal_id = NULL,"
            " settled_at = NULL, received_at = now()"
            " WHERE integration = %s AND order_number = %s AND tracking_number = %s AND sku = %s",
            [integration, *row],
        )
    return True

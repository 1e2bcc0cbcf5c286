"""Deferred orders: those that failed wait, each for itself, with a back-off that doubles.

A shop may break on one order for ever (reference 15): that must cost the order time, not the shop's
other orders. A push that names the integration tries them all the same, last. Not here: which
failures those are (`push`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

FIRST_BACKOFF, MAX_BACKOFF = 60, 6 * 3600
"""Seconds."""


def defer(
    connection: Connection,
    integration: str,
    order_id: int,
    order_numbers: Collection[str],
    reason: str,
) -> int:
    """Defers an order after one more failure.

    A try before its time does not make the back-off longer.

    Args:
        connection: within a transaction.
        integration: key of the integration.
        order_id: the order.
        order_numbers: as the waiting rows spell it, so that sensors know these wait for a time.
        reason: kept for people.

    Returns:
        Seconds until it is tried again.
    """
    row = connection.execute(
        """
        INSERT INTO fulfilment.deferred_orders AS known
            (integration, order_id, order_numbers, failures, not_before, reason)
        VALUES (%(key)s, %(order)s, %(numbers)s, 1, now() + %(first)s * interval '1 second',
                %(reason)s)
        ON CONFLICT (integration, order_id) DO UPDATE SET
            order_numbers = ARRAY(
                SELECT DISTINCT unnest(known.order_numbers || excluded.order_numbers) ORDER BY 1),
            failures = known.failures + (known.not_before <= now())::int,
            not_before = CASE WHEN known.not_before > now() THEN known.not_before
                ELSE now() + interval '1 second'
                    * least(%(first)s * power(2, least(known.failures, 20)), %(longest)s) END,
            tried_at = now(),
            reason = excluded.reason
        RETURNING ceil(extract(epoch FROM not_before - now()))::int
        """,
        {
            "key": integration,
            "order": order_id,
            "numbers": sorted(set(order_numbers)),
            "reason": reason,
            "first": FIRST_BACKOFF,
            "longest": MAX_BACKOFF,
        },
    ).fetchone()
    assert row is not None
    return int(row[0])


def add_order_numbers(
    connection: Connection, integration: str, order_id: int, order_numbers: Collection[str]
) -> None:
    """Adds spellings of a deferred order's number: their rows wait for the same time."""
    connection.execute(
        """
        UPDATE fulfilment.deferred_orders SET order_numbers =
            ARRAY(SELECT DISTINCT unnest(order_numbers || %(numbers)s::text[]) ORDER BY 1)
        WHERE integration = %(key)s AND order_id = %(order)s
          AND NOT order_numbers @> %(numbers)s::text[]
        """,
        {"key": integration, "order": order_id, "numbers": list(order_numbers)},
    )


def clear(connection: Connection, integration: str, order_id: int) -> None:
    """Ends the deferral: the order could be worked on."""
    connection.execute(
        "DELETE FROM fulfilment.deferred_orders WHERE integration = %s AND order_id = %s",
        [integration, order_id],
    )


def read_deferred(connection: Connection, integration: str) -> dict[int, bool]:
    """Returns the deferred orders and whether they are due; first those tried longest ago."""
    rows = connection.execute(
        "SELECT order_id, not_before <= now() FROM fulfilment.deferred_orders"
        " WHERE integration = %s ORDER BY tried_at, order_id",
        [integration],
    )
    return dict(rows.fetchall())


def failures_of_due(connection: Connection) -> dict[str, int]:
    """Returns the failures, by integration, of deferred orders whose time has come."""
    rows = connection.execute(
        "SELECT integration, sum(failures)::int FROM fulfilment.deferred_orders"
        " WHERE not_before <= now() GROUP BY integration"
    )
    return dict(rows.fetchall())

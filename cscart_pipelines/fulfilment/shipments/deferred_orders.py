"""Orders that could not be worked on and are left alone for a while, each for itself.

A shop may break on one order for ever (reference 15): that must cost the order time, not the shop's
other orders. The pause doubles with each failure in a row. Who asks for a push by name has the
orders tried all the same, last. Not here: which failures those are (`tracking`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

FIRST_PAUSE, LONGEST_PAUSE = 60, 6 * 3600
"""Seconds."""


def defer(
    connection: Connection,
    integration: str,
    order_id: int,
    order_numbers: Collection[str],
    reason: str,
) -> int:
    """The order failed once more. Returns the seconds it is left alone.

    `order_numbers`: as the rows that wait spell it; so the sensors know that these wait for a time
    and not for a push. Who tries before the time, by name, does not make the pause longer.
    """
    row = connection.execute(
        """
        INSERT INTO fulfilment.put_off_orders AS known
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
            "first": FIRST_PAUSE,
            "longest": LONGEST_PAUSE,
        },
    ).fetchone()
    assert row is not None
    return int(row[0])


def note_numbers(
    connection: Connection, integration: str, order_id: int, order_numbers: Collection[str]
) -> None:
    """Other spellings of an order that is left alone: their rows wait for the same time."""
    connection.execute(
        """
        UPDATE fulfilment.put_off_orders SET order_numbers =
            ARRAY(SELECT DISTINCT unnest(order_numbers || %(numbers)s::text[]) ORDER BY 1)
        WHERE integration = %(key)s AND order_id = %(order)s
          AND NOT order_numbers @> %(numbers)s::text[]
        """,
        {"key": integration, "order": order_id, "numbers": list(order_numbers)},
    )


def clear(connection: Connection, integration: str, order_id: int) -> None:
    """The order could be worked on: it is one like the others again."""
    connection.execute(
        "DELETE FROM fulfilment.put_off_orders WHERE integration = %s AND order_id = %s",
        [integration, order_id],
    )


def read_deferred(connection: Connection, integration: str) -> dict[int, bool]:
    """The orders that failed when they were tried last, and whether their time has come; first
    those that were not tried for the longest."""
    rows = connection.execute(
        "SELECT order_id, not_before <= now() FROM fulfilment.put_off_orders"
        " WHERE integration = %s ORDER BY tried_at, order_id",
        [integration],
    )
    return dict(rows.fetchall())

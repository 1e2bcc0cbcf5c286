"""Erases a person's onsite events, and the sessions built from them.

A visitor id that was only ever this person is erased whole, events without an address too; so is
one without any address that told only of this person's orders. Of a browser that several people
use, this person's events are erased: those with the address or an order of theirs, and those that
the models (`int_onsite_events`) count as this person's. Daily and product counts hold no person.
Not here: the other tables (`privacy.erasure`, which calls this).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from cscart_pipelines.identity import normal, sha256

_HASHES = """
    SELECT unnest(ARRAY[written_sha256, address_sha256]) FROM cscart.email_addresses
    WHERE integration = %(shop)s AND address = ANY(%(named)s)
"""
"""Hashes that browsers may have sent: of the address, and of the text around it in the shop."""

_ADDRESSES = """
    SELECT DISTINCT email FROM onsite.events WHERE integration = %(shop)s AND email IS NOT NULL
"""

_VISITORS = """
    WITH theirs AS (
        SELECT visitor_id FROM onsite.visitors
        WHERE integration = %(shop)s AND email_sha256 = ANY(%(who)s)
        UNION
        SELECT visitor_id FROM onsite.events
        WHERE integration = %(shop)s AND email_sha256 = ANY(%(who)s)
    ), bought AS (
        SELECT visitor_id FROM onsite.events
        WHERE integration = %(shop)s AND order_id IS NOT NULL
          AND visitor_id IN (SELECT visitor_id FROM onsite.events
                             WHERE integration = %(shop)s AND order_id = ANY(%(orders)s))
        GROUP BY visitor_id
        HAVING bool_and(order_id = ANY(%(orders)s))
    ), known AS (
        SELECT visitor_id, email_sha256 FROM onsite.visitors JOIN theirs USING (visitor_id)
        WHERE integration = %(shop)s
        UNION
        SELECT visitor_id, email_sha256 FROM onsite.events JOIN theirs USING (visitor_id)
        WHERE integration = %(shop)s AND email_sha256 IS NOT NULL
    )
    SELECT visitor_id, bool_and(email_sha256 = ANY(%(who)s)) FROM known GROUP BY visitor_id
    UNION ALL
    SELECT visitor_id, true FROM bought
    WHERE NOT EXISTS (SELECT FROM onsite.visitors AS named
                      WHERE named.integration = %(shop)s AND named.visitor_id = bought.visitor_id)
      AND NOT EXISTS (SELECT FROM onsite.events AS named
                      WHERE named.integration = %(shop)s AND named.visitor_id = bought.visitor_id
                        AND named.email_sha256 IS NOT NULL)
"""
"""Visitors seen with one of these addresses, and whether they were seen with no other; and those
seen with none, whose purchases are all of these orders."""

_SHARED_EVENTS = """
    WITH sightings AS (
        SELECT visitor_id, seen_at, email_sha256 FROM onsite.visitors
        CROSS JOIN LATERAL (VALUES (first_at), (last_at)) AS moments (seen_at)
        WHERE integration = %(shop)s AND visitor_id = ANY(%(shared)s)
        UNION
        SELECT visitor_id, occurred_at, email_sha256 FROM onsite.events
        WHERE integration = %(shop)s AND visitor_id = ANY(%(shared)s) AND email_sha256 IS NOT NULL
    )
    DELETE FROM onsite.events AS told
    WHERE integration = %(shop)s AND email_sha256 IS NULL AND visitor_id = ANY(%(shared)s)
      AND (
        SELECT seen.email_sha256 FROM sightings AS seen WHERE seen.visitor_id = told.visitor_id
        ORDER BY seen.seen_at > told.occurred_at,
            CASE WHEN seen.seen_at <= told.occurred_at THEN seen.seen_at END DESC,
            CASE WHEN seen.seen_at <= told.occurred_at THEN seen.email_sha256 END DESC,
            seen.seen_at, seen.email_sha256
        LIMIT 1
      ) = ANY(%(who)s)
"""
"""The last address known until then, else the first one known."""


def address_hashes(
    connection: psycopg.Connection[Any], integration: str, identities: Sequence[str]
) -> list[str]:
    """Returns what browsers may have sent for these addresses, while the raw tables have them."""
    values = {"shop": integration, "named": list(identities)}
    hashes = connection.execute(_HASHES, values).fetchall()
    return sorted({sha256(one) for one in identities} | {one for (one,) in hashes})


def erase_onsite(
    connection: psycopg.Connection[Any],
    integration: str,
    identities: Sequence[str],
    order_ids: Sequence[int],
) -> dict[str, int]:
    """Deletes the onsite rows of the people with these addresses and orders.

    To be called inside the transaction that erases, before the built tables lose the addresses.

    Returns:
        Rows deleted, by table.
    """
    values: dict[str, Any] = {"shop": integration, "orders": [str(one) for one in order_ids]}
    values["who"] = address_hashes(connection, integration, identities)
    told = connection.execute(_ADDRESSES, values).fetchall()
    values["told"] = [text for (text,) in told if normal(text) in set(identities)]

    visitors = connection.execute(_VISITORS.encode(), values).fetchall()
    values["lone"] = [visitor for visitor, alone in visitors if alone]
    values["shared"] = [visitor for visitor, alone in visitors if not alone]
    touched: dict[str, int] = {}

    def delete(table: str, query: str) -> None:
        rows = connection.execute(query.encode(), values).rowcount
        touched[table] = touched.get(table, 0) + rows

    if values["shared"]:
        delete("onsite.events", _SHARED_EVENTS)
    delete(
        "onsite.events",
        "DELETE FROM onsite.events WHERE integration = %(shop)s AND (visitor_id = ANY(%(lone)s)"
        " OR email_sha256 = ANY(%(who)s) OR email = ANY(%(told)s) OR order_id = ANY(%(orders)s))",
    )
    for table in ("visitors", "consents"):
        delete(
            f"onsite.{table}",
            f"DELETE FROM onsite.{table} WHERE integration = %(shop)s"  # noqa: S608 - constants
            " AND email_sha256 = ANY(%(who)s)",
        )
    delete(
        "onsite.change_queue",
        "DELETE FROM onsite.change_queue WHERE integration = %(shop)s AND kind = 'person'"
        " AND value = ANY(%(who)s)",
    )
    for schema, table in _built_tables(connection):
        rows = connection.execute(
            sql.SQL(
                "DELETE FROM {} WHERE integration = %(shop)s AND visitor_id = ANY(%(lone)s)"
            ).format(sql.Identifier(schema, table)),
            values,
        ).rowcount
        touched[f"{schema}.{table}"] = rows
    return touched


def erase_order(connection: psycopg.Connection[Any], integration: str, order_id: str) -> None:
    """Deletes what was told of an order, for a sandbox shop that uses its number again."""
    connection.execute(
        "WITH told AS (DELETE FROM onsite.purchases"
        " WHERE integration = %(key)s AND order_id = %(order)s)"
        " DELETE FROM onsite.events WHERE integration = %(key)s AND order_id = %(order)s",
        {"key": integration, "order": order_id},
    )


def _built_tables(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Tables that the models build from events, as far as they have been built."""
    return connection.execute(
        """
        SELECT table_schema, table_name
        FROM information_schema.columns JOIN information_schema.tables
            USING (table_schema, table_name)
        WHERE table_type = 'BASE TABLE' AND column_name = 'visitor_id'
          AND table_schema IN ('analytics', 'intermediate')
        ORDER BY 1, 2
        """
    ).fetchall()

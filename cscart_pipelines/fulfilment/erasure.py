"""Erasure of a person in `fulfilment`: orders stay, without anything that identifies the person.

An order is never deleted there: it would be pulled and shipped a second time. Not here: the tables
of other packages (`privacy/erasure` calls this).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from cscart_pipelines.identity import normal
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock

PERSONAL_COLUMNS = ("ship_to_name", "company", "address", "city", "zipcode", "phone", "email")
"""The same of an order that was pulled (and in its `changes`); state, country and totals stay."""

_CLEAN_JOURNAL = """
    UPDATE fulfilment.journal
    SET plan = plan
            || CASE WHEN plan ->> 'tracking_number' <> '' THEN '{"comments": ""}'::jsonb
                    ELSE '{}' END
            || CASE WHEN jsonb_typeof(plan -> 'rows') = 'array' THEN jsonb_build_object('rows', (
                    SELECT coalesce(jsonb_agg(line || '{"tracking_url": null}'), '[]')
                    FROM jsonb_array_elements(plan -> 'rows') AS line)) ELSE '{}' END,
        after = after - ARRAY['comments', 'tracking_url']
    WHERE integration = %(shop)s AND order_id = ANY(%(ids)s) AND kind = 'shipment'
      AND state IN ('verified', 'skipped', 'failed')
"""
"""A tracking address may hold a postcode or an e-mail. Where no tracking number was sent the
comments stay: only they identify the parcel, and it would be sent a second time."""


_ADDRESSES = """
    SELECT DISTINCT given.email FROM fulfilment.orders AS pulled, LATERAL (VALUES
        (pulled.email), (pulled.changes -> 'email' ->> 0), (pulled.changes -> 'email' ->> 1)
    ) AS given (email)
    WHERE pulled.integration = %(shop)s AND given.email IS NOT NULL
"""


def erase_fulfilment(
    connection: psycopg.Connection[Any],
    integration: str,
    order_ids: Sequence[int],
    identities: Sequence[str],
) -> dict[str, int]:
    """Blanks the personal columns of these orders, and of those placed with one of the identities.

    Rows and entries that still wait to be sent are left as they are: they are needed, and hold no
    names.

    Args:
        connection: within the caller's transaction.
        integration: key of the integration.
        order_ids: the person's orders.
        identities: the person's normalised e-mails and E.164 numbers.

    Returns:
        Table to the number of rows changed.
    """
    advisory.lock(connection, Lock.ORDER_EXPORT, integration)
    values: dict[str, Any] = {
        "shop": integration,
        "ids": list(order_ids),
        "columns": list(PERSONAL_COLUMNS),
    }
    given = connection.execute(_ADDRESSES, values).fetchall()
    values["addresses"] = [text for (text,) in given if normal(text) in set(identities)]
    # Under the address when it was pulled: it names the person in the changes only.
    connection.execute(
        "UPDATE fulfilment.orders SET changes = nullif(changes - %(columns)s::text[], '{}')"
        " WHERE integration = %(shop)s AND changes ? 'email'"
        " AND ARRAY[changes -> 'email' ->> 0, changes -> 'email' ->> 1] && %(addresses)s::text[]",
        values,
    )
    blank = sql.SQL(", ").join(
        sql.SQL("{} = NULL").format(sql.Identifier(name)) for name in PERSONAL_COLUMNS
    )
    orders = connection.execute(
        sql.SQL(
            "UPDATE fulfilment.orders SET {},"
            " changes = nullif(changes - %(columns)s::text[], '{{}}')"
            " WHERE integration = %(shop)s"
            " AND (order_id = ANY(%(ids)s) OR email = ANY(%(addresses)s))"
            " RETURNING order_id, order_number"
        ).format(blank),
        values,
    ).fetchall()
    values["ids"] = sorted({*order_ids, *(row[0] for row in orders)})
    values["numbers"] = [row[1] for row in orders]
    shipments = connection.execute(
        "UPDATE fulfilment.shipments SET tracking_url = NULL WHERE integration = %(shop)s"
        " AND order_number = ANY(%(numbers)s) AND tracking_url IS NOT NULL"
        " AND state IN ('done', 'refused')",
        values,
    )
    journal = connection.execute(_CLEAN_JOURNAL, values)
    return {
        "fulfilment.orders": len(orders),
        "fulfilment.shipments": shipments.rowcount,
        "fulfilment.journal": journal.rowcount,
    }

"""Forgetting a person: their data leaves raw tables, marts and rejects, and does not come back.

Orders stay, without anything that names the person, so that revenue stays true. What the shop still
has of them is recognised by a hash and not loaded again; deleting it in the shop is the shop's
owner's duty. Not here: deleting whole integrations (`acts`).
"""

from __future__ import annotations

import hashlib
from typing import Any

import psycopg
from psycopg import sql

PERSONAL_ORDER_COLUMNS = (
    "email", "firstname", "lastname", "phone", "company", "s_firstname", "s_lastname", "s_address",
    "s_address_2", "s_city", "s_zipcode", "s_phone", "user_id",
)  # fmt: skip
"""What names a person in an order; totals, country and status do not."""


def identity_of(email: str) -> str:
    """As the models do: trimmed and lower-cased."""
    return email.strip().lower()


def identity_hash(integration: str, email: str) -> bytes:
    """Recognises a forgotten person without keeping the address."""
    text = f"{integration}\0{identity_of(email)}"
    return hashlib.blake2b(text.encode(), digest_size=16, person=b"forgotten").digest()


def forgotten_hashes(connection: psycopg.Connection[Any], integration: str) -> frozenset[bytes]:
    rows = connection.execute(
        "SELECT identity_hash FROM registry.forgotten WHERE integration = %s", [integration]
    )
    return frozenset(bytes(row[0]) for row in rows)


def forget(
    connection: psycopg.Connection[Any], integrations: list[str], email: str
) -> dict[str, dict[str, int]]:
    """Purges one identity from these integrations: integration -> table -> rows touched.

    One transaction for all. Raises nothing when the person is unknown: the report is empty then,
    and they are not loaded in future either.
    """
    report: dict[str, dict[str, int]] = {}
    with connection.transaction():
        for integration in integrations:
            report[integration] = _forget_in(connection, integration, identity_of(email))
    return report


def _forget_in(
    connection: psycopg.Connection[Any], integration: str, identity: str
) -> dict[str, int]:
    touched: dict[str, int] = {}

    def note(table: str, rows: int) -> None:
        if rows > 0:
            touched[table] = touched.get(table, 0) + rows

    connection.execute(
        "INSERT INTO registry.forgotten (integration, identity_hash) VALUES (%s, %s)"
        " ON CONFLICT DO NOTHING",
        [integration, identity_hash(integration, identity)],
    )
    users = connection.execute(
        "DELETE FROM cscart.customers WHERE integration = %s AND lower(trim(email)) = %s"
        " RETURNING user_id",
        [integration, identity],
    ).fetchall()
    ids = [row[0] for row in users]
    note("cscart.customers", len(ids))
    rejects = connection.execute(
        "DELETE FROM cscart.rejects WHERE integration = %s AND entity = 'customers'"
        " AND entity_key = ANY(%s)",
        [integration, [str(one) for one in ids]],
    )
    note("cscart.rejects", rejects.rowcount)
    blank = sql.SQL(", ").join(
        sql.SQL("{} = NULL").format(sql.Identifier(name)) for name in PERSONAL_ORDER_COLUMNS
    )
    orders = connection.execute(
        sql.SQL(
            "UPDATE cscart.orders SET {} WHERE integration = %s"
            " AND (lower(trim(email)) = %s OR user_id = ANY(%s)) RETURNING order_id"
        ).format(blank),
        [integration, identity, ids],
    ).fetchall()
    order_ids = [row[0] for row in orders]
    note("cscart.orders", len(order_ids))
    shipments = connection.execute(
        "UPDATE cscart.shipments SET comments = NULL WHERE integration = %s"
        " AND order_id = ANY(%s) AND comments IS NOT NULL",
        [integration, order_ids],
    )
    note("cscart.shipments", shipments.rowcount)
    for schema, table, columns in _tables_naming_people(connection):
        rows = _forget_in_table(connection, schema, table, columns, integration, identity)
        note(f"{schema}.{table}", rows)
    return touched


def _tables_naming_people(
    connection: psycopg.Connection[Any],
) -> list[tuple[str, str, list[str]]]:
    """Built tables (and those of later rooms) with a column that holds an address."""
    rows = connection.execute(
        """
        SELECT table_schema, table_name, array_agg(column_name::text)
        FROM information_schema.columns JOIN information_schema.tables
            USING (table_schema, table_name)
        WHERE table_type = 'BASE TABLE' AND column_name IN ('identity', 'email')
          AND table_schema IN ('analytics', 'intermediate', 'fulfilment', 'onsite')
          AND (table_schema, table_name) IN (
              SELECT table_schema, table_name FROM information_schema.columns
              WHERE column_name = 'integration')
        GROUP BY 1, 2 ORDER BY 1, 2
        """
    ).fetchall()
    return [(row[0], row[1], list(row[2])) for row in rows]


def _forget_in_table(
    connection: psycopg.Connection[Any],
    schema: str,
    table: str,
    columns: list[str],
    integration: str,
    identity: str,
) -> int:
    """Rows about the person go; orders stay, without the person."""
    name = sql.Identifier(schema, table)
    match = sql.SQL(" OR ").join(
        sql.SQL("lower(trim({})) = %(identity)s").format(sql.Identifier(column))
        for column in columns
    )
    values = {"integration": integration, "identity": identity}
    if table in ("orders", "int_orders", "int_purchases", "int_checkouts"):
        blank = sql.SQL(", ").join(
            sql.SQL("{} = NULL").format(sql.Identifier(column)) for column in columns
        )
        query = sql.SQL("UPDATE {} SET {} WHERE integration = %(integration)s AND ({})").format(
            name, blank, match
        )
    else:
        query = sql.SQL("DELETE FROM {} WHERE integration = %(integration)s AND ({})").format(
            name, match
        )
    return connection.execute(query, values).rowcount

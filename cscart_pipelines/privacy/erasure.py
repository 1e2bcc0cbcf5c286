"""Erasure of a person: their data leaves raw tables, marts and rejects, and is not loaded again.

Orders stay, without the columns that name the person, so that revenue stays correct. A suppression
list (`suppression`) keeps out what the shop still has; its deletion there is the duty of the shop's
owner. Not here: whole integrations (`warehouse.purge`), loading (`sync.erasure_filter`), tables of
other packages (`fulfilment.erasure`, `onsite.erasure`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql

from cscart_pipelines.fulfilment.erasure import erase_fulfilment
from cscart_pipelines.identity import normal, region_of_zone
from cscart_pipelines.integrations import audit
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.settings import host_of
from cscart_pipelines.onsite.erasure import address_hashes, erase_onsite
from cscart_pipelines.privacy.suppression import (
    account_hash,
    identity_hash,
    order_hash,
    suppress,
    visitor_hash,
)
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.contacts import store_contacts

PERSONAL_ORDER_COLUMNS = (
    "email", "firstname", "lastname", "phone", "company", "s_firstname", "s_lastname", "s_address",
    "s_address_2", "s_city", "s_zipcode", "s_phone", "user_id",
)  # fmt: skip
"""The columns of an order that name a person; totals, country and status do not."""
PERSONAL_BUILT_COLUMNS = ("email", "identity", "customer_id")
"""The same columns of `analytics.orders`."""


def known_integrations(connection: psycopg.Connection[Any]) -> list[str]:
    """Returns the keys of all integrations, also of removed ones, whose data may still exist."""
    rows = connection.execute(
        "SELECT integration FROM registry.integrations"
        " UNION SELECT DISTINCT integration FROM registry.audit ORDER BY 1"
    )
    return [row[0] for row in rows]


def erase_person(
    connection: psycopg.Connection[Any], integrations: Sequence[str], who: str
) -> dict[str, dict[str, int]]:
    """Erases one identity from these integrations, in one transaction.

    It waits for a build of lists that is running, which may have read the person before. An unknown
    person gives an empty report, and is not loaded in future either.

    Args:
        connection: In autocommit mode.
        integrations: Their keys.
        who: An e-mail address or a mobile, in any spelling that the models read as the same one.

    Returns:
        Rows changed or deleted, by integration and table.

    Raises:
        NotAllowedError: One of the integrations is syncing and would load the person again;
            nothing is changed.
    """
    report: dict[str, dict[str, int]] = {}
    with _locked(connection, integrations), connection.transaction():
        advisory.lock(connection, Lock.LIST_BUILD)
        for integration in integrations:
            region = _region(connection, integration)
            store_contacts(connection, integration, region)
            touched = _erase_in(connection, integration, [normal(who, region)], [], region)
            report[integration] = touched
            # The entry does not name the person.
            audit.record(connection, integration, "person forgotten", touched)
    return report


def erase_accounts(
    connection: psycopg.Connection[Any], integration: str, accounts: Sequence[int]
) -> dict[str, int]:
    """Erases people whom the shop has made anonymous, and their orders.

    The shop has replaced their addresses by invented ones, in orders without a new `updated_at`.
    Accounts and orders are suppressed for good; the address is not: a person who registers with it
    again, or has another account with it, is a customer. Runs within the caller's transaction, and
    waits for a build of lists that is running.

    Returns:
        Rows changed or deleted, by table.
    """
    advisory.lock(connection, Lock.LIST_BUILD)
    region = _region(connection, integration)
    store_contacts(connection, integration, region)
    who = connection.execute(
        """
        SELECT own.address FROM (
            SELECT unnest(ARRAY[identity, any_address]) AS address FROM cscart.customer_contacts
            WHERE integration = %(shop)s AND user_id = ANY(%(ids)s)
        ) AS own
        WHERE own.address IS NOT NULL AND NOT EXISTS (
            SELECT FROM cscart.customer_contacts AS other
            WHERE other.integration = %(shop)s AND other.user_id <> ALL(%(ids)s)
              AND own.address IN (other.identity, other.any_address)
        )
        """,
        {"shop": integration, "ids": list(accounts)},
    ).fetchall()
    found = sorted({row[0] for row in who})
    return _erase_in(connection, integration, found, accounts, region, for_good=False)


@contextlib.contextmanager
def _locked(connection: psycopg.Connection[Any], integrations: Sequence[str]) -> Iterator[None]:
    locked: list[str] = []
    try:
        for key in integrations:
            if advisory.try_lock_session(connection, Lock.SYNC, key):
                locked.append(key)
        if busy := [key for key in integrations if key not in locked]:
            raise NotAllowedError(
                f"a person cannot be erased while a synchronisation is in progress: "
                f"{', '.join(busy)}; wait until it ends"
            )
        yield
    finally:
        for key in locked:
            advisory.unlock(connection, Lock.SYNC, key)


def _erase_in(
    connection: psycopg.Connection[Any],
    integration: str,
    identities: Sequence[str],
    accounts: Sequence[int],
    region: str | None,
    *,
    for_good: bool = True,
) -> dict[str, int]:
    """Erases identities and accounts; `for_good` suppresses future rows of the identities too."""
    touched: dict[str, int] = {}

    def note(table: str, rows: int) -> None:
        if rows > 0:
            touched[table] = touched.get(table, 0) + rows

    theirs: dict[str, Any] = {
        "shop": integration, "who": list(identities), "accounts": list(accounts),
    }  # fmt: skip
    users = connection.execute(_DELETE_ACCOUNTS.encode(), theirs).fetchall()
    note("cscart.customers", len(users))
    theirs["accounts"] = ids = sorted({*accounts, *(row[0] for row in users)})
    rejects = connection.execute(
        "DELETE FROM cscart.rejects WHERE integration = %s AND entity = 'customers'"
        " AND entity_key = ANY(%s)",
        [integration, [str(one) for one in ids]],
    )
    note("cscart.rejects", rejects.rowcount)
    placed = connection.execute(_THEIR_ORDERS.encode(), theirs).fetchall()
    order_ids = [row[0] for row in placed]
    host = _host(connection, integration)
    hashes = [account_hash(host, one) for one in ids] + [order_hash(host, i) for i in order_ids]
    if for_good:
        hashes += [identity_hash(host, one) for one in identities]
        told = address_hashes(connection, integration, identities)
        hashes += [visitor_hash(host, one) for one in told]
    suppress(connection, integration, hashes)
    blank = sql.SQL(", ").join(
        sql.SQL("{} = NULL").format(sql.Identifier(name)) for name in PERSONAL_ORDER_COLUMNS
    )
    orders = connection.execute(
        sql.SQL("UPDATE cscart.orders SET {} WHERE integration = %s AND order_id = ANY(%s)").format(
            blank
        ),
        [integration, order_ids],
    )
    note("cscart.orders", orders.rowcount)
    note("cscart.shipments", erase_comments(connection, integration))
    others = {name for row in placed for name in row[1:] if name} - set(identities)
    gone = [*identities, *_only_theirs(connection, integration, others)]
    handed_out = erase_fulfilment(connection, integration, order_ids, gone)
    for table, rows in handed_out.items():
        note(table, rows)
    for table, rows in erase_onsite(connection, integration, gone, order_ids).items():
        note(table, rows)
    for schema, table, columns in _tables_naming_people(connection):
        rows = _erase_in_table(connection, schema, table, columns, integration, gone, order_ids)
        note(f"{schema}.{table}", rows)
    store_contacts(connection, integration, region)  # deletes contacts that no row has any more
    return touched


_IS_THEIRS = "integration = %(shop)s AND (identity = ANY(%(who)s) OR any_address = ANY(%(who)s))"
"""Of the views of `warehouse.contacts`. An address that is no identity (CS-Cart has invented it for
a guest) can be erased too."""
_DELETE_ACCOUNTS = f"""
    DELETE FROM cscart.customers WHERE integration = %(shop)s AND (
        user_id = ANY(%(accounts)s)
        OR user_id IN (SELECT user_id FROM cscart.customer_contacts WHERE {_IS_THEIRS})
    ) RETURNING user_id
"""  # noqa: S608 - constants, here and below
_THEIR_ORDERS = f"""
    SELECT order_id, identity, any_address
    FROM cscart.order_contacts JOIN cscart.orders USING (integration, order_id)
    WHERE integration = %(shop)s AND (user_id = ANY(%(accounts)s) OR ({_IS_THEIRS}))
"""  # noqa: S608


def _only_theirs(
    connection: psycopg.Connection[Any], integration: str, addresses: Collection[str]
) -> list[str]:
    """Returns those of the addresses that no row of the raw tables has any more."""
    rows = connection.execute(
        "SELECT address FROM unnest(%(addresses)s::text[]) AS address WHERE NOT EXISTS ("
        " SELECT FROM cscart.customer_contacts WHERE integration = %(shop)s"
        " AND address IN (identity, any_address)) AND NOT EXISTS ("
        " SELECT FROM cscart.order_contacts WHERE integration = %(shop)s"
        " AND address IN (identity, any_address)) ORDER BY address",
        {"addresses": list(addresses), "shop": integration},
    ).fetchall()
    return [row[0] for row in rows]


def _region(connection: psycopg.Connection[Any], integration: str) -> str | None:
    """Returns the country of phones without one; None for an integration that was removed."""
    row = connection.execute(
        "SELECT default_country, timezone FROM registry.integrations WHERE integration = %s",
        [integration],
    ).fetchone()
    return (row[0] or region_of_zone(row[1])) if row else None


def erase_comments(connection: psycopg.Connection[Any], integration: str) -> int:
    """Erases the comments of staff on shipments of orders without a buyer."""
    return connection.execute(
        "UPDATE cscart.shipments AS sent SET comments = NULL FROM cscart.orders AS placed"
        " WHERE sent.integration = %s AND sent.comments IS NOT NULL"
        " AND placed.integration = sent.integration AND placed.order_id = sent.order_id"
        " AND placed.email IS NULL AND placed.user_id IS NULL",
        [integration],
    ).rowcount


def _host(connection: psycopg.Connection[Any], integration: str) -> str:
    row = connection.execute(
        "SELECT url FROM registry.integrations WHERE integration = %(key)s UNION ALL"
        " (SELECT detail ->> 'url' FROM registry.audit WHERE integration = %(key)s"
        " AND act = 'removed' ORDER BY id DESC LIMIT 1) LIMIT 1",
        {"key": integration},
    ).fetchone()
    return host_of(row[0] or "") if row else ""


def _tables_naming_people(
    connection: psycopg.Connection[Any],
) -> list[tuple[str, str, list[str]]]:
    """Returns built tables with an address, and their columns of addresses and order numbers."""
    rows = connection.execute(
        """
        SELECT table_schema, table_name, array_agg(column_name::text ORDER BY column_name)
        FROM information_schema.columns JOIN information_schema.tables
            USING (table_schema, table_name)
        WHERE table_type = 'BASE TABLE'
          AND (column_name IN ('identity', 'email')
               OR (column_name = 'order_id' AND data_type = 'bigint'))
          AND table_schema IN ('analytics', 'intermediate')
          AND (table_schema, table_name) IN (
              SELECT table_schema, table_name FROM information_schema.columns
              WHERE column_name = 'integration')
        GROUP BY 1, 2 HAVING bool_or(column_name <> 'order_id') ORDER BY 1, 2
        """
    ).fetchall()
    return [(row[0], row[1], list(row[2])) for row in rows]


def _erase_in_table(
    connection: psycopg.Connection[Any],
    schema: str,
    table: str,
    columns: list[str],
    integration: str,
    identities: list[str],
    order_ids: list[int],
) -> int:
    """Deletes the rows of a person; orders for analysts stay, without the person."""
    name = sql.Identifier(schema, table)
    match = sql.SQL(" OR ").join(
        sql.SQL("{} = ANY({})").format(
            sql.Identifier(column),
            sql.SQL("%(orders)s" if column == "order_id" else "%(identities)s"),
        )
        for column in columns
    )
    values = {"integration": integration, "identities": identities, "orders": order_ids}
    if (schema, table) == ("analytics", "orders"):
        blank = sql.SQL(", ").join(
            sql.SQL("{} = NULL").format(sql.Identifier(column)) for column in PERSONAL_BUILT_COLUMNS
        )
        query = sql.SQL("UPDATE {} SET {} WHERE integration = %(integration)s AND ({})").format(
            name, blank, match
        )
    else:
        query = sql.SQL("DELETE FROM {} WHERE integration = %(integration)s AND ({})").format(
            name, match
        )
    return connection.execute(query, values).rowcount

"""Forgetting a person: their data leaves raw tables, marts and rejects, and does not come back.

Orders stay, without anything that names the person, so that revenue stays true. What the shop still
has of them is recognised by hashes (of the address, and of the account's number) and not loaded
again; deleting it in the shop is the shop's owner's duty. Not here: deleting whole integrations
(`acts`), leaving them out while loading (`sync.forgotten`), orders for a fulfilment system
(`forget_fulfilment`), visits (`forget_onsite`).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from cscart_pipelines.integrations import audit
from cscart_pipelines.integrations.forget_fulfilment import forget_in_fulfilment
from cscart_pipelines.integrations.forget_onsite import forget_on_site
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.registry import LOCK_SQL
from cscart_pipelines.integrations.settings import host_of

PERSONAL_ORDER_COLUMNS = (
    "email", "firstname", "lastname", "phone", "company", "s_firstname", "s_lastname", "s_address",
    "s_address_2", "s_city", "s_zipcode", "s_phone", "user_id",
)  # fmt: skip
"""What names a person in an order; totals, country and status do not."""
PERSONAL_BUILT_COLUMNS = ("email", "identity", "customer_id")
"""The same in the orders that the models make."""
BUILD_LOCK = 0x6C69737473
"""The lock that a build of lists holds: what it read before would bring the person back."""


def identity_of(email: str) -> str:
    """As the models do: trimmed and lower-cased."""
    return email.strip().lower()


def identity_hash(host: str, email: str) -> bytes:
    """Recognises a forgotten person of that shop without keeping the address."""
    return _hash(host, f"email {identity_of(email)}")


def account_hash(host: str, user_id: int) -> bytes:
    """Recognises a forgotten person's account, whose orders may carry other addresses."""
    return _hash(host, f"account {user_id}")


def _hash(host: str, what: str) -> bytes:
    """By host and not by key: a key that is used again for another shop starts clean."""
    return hashlib.blake2b(f"{host}\0{what}".encode(), digest_size=16, person=b"forgotten").digest()


def forgotten_hashes(connection: psycopg.Connection[Any], integration: str) -> frozenset[bytes]:
    rows = connection.cursor(row_factory=tuple_row).execute(
        "SELECT identity_hash FROM registry.forgotten WHERE integration = %s", [integration]
    )
    return frozenset(bytes(row[0]) for row in rows)


def remember_forgotten(
    connection: psycopg.Connection[Any], integration: str, hashes: Sequence[bytes]
) -> None:
    connection.execute(
        "INSERT INTO registry.forgotten (integration, identity_hash)"
        " SELECT %s, unnest(%s::bytea[]) ON CONFLICT DO NOTHING",
        [integration, list(hashes)],
    )


def known_integrations(connection: psycopg.Connection[Any]) -> list[str]:
    """All that ever were: a removed one may have left its data."""
    rows = connection.execute(
        "SELECT integration FROM registry.integrations"
        " UNION SELECT DISTINCT integration FROM registry.audit ORDER BY 1"
    )
    return [row[0] for row in rows]


def forget(
    connection: psycopg.Connection[Any], integrations: Sequence[str], email: str
) -> dict[str, dict[str, int]]:
    """Purges one identity from these integrations: integration -> table -> rows touched.

    One transaction for all; waits for a build of lists that is running. A person who is unknown
    gives an empty report, and is not loaded in future either. Raises NotAllowedError, before
    anything is changed, when one of the integrations is syncing: it would load them again.
    """
    report: dict[str, dict[str, int]] = {}
    with _locked(connection, integrations), connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [BUILD_LOCK])
        for integration in integrations:
            touched = _forget_in(connection, integration, identity_of(email))
            report[integration] = touched
            # Who was forgotten is nobody's business any more.
            audit.record(connection, integration, "person forgotten", touched)
    return report


@contextlib.contextmanager
def _locked(connection: psycopg.Connection[Any], integrations: Sequence[str]) -> Iterator[None]:
    busy = []
    try:
        for key in integrations:
            row = connection.execute(f"SELECT pg_try_advisory_lock({LOCK_SQL})", [key]).fetchone()
            if not (row and row[0]):
                busy.append(key)
        if busy:
            raise NotAllowedError(
                f"a person cannot be erased while a synchronisation is in progress: "
                f"{', '.join(busy)}; wait until it ends"
            )
        yield
    finally:
        with contextlib.suppress(psycopg.Error):
            connection.execute("SELECT pg_advisory_unlock_all()")


def _forget_in(
    connection: psycopg.Connection[Any], integration: str, identity: str
) -> dict[str, int]:
    touched: dict[str, int] = {}

    def note(table: str, rows: int) -> None:
        if rows > 0:
            touched[table] = touched.get(table, 0) + rows

    users = connection.execute(
        "DELETE FROM cscart.customers WHERE integration = %s AND lower(trim(email)) = %s"
        " RETURNING user_id",
        [integration, identity],
    ).fetchall()
    ids = [row[0] for row in users]
    note("cscart.customers", len(ids))
    host = _host(connection, integration)
    hashes = [identity_hash(host, identity), *(account_hash(host, one) for one in ids)]
    remember_forgotten(connection, integration, hashes)
    rejects = connection.execute(
        "DELETE FROM cscart.rejects WHERE integration = %s AND entity = 'customers'"
        " AND entity_key = ANY(%s)",
        [integration, [str(one) for one in ids]],
    )
    note("cscart.rejects", rejects.rowcount)
    addresses = _addresses_of(connection, integration, identity, ids)
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
    note("cscart.orders", len(orders))
    note("cscart.shipments", forget_comments(connection, integration))
    gone = [identity, *_of_nobody_else(connection, integration, addresses)]
    handed_out = forget_in_fulfilment(connection, integration, [row[0] for row in orders], gone)
    for table, rows in handed_out.items():
        note(table, rows)
    for table, rows in forget_on_site(connection, integration, gone).items():
        note(table, rows)
    for schema, table, columns in _tables_naming_people(connection):
        rows = _forget_in_table(connection, schema, table, columns, integration, gone)
        note(f"{schema}.{table}", rows)
    return touched


def _addresses_of(
    connection: psycopg.Connection[Any], integration: str, identity: str, ids: list[int]
) -> list[str]:
    """Under which other addresses the person's accounts have ordered."""
    rows = connection.execute(
        "SELECT DISTINCT lower(trim(email)) FROM cscart.orders WHERE integration = %s"
        " AND user_id = ANY(%s) AND lower(trim(email)) <> %s",
        [integration, ids, identity],
    ).fetchall()
    return [row[0] for row in rows]


def _of_nobody_else(
    connection: psycopg.Connection[Any], integration: str, addresses: list[str]
) -> list[str]:
    """Those of the addresses that nothing in the raw tables has any more."""
    rows = connection.execute(
        "SELECT address FROM unnest(%(addresses)s::text[]) AS address WHERE address NOT IN ("
        " SELECT lower(trim(email)) FROM cscart.customers WHERE integration = %(shop)s"
        " AND lower(trim(email)) = ANY(%(addresses)s) UNION ALL"
        " SELECT lower(trim(email)) FROM cscart.orders WHERE integration = %(shop)s"
        " AND lower(trim(email)) = ANY(%(addresses)s))",
        {"addresses": addresses, "shop": integration},
    ).fetchall()
    return [row[0] for row in rows]


def forget_comments(connection: psycopg.Connection[Any], integration: str) -> int:
    """What staff wrote on shipments of orders that belong to nobody (any more)."""
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
    """Built tables (and those of later rooms) with a column that holds an address."""
    rows = connection.execute(
        """
        SELECT table_schema, table_name, array_agg(column_name::text)
        FROM information_schema.columns JOIN information_schema.tables
            USING (table_schema, table_name)
        WHERE table_type = 'BASE TABLE' AND column_name IN ('identity', 'email')
          AND table_schema IN ('analytics', 'intermediate', 'onsite')
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
    identities: list[str],
) -> int:
    """Rows about the person go; orders for analysts stay, without the person."""
    name = sql.Identifier(schema, table)
    match = sql.SQL(" OR ").join(
        sql.SQL("lower(trim({})) = ANY(%(identities)s)").format(sql.Identifier(column))
        for column in columns
    )
    values = {"integration": integration, "identities": identities}
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

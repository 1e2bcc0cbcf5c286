"""Purge of an integration's data: all of it, files included, or what a changed limit excludes.

Not here: its settings (`integrations.service`), single people (`privacy.erasure`).
"""

from __future__ import annotations

import contextlib
import shutil
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from cscart_pipelines.settings import Settings

NO_INTEGRATION = ""
"""The integration of write keys after a purge: no integration has this key."""


def purge_integration(connection: psycopg.Connection[Any], key: str) -> dict[str, int]:
    """Deletes every row of an integration outside the registry.

    Its write keys stay, without its name: the shop's pages have them until the tag is removed, and
    the collector answers those pages that their key is retired.

    Returns:
        Rows deleted, by table.
    """
    cursor = connection.cursor(row_factory=tuple_row)
    tables = cursor.execute(
        """
        SELECT table_schema, table_name FROM information_schema.columns
        JOIN information_schema.tables USING (table_schema, table_name)
        WHERE column_name = 'integration' AND table_type = 'BASE TABLE'
          AND table_schema IN ('cscart', 'fulfilment', 'onsite', 'intermediate', 'analytics')
          AND (table_schema, table_name) <> ('onsite', 'keys')
        ORDER BY 1, 2
        """
    ).fetchall()
    purged: dict[str, int] = {}
    for schema, table in tables:
        done = connection.execute(
            sql.SQL("DELETE FROM {} WHERE integration = %s").format(sql.Identifier(schema, table)),
            [key],
        )
        if done.rowcount:
            purged[f"{schema}.{table}"] = done.rowcount
    connection.execute(
        "UPDATE onsite.keys SET integration = %s, retired_at = least(retired_at, now())"
        " WHERE integration = %s",
        [NO_INTEGRATION, key],
    )
    return purged


def purge_files(settings: Settings, key: str) -> None:
    """Deletes the drop folder of an integration, with ingested and refused files."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(settings.home / "inbox" / key)


_OUTSIDE = """
    (cardinality(shop.companies) > 0 AND coalesce(row.company_id, 0) <> ALL(shop.companies))
"""
_LEAVE = (
    f"""
    DELETE FROM cscart.orders AS row USING registry.integrations AS shop
    WHERE shop.integration = %(shop)s AND row.integration = shop.integration AND ({_OUTSIDE}
        OR cardinality(shop.storefronts) > 0
        AND coalesce(row.storefront_id, 0) <> ALL(shop.storefronts))
    """,  # noqa: S608 (constants)
    """
    DELETE FROM cscart.order_lines AS line WHERE line.integration = %(shop)s AND NOT EXISTS (
        SELECT FROM cscart.orders AS placed
        WHERE placed.integration = line.integration AND placed.order_id = line.order_id)
    """,
    f"""
    DELETE FROM cscart.products AS row USING registry.integrations AS shop
    WHERE shop.integration = %(shop)s AND row.integration = shop.integration AND {_OUTSIDE}
    """,  # noqa: S608
    """
    DELETE FROM cscart.customers AS row USING registry.integrations AS shop
    WHERE shop.integration = %(shop)s AND row.integration = shop.integration
      AND cardinality(shop.companies || shop.storefronts) > 0
      AND coalesce(row.company_id, 0) <> ALL(shop.companies)
      AND NOT EXISTS (
          SELECT FROM cscart.orders AS placed
          WHERE placed.integration = row.integration AND placed.user_id = row.user_id
            AND placed.deleted_at IS NULL)
    """,
    """
    DELETE FROM cscart.shipments AS row USING registry.integrations AS shop
    WHERE shop.integration = %(shop)s AND row.integration = shop.integration
      AND cardinality(shop.companies || shop.storefronts) > 0
      AND NOT EXISTS (
          SELECT FROM cscart.orders AS placed
          WHERE placed.integration = row.integration AND placed.order_id = row.order_id)
    """,
    "DELETE FROM cscart.rejects WHERE integration = %(shop)s AND entity <> 'statuses'",
    # Without a watermark the next synchronisation reads everything.
    "DELETE FROM registry.sync_state WHERE integration = %(shop)s AND entity <> 'statuses'",
    "DELETE FROM registry.sweep_seen WHERE integration = %(shop)s",
)


def purge_outside(connection: psycopg.Connection[Any], key: str) -> None:
    """Deletes the raw rows outside the limit, as the caller's transaction has written it.

    They are not marked as deleted, since the shop still has them. The next synchronisation is a
    full one. Orders that were exported to the fulfilment system stay exported.
    """
    for statement in _LEAVE:
        connection.execute(statement.encode(), {"shop": key})

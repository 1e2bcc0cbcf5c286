"""Deleting all data of one integration, wherever tables are keyed by it.

Not here: its settings (`acts`), single persons (`forget`).
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row


def purge_integration(connection: psycopg.Connection[Any], key: str) -> dict[str, int]:
    """Deletes every row of an integration outside the registry; rows per table."""
    tables = (
        connection.cursor(row_factory=tuple_row)
        .execute(
            """
        SELECT table_schema, table_name FROM information_schema.columns
        JOIN information_schema.tables USING (table_schema, table_name)
        WHERE column_name = 'integration' AND table_type = 'BASE TABLE'
          AND table_schema IN ('cscart', 'fulfilment', 'onsite', 'intermediate', 'analytics')
        ORDER BY 1, 2
        """
        )
        .fetchall()
    )
    purged: dict[str, int] = {}
    for schema, table in tables:
        done = connection.execute(
            sql.SQL("DELETE FROM {} WHERE integration = %s").format(sql.Identifier(schema, table)),
            [key],
        )
        if done.rowcount:
            purged[f"{schema}.{table}"] = done.rowcount
    return purged

"""Rejects: rows of a shop that could not be parsed, with the reason, until a later success.

Not here: how a row is parsed (`cscart.records`), loading the others (`load`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Table

from cscart_pipelines.warehouse.load import id_column, table_identifier
from cscart_pipelines.warehouse.tables import raw as raw_tables


class Rejects:
    """The rejects of one integration, within the transactions of the connection that loads."""

    def __init__(self, connection: psycopg.Connection[Any], integration: str) -> None:
        self._connection = connection
        self._integration = integration

    def add(self, entity: str, entity_key: str, reason: str) -> None:
        """Records a row that cannot be read, with the reason; a later success resolves it."""
        self._connection.execute(
            """
            INSERT INTO cscart.rejects (integration, entity, entity_key, reason)
            VALUES (%s, %s, %s, %s)
            ON CONFLICT (integration, entity, entity_key) DO UPDATE SET
                reason = excluded.reason, attempts = rejects.attempts + 1,
                last_seen_at = now(), resolved_at = NULL
            """,
            [self._integration, entity, entity_key, reason],
        )

    def resolve_loaded(self, entity: str, table: Table) -> int:
        """Resolves rejects whose row has been loaded since; returns how many."""
        query = sql.SQL(
            """
            UPDATE cscart.rejects AS reject SET resolved_at = now()
            FROM {table} AS row
            WHERE reject.integration = %s AND reject.entity = %s AND reject.resolved_at IS NULL
              AND row.integration = reject.integration
              AND row.{key}::text = reject.entity_key AND row.loaded_at > reject.last_seen_at
              {complete}
            """
        ).format(
            table=table_identifier(table),
            key=sql.Identifier(id_column(table)),
            complete=sql.SQL("AND row.has_details" if table is raw_tables.orders else ""),
        )
        return self._connection.execute(query, [self._integration, entity]).rowcount

    def resolve(self, entity: str, keys: Iterable[str]) -> int:
        """Resolves the rejects of these keys, which were read or deleted; returns how many."""
        return self._connection.execute(
            "UPDATE cscart.rejects SET resolved_at = now() WHERE integration = %s AND entity = %s"
            " AND resolved_at IS NULL AND entity_key = ANY(%s)",
            [self._integration, entity, list(keys)],
        ).rowcount

    def resolve_unseen(self, entity: str, before: datetime, *, each: bool = True) -> int:
        """Resolves rejects that a sweep has not read, and returns how many.

        Args:
            entity: Of the sweep.
            before: The start of the sweep.
            each: False for only those without an id.
        """
        return self._connection.execute(
            "UPDATE cscart.rejects SET resolved_at = now() WHERE integration = %s AND entity = %s"
            " AND resolved_at IS NULL AND last_seen_at < %s AND (%s OR entity_key !~ '^[0-9]+$')",
            [self._integration, entity, before, each],
        ).rowcount

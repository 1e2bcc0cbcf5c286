"""How far each entity of a shop is synchronised: its watermark, and where a list was interrupted.

Read and written through the connection that loads, so that rows and the watermark that covers them
commit together. Not here: the requests that follow from them (`orders.windows`, `list_reader`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb


@dataclass
class EntityState:
    """The state of one entity; change it and `save` it."""

    entity: str
    watermark: datetime | None = None
    """On the shop's clock: every change before it is loaded."""
    page_cursor: dict[str, Any] | None = None
    """Where an interrupted reading of the list continues; None if the last one ended."""
    totals: dict[str, Any] = field(default_factory=dict)
    """Counts that the shop reported when the list was last read to its end."""
    swept_at: datetime | None = None
    """When the last full sweep finished."""


class StateStore:
    """Reads and writes the states of one integration."""

    def __init__(self, connection: psycopg.Connection[Any], integration: str) -> None:
        self._connection = connection
        self._integration = integration

    def read(self, entity: str) -> EntityState:
        """Returns the stored state, or an empty one."""
        row = self._connection.execute(
            "SELECT watermark, page_cursor, totals, swept_at FROM registry.sync_state"
            " WHERE integration = %s AND entity = %s",
            [self._integration, entity],
        ).fetchone()
        if row is None:
            return EntityState(entity)
        return EntityState(entity, row[0], row[1], row[2] or {}, row[3])

    def save(self, state: EntityState) -> None:
        """Stores the state, within the caller's transaction."""
        self._connection.execute(
            """
            INSERT INTO registry.sync_state
                (integration, entity, watermark, page_cursor, totals, swept_at, updated_at)
            VALUES (%s, %s, %s, %s, %s, %s, now())
            ON CONFLICT (integration, entity) DO UPDATE SET
                watermark = excluded.watermark, page_cursor = excluded.page_cursor,
                totals = excluded.totals, swept_at = excluded.swept_at, updated_at = now()
            """,
            [
                self._integration,
                state.entity,
                state.watermark,
                None if state.page_cursor is None else Jsonb(state.page_cursor),
                Jsonb(state.totals),
                state.swept_at,
            ],
        )

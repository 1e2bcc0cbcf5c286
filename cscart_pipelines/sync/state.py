"""How far along: the watermark of each entity of a shop, and a walk that was cut short.

Read and written through the connection that loads, so that rows and the watermark covering them
commit together. Not here: what the values mean for the next requests (`order_windows`, `walk`).
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
    walk: dict[str, Any] | None = None
    """An unfinished walk through pages."""
    totals: dict[str, Any] = field(default_factory=dict)
    """Counts that the shop reported at the last finished walk."""
    swept_at: datetime | None = None
    """When the last full sweep finished."""


class StateStore:
    """The states of one integration."""

    def __init__(self, connection: psycopg.Connection[Any], integration: str) -> None:
        self._connection = connection
        self._integration = integration

    def read(self, entity: str) -> EntityState:
        row = self._connection.execute(
            "SELECT watermark, walk, totals, swept_at FROM registry.sync_state"
            " WHERE integration = %s AND entity = %s",
            [self._integration, entity],
        ).fetchone()
        if row is None:
            return EntityState(entity)
        return EntityState(entity, row[0], row[1], row[2] or {}, row[3])

    def save(self, state: EntityState) -> None:
        """Within the caller's transaction."""
        self._connection.execute(
            """
            INSERT INTO registry.sync_state
                (integration, entity, watermark, walk, totals, swept_at, updated_at)
            VALUES (%s, %s, %s, %s, %s, %s, now())
            ON CONFLICT (integration, entity) DO UPDATE SET
                watermark = excluded.watermark, walk = excluded.walk, totals = excluded.totals,
                swept_at = excluded.swept_at, updated_at = now()
            """,
            [
                self._integration,
                state.entity,
                state.watermark,
                None if state.walk is None else Jsonb(state.walk),
                Jsonb(state.totals),
                state.swept_at,
            ],
        )

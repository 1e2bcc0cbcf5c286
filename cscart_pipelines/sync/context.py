"""What every step of a synchronisation works with, and what it reports.

Not here: any step itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Table

from cscart_pipelines.cscart.client import ApiResponse, ShopClient
from cscart_pipelines.cscart.paginator import Fetch, ListAnswer
from cscart_pipelines.integrations.limit import Limit
from cscart_pipelines.sync.batch_sizes import BatchSizes
from cscart_pipelines.sync.clock import ShopClock
from cscart_pipelines.sync.erasure_filter import ErasureFilter
from cscart_pipelines.sync.state import StateStore
from cscart_pipelines.warehouse.load import Changes, Loader
from cscart_pipelines.warehouse.rejects import Rejects

R = TypeVar("R")
Listener = Callable[[str, int, int | None], None]
"""Called with (phase, rows done, rows in all or None) whenever a step has stored rows."""


@dataclass
class EntityReport:
    """What one entity's step did."""

    entity: str
    rows: int = 0
    """Read from the shop, duplicates of moving pages included."""
    changes: Changes = field(default_factory=Changes)
    deleted: int = 0
    categories_written: int = 0
    """With the products; rows of another table, so they are not in the counts above."""
    rejected: int = 0
    pages: int = 0
    calls: int = 0
    seconds: float = 0.0
    shop_total: int | None = None
    """The shop's count; None if it was not read."""
    warehouse_total: int | None = None
    watermark_from: datetime | None = None
    watermark_to: datetime | None = None

    @property
    def written(self) -> int:
        """Rows that were changed in the warehouse; those marked as deleted too."""
        return self.changes.written + self.deleted + self.categories_written

    def numbers(self) -> dict[str, Any]:
        """Returns the report as plain values, for `registry.sync_runs` and for Dagster."""
        moments = {"watermark_from": self.watermark_from, "watermark_to": self.watermark_to}
        return {
            "rows": self.rows,
            "inserted": self.changes.inserted,
            "updated": self.changes.updated,
            "unchanged": self.changes.unchanged,
            "deleted": self.deleted,
            "rejected": self.rejected,
            "pages": self.pages,
            "calls": self.calls,
            "seconds": round(self.seconds, 3),
            "shop_total": self.shop_total,
            "warehouse_total": self.warehouse_total,
            **{name: value and value.isoformat() for name, value in moments.items()},
        }


@dataclass
class SyncContext:
    """One synchronisation of one shop."""

    client: ShopClient
    connection: psycopg.Connection[Any]
    loader: Loader
    rejects: Rejects
    states: StateStore
    integration: str
    capabilities: Mapping[str, Any]
    kind: str
    """first, resync or full."""
    listener: Listener
    clock: ShopClock
    erasure_filter: ErasureFilter
    sizes: BatchSizes = field(default_factory=BatchSizes)
    limit: Limit = field(default_factory=Limit)

    def get(self, entity: str, **arguments: Any) -> ApiResponse:
        """Sends one GET and sets the shop's clock by its answer. Raises ShopError."""
        answer = self.client.get(entity, **arguments)
        self.clock.observe(answer.date)
        return answer

    def observing(self, fetch: Fetch[R]) -> Fetch[R]:
        """Returns the same fetch, which also sets the shop's clock by every page."""

        def fetch_and_observe(page: int, size: int) -> ListAnswer[R]:
            answer = fetch(page, size)
            self.clock.observe(answer.date)
            return answer

        return fetch_and_observe

    def can(self, capability: str) -> bool:
        """Tells whether the connection test found this capability (`cscart.capabilities`)."""
        return bool(self.capabilities.get(capability))

    def count(self, query: str, *arguments: Any) -> int:
        """Returns the one number of a query whose first parameter is the integration."""
        row = self.connection.execute(query, [self.integration, *arguments]).fetchone()
        return int(row[0]) if row else 0

    def live_rows(self, table: Table) -> int:
        """Counts the rows of a raw table that are not marked as deleted."""
        return self.count(
            f"SELECT count(*) FROM {table.fullname}"  # noqa: S608 - ours
            " WHERE integration = %s AND deleted_at IS NULL"
        )

    def warehouse_time(self) -> datetime:
        """Returns the time of the clock that stamps `loaded_at` and `last_seen_at`."""
        row = self.connection.execute("SELECT now()").fetchone()
        assert row is not None
        moment: datetime = row[0]
        return moment

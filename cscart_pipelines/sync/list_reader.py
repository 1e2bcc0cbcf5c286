"""Reading one list of a shop into the warehouse, chunk by chunk, so that a crash costs one chunk.

Rows, the place in the list and the progress commit together. Here belongs that pairing for any
entity. Not here: in which order pages are read (`cscart.paging`), which lists to read (the entity
modules), what rows mean (`consumers`), SQL (`warehouse.load`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Table

from cscart_pipelines.cscart.lists import fetcher, identifier
from cscart_pipelines.cscart.paginator import Page, ReverseOffsetPaginator
from cscart_pipelines.sync.batch_sizes import Sizes
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.row_handlers import PreparedRows, RawRow, RowHandler
from cscart_pipelines.sync.state import EntityState

MAX_UNFINISHED_AGE = timedelta(days=2)
"""An unfinished walk older than this starts anew."""


@dataclass(frozen=True)
class ListQuery:
    """One list to walk through."""

    entity: str
    """Of the API: `users`, `orders`, …"""
    id_field: str
    params: dict[str, Any]
    sizes: Sizes
    growing: bool
    """New rows may be appended while we read; false: the window can only shrink."""
    heavy: Collection[str] = ()
    """The parameters that make rows heavy; without them a broken row can be identified."""
    label: str = "all"
    resumable: bool = True
    """False for a window that is cheap to repeat: its note would hide that of the whole walk."""


@dataclass(frozen=True)
class Sweep:
    """The list holds every row of this table: what it lacks at the end is deleted in the shop."""

    table: Table
    ordered_until: datetime | None = None
    """Orders: the list ends here, so later ones are not expected in it."""
    each_reject: bool = True
    """Every unreadable row shows as such in this list; if not, only rows without id are closed."""
    finishing: Callable[[], object] = lambda: None
    """What belongs into the transaction that marks deletions."""


@dataclass(frozen=True)
class ListResult:
    """A finished walk."""

    total: int
    """What the shop said at last."""
    quiet: bool
    """The total stood still all the while, so that what was read is what the shop had."""


def read_list(
    context: SyncContext,
    report: EntityReport,
    state: EntityState,
    query: ListQuery,
    consumer: RowHandler,
    *,
    sweep: Sweep | None = None,
    until: datetime | None = None,
) -> ListResult:
    """Walks through the list, or goes on where the last run stopped. Raises ShopError.

    With `until`, the watermark moves there together with the last rows.
    """
    return ListSync(context, report, state, query, consumer, sweep, until).run()


def unfinished(state: EntityState) -> dict[str, Any] | None:
    """The walk that the last run left behind, if it is still worth going on with."""
    note = state.walk
    if (
        note is None
        or datetime.now(UTC) - datetime.fromisoformat(note["began"]) > MAX_UNFINISHED_AGE
    ):
        return None
    return note


class ListSync:
    """One walk: collects pages into chunks and commits them."""

    def __init__(
        self,
        context: SyncContext,
        report: EntityReport,
        state: EntityState,
        query: ListQuery,
        consumer: RowHandler,
        sweep: Sweep | None,
        until: datetime | None,
    ) -> None:
        self._context = context
        self._report = report
        self._state = state
        self._query = query
        self._consumer = consumer
        self._sweep = sweep
        note = unfinished(state) if query.resumable else None
        if note is None or note["label"] != query.label:
            note = self._begin(until)
        self._note: dict[str, Any] = dict(note)
        self._chunk = PreparedRows()
        self._poison: list[tuple[str, str]] = []
        self._loading: Future[None] | None = None

    def run(self) -> ListResult:
        context, query, sizes = self._context, self._query, self._context.sizes
        pages = ReverseOffsetPaginator[RawRow](
            context.observing(fetcher(context.client, query.entity, query.params)),
            size=query.sizes[0],
            sizes=query.sizes,
            remaining=self._note.get("remaining"),
            expected_total=self._state.totals.get("total") if query.growing else None,
            growing_tail=query.growing,
            max_parallel=context.client.max_parallel,
            identify=identifier(
                context.client,
                query.entity,
                query.id_field,
                {k: v for k, v in query.params.items() if k not in query.heavy},
            ),
            on_unreadable=self._set_aside,
        )
        last_commit = time.monotonic()
        # One chunk is loaded while the pages of the next are read and parsed.
        with ThreadPoolExecutor(1, "load") as self._loader:
            for page in pages:
                self._take(page)
                late = time.monotonic() - last_commit > sizes.chunk_seconds
                if len(self._chunk.ids) >= sizes.chunk_rows or late:
                    self._commit(page.remaining)
                    last_commit = time.monotonic()
            self._commit(0, finished=True)
            self._wait()
        return ListResult(self._note["total"], self._note["lowest"] == self._note["highest"])

    def _begin(self, until: datetime | None) -> dict[str, Any]:
        context = self._context
        began = context.warehouse_time()
        has_rows = self._sweep is not None and context.count(
            f"SELECT count(*) FROM (SELECT FROM {self._sweep.table.fullname}"  # noqa: S608 - ours
            " WHERE integration = %s LIMIT 1) AS any_row"
        )
        if self._sweep is not None:
            context.loader.clear_seen_ids(self._state.entity)
        return {
            "label": self._query.label,
            "params": self._query.params,
            "began": began.isoformat(),
            "until": until.isoformat() if until else None,
            "part": 0,
            # With an empty table nothing can be missing, so nothing needs remembering.
            "remember": bool(has_rows),
            "total": 0,
            "lowest": None,
            "highest": None,
        }

    def _take(self, page: Page[RawRow]) -> None:
        """Prepared at once, while the next pages are on their way; loaded with its chunk."""
        note = self._note
        self._report.pages += 1
        self._report.rows += len(page.rows)
        note["total"] = page.total
        note["lowest"] = page.total if note["lowest"] is None else min(note["lowest"], page.total)
        note["highest"] = max(note["highest"] or 0, page.total)
        if page.rows:
            if self._consumer.compares:
                self._wait()  # it asks the warehouse through the connection that loads
            self._chunk.add(self._consumer.prepare(page.rows))

    def _commit(self, remaining: int, *, finished: bool = False) -> None:
        """Hands the chunk over to be loaded, once the one before it is."""
        self._wait()
        chunk, self._chunk = self._chunk, PreparedRows()
        for key, reason in self._poison:
            chunk.rejects.append((key, reason))
            if key.isdecimal():
                chunk.ids.append(int(key))  # broken, but there
        self._poison = []
        note = self._note
        note["remaining"] = remaining
        part = note["part"]
        note["part"] += 1
        self._loading = self._loader.submit(self._load, chunk, part, dict(note), finished)

    def _wait(self) -> None:
        if self._loading is not None:
            loading, self._loading = self._loading, None
            loading.result()

    def _load(self, chunk: PreparedRows, part: int, note: dict[str, Any], finished: bool) -> None:
        """One transaction, in a thread of its own: nobody else may use the connection meanwhile."""
        context, state = self._context, self._state
        with context.connection.transaction():
            if chunk.rows:
                self._report.changes += self._consumer.load(chunk.rows)
            for key, reason in chunk.rejects:
                context.loader.reject(state.entity, key, reason)
            self._report.rejected += len(chunk.rejects)
            if note["remember"] and chunk.ids:
                context.loader.record_seen_ids(state.entity, part, chunk.ids)
            if self._query.resumable:
                state.walk = note
            if finished:
                self._finish()
            context.states.save(state)
            total, remaining = int(note["total"]), int(note["remaining"])
            context.listener(state.entity, max(0, total - remaining), total)

    def _finish(self) -> None:
        context, state, note, sweep = self._context, self._state, self._note, self._sweep
        began = datetime.fromisoformat(note["began"])
        if sweep is not None:
            if note["remember"]:
                self._report.deleted += context.loader.soft_delete_missing(
                    sweep.table, state.entity, began, ordered_until=sweep.ordered_until
                )
            context.loader.resolve_unseen(state.entity, began, each=sweep.each_reject)
            state.swept_at = datetime.now(UTC)
            sweep.finishing()
        if self._query.resumable:
            state.walk = None
        if note["until"]:
            state.watermark = datetime.fromisoformat(note["until"])

    def _set_aside(self, found: int | str | None, position: int, reason: str) -> None:
        """A row that breaks its page; stored with the page that follows."""
        self._poison.append((f"position:{position}" if found is None else str(found), reason))

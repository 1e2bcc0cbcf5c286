"""Reads one list of a shop into the warehouse, chunk by chunk, so that a crash costs one chunk.

Rows, the cursor and the progress commit together, for any entity. Not here: the order in which
pages are read (`cscart.paginator`), which lists to read (the entity modules), what rows mean
(`row_handlers`), SQL (`warehouse.load`).
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
"""An interrupted reading older than this starts anew."""


@dataclass(frozen=True)
class ListQuery:
    """One list to read to its end."""

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
    """False for a window that is cheap to repeat: its cursor would hide that of the whole list."""


@dataclass(frozen=True)
class Sweep:
    """The list holds every row of this table: at the end, rows that it lacks are deleted.

    None is deleted as long as a row breaks the list and does not tell its id.
    """

    table: Table
    ordered_until: datetime | None = None
    """Orders: the list ends here, so later ones are not expected in it."""
    each_reject: bool = True
    """Every unreadable row shows as such in this list; if not, only rows without id are closed."""
    finishing: Callable[[], object] = lambda: None
    """Is called in the transaction that marks deletions."""


@dataclass(frozen=True)
class ListResult:
    """A list that was read to its end."""

    total: int
    """The shop's count, of the last answer."""
    quiet: bool
    """The count did not change while the list was read: what was read is what the shop had."""
    complete: bool = True
    """No row broke the list without telling its id: what was not read is not there."""


def read_list(
    context: SyncContext,
    report: EntityReport,
    state: EntityState,
    query: ListQuery,
    handler: RowHandler,
    *,
    sweep: Sweep | None = None,
    until: datetime | None = None,
) -> ListResult:
    """Reads the list, from the cursor if the last run was interrupted.

    Args:
        context: The synchronisation.
        report: Counts are added to it.
        state: Of the entity; saved with every chunk.
        query: The list.
        handler: Parses and loads its rows.
        sweep: The list is complete, so that rows it lacks are deleted in the shop.
        until: The watermark after the last row, saved together with it.

    Raises:
        ShopError: The shop failed; chunks loaded until then stay, with the cursor.
    """
    return ListSync(context, report, state, query, handler, sweep, until).run()


def unfinished(state: EntityState) -> dict[str, Any] | None:
    """Returns the cursor of an interrupted reading, if it is younger than MAX_UNFINISHED_AGE."""
    cursor = state.page_cursor
    if (
        cursor is None
        or datetime.now(UTC) - datetime.fromisoformat(cursor["began"]) > MAX_UNFINISHED_AGE
    ):
        return None
    return cursor


def sweep_is_due(context: SyncContext, state: EntityState, every: timedelta) -> bool:
    """Tells whether the whole list is read: no part of it is known yet, or the last time is over.

    Also in a full sync, and where a run was interrupted while it read the list.
    """
    if context.kind == "full" or state.watermark is None or state.swept_at is None:
        return True
    return unfinished(state) is not None or datetime.now(UTC) - state.swept_at > every


class ListSync:
    """One reading of a list: collects pages into chunks and commits them."""

    def __init__(
        self,
        context: SyncContext,
        report: EntityReport,
        state: EntityState,
        query: ListQuery,
        handler: RowHandler,
        sweep: Sweep | None,
        until: datetime | None,
    ) -> None:
        self._context = context
        self._report = report
        self._state = state
        self._query = query
        self._handler = handler
        self._sweep = sweep
        cursor = unfinished(state) if query.resumable else None
        if cursor is None or cursor["label"] != query.label:
            cursor = self._begin(until)
        self._cursor: dict[str, Any] = dict(cursor)
        self._chunk = PreparedRows()
        self._unreadable: list[tuple[str, str]] = []
        self._loading: Future[None] | None = None

    def run(self) -> ListResult:
        """Reads the list to its end. Raises ShopError."""
        context, query, sizes = self._context, self._query, self._context.sizes
        pages = ReverseOffsetPaginator[RawRow](
            context.observing(fetcher(context.client, query.entity, query.params)),
            size=query.sizes[0],
            sizes=query.sizes,
            remaining=self._cursor.get("remaining"),
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
        cursor = self._cursor
        quiet = cursor["lowest"] == cursor["highest"]
        return ListResult(cursor["total"], quiet, complete=not cursor.get("without_id"))

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
            # With an empty table no row can be missing, so the ids seen need not be recorded.
            "remember": bool(has_rows),
            "total": 0,
            "lowest": None,
            "highest": None,
            # Rows that broke their page and have no id for us.
            "without_id": 0,
        }

    def _take(self, page: Page[RawRow]) -> None:
        """Prepares a page while the next are requested; it is loaded with its chunk."""
        cursor = self._cursor
        self._report.pages += 1
        self._report.rows += len(page.rows)
        cursor["total"] = page.total
        cursor["lowest"] = (
            page.total if cursor["lowest"] is None else min(cursor["lowest"], page.total)
        )
        cursor["highest"] = max(cursor["highest"] or 0, page.total)
        if page.rows:
            if self._handler.compares:
                self._wait()  # it reads the warehouse through the connection that loads
            self._chunk.add(self._handler.prepare(page.rows))

    def _commit(self, remaining: int, *, finished: bool = False) -> None:
        """Hands the chunk to the loading thread, once the chunk before it is loaded."""
        self._wait()
        chunk, self._chunk = self._chunk, PreparedRows()
        cursor = self._cursor
        for key, reason in self._unreadable:
            chunk.rejects.append((key, reason))
            if key.isdecimal():
                chunk.ids.append(int(key))  # broken, but it exists
            else:
                cursor["without_id"] = cursor.get("without_id", 0) + 1
        self._unreadable = []
        cursor["remaining"] = remaining
        part = cursor["part"]
        cursor["part"] += 1
        self._loading = self._loader.submit(self._load, chunk, part, dict(cursor), finished)

    def _wait(self) -> None:
        if self._loading is not None:
            loading, self._loading = self._loading, None
            loading.result()

    def _load(self, chunk: PreparedRows, part: int, cursor: dict[str, Any], finished: bool) -> None:
        """Loads a chunk in one transaction; no other thread uses the connection meanwhile."""
        context, state = self._context, self._state
        with context.connection.transaction():
            if chunk.rows:
                self._report.changes += self._handler.load(chunk.rows)
            for key, reason in chunk.rejects:
                context.rejects.add(state.entity, key, reason)
            self._report.rejected += len(chunk.rejects)
            if cursor["remember"] and chunk.ids:
                context.loader.record_seen_ids(state.entity, part, chunk.ids)
            if self._query.resumable:
                state.page_cursor = cursor
            if finished:
                self._finish()
            context.states.save(state)
            total, remaining = int(cursor["total"]), int(cursor["remaining"])
            context.listener(state.entity, max(0, total - remaining), total)

    def _finish(self) -> None:
        context, state, cursor, sweep = self._context, self._state, self._cursor, self._sweep
        began = datetime.fromisoformat(cursor["began"])
        if sweep is not None:
            if cursor.get("without_id"):
                # Any row that the list seems to lack may be one of these.
                context.loader.clear_seen_ids(state.entity)
            elif cursor["remember"]:
                self._report.deleted += context.loader.soft_delete_missing(
                    sweep.table, state.entity, began, ordered_until=sweep.ordered_until
                )
            context.rejects.resolve_unseen(state.entity, began, each=sweep.each_reject)
            state.swept_at = datetime.now(UTC)
            sweep.finishing()
        if self._query.resumable:
            state.page_cursor = None
        if cursor["until"]:
            state.watermark = datetime.fromisoformat(cursor["until"])

    def _set_aside(self, found: int | str | None, position: int, reason: str) -> None:
        """Keeps a row that breaks its page; it is stored with the next chunk."""
        self._unreadable.append((f"position:{position}" if found is None else str(found), reason))

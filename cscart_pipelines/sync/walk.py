"""Reading one list of a shop into the warehouse, chunk by chunk, so that a crash costs one chunk.

Rows, the place in the list and the progress commit together. Here belongs that pairing for any
entity. Not here: in which order pages are read (`cscart.paging`), which lists to read (the entity
modules), SQL (`warehouse.load`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy import Table

from cscart_pipelines.cscart.lists import fetcher, identifier
from cscart_pipelines.cscart.loose import integer
from cscart_pipelines.cscart.paging import Page, Walk
from cscart_pipelines.cscart.records import UnreadableRow
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.state import EntityState
from cscart_pipelines.warehouse.load import Changes

RawRow = dict[str, Any]

CHUNK_ROWS = 2000
CHUNK_SECONDS = 5.0
"""A chunk is committed at the latest then: the progress is also the sign of life."""
OLDEST_WALK = timedelta(days=2)
"""An unfinished walk older than this starts anew."""


@dataclass(frozen=True)
class ListQuery:
    """One list to walk through."""

    entity: str
    """Of the API: `users`, `orders`, …"""
    id_field: str
    params: dict[str, Any]
    size: int
    sizes: tuple[int, ...]
    growing: bool
    """New rows may be appended while we read; false: the window can only shrink."""
    heavy: Collection[str] = ()
    """The parameters that make rows heavy; without them a broken row can be identified."""


@dataclass
class Batch:
    """What a consumer made of some raw rows."""

    changes: Changes
    ids: Sequence[int]
    rejects: list[tuple[str, str]] = field(default_factory=list)
    """(key, reason)"""


Consumer = Callable[[list[RawRow]], Batch]


def walk(
    context: SyncContext,
    report: EntityReport,
    state: EntityState,
    query: ListQuery,
    consume: Consumer,
    *,
    sweep: Table | None = None,
    until: datetime | None = None,
    label: str = "all",
    resumable: bool = True,
) -> int:
    """Walks through the list, or goes on where the last run stopped; returns the shop's total.

    With `sweep`, rows of that table that the list no longer has are marked as deleted at the end.
    With `until`, the watermark moves there together with the last rows.
    """
    journey = _Journey(context, report, state, query, consume, sweep, until, label, resumable)
    return journey.run()


def unfinished(state: EntityState, now: datetime) -> dict[str, Any] | None:
    """The walk that the last run left behind, if it is still worth going on with."""
    note = state.walk
    if note is None or now - datetime.fromisoformat(note["began"]) > OLDEST_WALK:
        return None
    return note


class _Journey:
    """One walk: collects pages into chunks and commits them."""

    def __init__(
        self,
        context: SyncContext,
        report: EntityReport,
        state: EntityState,
        query: ListQuery,
        consume: Consumer,
        sweep: Table | None,
        until: datetime | None,
        label: str,
        resumable: bool,
    ) -> None:
        self._context = context
        self._report = report
        self._state = state
        self._query = query
        self._consume = consume
        self._sweep = sweep
        self._until = until
        self._label = label
        self._resumable = resumable
        self._poison: SimpleQueue[tuple[str, str]] = SimpleQueue()
        note = unfinished(state, datetime.now(UTC)) if resumable else None
        self._note: dict[str, Any] = dict(note) if note and note["label"] == label else {}
        self._total = self._note.get("total", 0)

    def run(self) -> int:
        context, query = self._context, self._query
        if not self._note:
            self._begin()
        pages = Walk[RawRow](
            context.hearing(fetcher(context.client, query.entity, query.params)),
            size=query.size,
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
            on_poison=self._set_aside,
        )
        chunk: list[RawRow] = []
        last_commit = time.monotonic()
        page: Page[RawRow] | None = None
        for page in pages:
            self._report.pages += 1
            self._total = page.total
            chunk.extend(page.rows)
            late = time.monotonic() - last_commit > CHUNK_SECONDS
            if len(chunk) >= CHUNK_ROWS or late:
                self._commit(chunk, page.remaining)
                chunk = []
                last_commit = time.monotonic()
        self._commit(chunk, 0, finished=True)
        return int(self._total)

    def _begin(self) -> None:
        context = self._context
        began = context.connection.execute("SELECT now()").fetchone()
        assert began is not None
        has_rows = self._sweep is not None and context.count(
            f"SELECT count(*) FROM (SELECT FROM {self._sweep.fullname}"  # noqa: S608 - our tables
            " WHERE integration = %s LIMIT 1) AS any_row"
        )
        context.loader.forget_seen(self._state.entity)
        self._note = {
            "label": self._label,
            "params": self._query.params,
            "began": began[0].isoformat(),
            "until": self._until.isoformat() if self._until else None,
            "part": 0,
            # With an empty table nothing can be missing, so nothing needs remembering.
            "remember": bool(has_rows),
        }

    def _commit(self, rows: list[RawRow], remaining: int, *, finished: bool = False) -> None:
        context, state, note = self._context, self._state, self._note
        with context.connection.transaction():
            batch = self._consume(rows) if rows else Batch(Changes(), [])
            rejects = batch.rejects + self._drain()
            for key, reason in rejects:
                context.loader.reject(state.entity, key, reason)
            self._report.rows += len(rows)
            self._report.changes += batch.changes
            self._report.rejected += len(rejects)
            if note["remember"] and batch.ids:
                context.loader.remember_seen(state.entity, note["part"], batch.ids)
                note["part"] += 1
            note |= {"remaining": remaining, "total": self._total}
            if self._resumable:
                state.walk = dict(note)
            if finished:
                self._finish()
            context.states.save(state)
            context.listener(state.entity, max(0, int(self._total) - remaining), int(self._total))

    def _finish(self) -> None:
        context, state, note = self._context, self._state, self._note
        began = datetime.fromisoformat(note["began"])
        if self._sweep is not None:
            if note["remember"]:
                self._report.deleted += context.loader.bury_unseen(self._sweep, state.entity, began)
            state.swept_at = datetime.now(UTC)
        if self._resumable:
            state.walk = None
        if note["until"]:
            state.watermark = datetime.fromisoformat(note["until"])

    # --- rows that break their page --------------------------------------------------------------

    def _set_aside(self, found: int | str | None, position: int, reason: str) -> None:
        """Called from the walk, maybe in the middle of a transaction: only noted here."""
        self._poison.put((f"position:{position}" if found is None else str(found), reason))

    def _drain(self) -> list[tuple[str, str]]:
        drained = []
        while True:
            try:
                drained.append(self._poison.get_nowait())
            except Empty:
                return drained


def consumer(
    context: SyncContext,
    table: Table,
    parse: Callable[[RawRow], tuple[Any, ...]],
    hash_of: Callable[[tuple[Any, ...]], bytes],
    id_field: str,
) -> Consumer:
    """A consumer for entities whose rows stand alone."""

    def consume(rows: list[RawRow]) -> Batch:
        parsed: list[tuple[Any, ...]] = []
        rejects: list[tuple[str, str]] = []
        ids: list[int] = []
        for raw in rows:
            try:
                row = parse(raw)
            except UnreadableRow as error:
                key = integer(raw.get(id_field))
                rejects.append(("unknown" if key is None else str(key), str(error)))
                if key is not None:
                    ids.append(key)
                continue
            ids.append(row[0])
            parsed.append((*row, hash_of(row)))
        return Batch(context.loader.merge(table, parsed), ids, rejects)

    return consume

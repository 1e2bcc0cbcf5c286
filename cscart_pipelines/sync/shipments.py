"""Shipments: the newest each time, all of them once a week and where the shop's count differs.

The shop tells neither changes nor deletions of shipments (reference 9.1): its total shows that some
were deleted; edits are found on the newest at once, on others by the weekly sweep. Not here:
writing shipments (`cscart.writes`).
"""

from __future__ import annotations

import time
from datetime import timedelta

from cscart_pipelines.cscart.coerce import integer
from cscart_pipelines.cscart.errors import TransientShopError
from cscart_pipelines.cscart.lists import read_page
from cscart_pipelines.cscart.records.shipments import parse_shipment
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.list_reader import (
    ListQuery,
    Sweep,
    read_list,
    sweep_is_due,
    unfinished,
)
from cscart_pipelines.sync.row_handlers import PreparedRows, RawRow, RowHandler, only, plain_handler
from cscart_pipelines.sync.state import EntityState
from cscart_pipelines.warehouse.tables import raw as raw_tables

ENTITY = "shipments"
SWEEP_EVERY = timedelta(days=7)
PAGES_OF_NEWEST = 4
"""If there are more new shipments than these pages hold, the whole list is swept."""
NEWEST_FIRST = {"sort_by": "id", "sort_order": "desc"}


def sync_shipments(context: SyncContext) -> EntityReport:
    """Brings the shipments of one shop up to date.

    Raises:
        ShopError: The shop failed; what was loaded until then stays.
    """
    started = time.monotonic()
    report = EntityReport(ENTITY)
    state = context.states.read(ENTITY)
    report.watermark_from = state.watermark
    outside: set[int] = set()
    handler = _handler(context, outside)
    with context.connection.transaction():
        report.deleted += _follow_orders(context)
    left, due = unfinished(state), sweep_is_due(context, state, SWEEP_EVERY)
    if due:
        _sweep(context, report, state, handler, outside)
    # The first part of a sweep that was interrupted is as old as that run.
    if (left or not due) and not _newest(context, report, state, handler, outside):
        _sweep(context, report, state, handler, outside)
    context.erasure_filter.clean_shipments()
    report.warehouse_total = context.live_rows(raw_tables.shipments)
    report.watermark_to = state.watermark
    report.seconds = time.monotonic() - started
    return report


def _handler(context: SyncContext, outside: set[int]) -> RowHandler:
    """Returns the handler. Company and storefront are only in the order (reference 9.1)."""
    handler = plain_handler(context.loader, raw_tables.shipments, parse_shipment, "shipment_id")
    if not context.limit:
        return handler

    def prepare(rows: list[RawRow]) -> PreparedRows:
        found = context.connection.execute(
            "SELECT order_id FROM cscart.orders WHERE integration = %s AND order_id = ANY(%s)",
            [context.integration, [integer(raw.get("order_id")) or 0 for raw in rows]],
        )
        ours = {row[0] for row in found}
        taken = only(
            handler, "shipment_id", lambda raw: integer(raw.get("order_id")) in ours, outside
        )
        return taken.prepare(rows)

    return RowHandler(prepare, handler.load, compares=True)


def _sweep(
    context: SyncContext,
    report: EntityReport,
    state: EntityState,
    handler: RowHandler,
    outside: set[int],
) -> None:
    outside.clear()
    now = context.clock.now().earliest
    query = ListQuery(ENTITY, "shipment_id", {}, context.sizes.shipments, growing=True)
    result = read_list(
        context, report, state, query, handler, sweep=Sweep(raw_tables.shipments), until=now
    )
    report.shop_total = result.total - len(outside)
    # After a quiet sweep a difference is the shop's own; any other needs another sweep.
    unexplained = (
        report.shop_total - context.live_rows(raw_tables.shipments) if result.quiet else None
    )
    state.totals = {
        "total": result.total,
        "unexplained": unexplained,
        "outside": len(outside),
        "highest": max(outside, default=0),
    }
    with context.connection.transaction():
        context.states.save(state)


def _newest(
    context: SyncContext,
    report: EntityReport,
    state: EntityState,
    handler: RowHandler,
    outside: set[int],
) -> bool:
    """Loads the newest shipments; False if the counts show that others have changed too."""
    now = context.clock.now().earliest
    met = state.totals.get("highest", 0)
    rows, total = _down_to_known(context, report, met)
    if rows is None:
        return False
    prepared = handler.prepare(rows)
    # What the integration does not take is left out of the shop's count.
    fresh = [number for number in outside if number > met]
    left_out = state.totals.get("outside", 0) + len(fresh)
    state.totals |= {"outside": left_out, "highest": max(fresh, default=met)}
    total -= int(left_out)
    with context.connection.transaction():
        report.changes += handler.load(prepared.rows)
        for key, reason in prepared.rejects:
            context.rejects.add(ENTITY, key, reason)
        context.rejects.resolve_loaded(ENTITY, raw_tables.shipments)
        report.rejected += len(prepared.rejects)
        report.shop_total = total
        state.watermark = now
        context.states.save(state)
        context.listener(ENTITY, len(rows), len(rows))
    unexplained: int | None = state.totals.get("unexplained", 0)
    return total - context.live_rows(raw_tables.shipments) == unexplained


def _down_to_known(
    context: SyncContext, report: EntityReport, met: int
) -> tuple[list[RawRow] | None, int]:
    """Reads the newest down to a page with known ones.

    None if PAGES_OF_NEWEST do not reach it, or one of them fails: the sweep gets around its cause.
    """
    highest = context.count(
        "SELECT coalesce(max(shipment_id), 0) FROM cscart.shipments WHERE integration = %s"
    )
    highest = max(highest, met)
    rows: list[RawRow] = []
    size = context.sizes.newest_shipments
    for page in range(1, PAGES_OF_NEWEST + 1):
        try:
            answer = read_page(context.client, ENTITY, page, size, NEWEST_FIRST)
        except TransientShopError as error:
            if not error.lighter_may_help:
                raise
            return None, 0
        context.clock.observe(answer.date)
        rows += answer.rows
        report.pages += 1
        report.rows += len(answer.rows)
        ids = [integer(row.get("shipment_id")) or 0 for row in answer.rows]
        if not ids or min(ids) <= highest or page * size >= answer.total:
            return rows, answer.total
    return None, 0


def _follow_orders(context: SyncContext) -> int:
    """Marks shipments of deleted orders, as the shop deletes them too (reference 8.10)."""
    return context.connection.execute(
        """
        UPDATE cscart.shipments AS sent SET deleted_at = now()
        FROM cscart.orders AS placed
        WHERE sent.integration = %s AND sent.deleted_at IS NULL
          AND placed.integration = sent.integration AND placed.order_id = sent.order_id
          AND placed.deleted_at IS NOT NULL
        """,
        [context.integration],
    ).rowcount

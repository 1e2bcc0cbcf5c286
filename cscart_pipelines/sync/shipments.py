"""Shipments: the newest since the last run; all of them at first and in a full synchronisation.

The shop tells neither changes nor deletions of shipments (reference 9.1), so an edited tracking
number of an old shipment shows only in a full synchronisation. Not here: writing shipments.
"""

from __future__ import annotations

import time

from cscart_pipelines.cscart.lists import read_page
from cscart_pipelines.cscart.records import content_hash, parse_shipment
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.walk import ListQuery, RawRow, consumer, walk
from cscart_pipelines.warehouse import tables

ENTITY = "shipments"
SIZES = (200, 50, 10, 1)
RECENT = 50
"""The newest ones are read again each time, with whatever was edited since."""
NEWEST_FIRST = {"sort_by": "id", "sort_order": "desc"}


def sync_shipments(context: SyncContext) -> EntityReport:
    """Brings the shipments of one shop up to date. Raises ShopError."""
    started = time.monotonic()
    report = EntityReport(ENTITY)
    state = context.states.read(ENTITY)
    report.watermark_from = state.watermark
    now = context.clock.now()
    consume = consumer(context, tables.shipments, parse_shipment, content_hash, "shipment_id")
    if context.kind != "resync" or state.watermark is None or state.walk is not None:
        query = ListQuery(ENTITY, "shipment_id", {}, SIZES[0], SIZES, growing=True)
        total = walk(context, report, state, query, consume, sweep=tables.shipments, until=now)
        state.totals = {"total": total}
        report.shop_total = total
        with context.connection.transaction():
            context.states.save(state)
    else:
        rows = _newest(context, report)
        with context.connection.transaction():
            batch = consume(rows)
            for key, reason in batch.rejects:
                context.loader.reject(ENTITY, key, reason)
            report.changes, report.rejected = batch.changes, len(batch.rejects)
            state.watermark = now
            context.states.save(state)
            context.listener(ENTITY, len(rows), len(rows))
    with context.connection.transaction():
        context.loader.resolve_rejects(ENTITY, tables.shipments)
    report.warehouse_total = context.count(
        "SELECT count(*) FROM cscart.shipments WHERE integration = %s AND deleted_at IS NULL"
    )
    report.watermark_to = state.watermark
    report.seconds = time.monotonic() - started
    return report


def _newest(context: SyncContext, report: EntityReport) -> list[RawRow]:
    """Down from the newest to the first page that holds nothing new."""
    highest = context.count(
        "SELECT coalesce(max(shipment_id), 0) FROM cscart.shipments WHERE integration = %s"
    )
    rows: list[RawRow] = []
    page = 1
    while True:
        answer = read_page(context.client, ENTITY, page, RECENT, NEWEST_FIRST)
        context.clock.hear(answer.date)
        report.pages += 1
        rows += answer.rows
        report.rows = len(rows)
        ids = [int(row["shipment_id"]) for row in answer.rows if row.get("shipment_id")]
        if not ids or min(ids) <= highest or page * RECENT >= answer.total:
            return rows
        page += 1

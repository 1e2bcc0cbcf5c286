"""The order statuses of a shop: what a letter is called and whether it counts as paid.

They change only when the owner of a shop changes them, so they are read once a day, and when an
order carries an unknown letter. N and T never appear in the list (reference 8.5).
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from cscart_pipelines.cscart.coerce import UnreadableRowError
from cscart_pipelines.cscart.lists import read_short_list
from cscart_pipelines.cscart.records.content_hash import content_hash
from cscart_pipelines.cscart.records.statuses import parse_status
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.warehouse.tables import raw as raw_tables

ENTITY = "statuses"
READ_EVERY = timedelta(hours=24)


def sync_statuses(context: SyncContext) -> EntityReport:
    """Reads the statuses if they are due.

    Raises:
        ShopError: The shop failed.
    """
    started = time.monotonic()
    report = EntityReport(ENTITY)
    state = context.states.read(ENTITY)
    report.watermark_from = state.watermark
    due = state.swept_at is None or datetime.now(UTC) - state.swept_at > READ_EVERY
    unknown = _unknown_letters(context)
    # Letters that were not in the list last time do not make it due again.
    if due or context.kind == "full" or unknown - set(state.totals.get("unknown", ())):
        raw = read_short_list(context.client, "statuses", {"type": "O"})
        report.rows, report.pages, report.shop_total = len(raw), 1, len(raw)
        rows, rejects = [], []
        for row in raw:
            try:
                parsed = parse_status(row)
            except UnreadableRowError as error:
                rejects.append(str(error))
                continue
            rows.append((*parsed, content_hash(parsed)))
        began = context.warehouse_time()
        with context.connection.transaction():
            report.changes = context.loader.merge(raw_tables.statuses, rows)
            if rows and not rejects:  # no shop is without statuses: an empty list is a failure
                report.deleted = _soft_delete_missing(context, [row[1] for row in rows])
            for reason in rejects:
                context.rejects.add(ENTITY, "unknown", reason)
            context.rejects.resolve_unseen(ENTITY, began)
            report.rejected = len(rejects)
            state.swept_at = datetime.now(UTC)
            state.watermark = context.clock.now().earliest
            state.totals = {"unknown": sorted(_unknown_letters(context))}
            context.states.save(state)
            context.listener(ENTITY, len(rows), len(raw))
    report.warehouse_total = context.live_rows(raw_tables.statuses)
    report.watermark_to = state.watermark
    report.seconds = time.monotonic() - started
    return report


def _soft_delete_missing(context: SyncContext, letters: Collection[str]) -> int:
    return context.connection.execute(
        "UPDATE cscart.statuses SET deleted_at = now() WHERE integration = %s AND type = 'O'"
        " AND deleted_at IS NULL AND status <> ALL(%s)",
        [context.integration, list(letters)],
    ).rowcount


def _unknown_letters(context: SyncContext) -> set[str]:
    """Letters of live orders that are not in our list of statuses."""
    found = context.connection.execute(
        """
        SELECT DISTINCT status FROM cscart.orders
        WHERE integration = %(shop)s AND deleted_at IS NULL AND status NOT IN ('N', 'T')
          AND status NOT IN (
              SELECT status FROM cscart.statuses
              WHERE integration = %(shop)s AND type = 'O' AND deleted_at IS NULL
          )
        """,
        {"shop": context.integration},
    )
    return {row[0] for row in found}

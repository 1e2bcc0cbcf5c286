"""The order statuses of a shop: what a letter is called and whether it counts as paid.

They change when the owner of a shop changes them, so one look a day is enough, and one more when an
order carries a letter that we do not know. N and T never appear in the list (reference 8.5).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from cscart_pipelines.cscart.lists import read_short_list
from cscart_pipelines.cscart.records import UnreadableRow, content_hash, parse_status
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.warehouse import tables

ENTITY = "statuses"
READ_EVERY = timedelta(hours=24)


def sync_statuses(context: SyncContext, *, at_once: bool = False) -> EntityReport:
    """Reads the statuses when it is time. Raises ShopError."""
    started = time.monotonic()
    report = EntityReport(ENTITY)
    state = context.states.read(ENTITY)
    report.watermark_from = state.watermark
    now = datetime.now(UTC)
    due = state.swept_at is None or now - state.swept_at > READ_EVERY
    if at_once or due or context.kind != "resync" or _unknown_letters(context):
        raw = read_short_list(context.client, "statuses", {"type": "O"})
        report.rows, report.pages, report.shop_total = len(raw), 1, len(raw)
        rows, rejects = [], []
        for row in raw:
            try:
                parsed = parse_status(row)
            except UnreadableRow as error:
                rejects.append((str(row.get("status_id"))[:20], str(error)))
                continue
            rows.append((*parsed, content_hash(parsed)))
        with context.connection.transaction():
            report.changes = context.loader.merge(tables.statuses, rows)
            report.deleted = _bury_missing(context, [row[1] for row in rows])
            for key, reason in rejects:
                context.loader.reject(ENTITY, key, reason)
            report.rejected = len(rejects)
            state.swept_at, state.watermark = now, context.clock.now()
            context.states.save(state)
            context.listener(ENTITY, len(rows), len(raw))
    report.warehouse_total = context.count(
        "SELECT count(*) FROM cscart.statuses WHERE integration = %s AND deleted_at IS NULL"
    )
    report.watermark_to = state.watermark
    report.seconds = time.monotonic() - started
    return report


def _bury_missing(context: SyncContext, letters: list[str]) -> int:
    return context.connection.execute(
        "UPDATE cscart.statuses SET deleted_at = now() WHERE integration = %s AND type = 'O'"
        " AND deleted_at IS NULL AND status <> ALL(%s)",
        [context.integration, letters],
    ).rowcount


def _unknown_letters(context: SyncContext) -> bool:
    return bool(
        context.count(
            """
            SELECT count(*) FROM (
                SELECT DISTINCT status FROM cscart.orders
                WHERE integration = %s AND deleted_at IS NULL AND status NOT IN ('N', 'T')
            ) AS used
            WHERE NOT EXISTS (
                SELECT FROM cscart.statuses AS known
                WHERE known.integration = %s AND known.type = 'O' AND known.status = used.status
            )
            """,
            context.integration,
        )
    )

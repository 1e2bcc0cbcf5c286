"""Registered customers: always a full sweep, since the shop tells no time of change.

The reference (10.1, 10.2) knows no filter by change and no notice of deletion, so every row is read
and compared by its hash. Guests are not here: they exist only in their orders.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from cscart_pipelines.cscart.coerce import integer
from cscart_pipelines.cscart.records.customers import parse_customer
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.list_reader import ListQuery, ListResult, Sweep, read_list, unfinished
from cscart_pipelines.sync.orders.reconciliation import reset_reconciliation
from cscart_pipelines.sync.row_handlers import RawRow, RowHandler, only, plain_handler
from cscart_pipelines.sync.state import EntityState
from cscart_pipelines.warehouse.tables import core as tables_core

ENTITY = "customers"
_GONE = "SELECT count(*) FROM cscart.customers WHERE integration = %s AND deleted_at IS NOT NULL"


def sync_customers(context: SyncContext) -> EntityReport:
    """Sweeps the customers of one shop. Raises ShopError."""
    started = time.monotonic()
    report = EntityReport(ENTITY)
    state = context.states.read(ENTITY)
    report.watermark_from = state.watermark
    query = ListQuery(
        entity="users",
        id_field="user_id",
        # The list without it is refused from 4.16 on (reference 10.2).
        params={"user_type": "C"},
        sizes=context.sizes.customers,
        growing=True,
    )

    consumer = context.forgotten.customers(
        plain_handler(context.loader, tables_core.customers, parse_customer, "user_id")
    )
    outside: set[int] = set()
    if context.limit:
        consumer = only(consumer, "user_id", _taken(context), outside)
    left = unfinished(state)
    walked = _sweep(context, report, state, query, consumer)
    if left is not None:  # its first part is as old as the run that was cut short
        walked = _sweep(context, report, state, query, consumer)
    with context.connection.transaction():
        state.totals["total"] = walked.total
        context.states.save(state)
    report.shop_total = walked.total - len(context.forgotten.accounts) - len(outside)
    report.warehouse_total = context.count(
        "SELECT count(*) FROM cscart.customers WHERE integration = %s AND deleted_at IS NULL"
    )
    report.watermark_to = state.watermark
    report.seconds = time.monotonic() - started
    return report


def _taken(context: SyncContext) -> Callable[[RawRow], bool]:
    found = context.connection.execute(
        "SELECT DISTINCT user_id FROM cscart.orders"
        " WHERE integration = %s AND deleted_at IS NULL AND user_id IS NOT NULL",
        [context.integration],
    )
    buyers = {row[0] for row in found}

    def takes(raw: RawRow) -> bool:
        user_id = integer(raw.get("user_id")) or 0
        return context.limit.takes_account(integer(raw.get("company_id")), user_id, buyers)

    return takes


def _sweep(
    context: SyncContext,
    report: EntityReport,
    state: EntityState,
    query: ListQuery,
    consumer: RowHandler,
) -> ListResult:
    left = unfinished(state)
    began = datetime.fromisoformat(left["began"]) if left else datetime.now(UTC)

    def finish() -> None:
        """Together with the tombstones."""
        _detach_orders(context)
        gone = context.count(_GONE)
        if gone < state.totals.get("gone", 0) + context.count(_GONE + " AND deleted_at = now()"):
            # Some came back, perhaps with their orders, of which the shop says nothing.
            reset_reconciliation(context)
        state.watermark = context.clock.at(began).surely_over
        state.totals = {
            "gone": gone,
            "began": began.isoformat(),
            "began_before": state.totals.get("began"),
        }

    sweep = Sweep(tables_core.customers, finishing=finish)
    return read_list(context, report, state, query, consumer, sweep=sweep)


def _detach_orders(context: SyncContext) -> None:
    """Orders of accounts buried in this transaction: the shop sets their user to 0 silently (10.3).

    Their hash goes too, so that the next reading of such an order counts as a change.
    """
    context.connection.execute(
        """
        UPDATE cscart.orders AS placed SET user_id = NULL, content_hash = '', loaded_at = now()
        FROM cscart.customers AS gone
        WHERE placed.integration = %s AND gone.integration = placed.integration
          AND placed.user_id = gone.user_id AND gone.deleted_at = now()
        """,
        [context.integration],
    )

"""Registered customers: always a full sweep, since the shop has no time of change.

The API has no filter by change and no notice of deletion (reference 10.1, 10.2), so every row is
read and compared by its hash. Not here: guests, who exist only in their orders.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from cscart_pipelines.cscart.coerce import integer
from cscart_pipelines.cscart.records.customers import parse_customer
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.list_reader import ListQuery, ListResult, Sweep, read_list, unfinished
from cscart_pipelines.sync.orders.reconciliation import read_by_number, reset_reconciliation
from cscart_pipelines.sync.row_handlers import RawRow, RowHandler, only, plain_handler
from cscart_pipelines.sync.state import EntityState
from cscart_pipelines.warehouse.tables import raw as raw_tables

ENTITY = "customers"
MOST_DETACHED = 1000
"""Orders of accounts that are gone whose user is asked for at once; others wait for a sweep."""
_GONE = "SELECT count(*) FROM cscart.customers WHERE integration = %s AND deleted_at IS NOT NULL"


def sync_customers(context: SyncContext) -> EntityReport:
    """Reads all customers of one shop and loads what differs.

    Raises:
        ShopError: The shop failed; what was loaded until then stays.
    """
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

    handler = context.erasure_filter.customers(
        plain_handler(context.loader, raw_tables.customers, parse_customer, "user_id")
    )
    outside: set[int] = set()
    if context.limit:
        handler = only(handler, "user_id", _taken(context), outside)
    left = unfinished(state)
    result = _sweep(context, report, state, query, handler)
    if left is not None:  # its first part is as old as the run that was interrupted
        result = _sweep(context, report, state, query, handler)
    with context.connection.transaction():
        state.totals["total"] = result.total
        context.states.save(state)
    report.shop_total = result.total - len(context.erasure_filter.accounts) - len(outside)
    report.warehouse_total = context.live_rows(raw_tables.customers)
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
    handler: RowHandler,
) -> ListResult:
    left = unfinished(state)
    began = datetime.fromisoformat(left["began"]) if left else datetime.now(UTC)

    detached: list[int] = []

    def finish() -> None:
        """Runs in the transaction that marks deletions."""
        detached.extend(_detach_orders(context))
        gone = context.count(_GONE)
        if gone < state.totals.get("gone", 0) + context.count(_GONE + " AND deleted_at = now()"):
            # Some exist again, perhaps with their orders, which have no new `updated_at`.
            reset_reconciliation(context)
        state.watermark = context.clock.at(began).earliest
        state.totals = {
            "gone": gone,
            "began": began.isoformat(),
            "began_before": state.totals.get("began"),
        }

    sweep = Sweep(raw_tables.customers, finishing=finish)
    result = read_list(context, report, state, query, handler, sweep=sweep)
    # An account that became one of staff keeps its orders.
    newest = sorted(detached)[-MOST_DETACHED:]
    read_by_number(context, EntityReport("orders"), context.states.read("orders"), newest)
    return result


def _detach_orders(context: SyncContext) -> list[int]:
    """Removes the user of orders whose account is marked as deleted in this transaction.

    Returns their numbers.

    The shop does the same without a new `updated_at` (reference 10.3). The hash goes too, so that
    the next reading of such an order counts as a change.
    """
    found = context.connection.execute(
        """
        UPDATE cscart.orders AS placed SET user_id = NULL, content_hash = '', loaded_at = now()
        FROM cscart.customers AS gone
        WHERE placed.integration = %s AND gone.integration = placed.integration
          AND placed.user_id = gone.user_id AND gone.deleted_at = now()
        RETURNING placed.order_id
        """,
        [context.integration],
    )
    return [row[0] for row in found]

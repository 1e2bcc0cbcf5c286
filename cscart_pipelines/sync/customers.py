"""Registered customers: always a full sweep, since the shop tells no time of change.

The reference (10.1, 10.2) knows no filter by change and no notice of deletion, so every row is read
and compared by its hash. Guests are not here: they exist only in their orders.
"""

from __future__ import annotations

import time

from cscart_pipelines.cscart.records import content_hash, parse_customer
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.walk import ListQuery, consumer, walk
from cscart_pipelines.warehouse import tables

ENTITY = "customers"
SIZES = (500, 250, 50, 10, 1)
QUERY = ListQuery(
    entity="users",
    id_field="user_id",
    params={"user_type": "C"},  # the list without it is refused from 4.16 on (reference 10.2)
    size=SIZES[0],
    sizes=SIZES,
    growing=True,
)


def sync_customers(context: SyncContext) -> EntityReport:
    """Sweeps the customers of one shop. Raises ShopError."""
    started = time.monotonic()
    report = EntityReport(ENTITY)
    state = context.states.read(ENTITY)
    report.watermark_from = state.watermark
    consume = consumer(context, tables.customers, parse_customer, content_hash, "user_id")
    total = walk(
        context, report, state, QUERY, consume, sweep=tables.customers, until=context.clock.now()
    )
    with context.connection.transaction():
        state.totals = {"total": total}
        context.states.save(state)
        context.loader.resolve_rejects(ENTITY, tables.customers)
        _follow_into_orders(context)
    report.shop_total = total
    report.warehouse_total = context.count(
        "SELECT count(*) FROM cscart.customers WHERE integration = %s AND deleted_at IS NULL"
    )
    report.watermark_to = state.watermark
    report.seconds = time.monotonic() - started
    return report


def _follow_into_orders(context: SyncContext) -> None:
    """Orders of deleted accounts: the shop sets their user to 0 and tells nobody (10.3)."""
    context.connection.execute(
        """
        UPDATE cscart.orders AS placed SET user_id = NULL
        FROM cscart.customers AS gone
        WHERE placed.integration = %s AND gone.integration = placed.integration
          AND placed.user_id = gone.user_id AND gone.deleted_at IS NOT NULL
        """,
        [context.integration],
    )

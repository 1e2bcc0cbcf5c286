"""Finds what the shop does not tell about orders: deletions, and changes without `updated_at`.

Deleted orders vanish from all lists (reference 8.6); only the shop's count shows it. Not here:
reading windows (`reader`), the windows themselves (`windows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cscart_pipelines.cscart.lists import read_total
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.list_reader import ListResult
from cscart_pipelines.sync.orders import windows
from cscart_pipelines.sync.orders.reader import ENTITY, order_filters, read_window
from cscart_pipelines.sync.state import EntityState
from cscart_pipelines.warehouse.tables import raw as raw_tables

SWEEP_EVERY = timedelta(hours=24)
"""Where the shop cannot filter by change, all list rows are compared this often."""
SWEEP_EVERY_WITH_FILTER = timedelta(days=7)
"""Elsewhere too, for what changes without a new `updated_at` (reference 8.6)."""
AT_ONCE = 100
MAX_RETRIED_ORDERS = 100
"""Broken orders that one run tries again; each costs a request."""
_UNEXPLAINED = "unexplained"
_OUTSIDE = "outside"
"""Orders in the shop's count that the integration does not take."""


def reconcile_counts(
    context: SyncContext,
    report: EntityReport,
    state: EntityState,
    created_until: datetime,
    result: ListResult | None,
) -> None:
    """Compares the counts; where they differ, or a sweep is due, all list rows are compared.

    A difference that remains after a quiet sweep is the shop's own (one that counts a row twice),
    so it is recorded. If the shop changed meanwhile, the difference may be a deletion that the
    sweep has passed: then the next run sweeps again. Orders that the integration does not take are
    left out of the shop's count.

    Args:
        context: The synchronisation.
        report: Counts are added to it.
        state: Of the orders; saved.
        created_until: Orders created up to this time are compared (the shop's clock).
        result: Of the whole list, if this run has read it.
    """
    if result is None:
        asked = windows.created(created_until) | order_filters(context)
        total = read_total(context.client, ENTITY, asked)
        result = ListResult(total - state.totals.get(_OUTSIDE, 0), quiet=True)
    difference = result.total - _accounted_for(context, created_until)
    outside: set[int] = set()
    if difference != state.totals.get(_UNEXPLAINED, 0) or _sweep_is_due(context, state):
        window = windows.slim_sweep(created_until)
        result = read_window(context, report, state, window, outside=outside)
        result = replace(result, total=result.total - len(outside))
        difference = result.total - _accounted_for(context, created_until)
        state.totals = {**state.totals, _OUTSIDE: len(outside)}
    report.shop_total = result.total
    report.warehouse_total = _live(context, created_until)
    state.totals = {
        "total": result.total,
        _UNEXPLAINED: difference if result.quiet else None,
        _OUTSIDE: state.totals.get(_OUTSIDE, 0),
    }
    with context.connection.transaction():
        context.states.save(state)


def retry_unreadable(context: SyncContext, report: EntityReport, state: EntityState) -> None:
    """Reads again the orders that could not be read, and those of unknown accounts."""
    broken = context.connection.execute(
        """
        (SELECT entity_key::bigint AS number FROM cscart.rejects
         WHERE integration = %(shop)s AND entity = 'orders' AND resolved_at IS NULL
           AND entity_key ~ '^[1-9][0-9]{0,17}$'
         ORDER BY last_seen_at LIMIT %(most)s)
        UNION
        (SELECT order_id FROM cscart.orders
         WHERE integration = %(shop)s AND NOT has_details AND deleted_at IS NULL
         ORDER BY order_id DESC LIMIT %(most)s)
        ORDER BY number
        """,
        {"shop": context.integration, "most": MAX_RETRIED_ORDERS},
    ).fetchall()
    read_by_number(context, report, state, [row[0] for row in broken], afresh=True)
    read_by_number(context, report, state, _of_unknown_customers(context))


def read_by_number(
    context: SyncContext,
    report: EntityReport,
    state: EntityState,
    numbers: Sequence[int],
    *,
    afresh: bool = False,
) -> None:
    """Reads these orders; those that the shop does not list are marked as deleted.

    None is if one of them breaks the list: it may be any.
    """
    for start in range(0, len(numbers), AT_ONCE):
        asked = numbers[start : start + AT_ONCE]
        seen: set[int] = set()
        window = windows.by_number(asked, afresh=afresh)
        result = read_window(context, report, state, window, seen=seen)
        gone = set(asked) - seen
        if gone and result.complete:
            with context.connection.transaction():
                report.deleted += context.loader.soft_delete(raw_tables.orders, gone)
                context.rejects.resolve(ENTITY, map(str, gone))


def reset_reconciliation(context: SyncContext) -> None:
    """Makes the next comparison sweep, whatever the counts. Within the caller's transaction."""
    state = context.states.read(ENTITY)
    state.totals = {**state.totals, _UNEXPLAINED: None}
    context.states.save(state)


def _of_unknown_customers(context: SyncContext) -> list[int]:
    """Returns orders of accounts that were added and deleted between two sweeps of customers.

    The shop sets their user to 0 without a new `updated_at`, and no sweep has seen the account.
    Each order is read again in one run only: staff have orders too, and are no customers.
    """
    totals = context.states.read("customers").totals
    since = totals.get("began_before") or totals.get("began")
    if since is None:
        return []
    found = context.connection.execute(
        """
        SELECT placed.order_id FROM cscart.orders AS placed
        WHERE placed.integration = %s AND placed.deleted_at IS NULL
          AND placed.user_id IS NOT NULL AND placed.loaded_at >= %s
          AND placed.loaded_at < %s AND NOT EXISTS (
              SELECT FROM cscart.customers AS known
              WHERE known.integration = placed.integration AND known.user_id = placed.user_id
                AND known.deleted_at IS NULL
          )
        ORDER BY placed.order_id
        """,
        [context.integration, since, totals.get("began") or since],
    )
    return [row[0] for row in found]


def _sweep_is_due(context: SyncContext, state: EntityState) -> bool:
    every = SWEEP_EVERY
    if context.can("updated_at_filter") and not _has_rows_without_id(context):
        every = SWEEP_EVERY_WITH_FILTER
    return state.swept_at is None or datetime.now(UTC) - state.swept_at > every


def _has_rows_without_id(context: SyncContext) -> bool:
    """Tells whether there are orders that only a sweep can find once they can be read."""
    return bool(
        context.count(
            "SELECT count(*) FROM cscart.rejects WHERE integration = %s AND entity = 'orders'"
            " AND resolved_at IS NULL AND entity_key LIKE 'position:%%'"
        )
    )


def _live(context: SyncContext, until: datetime) -> int:
    return context.count(
        "SELECT count(*) FROM cscart.orders WHERE integration = %s AND deleted_at IS NULL"
        " AND NOT is_parent_order AND ordered_at <= %s",
        until,
    )


def _accounted_for(context: SyncContext, until: datetime) -> int:
    """Counts live orders, and rejects of which the warehouse has no order."""
    aside = context.count(
        """
        SELECT count(*) FROM cscart.rejects AS aside
        WHERE aside.integration = %s AND aside.entity = 'orders' AND aside.resolved_at IS NULL
          AND aside.entity_key ~ '^[0-9]{1,18}$' AND NOT EXISTS (
              SELECT FROM cscart.orders AS placed
              WHERE placed.integration = aside.integration AND placed.deleted_at IS NULL
                AND placed.order_id = CASE WHEN aside.entity_key ~ '^[0-9]{1,18}$'
                                           THEN aside.entity_key::bigint END
          )
        """
    )
    return _live(context, until) + aside

"""Orders with their lines: which windows are read in a run, one after the other.

Not here: the windows (`windows`), reading one (`reader`), deletions (`reconciliation`).
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from cscart_pipelines.sync.clock import ShopTime
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.list_reader import unfinished
from cscart_pipelines.sync.orders import windows
from cscart_pipelines.sync.orders.reader import ENTITY, read_window
from cscart_pipelines.sync.orders.reconciliation import (
    read_by_number,
    reconcile_counts,
    retry_unreadable,
)
from cscart_pipelines.sync.orders.windows import Window
from cscart_pipelines.sync.state import EntityState

CATCH_UP = timedelta(seconds=60)
"""If the whole list took longer, the changes since its start are read too."""


def sync_orders(context: SyncContext) -> EntityReport:
    """Brings the orders of one shop up to date.

    Raises:
        ShopError: The shop failed; what was loaded until then stays.
    """
    started = time.monotonic()
    report = EntityReport(ENTITY)
    state = context.states.read(ENTITY)
    report.watermark_from = state.watermark
    now = context.clock.now()
    end, result = now.latest, None
    left = unfinished(state)
    window = _whole_window(context, state, left, now)
    if window is not None:
        result = read_window(context, report, state, window)
        end = window.created_until or end
        now = context.clock.now()
    if window is None or left is not None or now.latest - end > CATCH_UP:
        end, result = now.latest, None
        _read_changes(context, report, state, now)
    retry_unreadable(context, report, state)
    reconcile_counts(context, report, state, end, result)
    report.watermark_to = state.watermark
    report.seconds = time.monotonic() - started
    return report


def _whole_window(
    context: SyncContext, state: EntityState, left: dict[str, Any] | None, now: ShopTime
) -> Window | None:
    """Returns the window of all orders if it is due or was interrupted, else None."""
    if left is not None:
        return windows.unfinished_whole(left["params"], datetime.fromisoformat(left["until"]))
    if state.watermark is None or context.kind == "full":
        return windows.whole(now, details=context.can("orders_with_details"))
    return None


def _read_changes(
    context: SyncContext, report: EntityReport, state: EntityState, now: ShopTime
) -> None:
    watermark = state.watermark
    assert watermark is not None
    details = context.can("orders_with_details")
    if context.can("updated_at_filter"):
        window = windows.changed(watermark, now, details=details)
        read_window(context, report, state, window)
        return
    window = windows.recent(watermark, now, details=details)
    read_window(context, report, state, window)
    recent_from = datetime.fromtimestamp(window.params["time_from"], now.earliest.tzinfo)
    letters = _letters(context)
    still_open = windows.open_orders(recent_from, now, letters)
    if still_open is not None:
        seen: set[int] = set()
        read_window(context, report, state, still_open, seen=seen)
        # Orders that were open and are no longer listed have changed, or are deleted.
        left = _open_with_us(context, still_open) - seen
        read_by_number(context, report, state, sorted(left))


def _letters(context: SyncContext) -> set[str]:
    """Returns the status letters that an order of this shop may have."""
    found = context.connection.execute(
        """
        SELECT status FROM cscart.statuses
        WHERE integration = %(shop)s AND type = 'O' AND deleted_at IS NULL
        UNION
        SELECT DISTINCT status FROM cscart.orders WHERE integration = %(shop)s
        """,
        {"shop": context.integration},
    )
    return {row[0] for row in found}


def _open_with_us(context: SyncContext, window: Window) -> set[int]:
    found = context.connection.execute(
        "SELECT order_id FROM cscart.orders WHERE integration = %s AND deleted_at IS NULL"
        " AND status = ANY(%s) AND ordered_at BETWEEN to_timestamp(%s) AND to_timestamp(%s)",
        [
            context.integration,
            window.params["status[]"],
            window.params["time_from"],
            window.params["time_to"],
        ],
    )
    return {row[0] for row in found}

"""Orders with their lines: reading windows of them, and finding out what has gone.

Not here: which windows (`order_windows`), pages and chunks (`walk`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from cscart_pipelines.cscart.errors import NotFound, ShopError, TransientShopError
from cscart_pipelines.cscart.lists import read_page
from cscart_pipelines.cscart.records import (
    OrderLineRow,
    OrderRow,
    UnreadableRow,
    content_hash,
    parse_order,
)
from cscart_pipelines.sync import order_windows as windows
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.order_windows import Window
from cscart_pipelines.sync.state import EntityState
from cscart_pipelines.sync.walk import Batch, Consumer, ListQuery, RawRow, unfinished, walk
from cscart_pipelines.warehouse import tables

ENTITY = "orders"
DETAIL_SIZES = (50, 25, 5, 1)
LIST_SIZES = (500, 250, 50, 10, 1)
CATCH_UP = timedelta(seconds=60)
"""A walk that took longer is followed by a look at what changed meanwhile."""
SWEEP_EVERY = timedelta(hours=24)
"""Where the shop cannot filter by change, all list rows are compared this often."""

Parsed = tuple[OrderRow, list[OrderLineRow]]


def sync_orders(context: SyncContext) -> EntityReport:
    """Brings the orders of one shop up to date. Raises ShopError."""
    started = time.monotonic()
    report = EntityReport(ENTITY)
    state = context.states.read(ENTITY)
    report.watermark_from = state.watermark
    now = context.clock.now()
    total: int | None = None
    left = unfinished(state, datetime.now(UTC))
    if left is not None or state.watermark is None or context.kind != "resync":
        window = windows.whole(now, details=context.can("orders_with_details"))
        if left is not None:
            window = _window_of(left)
        total = _read(context, report, state, window)
        if not window.sweep or context.clock.now() - (window.until or now) > CATCH_UP:
            total = None
            _read_changes(context, report, state)
    else:
        _read_changes(context, report, state)
    _compare(context, report, state, total)
    with context.connection.transaction():
        context.loader.resolve_rejects(ENTITY, tables.orders)
    report.watermark_to = state.watermark
    report.seconds = time.monotonic() - started
    return report


def _window_of(note: dict[str, Any]) -> Window:
    """The window that the last run left unfinished, with the parameters it had."""
    details = "get_orders_data" in note["params"]
    until = datetime.fromisoformat(note["until"]) if note["until"] else None
    return Window(note["label"], note["params"], details, until, sweep=note["label"] == "whole")


def _read_changes(context: SyncContext, report: EntityReport, state: EntityState) -> None:
    now = context.clock.now()
    assert state.watermark is not None
    known = [
        row[0]
        for row in context.connection.execute(
            "SELECT status FROM cscart.statuses WHERE integration = %s AND type = 'O'"
            " AND deleted_at IS NULL",
            [context.integration],
        )
    ]
    for window in windows.changed(
        state.watermark,
        now,
        details=context.can("orders_with_details"),
        updated_at_filter=context.can("updated_at_filter"),
        known_statuses=known or "OPBY",
    ):
        _read(context, report, state, window)


def _compare(
    context: SyncContext, report: EntityReport, state: EntityState, total: int | None
) -> None:
    """Counts against the shop; where they differ, or it is time, all list rows are compared.

    Deleted orders vanish without a trace (reference 8.6), so the count is what gives them away. A
    difference that a sweep could not explain (a shop that counts a row twice) is remembered.
    """
    now = context.clock.now() if total is None else (state.watermark or context.clock.now())
    if total is None:
        total = read_page(context.client, ENTITY, 1, 1, windows.created(now)).total
    difference = total - _live(context, now)
    due = state.swept_at is None or datetime.now(UTC) - state.swept_at > SWEEP_EVERY
    if difference != state.totals.get("unexplained", 0) or (
        due and not context.can("updated_at_filter")
    ):
        total = _read(context, report, state, windows.slim_sweep(now))
        difference = total - _live(context, now)
    report.shop_total, report.warehouse_total = total, total - difference
    state.totals = {"total": total, "unexplained": difference}
    with context.connection.transaction():
        context.states.save(state)


def _live(context: SyncContext, until: datetime) -> int:
    return context.count(
        "SELECT count(*) FROM cscart.orders WHERE integration = %s AND deleted_at IS NULL"
        " AND NOT is_parent_order AND ordered_at <= %s",
        until,
    )


def _read(context: SyncContext, report: EntityReport, state: EntityState, window: Window) -> int:
    sizes = DETAIL_SIZES if window.details else LIST_SIZES
    query = ListQuery(
        ENTITY, "order_id", window.params, sizes[0], sizes, growing=False, heavy=windows.DETAILS
    )
    consume = _with_details(context) if window.details else _as_list_rows(context)
    return walk(
        context,
        report,
        state,
        query,
        consume,
        sweep=tables.orders if window.sweep else None,
        until=window.until,
        label=window.label,
        # Windows that are cheap to repeat are not worth a note; it would hide the whole walk's.
        resumable=window.label == "whole",
    )


# --- rows ----------------------------------------------------------------------------------------


def _with_details(context: SyncContext) -> Consumer:
    def consume(rows: list[RawRow]) -> Batch:
        orders, ids, rejects = _parse(rows)
        changes = context.loader.merge_orders(_hashed(orders))
        return Batch(changes, ids, rejects)

    return consume


def _as_list_rows(context: SyncContext) -> Consumer:
    """List rows are compared with ours; only orders that differ are read in full."""

    def consume(rows: list[RawRow]) -> Batch:
        listed, ids, rejects = _parse(rows)
        wanted = _differing(context, [row for row, _ in listed])
        orders: list[Parsed] = []
        if wanted:
            read = _reader(context)
            with ThreadPoolExecutor(context.client.max_parallel, "orders") as threads:
                for row, outcome in zip(wanted, threads.map(read, wanted), strict=True):
                    if isinstance(outcome, tuple):
                        orders.append(outcome)
                    elif outcome is not None:
                        rejects.append((str(row.order_id), outcome))
                        orders.append((row._replace(has_details=False), []))
        return Batch(context.loader.merge_orders(_hashed(orders)), ids, rejects)

    return consume


def _reader(context: SyncContext) -> Callable[[OrderRow], Parsed | str | None]:
    """Reads one order in full: the order, a reason why it cannot be read, or None if it is gone."""

    def read(row: OrderRow) -> Parsed | str | None:
        try:
            return parse_order(context.get(ENTITY, id=row.order_id, heavy_retries=2).body)
        except NotFound:
            return None
        except UnreadableRow as error:
            return str(error)
        except TransientShopError as error:
            if not error.lighter_may_help:
                raise
            return error.message
        except ShopError:
            raise

    return read


def _differing(context: SyncContext, listed: list[OrderRow]) -> list[OrderRow]:
    """List rows whose order we do not have, or have otherwise."""
    known = {
        row[0]: row[1:]
        for row in context.connection.execute(
            "SELECT order_id, status, total, email, user_id, firstname, lastname, phone"
            " FROM cscart.orders WHERE integration = %s AND order_id = ANY(%s)"
            " AND deleted_at IS NULL AND has_details",
            [context.integration, [row.order_id for row in listed]],
        )
    }

    def seen(row: OrderRow) -> tuple[Any, ...]:
        return (
            row.status, row.total, row.email, row.user_id, row.firstname, row.lastname, row.phone,
        )  # fmt: skip

    return [row for row in listed if known.get(row.order_id) != seen(row)]


def _parse(rows: list[RawRow]) -> tuple[list[Parsed], list[int], list[tuple[str, str]]]:
    orders: list[Parsed] = []
    ids: list[int] = []
    rejects: list[tuple[str, str]] = []
    for raw in rows:
        try:
            order = parse_order(raw)
        except UnreadableRow as error:
            key = str(raw.get("order_id"))
            if key.isdecimal():
                ids.append(int(key))
            rejects.append((key[:20], str(error)))
            continue
        orders.append(order)
        ids.append(order[0].order_id)
    return orders, ids, rejects


def _hashed(orders: list[Parsed]) -> list[tuple[tuple[Any, ...], list[OrderLineRow]]]:
    return [((*row, content_hash(row, lines)), lines) for row, lines in orders]

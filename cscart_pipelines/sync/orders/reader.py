"""Reads a window of orders: rows with their details, or list rows, and details where they differ.

Not here: which windows (`windows`), pages and chunks (`list_reader`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from cscart_pipelines.cscart.coerce import UnreadableRowError, integer
from cscart_pipelines.cscart.errors import NotFoundError, TransientShopError
from cscart_pipelines.cscart.records.content_hash import content_hash
from cscart_pipelines.cscart.records.orders import OrderLineRow, OrderRow, parse_order
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.sync.list_reader import ListQuery, ListResult, Sweep, read_list
from cscart_pipelines.sync.orders import windows
from cscart_pipelines.sync.orders.windows import Window
from cscart_pipelines.sync.row_handlers import PreparedRows, RawRow, RowHandler, only, parse_rows
from cscart_pipelines.sync.state import EntityState
from cscart_pipelines.warehouse.load import Changes
from cscart_pipelines.warehouse.tables import raw as raw_tables

ENTITY = "orders"
Parsed = tuple[OrderRow, list[OrderLineRow]]
Loadable = tuple[tuple[Any, ...], list[OrderLineRow]]


def read_window(
    context: SyncContext,
    report: EntityReport,
    state: EntityState,
    window: Window,
    *,
    seen: set[int] | None = None,
    outside: set[int] | None = None,
) -> ListResult:
    """Reads a window and loads what differs.

    Args:
        context: The synchronisation.
        report: Counts are added to it.
        state: Of the orders; saved.
        window: Which orders.
        seen: The ids of all orders of the window are added to it.
        outside: The ids of orders that the integration does not take, but the shop counts, are
            added to it.

    Raises:
        ShopError: The shop failed; what was loaded until then stays.
    """
    sizes = context.sizes
    outside = set() if outside is None else outside
    window = windows.limited(window, order_filters(context))
    if window.details:
        page_sizes, handler = sizes.orders_with_details, _with_details(context)
    else:
        page_sizes, handler = sizes.orders, _as_list_rows(context, window, outside)
        if window.label == "whole":
            page_sizes = sizes.orders_one_by_one
    sweep = None
    if window.created_until is not None:
        sweep = Sweep(raw_tables.orders, window.created_until, each_reject=False)
    query = ListQuery(
        ENTITY,
        "order_id",
        window.params,
        page_sizes,
        growing=False,
        heavy=windows.DETAILS,
        label=window.label,
        resumable=window.label == "whole",
    )
    if context.limit:
        takes = partial(_taken, context, details=window.details)
        handler = only(handler, "order_id", takes, outside)
    if seen is not None:
        handler = _noting(handler, seen)
    return read_list(context, report, state, query, handler, sweep=sweep, until=window.watermark)


def order_filters(context: SyncContext) -> dict[str, Any]:
    """Returns the filters that limit the shop's lists and counts to the integration's orders."""
    return context.limit.order_filters(newer=context.can("orders_with_details"))


def _taken(context: SyncContext, raw: RawRow, *, details: bool) -> bool:
    """Tells whether the integration takes the order.

    Not every version has the storefront in a list row; the filter of the list then decides it.
    """
    company, storefront = integer(raw.get("company_id")), integer(raw.get("storefront_id"))
    if not details and "storefront_id" not in raw:
        return context.limit.takes_company(company)
    return context.limit.why_outside(company, storefront) is None


def _with_details(context: SyncContext) -> RowHandler:
    def read(raw: RawRow) -> tuple[int, Loadable]:
        row, lines = parse_order(raw)
        return row.order_id, loadable(context.erasure_filter.order(row), lines)

    return RowHandler(lambda rows: parse_rows(rows, "order_id", read), _loading(context))


def _as_list_rows(context: SyncContext, window: Window, outside: set[int]) -> RowHandler:
    """Compares list rows with the warehouse; orders that differ are read in full, one by one."""

    def read(raw: RawRow) -> tuple[int, OrderRow]:
        row, _ = parse_order(raw)
        return row.order_id, context.erasure_filter.order(row)

    def prepare(rows: list[RawRow]) -> PreparedRows:
        prepared = parse_rows(rows, "order_id", read)
        wanted = _wanted(context, prepared.rows, window)
        prepared.rows = []
        for row, outcome in zip(wanted, _each(context, wanted), strict=True):
            if isinstance(outcome, tuple):
                full = outcome[0]
                if context.limit.why_outside(full.company_id, full.storefront_id):
                    prepared.ids.remove(row.order_id)
                    outside.add(row.order_id)
                else:
                    prepared.rows.append(loadable(*outcome))
            elif outcome is None:  # deleted since its list row was read
                prepared.ids.remove(row.order_id)
            else:
                prepared.rejects.append((str(row.order_id), outcome))
                prepared.rows.append(loadable(row._replace(has_details=False), []))
        return prepared

    return RowHandler(prepare, _loading(context), compares=True)


def _noting(handler: RowHandler, seen: set[int]) -> RowHandler:
    def prepare(rows: list[RawRow]) -> PreparedRows:
        prepared = handler.prepare(rows)
        seen.update(prepared.ids)
        return prepared

    return replace(handler, prepare=prepare)


def _loading(context: SyncContext) -> Callable[[list[Loadable]], Changes]:
    detailed = OrderRow._fields.index("has_details")

    def load(orders: list[Loadable]) -> Changes:
        complete = [str(row[0]) for row, _ in orders if row[detailed]]
        context.rejects.resolve(ENTITY, complete)
        return context.loader.merge_orders(orders)

    return load


def loadable(row: OrderRow, lines: list[OrderLineRow]) -> Loadable:
    """Returns an order as `Loader.merge_orders` takes it: with the hash of row and lines."""
    return (*row, content_hash(row, lines)), lines


# --- one by one ----------------------------------------------------------------------------------


def _each(context: SyncContext, wanted: list[OrderRow]) -> Iterable[Parsed | str | None]:
    """Returns the orders in full; a reason for one that is unreadable, None for a deleted one."""

    def read(row: OrderRow) -> Parsed | str | None:
        try:
            full, lines = parse_order(context.get(ENTITY, id=row.order_id, heavy_retries=1).body)
            return context.erasure_filter.order(full), lines
        except NotFoundError:
            return None
        except UnreadableRowError as error:
            return str(error)
        except TransientShopError as error:
            if not error.lighter_may_help:
                raise
            return error.message

    if not wanted:
        return []
    with ThreadPoolExecutor(context.client.max_parallel, "orders") as threads:
        return list(threads.map(read, wanted))


def _wanted(context: SyncContext, listed: list[OrderRow], window: Window) -> list[OrderRow]:
    """Returns list rows that the warehouse lacks or has otherwise, or that are read afresh."""
    query = (
        "SELECT order_id, storefront_id, status, total, email, user_id, issuer_id, firstname,"
        " lastname, phone, ordered_at, company_id, parent_order_id"
        " FROM cscart.orders WHERE integration = %s AND order_id = ANY(%s)"
        " AND deleted_at IS NULL AND has_details"
    )
    ids = [row.order_id for row in listed]
    found = context.connection.execute(query, [context.integration, ids])
    known: dict[int, tuple[Any, ...]] = {row[0]: row[1:] for row in found}
    afresh = window.afresh_since

    def differs(row: OrderRow) -> bool:
        storefront, *ours = known.get(row.order_id, (None,))
        if row.storefront_id not in (None, storefront):  # not every version has it in a list row
            return True
        theirs = [
            row.status, row.total, row.email, row.user_id, row.issuer_id, row.firstname,
            row.lastname, row.phone, row.ordered_at, row.company_id, row.parent_order_id,
        ]  # fmt: skip
        return theirs != ours

    return [
        row for row in listed if (afresh is not None and row.ordered_at >= afresh) or differs(row)
    ]

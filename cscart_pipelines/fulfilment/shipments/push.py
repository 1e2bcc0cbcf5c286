"""Push of shipments to one shop: which orders, in which sequence, what to do about errors.

A push takes the orders with waiting rows and those with open journal entries, a few at a time. What
is unconfirmed at the end is read once more when the settling time is over, so that a push usually
ends with everything decided. Not here: the work on one order (`order`).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

import psycopg

from cscart_pipelines.cscart.coerce import UnreadableRowError
from cscart_pipelines.cscart.errors import ShopError, TransientShopError
from cscart_pipelines.fulfilment.journal import Entry, Kind
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.push_session import (
    SHOP_WIDE_ERRORS,
    PushContext,
    finish,
    record_cost,
)
from cscart_pipelines.fulfilment.report import PushReport, WrittenChange
from cscart_pipelines.fulfilment.shipments import inbox as shipments_inbox
from cscart_pipelines.fulfilment.shipments.deferred_orders import (
    add_order_numbers,
    clear,
    defer,
    read_deferred,
)
from cscart_pipelines.fulfilment.shipments.dry_run import preview, refusal
from cscart_pipelines.fulfilment.shipments.order import OrderPush
from cscart_pipelines.fulfilment.shipments.order_lookup import match_orders
from cscart_pipelines.fulfilment.shipments.reference_data import read_reference_data
from cscart_pipelines.fulfilment.shipments.status_update import MAX_ATTEMPTS, UnconfirmedWriteError

MAX_FAILED_IN_A_ROW = 5
"""Failed orders in a row after which a push checks that the shop works, and ends."""


def push_shipments(context: PushContext, rows: list[ShipmentRow] | None = None) -> PushReport:
    """Pushes the inbox of shipment requests to the shop.

    Args:
        context: of the push session.
        rows: instead of the inbox; in a dry run only.

    Raises:
        ShopError: the shop as a whole does not work. The rest waits; the report so far is in
            `context.reports`.
        PushFailedError: with the report, when something failed or is still unconfirmed at the end.
    """
    started = time.monotonic()
    push = _TrackingPush(context)
    context.reports.append(push.report)
    try:
        if context.dry_run:
            preview(context, push.report, rows)
        else:
            push.run()
    except ShopError:
        push.report_remaining()
        record_cost(push.report, context.client, started)
        raise
    return finish(push.report, context.client, started)


class _TrackingPush:
    def __init__(self, context: PushContext) -> None:
        self._context = context
        self._connection: psycopg.Connection[Any] = context.journal.connection
        self._key = context.integration.key
        self._reference_data = read_reference_data(self._connection, self._key)
        self._deferred: set[int] = set()
        """Deferred orders that are not due."""
        self.report = PushReport(self._key, "shipments", dry_run=context.dry_run)

    # --- for real --------------------------------------------------------------------------------

    def run(self) -> None:
        work = self._work_list()
        for _ in range(MAX_ATTEMPTS + 1):
            unconfirmed, wait = self._push_orders(work)
            if not unconfirmed:
                break
            work = unconfirmed
            if self._context.client.pause(wait):
                break  # the run is cancelled; the next one goes on
        self.report_remaining()

    def report_remaining(self) -> None:
        """Adds what is unconfirmed and what waits at the end to the report."""
        if self._context.dry_run:
            return
        for entry in self._context.journal.open_entries(Kind.SHIPMENT, Kind.ORDER_STATUS):
            if entry.unconfirmed and entry.order_id not in self._deferred:
                self.report.changes.append(_change(entry))
        self.report.waiting = shipments_inbox.waiting_count(self._connection, self._key)

    def _work_list(self) -> dict[int, list[str]]:
        """Order ids with their numbers as the inbox spells them.

        Open journal entries come first, orders that failed the last time last, where they delay no
        other.
        """
        entries = self._context.journal.open_entries(Kind.SHIPMENT, Kind.ORDER_STATUS)
        unfinished = [entry.order_id for entry in entries if entry.order_id is not None]
        work: dict[int, list[str]] = {order_id: [] for order_id in unfinished}
        waiting = shipments_inbox.waiting_numbers(self._connection, self._key)
        prefix = self._context.settings.order_prefix
        matched = match_orders(self._connection, self._key, prefix, waiting)
        for number, order_id in matched.orders.items():
            work.setdefault(order_id, []).append(number)
        self._refuse_foreign(matched.foreign)
        return self._select(work, unfinished)

    def _select(
        self, work: Mapping[int, list[str]], unfinished: Collection[int]
    ) -> dict[int, list[str]]:
        """Open entries are finished whatever the limit; deferred orders when due, or by name."""
        failed = read_deferred(self._connection, self._key)
        if self._context.automatic:
            self._deferred = {order_id for order_id, due in failed.items() if not due}
        chosen: dict[int, list[str]] = {}
        # Tried last comes last, or the first few would keep the others from ever being tried.
        order_of_work = [
            *(one for one in work if one not in failed),
            *(f for f in failed if f in work),
        ]
        for order_id in order_of_work:
            if order_id in self._deferred:
                add_order_numbers(self._connection, self._key, order_id, work[order_id])
            elif order_id in unfinished or not self._context.limit_reached(len(chosen)):
                chosen[order_id] = work[order_id]
        return chosen

    def _refuse_foreign(self, foreign: Mapping[str, str]) -> None:
        if not foreign:
            return
        with self._context.journal.transaction() as connection:
            for number, reason in foreign.items():
                rows = shipments_inbox.waiting_rows(connection, self._key, [number], lock=True)
                shipments_inbox.update_state(connection, self._key, rows, "refused", reason)
                self.report.refusals += [refusal(row, reason) for row in rows]

    def _push_orders(self, work: dict[int, list[str]]) -> tuple[dict[int, list[str]], float]:
        """Pushes a few orders at a time.

        Returns:
            The unconfirmed orders, and the seconds until all of them are settled.
        """
        unconfirmed: dict[int, list[str]] = {}
        failed: dict[int, Exception] = {}
        wait, failed_in_a_row, worked, stopping = 0.0, 0, False, False
        shop_error: ShopError | None = None
        todo = iter(work.items())
        client = self._context.client
        with ThreadPoolExecutor(client.max_parallel, "order") as threads:
            running: dict[Future[OrderPush], int] = {}
            while True:
                while not stopping and len(running) < client.max_parallel:
                    if client.closed:
                        break  # the run is cancelled: no other order is started
                    order_id, numbers = next(todo, (None, []))
                    if order_id is None:
                        break
                    running[threads.submit(self._one, order_id, numbers)] = order_id
                if not running:
                    break
                future = next(as_completed(running))
                order_id = running.pop(future)
                try:
                    future.result()
                    worked, failed_in_a_row = True, 0
                except UnconfirmedWriteError as error:
                    worked = True
                    unconfirmed[order_id] = work[order_id]
                    wait = max(wait, error.seconds)
                except SHOP_WIDE_ERRORS as error:
                    shop_error, stopping = shop_error or error, True
                except (ShopError, UnreadableRowError) as error:
                    failed[order_id] = error
                    failed_in_a_row += 1
                    stopping = stopping or failed_in_a_row >= MAX_FAILED_IN_A_ROW
        if failed and shop_error is None and (stopping or not worked):
            shop_error = self._shop_error(several=stopping)
        self._defer_failed(failed, work, shop_error)
        if shop_error is not None:
            raise shop_error
        return unconfirmed, wait

    def _defer_failed(
        self,
        failed: Mapping[int, Exception],
        work: Mapping[int, list[str]],
        shop_error: ShopError | None,
    ) -> None:
        """Defers the failed orders.

        When the shop as a whole does not work, or the push is ended, nothing is known of the
        orders.
        """
        for order_id, error in failed.items():
            words = f"order {order_id} waits"
            if shop_error is None and not self._context.client.closed:
                numbers = [*work[order_id], f"{self._context.settings.order_prefix}{order_id}"]
                with self._context.journal.transaction() as connection:
                    seconds = defer(connection, self._key, order_id, numbers, str(error))
                words += f" {max(1, round(seconds / 60))} min"
            self.report.postponed.append(f"{words}: {error}")

    def _shop_error(self, *, several: bool) -> ShopError | None:
        """None if the shop works, and only the orders do not.

        Asks for a page past the end of the list, which holds no order that could break it.
        """
        if self._context.client.closed:
            return None
        try:
            past_the_end = {"page": 1_000_000, "items_per_page": 1}
            self._context.client.get("orders", params=past_the_end, retries=0)
        except (TransientShopError, *SHOP_WIDE_ERRORS) as error:
            return error
        except ShopError:
            pass  # it has answered
        if several:
            self.report.notes.append(
                f"{MAX_FAILED_IN_A_ROW} orders in a row could not be worked on, though the shop"
                " answers; the others wait for the next push"
            )
        return None

    def _one(self, order_id: int, numbers: list[str]) -> OrderPush:
        push = OrderPush(self._context, self._reference_data, order_id, numbers)
        try:
            push.run()
        except UnconfirmedWriteError:  # the order could be worked on
            self._clear_deferral(order_id)
            raise
        finally:
            self._add_to_report(push)
        self._clear_deferral(order_id)
        return push

    def _clear_deferral(self, order_id: int) -> None:
        with self._context.journal.transaction() as connection:
            clear(connection, self._key, order_id)

    def _add_to_report(self, push: OrderPush) -> None:
        with self._context.journal.transaction():  # one thread at a time
            self.report.changes += [_change(entry) for entry in push.finished]
            self.report.refusals += [refusal(row, reason) for row, reason in push.refused]
            self.report.notes += [n for n in push.notes if n not in self.report.notes]


def _change(entry: Entry) -> WrittenChange:
    return WrittenChange(
        str(entry.kind), entry.target, str(entry.state), entry.before, entry.after, entry.reason
    )

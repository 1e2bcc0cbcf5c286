"""Tracking numbers into the shop: which orders, in which order, what to do about trouble.

One push takes the orders whose rows wait and those with something unfinished in the journal, a few
at a time. What is in doubt at the end is looked at once more when the settling time is over, so
that a push usually ends with everything decided. Not here: the work on one order (`order_push`).
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
from cscart_pipelines.fulfilment.push_session import SHOP_TROUBLE, PushContext, count, finish
from cscart_pipelines.fulfilment.report import PushReport, WrittenChange
from cscart_pipelines.fulfilment.shipments import inbox as shipments_inbox
from cscart_pipelines.fulfilment.shipments.deferred_orders import (
    clear,
    defer,
    note_numbers,
    read_deferred,
)
from cscart_pipelines.fulfilment.shipments.dry_run import preview, refusal
from cscart_pipelines.fulfilment.shipments.order import OrderPush
from cscart_pipelines.fulfilment.shipments.order_lookup import match_orders
from cscart_pipelines.fulfilment.shipments.reference_data import read_reference_data
from cscart_pipelines.fulfilment.shipments.status_update import MOST_ATTEMPTS, InDoubtError

MOST_FAILED_ORDERS = 5
"""Orders in a row that cannot be worked on: then a push asks whether the shop works at all, and
leaves the rest to the next."""


def push_shipments(context: PushContext, rows: list[ShipmentRow] | None = None) -> PushReport:
    """Brings the inbox of shipments into the shop. `rows`: instead of the inbox, in a dry run only.

    Raises ShopError when the shop as a whole is in trouble (the rest waits; the report so far is in
    `context.begun`), and PushFailedError with the report when something failed or is still in doubt
    at the end.
    """
    started = time.monotonic()
    push = _TrackingPush(context)
    context.begun.append(push.report)
    try:
        if context.dry_run:
            preview(context, push.report, rows)
        else:
            push.run()
    except ShopError:
        push.tell_left()
        count(push.report, context.client, started)
        raise
    return finish(push.report, context.client, started)


class _TrackingPush:
    def __init__(self, context: PushContext) -> None:
        self._context = context
        self._connection: psycopg.Connection[Any] = context.journal.connection
        self._key = context.integration.key
        self._maps = read_reference_data(self._connection, self._key)
        self._left_alone: set[int] = set()
        """Orders that are put off, and whose time has not come."""
        self.report = PushReport(self._key, "shipments", dry_run=context.dry_run)

    # --- for real --------------------------------------------------------------------------------

    def run(self) -> None:
        work = self._work_list()
        for _ in range(MOST_ATTEMPTS + 1):
            doubtful, wait = self._work_on(work)
            if not doubtful:
                break
            work = doubtful
            if self._context.client.pause(wait):
                break  # the run is cancelled; the next one goes on
        self.tell_left()

    def tell_left(self) -> None:
        """What is in doubt and what waits, at the end."""
        if self._context.dry_run:
            return
        for entry in self._context.journal.open_entries(Kind.SHIPMENT, Kind.ORDER_STATUS):
            if entry.in_doubt and entry.order_id not in self._left_alone:
                self.report.changes.append(_change(entry))
        self.report.waiting = shipments_inbox.waiting_count(self._connection, self._key)

    def _work_list(self) -> dict[int, list[str]]:
        """Order ids with their numbers as the inbox spells them: unfinished ones first, and those
        that failed the last time at the end, where they keep nobody waiting."""
        entries = self._context.journal.open_entries(Kind.SHIPMENT, Kind.ORDER_STATUS)
        unfinished = [entry.order_id for entry in entries if entry.order_id is not None]
        work: dict[int, list[str]] = {order_id: [] for order_id in unfinished}
        waiting = shipments_inbox.waiting_numbers(self._connection, self._key)
        prefix = self._context.settings.order_prefix
        meant = match_orders(self._connection, self._key, prefix, waiting)
        for number, order_id in meant.orders.items():
            work.setdefault(order_id, []).append(number)
        self._refuse_foreign(meant.foreign)
        return self._chosen(work, unfinished)

    def _chosen(
        self, work: Mapping[int, list[str]], unfinished: Collection[int]
    ) -> dict[int, list[str]]:
        """What is in the journal is brought to an end whatever the limit; who failed the last time
        is tried when its time has come, or by name."""
        failed = read_deferred(self._connection, self._key)
        if self._context.by_itself:
            self._left_alone = {order_id for order_id, due in failed.items() if not due}
        chosen: dict[int, list[str]] = {}
        # Whoever was tried last comes last, or the first few would keep the others from ever being
        # tried again.
        order_of_work = [
            *(one for one in work if one not in failed),
            *(f for f in failed if f in work),
        ]
        for order_id in order_of_work:
            if order_id in self._left_alone:
                note_numbers(self._connection, self._key, order_id, work[order_id])
            elif order_id in unfinished or not self._context.full(len(chosen)):
                chosen[order_id] = work[order_id]
        return chosen

    def _refuse_foreign(self, foreign: Mapping[str, str]) -> None:
        if not foreign:
            return
        with self._context.journal.transaction() as connection:
            for number, reason in foreign.items():
                rows = shipments_inbox.waiting_rows(connection, self._key, [number], lock=True)
                shipments_inbox.settle(connection, self._key, rows, "refused", reason)
                self.report.refusals += [refusal(row, reason) for row in rows]

    def _work_on(self, work: dict[int, list[str]]) -> tuple[dict[int, list[str]], float]:
        """A few orders at a time. Returns those in doubt, and the seconds until all are settled."""
        doubtful: dict[int, list[str]] = {}
        failed: dict[int, Exception] = {}
        wait, failed_in_a_row, worked, enough = 0.0, 0, False, False
        trouble: ShopError | None = None
        todo = iter(work.items())
        client = self._context.client
        with ThreadPoolExecutor(client.max_parallel, "order") as threads:
            running: dict[Future[OrderPush], int] = {}
            while True:
                while not enough and len(running) < client.max_parallel:
                    if client.closed:
                        break  # the run is cancelled: no other order is begun
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
                except InDoubtError as doubt:
                    worked = True
                    doubtful[order_id] = work[order_id]
                    wait = max(wait, doubt.seconds)
                except SHOP_TROUBLE as error:
                    trouble, enough = trouble or error, True
                except (ShopError, UnreadableRowError) as error:
                    failed[order_id] = error
                    failed_in_a_row += 1
                    enough = enough or failed_in_a_row >= MOST_FAILED_ORDERS
        if failed and trouble is None and (enough or not worked):
            trouble = self._trouble_of_the_shop(several=enough)
        self._put_off(failed, work, trouble)
        if trouble is not None:
            raise trouble
        return doubtful, wait

    def _put_off(
        self,
        failed: Mapping[int, Exception],
        work: Mapping[int, list[str]],
        trouble: ShopError | None,
    ) -> None:
        """These orders wait; the others do not. When the shop is in trouble or the push is ended,
        nothing is known of the orders."""
        for order_id, error in failed.items():
            words = f"order {order_id} waits"
            if trouble is None and not self._context.client.closed:
                numbers = [*work[order_id], f"{self._context.settings.order_prefix}{order_id}"]
                with self._context.journal.transaction() as connection:
                    seconds = defer(connection, self._key, order_id, numbers, str(error))
                words += f" {max(1, round(seconds / 60))} min"
            self.report.postponed.append(f"{words}: {error}")

    def _trouble_of_the_shop(self, *, several: bool) -> ShopError | None:
        """None if it works, and only the orders do not. Asked for a page past the end of the list,
        which holds no order that could break it."""
        if self._context.client.closed:
            return None
        try:
            past_the_end = {"page": 1_000_000, "items_per_page": 1}
            self._context.client.get("orders", params=past_the_end, retries=0)
        except (TransientShopError, *SHOP_TROUBLE) as error:
            return error
        except ShopError:
            pass  # it has answered
        if several:
            self.report.notes.append(
                f"{MOST_FAILED_ORDERS} orders in a row could not be worked on, though the shop"
                " answers; the others wait for the next push"
            )
        return None

    def _one(self, order_id: int, numbers: list[str]) -> OrderPush:
        push = OrderPush(self._context, self._maps, order_id, numbers)
        try:
            push.run()
        except InDoubtError:  # the order could be worked on
            self._take_up(order_id)
            raise
        finally:
            self._note(push)
        self._take_up(order_id)
        return push

    def _take_up(self, order_id: int) -> None:
        with self._context.journal.transaction() as connection:
            clear(connection, self._key, order_id)

    def _note(self, push: OrderPush) -> None:
        with self._context.journal.transaction():  # one thread at a time
            self.report.changes += [_change(entry) for entry in push.finished]
            self.report.refusals += [refusal(row, reason) for row, reason in push.refused]
            self.report.notes += [n for n in push.notes if n not in self.report.notes]


def _change(entry: Entry) -> WrittenChange:
    return WrittenChange(
        str(entry.kind), entry.target, str(entry.state), entry.before, entry.after, entry.reason
    )

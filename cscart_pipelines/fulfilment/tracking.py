"""Tracking numbers into the shop: which orders, in which order, what to do about trouble.

One push takes the orders whose rows wait and those with something unfinished in the journal, a few
at a time. What is in doubt at the end is looked at once more when the settling time is over, so
that a push usually ends with everything decided. Not here: the work on one order (`order_push`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

import psycopg

from cscart_pipelines.cscart.errors import (
    AccessDenied,
    ApiNotFound,
    CredentialsRefused,
    NotFound,
    RedirectRefused,
    ShopError,
    TlsTrouble,
    Unreachable,
)
from cscart_pipelines.cscart.loose import UnreadableRow
from cscart_pipelines.fulfilment import shipment_inbox
from cscart_pipelines.fulfilment.carriers import read_carriers
from cscart_pipelines.fulfilment.journal import Entry, Kind, State
from cscart_pipelines.fulfilment.order_push import Maps, OrderPush
from cscart_pipelines.fulfilment.report import Change, PushReport, Refusal
from cscart_pipelines.fulfilment.rounds import PushContext, count, finish
from cscart_pipelines.fulfilment.rows import ShipmentRow
from cscart_pipelines.fulfilment.status_push import MOST_ATTEMPTS, InDoubtError
from cscart_pipelines.integrations.order_numbers import strip

SHOP_TROUBLE = (
    Unreachable,
    CredentialsRefused,
    AccessDenied,
    ApiNotFound,
    TlsTrouble,
    RedirectRefused,
)
"""With these, the next order would fare no better: the push ends, the rows wait."""
MOST_FAILED_ORDERS = 5
"""Orders in a row that cannot be worked on: then the shop itself is taken to be in trouble."""


def push_shipments(context: PushContext, rows: list[ShipmentRow] | None = None) -> PushReport:
    """Brings the inbox of shipments into the shop. `rows`: instead of the inbox, in a dry run only.

    Raises ShopError when the shop as a whole is in trouble (the rest waits; the report so far is in
    `context.begun`), and PushFailedError with the report when something failed or is still in doubt
    at the end.
    """
    started = time.monotonic()
    push = _Push(context)
    context.begun.append(push.report)
    try:
        if context.dry_run:
            push.preview(rows)
        else:
            push.run()
    except ShopError:
        push.tell_left()
        count(push.report, context.client, started)
        raise
    return finish(push.report, context.client, started)


class _Push:
    def __init__(self, context: PushContext) -> None:
        self._context = context
        self._connection: psycopg.Connection[Any] = context.journal.connection
        self._key = context.integration.key
        self._maps = Maps(
            read_carriers(self._connection, self._key),
            _sku_map(self._connection, self._key),
            _statuses(self._connection, self._key),
        )
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
            if entry.in_doubt:
                self.report.changes.append(_change(entry))
        self.report.waiting = shipment_inbox.waiting_count(self._connection, self._key)

    def _work_list(self) -> dict[int, list[str]]:
        """Order ids with their numbers as the inbox spells them; unfinished ones first."""
        work: dict[int, list[str]] = {}
        for entry in self._context.journal.open_entries(Kind.SHIPMENT, Kind.ORDER_STATUS):
            if entry.order_id is not None:
                work.setdefault(entry.order_id, [])
        foreign: list[str] = []
        waiting = shipment_inbox.waiting_numbers(self._connection, self._key)
        known = _pulled(self._connection, self._key, waiting)
        for number in waiting:
            order_id = known.get(number) or strip(self._context.settings.order_prefix, number)
            if order_id is None:
                foreign.append(number)
            elif order_id in work or not self._full(len(work)):
                work.setdefault(order_id, []).append(number)
        self._refuse_foreign(foreign)
        return work

    def _full(self, orders: int) -> bool:
        return self._context.limit is not None and orders >= self._context.limit

    def _refuse_foreign(self, numbers: Sequence[str]) -> None:
        if not numbers:
            return
        journal = self._context.journal
        with journal.transaction() as connection:
            owners = _owners(connection, self._key)
            for number in numbers:
                reason = _foreign(number, self._context.settings.order_prefix, owners)
                rows = shipment_inbox.waiting_rows(connection, self._key, [number], lock=True)
                shipment_inbox.settle(connection, self._key, rows, "refused", reason)
                self.report.refusals += [_refusal(row, reason) for row in rows]

    def _work_on(self, work: dict[int, list[str]]) -> tuple[dict[int, list[str]], float]:
        """A few orders at a time. Returns those in doubt, and the seconds until all are settled."""
        doubtful: dict[int, list[str]] = {}
        wait, failed_in_a_row = 0.0, 0
        trouble: ShopError | None = None
        todo = iter(work.items())
        client = self._context.client
        with ThreadPoolExecutor(client.max_parallel, "order") as threads:
            running: dict[Future[OrderPush], int] = {}
            while True:
                while trouble is None and len(running) < client.max_parallel:
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
                    failed_in_a_row = 0
                except InDoubtError as doubt:
                    doubtful[order_id] = work[order_id]
                    wait = max(wait, doubt.seconds)
                except SHOP_TROUBLE as error:
                    trouble = trouble or error
                except (ShopError, UnreadableRow) as error:
                    failed_in_a_row += 1
                    self.report.postponed.append(f"order {order_id} waits: {error}")
                    if failed_in_a_row >= MOST_FAILED_ORDERS and isinstance(error, ShopError):
                        trouble = trouble or error
        if trouble is not None:
            raise trouble
        return doubtful, wait

    def _one(self, order_id: int, numbers: list[str]) -> OrderPush:
        push = OrderPush(self._context, self._maps, order_id, numbers)
        try:
            push.run()
        finally:
            self._note(push)
        return push

    def _note(self, push: OrderPush) -> None:
        with self._context.journal.transaction():  # one thread at a time
            self.report.changes += [_change(entry) for entry in push.finished]
            self.report.refusals += [_refusal(row, reason) for row, reason in push.refused]
            self.report.notes += [n for n in push.notes if n not in self.report.notes]

    # --- only to look ----------------------------------------------------------------------------

    def preview(self, rows: list[ShipmentRow] | None) -> None:
        if rows is None:
            numbers = shipment_inbox.waiting_numbers(self._connection, self._key)
            rows = shipment_inbox.waiting_rows(self._connection, self._key, numbers)
        orders: dict[int, list[ShipmentRow]] = {}
        owners = _owners(self._connection, self._key)
        known = _pulled(self._connection, self._key, [row.order_number for row in rows])
        for row in rows:
            prefix = self._context.settings.order_prefix
            order_id = known.get(row.order_number) or strip(prefix, row.order_number)
            if order_id is None:
                reason = _foreign(row.order_number, prefix, owners)
                self.report.refusals.append(_refusal(row, reason))
            elif order_id in orders or not self._full(len(orders)):
                orders.setdefault(order_id, []).append(row)
            else:
                self.report.waiting += 1
        for order_id, its_rows in orders.items():
            self._preview_one(order_id, its_rows)

    def _preview_one(self, order_id: int, rows: list[ShipmentRow]) -> None:
        push = OrderPush(self._context, self._maps, order_id, [])
        try:
            made, wish, looked = push.preview(rows)
        except SHOP_TROUBLE:
            raise
        except NotFound:
            reason = f"the shop has no order {order_id}"
            self.report.refusals += [_refusal(row, reason) for row in rows]
            return
        except (ShopError, UnreadableRow) as error:
            self.report.refusals += [_refusal(row, str(error)) for row in rows]
            return
        number = f"{self._context.settings.order_prefix}{order_id}"
        planned = str(State.PLANNED)
        for parcel in made.parcels:
            self.report.changes.append(
                Change(
                    "shipment",
                    f"{number} {parcel.tracking}",
                    planned,
                    {"left": {line.item_id: line.left for line in looked.order.lines}},
                    {
                        "tracking_number": parcel.tracking_number,
                        "carrier": parcel.carrier,
                        "quantities": dict(parcel.quantities),
                    },
                )
            )
        if wish.letter is not None and (made.parcels or made.adopted):
            before, after = {"status": looked.order.status}, {"status": wish.letter}
            self.report.changes.append(Change("order_status", number, planned, before, after))
        self.report.unchanged += len(made.adopted)
        self.report.refusals += [_refusal(row, reason) for row, reason in made.refusals]
        self.report.notes += [n for n in made.notes if n not in self.report.notes]


def _change(entry: Entry) -> Change:
    return Change(
        str(entry.kind), entry.target, str(entry.state), entry.before, entry.after, entry.reason
    )


def _refusal(row: ShipmentRow, reason: str) -> Refusal:
    return Refusal(f"{row.order_number} {row.tracking_number}".strip(), reason, row.source)


def _pulled(
    connection: psycopg.Connection[Any], key: str, numbers: Sequence[str]
) -> dict[str, int]:
    """Order ids of numbers that were handed out: they stay good when the prefix is changed."""
    rows = connection.execute(
        "SELECT given.number, pulled.order_id FROM unnest(%s::text[]) AS given (number)"
        " JOIN fulfilment.orders AS pulled ON pulled.integration = %s"
        " AND upper(pulled.order_number) = upper(trim(given.number))",
        [list(set(numbers)), key],
    )
    return dict(rows.fetchall())


def _sku_map(connection: psycopg.Connection[Any], key: str) -> dict[str, str]:
    rows = connection.execute(
        "SELECT sku, product_code FROM fulfilment.sku_map WHERE integration = %s", [key]
    )
    return dict(rows.fetchall())


def _statuses(
    connection: psycopg.Connection[Any], key: str
) -> dict[str, tuple[str | None, str | None]]:
    rows = connection.execute(
        "SELECT status, description, inventory FROM cscart.statuses WHERE integration = %s"
        " AND type = 'O' AND deleted_at IS NULL",
        [key],
    )
    return {row[0]: (row[1], row[2]) for row in rows.fetchall()}


def _owners(connection: psycopg.Connection[Any], key: str) -> list[tuple[str, str]]:
    """The other integrations with their prefixes, longest prefix first."""
    rows = connection.execute(
        "SELECT integration, order_prefix FROM registry.integrations WHERE integration <> %s"
        " AND order_prefix <> '' ORDER BY length(order_prefix) DESC, integration",
        [key],
    )
    return [(row[0], row[1]) for row in rows.fetchall()]


def _foreign(number: str, prefix: str, owners: Iterable[tuple[str, str]]) -> str:
    """Why a number is none of this integration's, and whose it seems to be."""
    expected = f"{prefix} and the order's id" if prefix else "the order's id alone"
    likely = [key for key, other in owners if strip(other, number) is not None]
    hint = f"; it looks like an order of {' or '.join(likely)}" if likely else ""
    return f"{number!r} is no order number of this integration: expected {expected}{hint}"

"""Shipments of the store: what was sent, what is left to ship, and mails.

Split from store.py by subject; `Store` inherits it. The rules are those of reference 9.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from cscart_pipelines.sandbox.shop.model import Amount, Mail, Order, Shipment, ShopStatus
from cscart_pipelines.sandbox.shop.profiles import Profile

NOTHING_LEFT = "nothing left to ship"
NOTHING_CHOSEN = "Products for shipment were not selected"


class ShipmentRefusedError(Exception):
    """The shop makes no shipment; the text says why (the API does not always pass it on)."""


class ShipmentOperations:
    """Shipments and mails of a shop; base of `Store`."""

    lock: threading.RLock
    clock: Callable[[], float]
    profile: Profile
    orders: dict[int, Order]
    statuses: list[ShopStatus]
    orders_revision: int

    def _init_dispatch(self) -> None:
        self.shipments: dict[int, Shipment] = {}
        self.weighed: set[str] = set()
        """`stock`, `shipments`: columns in which an add-on that sells by weight keeps fractions."""
        self.shippings: dict[int, str] = {1: "Standard", 2: "Express courier"}
        self._of_order: dict[int, list[Shipment]] = {}
        self.mails: list[Mail] = []
        self._last_shipment = 300

    def now(self) -> int:
        """Unix time by the shop's clock."""
        return int(self.clock())

    def status_of(self, letter: str, kind: str = "O") -> ShopStatus | None:
        """The status with this letter."""
        return next((s for s in self.statuses if s.type == kind and s.status == letter), None)

    def takes_stock(self, letter: str) -> bool:
        """Whether orders of this status hold stock."""
        status = self.status_of(letter)
        return status is not None and status.inventory == "D"

    def touch_answers(self, order: Order) -> None:
        """Makes cached answers of this order stale."""
        order.revision += 1
        self.orders_revision += 1

    def record_mail(self, kind: str, to: str, **about: Any) -> None:
        """Notes an e-mail that the shop would send."""
        self.mails.append(Mail(kind, to, self.clock(), **about))

    def next_shipment_id(self) -> int:
        """The id of the next shipment."""
        self._last_shipment += 1
        return self._last_shipment

    def add_shipment(self, shipment: Shipment) -> Shipment:
        """Puts a finished shipment in as it is: no clamping, no mail. For seeding."""
        with self.lock:
            self.shipments[shipment.shipment_id] = shipment
            self._of_order.setdefault(shipment.order_id, []).append(shipment)
            if shipment.order_id in self.orders:
                self.touch_answers(self.orders[shipment.order_id])
            return shipment

    def shipments_of(self, order_id: int) -> list[Shipment]:
        """The shipments of an order."""
        return list(self._of_order.get(order_id, ()))

    def shipped(self, order_id: int) -> dict[str, Amount]:
        """Quantity already shipped per item id."""
        done: dict[str, Amount] = {}
        for shipment in self.shipments_of(order_id):
            for item, amount in shipment.products.items():
                done[item] = done.get(item, 0) + amount
        return done

    def create_shipment(
        self,
        order_id: int,
        *,
        products: Mapping[str, Amount] | None = None,
        notify_user: bool | None = None,
        **fields: Any,
    ) -> Shipment:
        """Ships `products` (item id to quantity), clamped to what is left; None ships the rest.

        `notify_user=None` leaves the mail to the version's habit (reference 9.2). The order's own
        status and `updated_at` stay. Raises ShipmentRefusedError when nothing would be shipped.
        """
        with self.lock:
            order = self.orders.get(order_id)
            done = self.shipped(order_id)
            left = {
                line.item_id: line.amount - done.get(line.item_id, 0)
                for line in (order.lines if order else [])
            }
            if order is not None and not any(amount > 0 for amount in left.values()):
                raise ShipmentRefusedError(NOTHING_LEFT)
            wanted = dict(products) if products else {k: v for k, v in left.items() if v > 0}
            if "shipments" not in self.weighed:  # a whole number, whatever is sent
                wanted = {item: int(amount) for item, amount in wanted.items()}
            if not any(amount > 0 for amount in wanted.values()):
                raise ShipmentRefusedError(NOTHING_CHOSEN)
            chosen = {
                item: min(amount, max(left.get(item, amount), 0)) for item, amount in wanted.items()
            }
            chosen = {item: amount for item, amount in chosen.items() if amount > 0}
            if not chosen:
                raise ShipmentRefusedError(NOTHING_LEFT)
            fields.setdefault("timestamp", self.now())
            fields.setdefault("shipping_id", order.shipping_id if order else 1)
            for name in ("carrier", "tracking_number"):
                fields[name] = str(fields.get(name) or "")[:255]
            made = Shipment(self.next_shipment_id(), order_id, products=chosen, **fields)
            self.add_shipment(made)
            if order is not None and self._mails_shipment(notify_user):
                self.record_mail(
                    "shipment", order.email, order_id=order_id, shipment_id=made.shipment_id
                )
            return made

    def edit_shipment(self, shipment_id: int, **changes: Any) -> Shipment:
        """Changes fields of a shipment."""
        with self.lock:
            shipment = self.shipments[shipment_id]
            for name, value in changes.items():
                setattr(shipment, name, value)
            if shipment.order_id in self.orders:
                self.touch_answers(self.orders[shipment.order_id])
            return shipment

    def delete_shipment(self, shipment_id: int) -> None:
        """Deletes a shipment."""
        with self.lock:
            gone = self.shipments.pop(shipment_id)
            self._of_order[gone.order_id].remove(gone)
            if gone.order_id in self.orders:
                self.touch_answers(self.orders[gone.order_id])

    def _mails_shipment(self, notify_user: bool | None) -> bool:
        habit = self.profile.shipment_mail
        return habit == "always" or (habit == "flag" and bool(notify_user))

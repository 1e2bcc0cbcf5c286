"""Orders of the store: placed, edited, moved from status to status, deleted (reference 8).

The part of the store that handles orders and the stock they take; `Store` inherits it. Every
method takes the lock. No HTTP and no JSON here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from cscart_pipelines.sandbox.shop.model import (
    ZERO,
    Amount,
    Customer,
    Line,
    Order,
    PostalAddress,
    Product,
)
from cscart_pipelines.sandbox.shop.shipments import ShipmentOperations

LineSpec = Line | Mapping[str, Any] | tuple[int, int]


def item_id(product_id: int, options: str = "") -> str:
    """The cart id of a product with its options: a 32-bit number as text (reference 8.3)."""
    return str(zlib.crc32(f"product {product_id} {options}".encode()))


class OrderOperations(ShipmentOperations):
    """Orders and the stock they move; base of `Store`."""

    multivendor: bool
    customers: dict[int, Customer]
    products: dict[int, Product]
    _last_order: int

    def add_order(self, order: Order) -> Order:
        """Puts a finished order in as it is: no stock, no mail, no split. For seeding."""
        with self.lock:
            self._last_order = max(self._last_order, order.order_id)
            self.orders[order.order_id] = order
            self.orders_revision += 1
            return order

    def place_order(
        self,
        *,
        user_id: int = 0,
        lines: Iterable[LineSpec] | None = None,
        country: str = "GR",
        total: Decimal | str | int | None = None,
        status: str = "O",
        **fields: Any,
    ) -> Order:
        """A customer (or a guest: `email=…`) buys. Takes stock if the status says so.

        `lines` are (product id, quantity) pairs, mappings with `product_id`, `amount` and perhaps
        `price`/`discount`, or `Line` records; without them one piece of the first product. Without
        `total` it is the lines plus shipping. On a Multi-Vendor shop a cart of several vendors
        becomes a parent and its children (reference 8.5); the parent is returned.
        """
        with self.lock:
            customer = self.customers.get(user_id)
            if customer is not None:
                for name in ("email", "firstname", "lastname", "phone", "company"):
                    fields.setdefault(name, getattr(customer, name))
            fields.setdefault("email", "guest@mail.internal")
            made = [self._line(spec) for spec in (lines or [(min(self.products), 1)])]
            first, last = fields.get("firstname", ""), fields.get("lastname", "")
            fields["firstname"], fields["lastname"] = first[:32], last[:32]
            where = PostalAddress(first, last, "1 Example Street", "", "Town", "", country, "10000")
            fields.setdefault("ship_to", where)
            fields.setdefault("bill_to", replace(fields["ship_to"]))
            fields.setdefault("timestamp", self.now())
            fields.setdefault("updated_at", fields["timestamp"] if self.profile.updated_at else 0)
            fields["order_id"] = int(fields.get("order_id") or self._last_order + 1)
            order = Order(user_id=user_id, status=status, lines=made, **fields)
            order.total = _total(order) if total is None else Decimal(str(total))
            vendors = sorted({line.company_id for line in made})
            if self.multivendor and len(vendors) > 1:
                return self._split(order, vendors)
            if self.multivendor and vendors:
                order.company_id = vendors[0]
            self.add_order(order)
            if self.takes_stock(status):
                self._move_stock(order, -1)
            return order

    def edit_order(self, order_id: int, *, touch: bool = True, **changes: Any) -> Order:
        """Changes fields as staff do; `touch=False` leaves `updated_at` as direct SQL would."""
        with self.lock:
            order = self.orders[order_id]
            if "lines" in changes:
                changes["lines"] = [self._line(spec) for spec in changes["lines"]]
            if "total" in changes:
                changes["total"] = Decimal(str(changes["total"]))
            self._change(order, changes, touch=touch)
            return order

    def delete_order(self, order_id: int) -> None:
        """Hard delete: stock given back, shipments and documents gone (reference 8.10)."""
        with self.lock:
            order = self.orders.pop(order_id)
            if self.takes_stock(order.status):
                self._move_stock(order, +1)
            for shipment in self.shipments_of(order_id):
                self.delete_shipment(shipment.shipment_id)
            self.orders_revision += 1

    def set_order_status(
        self,
        order_id: int,
        status: str,
        *,
        notify_user: bool = False,
        notify_department: bool = False,
        notify_vendor: bool = False,
    ) -> bool:
        """Changes the status the way the shop does (reference 8.8). False: nothing changed.

        The letter is not validated, over-long text is cut to its first character, a parent passes
        the change to its children, stock moves by the new status' inventory flag.
        """
        with self.lock:
            order = self.orders.get(order_id)
            status = status[:1]
            if order is None or not status:
                return False
            if order.is_parent_order == "Y":
                children = [
                    o.order_id for o in self.orders.values() if o.parent_order_id == order_id
                ]
                flags = (notify_user, notify_department, notify_vendor)
                done = [
                    self.set_order_status(
                        key,
                        status,
                        notify_user=flags[0],
                        notify_department=flags[1],
                        notify_vendor=flags[2],
                    )
                    for key in children
                ]
                return any(done)
            known = self.status_of(status)
            if known is not None and known.inventory == "D" and not self.takes_stock(order.status):
                if not self._in_stock(order):
                    status = "B"
                else:
                    self._move_stock(order, -1)
            elif known is not None and known.inventory == "I" and self.takes_stock(order.status):
                self._move_stock(order, +1)
            if order.status == status:
                return False
            self._change(order, {"status": status}, touch=True)
            if known is not None:
                audience = {
                    order.email: notify_user,
                    "department": notify_department,
                    "vendor": notify_vendor,
                }
                for to, wanted in audience.items():
                    if wanted:
                        self.record_mail("order_status", to, order_id=order_id, subject=status)
            return True

    # --- inside ----------------------------------------------------------------------------------

    def _change(self, order: Order, changes: Mapping[str, Any], *, touch: bool) -> None:
        for name, value in changes.items():
            setattr(order, name, value)
        if touch and self.profile.updated_at:
            order.updated_at = self.now()
        self.touch_answers(order)

    def _line(self, spec: LineSpec) -> Line:
        if isinstance(spec, Line):
            return spec
        given = {"product_id": spec[0], "amount": spec[1]} if isinstance(spec, tuple) else spec
        product = self.products[int(given["product_id"])]
        discount = Decimal(str(given.get("discount", ZERO)))
        price = Decimal(str(given["price"])) if "price" in given else product.price - discount
        return Line(
            item_id=str(given.get("item_id") or item_id(product.product_id)),
            product_id=product.product_id,
            product_code=product.product_code,
            product=product.product,
            price=price,
            amount=_amount(given.get("amount", 1)),
            discount=discount,
            company_id=product.company_id,
        )

    def _split(self, parent: Order, vendors: list[int]) -> Order:
        parent.is_parent_order, parent.status, parent.company_id = "Y", "T", 0
        status = "O"
        self.add_order(parent)
        for number, vendor in enumerate(vendors, 1):
            child = replace(
                parent,
                order_id=parent.order_id + number,
                parent_order_id=parent.order_id,
                is_parent_order="N",
                status=status,
                company_id=vendor,
                lines=[line for line in parent.lines if line.company_id == vendor],
                shipping_cost=parent.shipping_cost if number == 1 else ZERO,
            )
            child.total = _total(child)
            self.add_order(child)
            self._move_stock(child, -1)
        return parent

    def _in_stock(self, order: Order) -> bool:
        for line in order.lines:
            product = self.products.get(line.product_id)
            if product and product.tracking != "D" and product.amount < line.amount:
                return False
        return True

    def _move_stock(self, order: Order, sign: int) -> None:
        # Straight into the column: orders never touch updated_timestamp (reference 11.3).
        for line in order.lines:
            product = self.products.get(line.product_id)
            if product is not None and product.tracking != "D":
                product.amount += sign * line.amount
                if product.warehouses:
                    product.warehouses[min(product.warehouses)] += sign * int(line.amount)


def _amount(value: Any) -> Amount:
    return value if isinstance(value, Decimal) else int(value)


def _total(order: Order) -> Decimal:
    return order.subtotal + order.shipping_cost - order.subtotal_discount

"""The shop's memory and the rules by which it changes: orders, customers, products.

Every method takes the lock, so tests and the control API may edit while the server answers; hold
`store.lock` to make several edits at once. Edits go through methods, because answers are cached by
`Order.revision` and `catalogue_revision`. Shipments are in dispatch.py; no HTTP and no JSON here.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from cscart_pipelines.sandbox.dispatch import Dispatch
from cscart_pipelines.sandbox.model import (
    ZERO,
    Address,
    Category,
    Customer,
    Line,
    Order,
    Product,
)
from cscart_pipelines.sandbox.profiles import Profile, profile_named
from cscart_pipelines.sandbox.status import default_statuses

LineSpec = Line | Mapping[str, Any] | tuple[int, int]


def item_id(product_id: int, options: str = "") -> str:
    """The cart id of a product with its options: a 32-bit number as text (reference 8.3)."""
    return str(zlib.crc32(f"product {product_id} {options}".encode()))


class Store(Dispatch):
    """One shop's data. `clock` gives epoch seconds; `multivendor` splits carts by vendor."""

    def __init__(
        self,
        profile: str | Profile = "4.20",
        *,
        clock: Callable[[], float] = time.time,
        multivendor: bool = False,
    ) -> None:
        self.profile = profile_named(profile)
        self.clock = clock
        self.multivendor = multivendor
        self.lock = threading.RLock()
        self.orders: dict[int, Order] = {}
        self.customers: dict[int, Customer] = {}
        self.products: dict[int, Product] = {}
        self.categories: dict[int, Category] = {}
        self.statuses = default_statuses(self.profile)
        self.orders_revision = 0
        self.catalogue_revision = 0
        self._last_order = 1000
        self._last_user = 1
        self._last_product = 0
        self._last_invoice = 0
        self._init_dispatch()
        self.customers[1] = Customer(
            1, "admin@example.com", "Shop", "Owner", user_type="A", is_root="Y", company_id=0
        )

    def now(self) -> int:
        return int(self.clock())

    # --- catalogue -------------------------------------------------------------------------------

    def add_category(self, category: str, *, parent_id: int = 0, **fields: Any) -> Category:
        with self.lock:
            key = fields.pop("category_id", None) or max(self.categories, default=0) + 1
            self.categories[key] = Category(key, category, parent_id, **fields)
            return self.categories[key]

    def add_product(self, product: str, price: Decimal | str | int, **fields: Any) -> Product:
        """Adds a product; `product_code`, `amount`, `main_category`, … as in the model."""
        with self.lock:
            key = int(fields.pop("product_id", None) or self._last_product + 1)
            self._last_product = max(self._last_product, key)
            fields.setdefault("product_code", f"SKU-{key:04d}")
            fields.setdefault("timestamp", self.now())
            fields.setdefault("updated_timestamp", fields["timestamp"])
            made = Product(key, product, price=Decimal(str(price)), **fields)
            self.products[key] = made
            self.catalogue_revision += 1
            return made

    def edit_product(self, product_id: int, *, touch: bool = True, **changes: Any) -> Product:
        """Changes fields; `touch=False` leaves `updated_timestamp` as direct SQL would."""
        with self.lock:
            product = self.products[product_id]
            old_amount = product.amount
            for name, value in changes.items():
                setattr(product, name, value)
            if touch:
                product.updated_timestamp = self.now()
            if old_amount <= 0 < product.amount and product.status == "A" and touch:
                self.record_mail("back_in_stock", "subscribers", subject=product.product_code)
            self.catalogue_revision += 1
            return product

    def set_stock(self, product_id: int, amount: int, *, touch: bool = True) -> Product:
        """Sets the absolute amount, clipped to the column's range (reference 5)."""
        amount = max(-8_388_608, min(8_388_607, int(amount)))
        return self.edit_product(product_id, touch=touch, amount=amount)

    def delete_product(self, product_id: int) -> None:
        with self.lock:
            del self.products[product_id]
            self.catalogue_revision += 1

    # --- customers -------------------------------------------------------------------------------

    def add_customer(self, email: str, **fields: Any) -> Customer:
        with self.lock:
            key = int(fields.pop("user_id", None) or self._last_user + 1)
            self._last_user = max(self._last_user, key)
            fields.setdefault("timestamp", self.now())
            self.customers[key] = Customer(key, email, **fields)
            return self.customers[key]

    def edit_customer(self, user_id: int, **changes: Any) -> Customer:
        with self.lock:
            self.customers[user_id] = replace(self.customers[user_id], **changes)
            return self.customers[user_id]

    def delete_customer(self, user_id: int) -> None:
        """Removes the account; its orders become guests' without a new `updated_at` (8.6)."""
        with self.lock:
            del self.customers[user_id]
            for order in self.orders.values():
                if order.user_id == user_id:
                    self._change(order, {"user_id": 0}, touch=False)

    # --- orders ----------------------------------------------------------------------------------

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
            fields.setdefault("email", "guest@example.com")
            made = [self._line(spec) for spec in (lines or [(min(self.products), 1)])]
            first, last = fields.get("firstname", ""), fields.get("lastname", "")
            fields["firstname"], fields["lastname"] = first[:32], last[:32]
            where = Address(first, last, "1 Example Street", "", "Town", "", country, "10000")
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
            for key in [s.shipment_id for s in self.shipments.values() if s.order_id == order_id]:
                del self.shipments[key]
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
            amount=int(given.get("amount", 1)),
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
        self.catalogue_revision += 1


def _total(order: Order) -> Decimal:
    return order.subtotal + order.shipping_cost - order.subtotal_discount

"""The shop's data, and how catalogue and customers change.

Every method takes the lock, so tests and the control API may edit while the server answers; hold
`store.lock` to make several edits at once. Edits go through methods, because answers are cached by
`Order.revision` and `catalogue_revision`. Orders are in `orders`, shipments in `shipments`; no HTTP
and no JSON here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from cscart_pipelines.sandbox.shop.model import (
    Amount,
    Category,
    Customer,
    Order,
    PostalAddress,
    Product,
)
from cscart_pipelines.sandbox.shop.orders import OrderOperations
from cscart_pipelines.sandbox.shop.profiles import Profile, profile_named
from cscart_pipelines.sandbox.shop.status import default_statuses


class Store(OrderOperations):
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
        self.subscribers: dict[str, int] = {}
        """Newsletter addresses and since when; the API knows nothing of them."""
        self._passwords: dict[int, tuple[bytes, bytes]] = {}
        self.statuses = default_statuses(self.profile)
        self.orders_revision = 0
        self.catalogue_revision = 0
        self._last_order = 1000
        self._last_user = 1
        self._last_product = 0
        self._init_dispatch()
        self.customers[1] = Customer(
            1, "admin@example.com", "Shop", "Owner", user_type="A", is_root="Y", company_id=0
        )

    # --- catalogue -------------------------------------------------------------------------------

    def add_category(self, category: str, *, parent_id: int = 0, **fields: Any) -> Category:
        """Adds a category."""
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
            if {"product", "status"} & set(changes):
                self.catalogue_revision += 1  # what order details show of a product
            return product

    def set_stock(self, product_id: int, amount: Amount, *, touch: bool = True) -> Product:
        """Sets the absolute amount, clipped to the column's range (reference 5)."""
        amount = max(-8_388_608, min(8_388_607, amount))
        return self.edit_product(product_id, touch=touch, amount=amount)

    def split_stock(self, product_id: int, warehouses: Mapping[int, int]) -> Product:
        """Keeps the product's stock by warehouse from now on; an empty split ends it (11.5).

        Raises ValueError on a version without the add-on.
        """
        if not self.profile.warehouses:
            raise ValueError(f"CS-Cart {self.profile.product_version} has no warehouses")
        with self.lock:
            split = {int(key): int(amount) for key, amount in warehouses.items()}
            kept = self.products[product_id].amount
            amount = sum(split.values()) if split else kept
            return self.edit_product(product_id, warehouses=split, amount=amount)

    def delete_product(self, product_id: int) -> None:
        """Deletes a product."""
        with self.lock:
            del self.products[product_id]
            self.catalogue_revision += 1

    # --- customers -------------------------------------------------------------------------------

    def add_customer(self, email: str, **fields: Any) -> Customer:
        """Adds an account."""
        with self.lock:
            key = int(fields.pop("user_id", None) or self._last_user + 1)
            self._last_user = max(self._last_user, key)
            fields.setdefault("timestamp", self.now())
            self.customers[key] = Customer(key, email, **fields)
            return self.customers[key]

    def edit_customer(self, user_id: int, **changes: Any) -> Customer:
        """Changes fields of an account."""
        with self.lock:
            self.customers[user_id] = replace(self.customers[user_id], **changes)
            return self.customers[user_id]

    def delete_customer(self, user_id: int) -> None:
        """Removes the account; its orders become guests' without a new `updated_at` (8.6)."""
        with self.lock:
            del self.customers[user_id]
            self._passwords.pop(user_id, None)
            for order in self.orders.values():
                if order.user_id == user_id:
                    self._change(order, {"user_id": 0}, touch=False)

    def anonymise_customer(self, user_id: int) -> None:
        """Anonymises an account and its orders as the GDPR add-on does (reference 10.1).

        `updated_at` of the orders stays.
        """
        invented = {
            "email": f"anon-{user_id}@nowhere.gr",
            "firstname": "Bogus",
            "lastname": "Bogus",
        }
        with self.lock:
            self.edit_customer(user_id, **invented, phone="", anonymized="Y")
            for order in self.orders.values():
                if order.user_id == user_id:
                    place = PostalAddress("Bogus", "Bogus", "Bogus", city="Bogus", country="Bo")
                    changes = {**invented, "phone": "", "ship_to": place, "bill_to": place}
                    self._change(order, changes, touch=False)

    # --- what only the storefront uses -----------------------------------------------------------

    def customer_by_email(self, email: str) -> Customer | None:
        """The account with this address; capital letters make no difference."""
        wanted = email.strip().lower()
        people = self.customers.values()
        return next((c for c in people if c.user_type == "C" and c.email.lower() == wanted), None)

    def set_password(self, user_id: int, password: str) -> None:
        """Sets the password of an account."""
        with self.lock:
            salt = secrets.token_bytes(16)
            self._passwords[self.customers[user_id].user_id] = (salt, _hashed(password, salt))

    def customer_with(self, email: str, password: str) -> Customer | None:
        """The active account that this password opens, or None."""
        with self.lock:
            found = self.customer_by_email(email)
            if found is None or found.status != "A" or found.user_id not in self._passwords:
                return None
            salt, kept = self._passwords[found.user_id]
            return found if hmac.compare_digest(_hashed(password, salt), kept) else None

    def subscribe(self, email: str) -> bool:
        """Puts an address on the newsletter's list; False: it is there already."""
        with self.lock:
            fresh = email.strip().lower() not in self.subscribers
            self.subscribers.setdefault(email.strip().lower(), self.now())
            return fresh

    def unsubscribe(self, email: str) -> bool:
        """Takes an address off the newsletter's list; False: it is not there."""
        with self.lock:
            return self.subscribers.pop(email.strip().lower(), None) is not None


def _hashed(password: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1_000)

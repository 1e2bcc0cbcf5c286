"""Customers, products, categories, statuses and shipments as typed rows; the hash of any row.

Here belongs every field that we keep of them (reference 9 to 12), by allow-list. Orders have their
own module and are re-exported here, so that whoever reads rows needs one import. The reading of
single scalars is in `loose`. Not here: where rows go.

The rows have the columns of the raw tables in the tables' order, without the integration and the
upkeep columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from cscart_pipelines.cscart.coerce import (
    Raw,
    UnreadableRowError,
    entries,
    label,
    mapping,
    moment,
    money,
    quantity,
    reference,
    require_key,
    require_object,
    require_text,
    text,
)
from cscart_pipelines.cscart.quantities import json_numbers
from cscart_pipelines.cscart.records.orders import OrderLineRow, OrderRow, parse_order

__all__ = [
    "CategoryRow",
    "CustomerRow",
    "OrderLineRow",
    "OrderRow",
    "ProductRow",
    "ShipmentRecord",
    "StatusRow",
    "UnreadableRowError",
    "content_hash",
    "parse_category",
    "parse_customer",
    "parse_order",
    "parse_product",
    "parse_shipment",
    "parse_status",
]


class CustomerRow(NamedTuple):
    """A registered customer. The e-mail is as the shop has it."""

    user_id: int
    email: str | None
    firstname: str | None
    lastname: str | None
    phone: str | None
    company: str | None
    company_id: int | None
    status: str | None
    registered_at: datetime | None
    last_login_at: datetime | None


class ProductRow(NamedTuple):
    """A product or a variation. `amount` may be negative."""

    product_id: int
    product_code: str | None
    product: str | None
    product_type: str | None
    parent_product_id: int | None
    status: str | None
    company_id: int | None
    amount: Decimal | None
    price: Decimal | None
    list_price: Decimal | None
    tracking: str | None
    main_category: int | None
    created_at: datetime | None
    updated_at: datetime | None


class CategoryRow(NamedTuple):
    """A category; `parent_id` is None at the root."""

    category_id: int
    parent_id: int | None
    category: str | None


class StatusRow(NamedTuple):
    """A status letter and what it means; `payment_received` is None where the shop is silent."""

    type: str
    status: str
    status_id: int | None
    description: str | None
    inventory: str | None
    payment_received: bool | None


class ShipmentRecord(NamedTuple):
    """A shipment. `products` is JSON text: item id to quantity."""

    shipment_id: int
    order_id: int | None
    shipped_at: datetime | None
    status: str | None
    tracking_number: str | None
    carrier: str | None
    tracking_url: str | None
    shipping_id: int | None
    shipping_method: str | None
    comments: str | None
    products: str | None


def parse_customer(raw: Raw) -> CustomerRow:
    """A row of `/users` (reference 10.1). Raises UnreadableRow."""
    get = require_object(raw).get
    return CustomerRow(
        require_key(get("user_id"), "user_id"),
        text(get("email")),
        text(get("firstname")),
        text(get("lastname")),
        text(get("phone")),
        text(get("company")),
        reference(get("company_id")),
        text(get("status")),
        moment(get("timestamp")),
        moment(get("last_login")),
    )


def parse_product(raw: Raw) -> ProductRow:
    """A row of `/products` or its detail (reference 11.1, 11.2). Raises UnreadableRow."""
    get = require_object(raw).get
    return ProductRow(
        require_key(get("product_id"), "product_id"),
        text(get("product_code")),
        label(get("product")),
        text(get("product_type")),
        reference(get("parent_product_id")),
        text(get("status")),
        reference(get("company_id")),
        quantity(get("amount")),
        money(get("price")),
        money(get("list_price")),
        text(get("tracking")),
        reference(get("main_category")),
        moment(get("timestamp")),
        moment(get("updated_timestamp")),
    )


def parse_category(raw: Raw) -> CategoryRow:
    """A row of `/categories`. Raises UnreadableRow."""
    get = require_object(raw).get
    return CategoryRow(
        require_key(get("category_id"), "category_id"),
        reference(get("parent_id")),
        label(get("category")),
    )


def parse_status(raw: Raw) -> StatusRow:
    """A row of `/statuses` (reference 12). Raises UnreadableRow."""
    get = require_object(raw).get
    params = mapping(get("params"))
    paid = params.get("payment_received")
    return StatusRow(
        require_text(get("type"), "type"),
        require_text(get("status"), "status"),
        reference(get("status_id")),
        text(get("description")),
        text(params.get("inventory")),
        {"Y": True, "N": False}.get(paid) if isinstance(paid, str) else None,
    )


def parse_shipment(raw: Raw) -> ShipmentRecord:
    """A row of `/shipments` (reference 9.1). Raises UnreadableRow.

    Without a tracking number the shop's URL still has its placeholder: it is left out (9.5).
    """
    get = require_object(raw).get
    number = text(get("tracking_number"))
    url = text(mapping(get("carrier_info")).get("tracking_url"))
    return ShipmentRecord(
        require_key(get("shipment_id"), "shipment_id"),
        reference(get("order_id")),
        moment(get("shipment_timestamp")),
        text(get("status")),
        number,
        text(get("carrier")),
        url if number else None,
        reference(get("shipping_id")),
        label(get("shipping")),
        text(get("comments")),
        _quantities(get("products")),
    )


def _quantities(products: Any) -> str | None:
    """Item id to quantity as JSON text, ids sorted; None where the shop tells no lines."""
    if products is None:
        return None
    quantities = {text(key): quantity(value) for key, value in entries(products)}
    known = {key: value for key, value in quantities.items() if key and value is not None}
    return orjson.dumps(json_numbers(known), option=orjson.OPT_SORT_KEYS).decode()


def content_hash(row: tuple[Any, ...], lines: Sequence[tuple[Any, ...]] = ()) -> bytes:
    """16 bytes that change when the row (or a line of it) does; the same in every process."""
    content = [tuple(row), *map(tuple, lines)]
    return blake2b(orjson.dumps(content, default=str), digest_size=16).digest()

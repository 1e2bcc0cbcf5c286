"""Orders and their lines: from the shop's loose JSON to typed rows, by allow-list.

Here belongs every field of an order that is stored (reference 8.1, 8.3, 8.4). Other fields are
never read: `payment_info`, `payment_method`, `product_groups` and `shipping[].service_params` hold
payment data and carrier credentials.

The rows have the columns of the raw tables in the tables' order, without the integration and the
columns that `warehouse.load` adds; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

from cscart_pipelines.cscart.coerce import (
    ZERO,
    Raw,
    UnreadableRowError,
    entries,
    label,
    mapping,
    moment,
    money,
    reference,
    require_key,
    require_moment,
    require_money,
    require_name,
    require_object,
    require_quantity,
    require_text,
    text,
)
from cscart_pipelines.cscart.records.shipping import (
    ShippingMethod,
    ids_of,
    method_of,
    names_of,
    shipping_methods,
)


class OrderRow(NamedTuple):
    """One order. Money in the shop's primary currency, times in UTC; details may be None."""

    order_id: int
    is_parent_order: bool
    parent_order_id: int | None
    company_id: int | None
    storefront_id: int | None
    user_id: int | None
    issuer_id: int | None
    email: str | None
    firstname: str | None
    lastname: str | None
    phone: str | None
    company: str | None
    status: str
    total: Decimal
    ordered_at: datetime
    has_details: bool
    updated_at: datetime | None = None
    subtotal: Decimal | None = None
    discount: Decimal | None = None
    subtotal_discount: Decimal | None = None
    shipping_cost: Decimal | None = None
    payment_surcharge: Decimal | None = None
    tax_total: Decimal | None = None
    promotion_ids: str | None = None
    secondary_currency: str | None = None
    lang_code: str | None = None
    shipping_ids: str | None = None
    shipping_method: str | None = None
    s_firstname: str | None = None
    s_lastname: str | None = None
    s_address: str | None = None
    s_address_2: str | None = None
    s_city: str | None = None
    s_state: str | None = None
    s_zipcode: str | None = None
    s_country: str | None = None
    s_country_name: str | None = None
    s_phone: str | None = None
    b_country: str | None = None
    b_country_name: str | None = None


class OrderLineRow(NamedTuple):
    """One line of an order.

    `discount` is per unit, `price` per unit after it; `shipping_method` is that of the line's
    shipping group.
    """

    order_id: int
    item_id: str
    product_id: int | None
    product_code: str | None
    product: str | None
    quantity: Decimal
    price: Decimal
    base_price: Decimal | None
    discount: Decimal | None
    subtotal: Decimal | None
    company_id: int | None
    shipping_method: str | None


def parse_order(raw: Raw) -> tuple[OrderRow, list[OrderLineRow]]:
    """Parses an order of the list or the detail; it has details if it has `products`.

    Ids of 0 (guest, no parent, no issuer) become None; unknown statuses are accepted, since owners
    may add letters (reference 8.5).

    Raises:
        UnreadableRowError: A field that every order has is missing or malformed.
    """
    get = require_object(raw).get
    order_id = require_key(get("order_id"), "order_id")
    status = require_text(get("status"), "status")
    total = require_money(get("total"), "total")
    ordered_at = require_moment(get("timestamp"), "timestamp")
    if "products" not in raw:
        row = OrderRow(
            order_id,
            get("is_parent_order") == "Y",
            parent_of(order_id, get("parent_order_id")),
            reference(get("company_id")),
            reference(get("storefront_id")),
            reference(get("user_id")),
            reference(get("issuer_id")),
            text(get("email")),
            text(get("firstname")),
            text(get("lastname")),
            text(get("phone")),
            text(get("company")),
            status,
            total,
            ordered_at,
            False,
        )
        return row, []
    methods = shipping_methods(get("shipping"), get("shipping_ids"))
    lines = _lines(order_id, raw["products"], methods)
    row = OrderRow(
        order_id,
        get("is_parent_order") == "Y",
        parent_of(order_id, get("parent_order_id")),
        reference(get("company_id")),
        reference(get("storefront_id")),
        reference(get("user_id")),
        reference(get("issuer_id")),
        text(get("email")),
        text(get("firstname")),
        text(get("lastname")),
        text(get("phone")),
        text(get("company")),
        status,
        total,
        ordered_at,
        True,
        moment(get("updated_at")),
        money(get("subtotal")),
        money(get("discount")),
        money(get("subtotal_discount")),
        money(get("shipping_cost")),
        money(get("payment_surcharge")),
        _tax_total(get("taxes")),
        text(get("promotion_ids")),
        text(get("secondary_currency")),
        text(get("lang_code")),
        text(get("shipping_ids")) or ids_of(methods),
        names_of(methods),
        text(get("s_firstname")),
        text(get("s_lastname")),
        text(get("s_address")),
        text(get("s_address_2")),
        text(get("s_city")),
        text(get("s_state")),
        text(get("s_zipcode")),
        text(get("s_country")),
        text(get("s_country_descr")),
        text(get("s_phone")),
        text(get("b_country")),
        text(get("b_country_descr")),
    )
    return row, lines


def parent_of(order_id: int, value: Any) -> int | None:
    """The parent of an order split by vendor; some exchanges write the order's own id (23)."""
    parent = reference(value)
    return None if parent == order_id else parent


def line_name(line: Raw) -> str | None:
    """The name of a line, with the variation: "Doll (Set, Used)".

    `extra.product` is the name at the time of the order. It lacks the variation, which `product`,
    the catalogue's name of today, has in brackets at its end (reference 23): then that one counts,
    or two variations of one product would have the same name.
    """
    name = label(line.get("product"))
    if name is not None and name.endswith(")"):
        return name
    return label(mapping(line.get("extra")).get("product")) or name


def _lines(order_id: int, products: Any, methods: Sequence[ShippingMethod]) -> list[OrderLineRow]:
    """The lines, sorted by item id: the shop's order is by product name, which may change."""
    lines: list[OrderLineRow] = []
    for key, raw in entries(products):
        if raw.__class__ is not dict:
            raise UnreadableRowError("products", "an object per line")
        get = raw.get
        method = method_of(methods, get("extra"))
        lines.append(
            OrderLineRow(
                order_id,
                require_name(
                    text(get("item_id")) or text(get("cart_id")) or key, "products.item_id"
                ),
                reference(get("product_id")),
                text(get("product_code")),
                line_name(raw),
                require_quantity(get("amount"), "products.amount"),
                require_money(get("price"), "products.price"),
                money(get("base_price")),
                money(get("discount")),
                money(get("subtotal")),
                reference(get("company_id")),
                method.name if method else None,
            )
        )
    if len(lines) > 1:
        lines.sort(key=itemgetter(1))
        if len({line[1] for line in lines}) < len(lines):
            raise UnreadableRowError("products", "every item id once")
    return lines


def _tax_total(taxes: Any) -> Decimal | None:
    """All tax, also what prices include: the order's own `tax_subtotal` leaves that out (8.3)."""
    if not taxes:
        return None if taxes is None else ZERO
    total = ZERO
    for _, tax in entries(taxes):
        total += money(mapping(tax).get("tax_subtotal")) or ZERO
    return total

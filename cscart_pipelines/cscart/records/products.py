"""Products and their categories as typed rows, by allow-list (reference 11.1, 11.2)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from cscart_pipelines.cscart.coerce import (
    LONGEST_NAME,
    Raw,
    label,
    moment,
    money,
    quantity,
    reference,
    require_key,
    require_object,
    text,
)


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


def parse_product(raw: Raw) -> ProductRow:
    """Parses a row of `/products` or a detail (reference 11.1, 11.2). Raises UnreadableRowError."""
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
    """Parses a row of `/categories` (reference 12). Raises UnreadableRowError."""
    get = require_object(raw).get
    name = label(get("category"))
    return CategoryRow(
        require_key(get("category_id"), "category_id"),
        reference(get("parent_id")),
        name[:LONGEST_NAME] if name else None,
    )

"""GA4 events and items that a shop's theme puts on the data layer.

Not here: the scripts of the head (`templates/data_layer.html`), what reads them (`static/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from cscart_pipelines.sandbox.shop.model import Order, Product
from cscart_pipelines.sandbox.storefront.templating import CURRENCY
from cscart_pipelines.sandbox.storefront.visit import Visit


def item(product: Product, quantity: int = 1) -> dict[str, Any]:
    """A GA4 item: `item_id` is the product code, as themes send it."""
    return {
        "item_id": product.product_code,
        "item_name": product.product,
        "quantity": quantity,
        "price": float(product.price),
    }


def order_items(order: Order) -> list[dict[str, Any]]:
    """The lines of an order as GA4 items."""
    return [
        {
            "item_id": line.product_code,
            "item_name": line.product,
            "quantity": line.amount,
            "price": float(line.price),
        }
        for line in order.lines
    ]


def moment(event: str, items: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """One GA4 e-commerce event as a theme pushes it."""
    value = sum(Decimal(str(each["price"])) * each["quantity"] for each in items)
    return {
        "event": event,
        "ecommerce": {"currency": CURRENCY, "value": float(value), **more, "items": list(items)},
    }


def theme_data(
    visit: Visit, moments: Sequence[dict[str, Any]], shown: Sequence[Product]
) -> dict[str, Any] | None:
    """Data for static/theme-events.js; None when the theme sends nothing."""
    if visit.settings.theme_events == "off":
        return None
    return {
        "style": visit.settings.theme_events,
        "currency": CURRENCY,
        "moments": list(moments),
        "products": {str(each.product_id): item(each) for each in shown},
    }

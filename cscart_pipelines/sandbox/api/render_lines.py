"""An order line as JSON (reference 8.4), with its types that change once something is shipped."""

from __future__ import annotations

from typing import Any

from cscart_pipelines.sandbox.http.php import money, number
from cscart_pipelines.sandbox.shop.model import Amount, Line, Order
from cscart_pipelines.sandbox.shop.store import Store


def line_object(store: Store, order: Order, line: Line, shipped: Amount) -> dict[str, Any]:
    """A line of an order's details."""
    product = store.products.get(line.product_id)
    base = number(line.price + line.discount)
    subtotal = number(line.subtotal)
    company = str(line.company_id)
    left = line.amount - shipped
    name = product.product if product else line.product
    groups = order.methods
    body: dict[str, Any] = {
        "item_id": line.item_id,
        "order_id": str(order.order_id),
        "product_id": str(line.product_id),
        "product_code": line.product_code,
        "price": money(line.price),
        "amount": str(line.amount),
        "extra": {
            "product_options": [],
            "unlimited_download": "N",
            "product": line.product,
            "company_id": company,
            "is_edp": "N",
            "edp_shipping": "N",
            "discount": number(line.discount),
            "base_price": base,
            "stored_price": "N",
            **({"group_key": groups.index(line.shipping_id or groups[0])} if groups[1:] else {}),
        },
        # The current catalogue name, with the variation; extra.product is the name at order time,
        # without it (8.3, 23).
        "product": f"{name} ({line.variation})" if line.variation else name,
        "product_status": product.status if product else None,
        "deleted_product": product is None,
    }
    if store.profile.raw_product_fields:
        body["product_type"] = "P"
        body["parent_product_id"] = "0"
    body |= {
        "discount": number(line.discount),
        "company_id": company,
        "base_price": base,
        "original_price": base,
        "cart_id": line.item_id,
        "tax_value": 0,
        "subtotal": subtotal,
        "display_subtotal": subtotal,
        # Numbers and texts change places once something was shipped (reference 5).
        "shipped_amount": str(shipped) if shipped else 0,
        "shipment_amount": number(left) if shipped else str(line.amount),
        "is_accessible": True,
    }
    if store.profile.storefront_in_list:
        body["product_url"] = f"https://shop.example/product-{line.product_id}.html"
    if not store.multivendor:
        body["shared_product"] = True
    return body

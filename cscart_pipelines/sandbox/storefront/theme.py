"""What a shop puts on the data layer by itself: consent defaults, the Google add-on, a GA4 theme.

Everything is a script element or data for one; nothing is loaded from elsewhere. What listens to it
(the container, the tag runner) is in static/.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from cscart_pipelines.sandbox.shop.model import Order, Product
from cscart_pipelines.sandbox.storefront.markup import CURRENCY, json_for_script
from cscart_pipelines.sandbox.storefront.visit import CONSENT_COOKIE, Visit

_LAYER = "window.dataLayer = window.dataLayer || [];\nfunction gtag(){dataLayer.push(arguments);}\n"


def item(product: Product, quantity: int = 1) -> dict[str, Any]:
    """A GA4 item: `item_id` is the product code, as themes send it."""
    return {
        "item_id": product.product_code,
        "item_name": product.product,
        "quantity": quantity,
        "price": float(product.price),
    }


def order_items(order: Order) -> list[dict[str, Any]]:
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


def head(visit: Visit, title: str, order: Order | None) -> str:
    """Scripts of the page's head in the order of a real shop: consent, container, add-ons."""
    settings = visit.settings
    parts = []
    if settings.consent != "none":
        default = "granted" if settings.consent == "granted" else "denied"
        kinds = {"ad_storage": "denied", "analytics_storage": default, "wait_for_update": 500}
        lines = f"{_LAYER}gtag('consent','default',{json_for_script(kinds)});"
        if visit.cookies.get(CONSENT_COOKIE) in ("granted", "denied"):
            chosen = {"analytics_storage": visit.cookies[CONSENT_COOKIE]}
            lines += f"\ngtag('consent','update',{json_for_script(chosen)});"
        parts.append(f"<script>{lines}</script>")
    if settings.container is not None:
        text = json_for_script(settings.container)
        parts.append(f'<script type="application/json" id="tag_container">{text}</script>')
        start = "dataLayer.push({'gtm.start': new Date().getTime(), event: 'gtm.js'});"
        parts.append(f"<script>window.dataLayer = window.dataLayer || [];\n{start}</script>")
        parts.append(
            f'<script type="module" async src="{visit.base}/static/tag-runner.js"></script>'
        )
    if settings.ga4_addon:
        lines = _LAYER + "gtag('js', new Date());\n"
        page = {"page_title": title}
        lines += f"gtag('event','page_view',{json_for_script(page)});"
        if order is not None:
            sale = moment("purchase", order_items(order), transaction_id=str(order.order_id))
            sale["ecommerce"]["value"] = float(order.total)
            lines += f"\ngtag('event','purchase',{json_for_script(sale['ecommerce'])});"
        parts.append(f"<script>{lines}</script>")
    return "\n".join(parts)


def page_moments(visit: Visit, moments: Sequence[dict[str, Any]], shown: Sequence[Product]) -> str:
    """Data for static/theme-events.js; empty when the theme sends nothing."""
    if visit.settings.theme_events == "off":
        return ""
    data = {
        "style": visit.settings.theme_events,
        "currency": CURRENCY,
        "moments": list(moments),
        "products": {str(each.product_id): item(each) for each in shown},
    }
    return f'<script type="application/json" id="theme_data">{json_for_script(data)}</script>'

"""The parts of an order detail that real shops leak: payment data, carrier credentials, paths.

Each value that must never leave the shop's answers holds `LEAK`, so that a test can search every
table and log for it (reference 8.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cscart_pipelines.sandbox.http.php import either, listed, number
from cscart_pipelines.sandbox.shop.model import Order

LEAK = "LEAKED-BY-THE-SHOP"
"""In every value that must never leave the shop's answers."""


def payment_method(order: Order) -> dict[str, Any]:
    """The payment method with its processor's settings, as order details leak it."""
    return {
        "payment_id": str(order.payment_id),
        "company_id": "1",
        "usergroup_ids": "0",
        "position": "20",
        "status": "A",
        "template": "views/orders/components/payments/phone.tpl",
        "processor_id": "0",
        "a_surcharge": "0.000",
        "p_surcharge": "0.000",
        "tax_ids": [],
        "localization": "",
        "payment_category": "tab3",
        "payment": "Phone ordering",
        "description": "",
        "instructions": f"Transfer to account {LEAK}",
        "surcharge_title": "",
        "lang_code": order.lang_code,
        "processor": None,
        "processor_type": None,
        "processor_status": None,
        "image": [],
    }


def payment_info(order: Order) -> Any:
    """Card data as order details leak it."""
    if order.status not in "PC":
        return []
    return {
        "card_number": f"XXXXXXXXXXXX4242 {LEAK}",
        "cardholder_name": f"{order.firstname} {LEAK}",
        "transaction_id": f"tx_{order.order_id}_{LEAK}",
    }


def shipping(order: Order, names: Mapping[int, str], left: bool) -> Any:
    """One method per shipping group."""
    if order.is_parent_order == "Y":
        return []
    methods: dict[str, Any] = {}
    for group, shipping_id in enumerate(order.methods):
        methods[str(group)] = {
            "shipping_id": str(shipping_id),
            "shipping": names.get(shipping_id),
            "delivery_time": "3-5 days",
            "rate_calculation": "M",
            "service_params": {"user_key": LEAK} if shipping_id != 1 else [],
            "rate_info": [],
            "group_key": group,
            "rate": number(order.shipping_cost),
            "group_name": "Example Store",
        }
        if left:
            methods[str(group)]["need_shipment"] = True
    return listed(methods)


def product_groups(order: Order) -> list[Any]:
    """Product groups with the carrier's credentials in them, as order details leak them."""
    products = {
        line.item_id: {
            "product_id": line.product_id,
            "amount": number(line.amount),
            "price": number(line.price),
            "main_pair": {"detailed": {"absolute_path": f"/path/to/store/{LEAK}.jpg"}},
        }
        for line in order.lines
    }
    carrier = {
        "shipping_id": "3",
        "module": "fedex",
        "service_params": {
            "user_key": LEAK,
            "user_key_password": LEAK,
            "account_number": LEAK,
            "meter_number": LEAK,
        },
    }
    return [
        {
            "name": "Example Store",
            "company_id": order.company_id,
            "products": either(products),
            "package_info": {"I": sum(number(line.amount) for line in order.lines)},
            "shippings": {"3": carrier},
        }
    ]

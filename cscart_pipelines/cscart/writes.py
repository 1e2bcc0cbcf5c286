"""The writes to a shop that this project makes: a shipment, an order's status, a product's amount.

One request each, with only the keys that are safe. A return means that the shop accepted the
request, not that it did it: the caller must read back (reference 8.8, 9.2, 11.3). All raise as
`ShopClient.post`. Not here: what to write, when, and how often (`fulfilment`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import mapping, reference
from cscart_pipelines.cscart.quantities import json_number, json_numbers

BeforeResend = Callable[[], object] | None


def create_shipment(
    client: ShopClient,
    *,
    order_id: int,
    shipping_id: int,
    quantities: Mapping[str, Decimal],
    tracking_number: str,
    carrier: str,
    comments: str = "",
    shipped_at: datetime | None = None,
    notify_customer: bool = False,
    order_status: str | None = None,
    before_resend: BeforeResend = None,
) -> int | None:
    """Creates a shipment with explicit quantities, and returns its id if the shop tells it.

    Args:
        client: Of the shop.
        order_id: Of the order.
        shipping_id: The shipping method.
        quantities: By item id.
        tracking_number: May be empty.
        carrier: The shop's code of it; may be empty.
        comments: Text of the shipment.
        shipped_at: Time of the shipment; without it the shop sets the present time.
        notify_customer: Is sent only if true: the shop takes any value that is not empty for yes,
            "N" too (reference 8.8). Up to 4.16 the shop sends the mail anyway, 4.7 never (9.2).
        order_status: Is set in the same request, with that status' own e-mails: for shops that
            would recalculate the order in `set_order_status`.
        before_resend: As in `ShopClient.post`.
    """
    body: dict[str, Any] = {
        "order_id": order_id,
        "shipping_id": shipping_id,
        "products": json_numbers(quantities),
    }
    if tracking_number:
        body["tracking_number"] = tracking_number
    if carrier:
        body["carrier"] = carrier
    if comments:
        body["comments"] = comments
    if shipped_at is not None:
        body["timestamp"] = int(shipped_at.timestamp())
    if notify_customer:
        body["notify_user"] = "Y"
    if order_status:
        body["order_status"] = order_status
    answer = client.post("shipments", body, before_resend=before_resend)
    return reference(mapping(answer.body).get("shipment_id"))


def set_order_status(
    client: ShopClient,
    order_id: int,
    status: str,
    *,
    notify_customer: bool = False,
    before_resend: BeforeResend = None,
) -> None:
    """Sets the status alone: any other key would re-price the order (reference 8.8, 8.9).

    Not for shops up to 4.7, which recalculate the order even then. The shop does not check the
    letter; the caller must.
    """
    body = {"status": status}
    if notify_customer:
        body["notify_user"] = "Y"
    client.put("orders", order_id, body, before_resend=before_resend)


def set_amount(
    client: ShopClient, product_id: int, amount: Decimal, *, before_resend: BeforeResend = None
) -> None:
    """Sets a product's absolute amount and nothing else (reference 11.3)."""
    client.put("products", product_id, {"amount": json_number(amount)}, before_resend=before_resend)

"""The writes to a shop that this project makes: a shipment, an order's status, a product's amount.

One request each, with only the keys that are safe. They say that the shop took the request, never
that it did it: the caller must read back (reference 8.8, 9.2, 11.3). All raise as the client does;
a TransientShopError was surely not sent. Not here: what to write, when, and how often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import mapping, reference
from cscart_pipelines.cscart.quantities import json_number, json_numbers

Again = Callable[[], object] | None


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
    again: Again = None,
) -> int | None:
    """POST of a shipment with explicit quantities (item id to pieces); its id if the shop told it.

    The flag is sent only to say yes: any value that is not empty means yes, also "N" (reference
    8.8). Up to 4.16 the shop mails whether asked or not, 4.7 never (9.2). `order_status` changes
    the order's status in the same request, with that status' own e-mails: for shops that would
    recalculate the order if its status were written by `set_order_status`.
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
    answer = client.post("shipments", body, again=again)
    return reference(mapping(answer.body).get("shipment_id"))


def set_order_status(
    client: ShopClient,
    order_id: int,
    status: str,
    *,
    notify_customer: bool = False,
    again: Again = None,
) -> None:
    """PUT of the status alone: any other key would re-price the order (reference 8.8, 8.9).

    Never for shops up to 4.7, which recalculate the order even then. The shop does not check the
    letter; the caller must.
    """
    body = {"status": status}
    if notify_customer:
        body["notify_user"] = "Y"
    client.put("orders", order_id, body, again=again)


def set_amount(
    client: ShopClient, product_id: int, amount: Decimal, *, again: Again = None
) -> None:
    """PUT of a product's absolute amount and nothing else (reference 11.3)."""
    client.put("products", product_id, {"amount": json_number(amount)}, again=again)

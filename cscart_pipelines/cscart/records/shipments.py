"""Shipments as typed rows, by allow-list (reference 9.1). Writing them is in `writes`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import orjson

from cscart_pipelines.cscart.coerce import (
    Raw,
    entries,
    label,
    mapping,
    moment,
    quantity,
    reference,
    require_key,
    require_object,
    text,
)
from cscart_pipelines.cscart.quantities import json_numbers


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


def parse_shipment(raw: Raw) -> ShipmentRecord:
    """Parses a row of `/shipments` (reference 9.1). Raises UnreadableRowError.

    Without a tracking number the shop's URL has a placeholder, and is left out (9.5).
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
    """Returns quantities by item id as JSON text, ids sorted; None if the shop sends no lines."""
    if products is None:
        return None
    quantities = {text(key): quantity(value) for key, value in entries(products)}
    known = {key: value for key, value in quantities.items() if key and value is not None}
    return orjson.dumps(json_numbers(known), option=orjson.OPT_SORT_KEYS).decode()

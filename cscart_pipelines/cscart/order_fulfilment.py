"""Live reads of an order before it is shipped: what is left to ship, and its shipments.

For writing back; the warehouse's copy of an order is parsed in `records.orders`. By allow-list as
there, since shipping methods may hold a carrier's credentials (reference 8.3). Not here: the writes
(`writes`), decisions about them (`fulfilment`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import (
    Raw,
    UnreadableRowError,
    entries,
    mapping,
    moment,
    quantity,
    reference,
    require_key,
    require_moment,
    require_money,
    require_object,
    require_quantity,
    require_text,
    text,
)
from cscart_pipelines.cscart.errors import NotFoundError, PermanentShopError, TransientShopError
from cscart_pipelines.cscart.http.responses import ApiResponse
from cscart_pipelines.cscart.lists import read_page
from cscart_pipelines.cscart.quantities import NOTHING, json_numbers, tidy, total
from cscart_pipelines.cscart.records.orders import line_name, parent_of
from cscart_pipelines.cscart.records.shipping import ShippingMethod, method_of, shipping_methods

_PAGE = 250
_MOST_PAGES = 40


@dataclass(frozen=True)
class ShippableLine:
    """One order line: quantities ordered and left to ship (reference 8.4)."""

    item_id: str
    product_id: int | None
    product_code: str | None
    product: str | None
    ordered: Decimal
    left: Decimal
    """The quantity that is in no shipment yet; 0 for downloads, which are never shipped."""
    method: ShippingMethod | None = None
    """Of the line's shipping group: an order may have several methods."""


@dataclass(frozen=True)
class ShippableOrder:
    """One order as the shop has it now. `ordered_at` in UTC, `total` in its primary currency."""

    order_id: int
    status: str
    is_parent: bool
    parent_order_id: int | None
    ordered_at: datetime
    updated_at: datetime | None
    total: Decimal
    shipping_id: int | None
    shipment_ids: tuple[int, ...]
    lines: tuple[ShippableLine, ...]
    company_id: int | None = None
    storefront_id: int | None = None
    """Sent by CS-Cart 4.11 and later."""

    @property
    def left(self) -> Decimal:
        """The quantity left to ship."""
        return total(line.left for line in self.lines)

    @property
    def left_by_item(self) -> dict[str, int | float]:
        """The quantity left of each line by item id, for JSON."""
        return json_numbers({line.item_id: line.left for line in self.lines})


@dataclass(frozen=True)
class ShipmentSeen:
    """A shipment as the shop has it. `quantities`: by item id."""

    shipment_id: int
    order_id: int | None
    tracking_number: str
    carrier: str
    tracking_url: str
    """As the shop computes it for a carrier it knows; empty for others (reference 9.5)."""
    comments: str
    shipped_at: datetime | None
    quantities: dict[str, Decimal]
    shipping_id: int | None = None


def read_order(client: ShopClient, order_id: int) -> ShippableOrder:
    """Reads an order by its detail.

    Raises:
        NotFoundError: The shop has no such order.
        UnreadableRowError: The answer lacks a field that every order has.
        ShopError: As the client raises.
    """
    return parse_shippable(_body(client.get("orders", id=order_id)))


def read_shipments(client: ShopClient, order_id: int) -> list[ShipmentSeen]:
    """Reads all shipments of the order, sorted by id.

    Shipments of other orders are dropped: a shop ignores filters that it does not know.

    Raises:
        UnreadableRowError: A shipment without a usable id.
        ShopError: As the client raises.
    """
    found: dict[int, ShipmentSeen] = {}
    read: set[int] = set()
    for page in range(1, _MOST_PAGES + 1):
        try:
            answer = read_page(client, "shipments", page, _PAGE, {"order_id": order_id})
        except NotFoundError:  # must not pass for an order that does not exist
            raise PermanentShopError("The shop has no list of shipments (404).") from None
        known = len(read)
        for row in answer.rows:
            seen = parse_shipment_seen(row)
            read.add(seen.shipment_id)
            if seen.order_id == order_id:
                found[seen.shipment_id] = seen
        # Past the end the last page is repeated (reference 6.3); a page may be shorter than asked.
        if len(read) == known or len(read) >= answer.total:
            return [found[key] for key in sorted(found)]
    raise TransientShopError("The shop's list of shipments does not end.", cause="page")


def parse_shippable(raw: Raw) -> ShippableOrder:
    """Parses an order detail (reference 8.3). Raises UnreadableRowError."""
    get = require_object(raw).get
    if "products" not in raw:
        raise UnreadableRowError("products", "the order's lines")
    shipments = get("shipment_ids")
    if isinstance(shipments, str):  # the docs' spelling; the source sends a list
        shipments = shipments.split(",")
    ids = [reference(value) for _, value in entries(shipments)]
    order_id = require_key(get("order_id"), "order_id")
    methods = shipping_methods(get("shipping"), get("shipping_ids"))
    return ShippableOrder(
        order_id=order_id,
        status=require_text(get("status"), "status"),
        is_parent=get("is_parent_order") == "Y",
        parent_order_id=parent_of(order_id, get("parent_order_id")),
        ordered_at=require_moment(get("timestamp"), "timestamp"),
        updated_at=moment(get("updated_at")),
        total=require_money(get("total"), "total"),
        shipping_id=next((each.shipping_id for each in methods if each.shipping_id), None),
        shipment_ids=tuple(sorted(value for value in ids if value)),
        lines=tuple(
            sorted(
                (_line(key, line, methods) for key, line in entries(get("products"))),
                key=lambda line: line.item_id,
            )
        ),
        company_id=reference(get("company_id")),
        storefront_id=reference(get("storefront_id")),
    )


def parse_shipment_seen(raw: Raw) -> ShipmentSeen:
    """Parses a row of `/shipments` (reference 9.1). Raises UnreadableRowError."""
    get = require_object(raw).get
    pieces = {key: quantity(value) for key, value in entries(get("products"))}
    return ShipmentSeen(
        shipment_id=require_key(get("shipment_id"), "shipment_id"),
        order_id=reference(get("order_id")),
        tracking_number=text(get("tracking_number")) or "",
        carrier=text(get("carrier")) or "",
        tracking_url=text(mapping(get("carrier_info")).get("tracking_url")) or "",
        comments=text(get("comments")) or "",
        shipped_at=moment(get("shipment_timestamp")),
        quantities={key: value for key, value in pieces.items() if value is not None},
        shipping_id=reference(get("shipping_id")),
    )


def _line(key: str, raw: Any, methods: Sequence[ShippingMethod]) -> ShippableLine:
    get = require_object(raw).get
    extra = mapping(get("extra"))
    ordered = require_quantity(get("amount"), "products.amount")
    downloaded = extra.get("is_edp") == "Y" and extra.get("edp_shipping") != "Y"
    left = quantity(get("shipment_amount"))
    if left is None:  # not sent by every version: what was ordered less what was shipped
        left = tidy(ordered - (quantity(get("shipped_amount")) or NOTHING))
    return ShippableLine(
        item_id=text(get("item_id")) or text(get("cart_id")) or key,
        product_id=reference(get("product_id")),
        product_code=text(get("product_code")),
        product=line_name(raw),
        ordered=ordered,
        left=NOTHING if downloaded else max(left, NOTHING),
        method=method_of(methods, extra),
    )


def _body(answer: ApiResponse) -> Raw:
    return require_object(answer.body)

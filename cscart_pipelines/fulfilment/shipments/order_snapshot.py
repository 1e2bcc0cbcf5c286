"""An order and its shipments as the shop has them now, read so that they belong together.

Not here: what is concluded from them (`order`).
"""

from __future__ import annotations

from dataclasses import dataclass

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.order_fulfilment import (
    ShipmentSeen,
    ShippableOrder,
    read_order,
    read_shipments,
)


@dataclass(frozen=True)
class OrderSnapshot:
    """The order and its shipments, read just now."""

    order: ShippableOrder
    shipments: list[ShipmentSeen]


def read_snapshot(client: ShopClient, order_id: int, *, unconfirmed: bool) -> OrderSnapshot:
    """Reads an order and its shipments in two requests; in one if it surely has no shipment.

    The order is never older than its shipments: one created in between would be in the shop, and
    its pieces still to ship.

    Args:
        client: of the shop.
        order_id: the order.
        unconfirmed: a write to the order may be on its way.

    Raises:
        NotFoundError: the shop has no such order.
        UnreadableRowError: its answer could not be parsed.
        ShopError: it could not be read.
    """
    if unconfirmed:
        shipments = read_shipments(client, order_id)
        return OrderSnapshot(read_order(client, order_id), shipments)
    order = read_order(client, order_id)
    if not order.shipment_ids and all(line.left == line.ordered for line in order.lines):
        return OrderSnapshot(order, [])
    shipments = read_shipments(client, order_id)
    if not {seen.shipment_id for seen in shipments} <= set(order.shipment_ids):
        order = read_order(client, order_id)
    return OrderSnapshot(order, shipments)

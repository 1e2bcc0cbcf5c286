"""An order and its shipments as the shop has them just now, so read that they belong together.

Not here: what is concluded from them (`order_push`).
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


def read_snapshot(client: ShopClient, order_id: int, *, doubtful: bool) -> OrderSnapshot:
    """Two requests, or one for an order that surely has no shipment.

    Never an order that is older than its shipments: one that came in between would be in the shop,
    and its pieces still to ship. `doubtful`: a write may be on its way. Raises NotFoundError,
    UnreadableRow and what the client raises.
    """
    if doubtful:
        shipments = read_shipments(client, order_id)
        return OrderSnapshot(read_order(client, order_id), shipments)
    order = read_order(client, order_id)
    if not order.shipment_ids and all(line.left == line.ordered for line in order.lines):
        return OrderSnapshot(order, [])
    shipments = read_shipments(client, order_id)
    if not {seen.shipment_id for seen in shipments} <= set(order.shipment_ids):
        order = read_order(client, order_id)
    return OrderSnapshot(order, shipments)

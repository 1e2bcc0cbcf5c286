"""The statuses a shop is installed with (reference 8.5), by version profile.

`N` (incomplete) and `T` (parent order) exist on orders but are in no list of statuses, so they are
not here.
"""

from __future__ import annotations

from cscart_pipelines.sandbox.shop.model import ShopStatus
from cscart_pipelines.sandbox.shop.profiles import Profile


def default_statuses(profile: Profile) -> list[ShopStatus]:
    """Order statuses (type O) and shipment statuses (type S), with the installer's ids."""
    orders = [
        ShopStatus(1, "P", profile.paid_name, inventory="D", paid=True),
        ShopStatus(2, "C", "Complete", inventory="D", paid=True),
        ShopStatus(3, "O", "Open", inventory="D", color="#ff9522"),
        ShopStatus(4, "F", "Failed", inventory="I", color="#ff5215"),
        ShopStatus(5, "D", "Declined", inventory="I", color="#ff5215"),
        ShopStatus(6, "B", "Backordered", inventory="I", color="#28abf6"),
        ShopStatus(7, "I", "Canceled", inventory="I", color="#c2c2c2"),
    ]
    if profile.call_requests:
        orders.append(ShopStatus(8, "Y", "Awaiting call", inventory="D", color="#cc4125"))
    shipments = [
        ShopStatus(21, "P", "Picked up", type="S"),
        ShopStatus(22, "A", "Packed", type="S"),
        ShopStatus(23, "S", "Shipped", type="S"),
    ]
    return orders + shipments

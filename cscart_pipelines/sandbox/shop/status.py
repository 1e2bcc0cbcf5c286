"""The statuses a shop is installed with (reference 8.5), by version profile.

`N` (incomplete) and `T` (parent order) exist on orders but are in no list of statuses, so they are
not here.
"""

from __future__ import annotations

from cscart_pipelines.sandbox.shop.model import Status
from cscart_pipelines.sandbox.shop.profiles import Profile


def default_statuses(profile: Profile) -> list[Status]:
    """Order statuses (type O) and shipment statuses (type S), with the installer's ids."""
    orders = [
        Status(1, "P", profile.paid_name, inventory="D", paid=True),
        Status(2, "C", "Complete", inventory="D", paid=True),
        Status(3, "O", "Open", inventory="D", color="#ff9522"),
        Status(4, "F", "Failed", inventory="I", color="#ff5215"),
        Status(5, "D", "Declined", inventory="I", color="#ff5215"),
        Status(6, "B", "Backordered", inventory="I", color="#28abf6"),
        Status(7, "I", "Canceled", inventory="I", color="#c2c2c2"),
    ]
    if profile.call_requests:
        orders.append(Status(8, "Y", "Awaiting call", inventory="D", color="#cc4125"))
    shipments = [
        Status(21, "P", "Picked up", type="S"),
        Status(22, "A", "Packed", type="S"),
        Status(23, "S", "Shipped", type="S"),
    ]
    return orders + shipments

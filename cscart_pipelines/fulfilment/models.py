"""The rows that a fulfilment system sends, as the inboxes hold them (docs/contract.md).

Only their shape. Quantities are decimals: shops sell by weight too, and nothing is rounded. Not
here: reading them from files (`feeds/parse`), storing them (`feeds/ingest`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class ShipmentRow:
    """One line of a shipment request.

    Attributes:
        sku: "" for all that is left of the order.
        quantity: pieces; None for all that is left of the SKU.
        source: file:line; None for rows inserted by SQL.
    """

    order_number: str
    tracking_number: str
    sku: str = ""
    quantity: Decimal | None = None
    carrier: str | None = None
    tracking_url: str | None = None
    shipped_at: datetime | None = None
    source: str | None = None


@dataclass(frozen=True)
class SkuRow:
    """What a SKU of the fulfilment system is called in the shop."""

    sku: str
    product_code: str


@dataclass(frozen=True)
class StockRow:
    """Stock on hand of one SKU.

    Attributes:
        quantity: below zero where more was sold than is there.
        as_of: when it was counted; None: when it is received.
        source: file:line; None for rows inserted by SQL.
    """

    sku: str
    quantity: Decimal | None
    as_of: datetime | None = None
    source: str | None = None

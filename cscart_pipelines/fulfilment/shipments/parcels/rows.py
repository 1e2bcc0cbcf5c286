"""One row of a parcel, read by itself: is it clear what it asks for? Pure.

Not here: how rows of a parcel agree (`fields`, `plan`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from cscart_pipelines.fulfilment.feeds.fields import (
    RefusedValueError,
    clean,
    text_value,
    tracking_url,
)
from cscart_pipelines.fulfilment.feeds.tracking_field import tracking_number
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.shipments.parcels.quantities import (
    RemainingQuantities,
    RowRefusedError,
    pieces_of,
)
from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking
from cscart_pipelines.integrations.settings import IntegrationSettings


@dataclass(frozen=True)
class RequestedRow:
    """A row that makes sense, its cells without what is not part of them.

    Attributes:
        place: among the rows as received.
        number: as it is sent.
        tracking: normalised.
        code: the order's product code; None for everything.
        pieces: None for all that is left.
        url: "" also where URLs are switched off.
    """

    place: int
    row: ShipmentRow
    number: str
    tracking: str
    code: str | None
    pieces: Decimal | None
    sku: str
    carrier: str
    url: str

    @property
    def key(self) -> str:
        """Names the row within its parcel."""
        return key_of(self.sku)


def key_of(sku: str) -> str:
    """Returns one key for SKUs that differ in case or in marks around them."""
    return clean(sku, "sku").casefold()


def read_row(
    place: int, row: ShipmentRow, left: RemainingQuantities, settings: IntegrationSettings
) -> RequestedRow:
    """Reads a row; rows inserted by SQL are read as those of files.

    Raises:
        RowRefusedError: a cell cannot be used, or the order has no such SKU.
    """
    try:
        number = tracking_number(row.tracking_number)
        sku = text_value(row.sku, "sku")
        carrier = text_value(row.carrier or "", "carrier")
        url = tracking_url(row.tracking_url or "") if settings.update_tracking_url else ""
    except RefusedValueError as error:
        raise RowRefusedError(str(error)) from None
    pieces = pieces_of(row.quantity)
    if not sku and pieces is not None:
        raise RowRefusedError(f"quantity {pieces} without a SKU; name the SKU that it is of")
    code = left.code_of(sku) if sku else None
    tracking = normalise_tracking(number)
    return RequestedRow(place, row, number, tracking, code, pieces, sku, carrier, url or "")

"""One row of a parcel, read by itself: is it clear what it asks for?

Pure. Not here: how rows get along with each other (`parcel_labels`, `parcels`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from cscart_pipelines.fulfilment.carriers import LONGEST
from cscart_pipelines.fulfilment.parcel_quantities import Remainder, RowRefusedError, pieces_of
from cscart_pipelines.fulfilment.rows import ShipmentRow
from cscart_pipelines.fulfilment.tracking_comments import trouble_of
from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking
from cscart_pipelines.integrations.settings import IntegrationSettings


@dataclass(frozen=True)
class Wanted:
    """A row that makes sense. `place`: among the rows as received; `code`: the order's product
    code, None for everything; `pieces`: None for all that is left; `url`: "" also where URLs are
    switched off."""

    place: int
    row: ShipmentRow
    tracking: str
    code: str | None
    pieces: Decimal | None
    url: str

    @property
    def sku(self) -> str:
        return self.row.sku.strip()

    @property
    def carrier(self) -> str:
        return (self.row.carrier or "").strip()

    @property
    def key(self) -> str:
        """Names the row within its parcel."""
        return key_of(self.row.sku)


def key_of(sku: str) -> str:
    """SKUs that differ in case or outer spaces name the same row."""
    return sku.strip().casefold()


def read_row(
    place: int, row: ShipmentRow, left: Remainder, settings: IntegrationSettings
) -> Wanted:
    """Raises RowRefusedError."""
    number = row.tracking_number.strip()
    tracking = normalise_tracking(number)
    if not tracking:
        raise RowRefusedError("the tracking number is empty")
    if len(number) > LONGEST or not (number.isascii() and number.isprintable()):
        raise RowRefusedError(
            f"the tracking number is not one line of up to {LONGEST} plain characters"
        )
    pieces = pieces_of(row.quantity)
    sku = row.sku.strip()
    if not sku and pieces is not None:
        raise RowRefusedError(f"quantity {pieces} without a SKU: pieces of what?")
    url = (row.tracking_url or "").strip() if settings.update_tracking_url else ""
    if url and (trouble := trouble_of(url)):
        raise RowRefusedError(trouble)
    return Wanted(place, row, tracking, left.code_of(sku) if sku else None, pieces, url)

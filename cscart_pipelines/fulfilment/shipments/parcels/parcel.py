"""One parcel: what is sent to the shop, what the journal keeps, how it is found again. Pure.

Not here: which parcels there are (`plan`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from cscart_pipelines.cscart.order_fulfilment import ShipmentSeen
from cscart_pipelines.cscart.quantities import from_json, json_numbers, total
from cscart_pipelines.fulfilment.journal import Entry, Kind, State
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.shipments.parcels.comments import has_line
from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking


@dataclass(frozen=True)
class Parcel:
    """A shipment to be created.

    Attributes:
        tracking: normalised; with the order it names the parcel.
        tracking_number: as it is sent; "" if it is not.
        quantities: item id to pieces, above 0.
        shipping_id: the method of its lines; the shop demands one (reference 9.2).
    """

    tracking: str
    tracking_number: str
    carrier: str
    comments: str
    shipped_at: datetime | None
    quantities: dict[str, Decimal]
    rows: tuple[ShipmentRow, ...] = ()
    shipping_id: int = 1

    @property
    def pieces(self) -> Decimal:
        """The sum of its quantities."""
        return total(self.quantities.values())

    def to_json(self) -> dict[str, Any]:
        """Returns the plan for the journal; no names, addresses or e-mails."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["shipped_at"] = _iso(self.shipped_at)
        plain["quantities"] = json_numbers(self.quantities)
        plain["rows"] = [_row_json(row) for row in self.rows]
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Parcel:
        """Restores a parcel from `to_json`; other keys beside its own are ignored."""
        plain = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        plain["shipped_at"] = _moment(plain["shipped_at"])
        plain["quantities"] = {item: from_json(each) for item, each in plain["quantities"].items()}
        plain["rows"] = tuple(_row(each) for each in plain.get("rows", ()))
        return cls(**plain)


def matches(parcel: Parcel, seen: ShipmentSeen) -> bool:
    """Returns True if the shop's shipment is this parcel.

    It has the same number, however it is spelled; or, where numbers are not sent, the same tracking
    address in its comments.
    """
    if parcel.tracking and normalise_tracking(seen.tracking_number) == parcel.tracking:
        return True
    return (
        not parcel.tracking_number
        and bool(parcel.comments)
        and has_line(seen.comments, parcel.comments)
    )


def own_shipments(history: Iterable[Entry]) -> dict[int, Entry]:
    """Returns the shop's shipments that are verified writes of ours, by shipment id."""
    return {
        int(entry.after["shipment_id"]): entry
        for entry in history
        if entry.kind is Kind.SHIPMENT
        and entry.state is State.VERIFIED
        and entry.after
        and entry.after.get("shipment_id")
    }


def _row_json(row: ShipmentRow) -> dict[str, Any]:
    plain = asdict(row)
    plain["quantity"] = None if row.quantity is None else str(row.quantity)
    plain["shipped_at"] = _iso(row.shipped_at)
    return plain


def _row(value: Mapping[str, Any]) -> ShipmentRow:
    plain = {name: value[name] for name in ShipmentRow.__dataclass_fields__ if name in value}
    if plain.get("quantity") is not None:
        plain["quantity"] = Decimal(plain["quantity"])
    plain["shipped_at"] = _moment(plain.get("shipped_at"))
    return ShipmentRow(**plain)


def _iso(value: datetime | None) -> str | None:
    return value.isoformat() if value else None


def _moment(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None

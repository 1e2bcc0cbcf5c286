"""The fields of a shipment: number, carrier, comments; and which of its rows agree. Pure.

The URL rule (reference 9.5): if URLs are switched on and one is given, a carrier whose page the
shop computes from the number needs nothing; otherwise the comments get a line. Where the number is
switched off, that line alone identifies the shipment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cscart_pipelines.fulfilment.carriers import CarrierMap
from cscart_pipelines.fulfilment.journal import Entry, Kind, State
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.shipments.parcels.comments import line_of
from cscart_pipelines.fulfilment.shipments.parcels.rows import RequestedRow
from cscart_pipelines.integrations.settings import IntegrationSettings

NO_CARRIER = "other"
"""Sent where neither a number nor a carrier would be: the shop takes no shipment without either."""


@dataclass
class ShipmentFields:
    """The fields of one parcel. `rows`: those that agree with them."""

    tracking_number: str = ""
    carrier: str = ""
    comments: str = ""
    rows: list[RequestedRow] = field(default_factory=list)
    refusals: list[tuple[ShipmentRow, str]] = field(default_factory=list)
    note: str | None = None

    def refuse(self, rows: Sequence[RequestedRow], reason: str) -> None:
        """Removes rows from the parcel, with the reason."""
        self.refusals += [(each.row, reason) for each in rows]
        places = {each.place for each in rows}
        self.rows = [each for each in self.rows if each.place not in places]


class ShipmentFieldsBuilder:
    """Builds the fields of one order's parcels, one after the other."""

    def __init__(
        self, settings: IntegrationSettings, carriers: CarrierMap, history: Sequence[Entry]
    ) -> None:
        self._settings = settings
        self._carriers = carriers
        self._lines = {
            str(entry.plan["comments"]): entry.tracking or ""
            for entry in history
            if entry.kind is Kind.SHIPMENT
            and (entry.state is State.VERIFIED or entry.unconfirmed)
            and entry.plan.get("comments")
            and not entry.plan.get("tracking_number")
        }
        """Comments that alone identify a parcel -> its tracking."""

    def build(self, group: Sequence[RequestedRow]) -> ShipmentFields:
        """Returns the fields of a parcel from all its rows; the first row with a value decides."""
        fields = ShipmentFields(rows=list(group))
        tracking = group[0].tracking
        _refuse_duplicates(fields, tracking)
        if len({each.sku == "" for each in fields.rows}) > 1:
            reason = (
                f"parcel {tracking} has rows with a SKU and one without, which means everything"
                " that is left: which of them?"
            )
            fields.refuse(fields.rows, reason)
            return fields
        sent = self._settings.update_tracking_number
        computed = self._write_carrier(fields, tracking)
        if not (computed and sent):
            _write_url(fields, tracking)
        if sent:
            fields.tracking_number = fields.rows[0].number
        else:
            fields.carrier = fields.carrier or self._carriers.fallback or NO_CARRIER
            if unidentifiable := self._unidentifiable_reason(tracking, fields.comments):
                fields.refuse(fields.rows, unidentifiable)
        return fields

    def _write_carrier(self, fields: ShipmentFields, tracking: str) -> bool:
        """The first carrier named. True if the shop computes its tracking page."""
        first = next((each.carrier for each in fields.rows if each.carrier), "")
        match = self._carriers.code_of(first)
        for each in list(fields.rows):
            code = self._carriers.code_of(each.carrier).code
            if each.carrier and code.casefold() != match.code.casefold():
                said = f"carrier {each.carrier} contradicts {first} of the same parcel {tracking}"
                fields.refuse([each], said)
        if not match.matched:
            what = f"{match.code!r} is sent as it is" if match.code else "no carrier is sent"
            fields.note = f"carrier {first!r} has no code: {what}"
        fields.carrier = match.code
        return match.computes_url

    def _unidentifiable_reason(self, tracking: str, line: str) -> str | None:
        """Why the shipment could not be told from others later, where numbers are not sent."""
        if not line:
            url = (
                "the row has no tracking URL"
                if self._settings.update_tracking_url
                else "so are tracking URLs (update_tracking_url)"
            )
            return (
                "nothing to send: tracking numbers are switched off for this shop"
                f" (update_tracking_number), and {url}"
            )
        owner = self._lines.setdefault(line, tracking)
        if owner != tracking:
            return (
                f"its tracking URL is that of parcel {owner}; without the number, which is switched"
                " off, the two could not be told apart"
            )
        return None


def _refuse_duplicates(fields: ShipmentFields, tracking: str) -> None:
    """A SKU is named once in a parcel: the same row twice must not ship twice."""
    first: dict[str, RequestedRow] = {}
    for each in list(fields.rows):
        before = first.setdefault(each.key, each)
        if before is not each:
            what = f"SKU {each.sku}" if each.sku else "all that is left"
            where = f" ({before.row.source})" if before.row.source else ""
            fields.refuse([each], f"parcel {tracking} has {what} already{where}")


def _write_url(fields: ShipmentFields, tracking: str) -> None:
    url = next((each.url for each in fields.rows if each.url), "")
    if url:
        other = [each for each in fields.rows if each.url not in ("", url)]
        fields.refuse(other, f"its tracking URL is not that of the same parcel {tracking}, {url}")
        fields.comments = line_of(url)

"""What is written on a parcel: number, carrier, comments; and which of its rows agree about it.

The URL rule (seed 002, reference 9.5): if URLs are switched on and one is given, a carrier whose
page the shop computes from the number needs nothing; otherwise the comments get a line. Where the
number is switched off, that line is all by which the shipment can be found again. Pure.
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
    """One parcel's. `rows`: those that agree with it."""

    tracking_number: str = ""
    carrier: str = ""
    comments: str = ""
    rows: list[RequestedRow] = field(default_factory=list)
    refusals: list[tuple[ShipmentRow, str]] = field(default_factory=list)
    note: str | None = None

    def refuse(self, rows: Sequence[RequestedRow], reason: str) -> None:
        """These rows do not belong to the parcel any more."""
        self.refusals += [(each.row, reason) for each in rows]
        places = {each.place for each in rows}
        self.rows = [each for each in self.rows if each.place not in places]


class FieldConflicts:
    """Writes the labels of one order's parcels, one after the other."""

    def __init__(
        self, settings: IntegrationSettings, carriers: CarrierMap, history: Sequence[Entry]
    ) -> None:
        self._settings = settings
        self._carriers = carriers
        self._lines = {
            str(entry.plan["comments"]): entry.tracking or ""
            for entry in history
            if entry.kind is Kind.SHIPMENT
            and (entry.state is State.VERIFIED or entry.in_doubt)
            and entry.plan.get("comments")
            and not entry.plan.get("tracking_number")
        }
        """Comments that alone tell a parcel from others, and whose they are."""

    def of(self, group: Sequence[RequestedRow]) -> ShipmentFields:
        """The label of a parcel, from all its rows. What the first row says is right."""
        label = ShipmentFields(rows=list(group))
        tracking = group[0].tracking
        _refuse_doubles(label, tracking)
        if len({each.sku == "" for each in label.rows}) > 1:
            reason = (
                f"parcel {tracking} has rows with a SKU and one without, which means everything"
                " that is left: which of them?"
            )
            label.refuse(label.rows, reason)
            return label
        sent = self._settings.update_tracking_number
        computed = self._write_carrier(label, tracking)
        if not (computed and sent):
            _write_url(label, tracking)
        if sent:
            label.tracking_number = label.rows[0].number
        else:
            label.carrier = label.carrier or self._carriers.others or NO_CARRIER
            if trouble := self._cannot_be_found(tracking, label.comments):
                label.refuse(label.rows, trouble)
        return label

    def _write_carrier(self, label: ShipmentFields, tracking: str) -> bool:
        """The first carrier named. True if the shop computes its tracking page."""
        first = next((each.carrier for each in label.rows if each.carrier), "")
        match = self._carriers.code_of(first)
        for each in list(label.rows):
            code = self._carriers.code_of(each.carrier).code
            if each.carrier and code.casefold() != match.code.casefold():
                said = f"carrier {each.carrier} contradicts {first} of the same parcel {tracking}"
                label.refuse([each], said)
        if not match.matched:
            what = f"{match.code!r} is sent as it is" if match.code else "no carrier is sent"
            label.note = f"carrier {first!r} has no code: {what}"
        label.carrier = match.code
        return match.computes_url

    def _cannot_be_found(self, tracking: str, line: str) -> str | None:
        """Where numbers are not sent: why the shipment could not be told from others later."""
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


def _refuse_doubles(label: ShipmentFields, tracking: str) -> None:
    """A SKU is named once in a parcel: the same row twice must not ship twice."""
    first: dict[str, RequestedRow] = {}
    for each in list(label.rows):
        before = first.setdefault(each.key, each)
        if before is not each:
            what = f"SKU {each.sku}" if each.sku else "all that is left"
            where = f" ({before.row.source})" if before.row.source else ""
            label.refuse([each], f"parcel {tracking} has {what} already{where}")


def _write_url(label: ShipmentFields, tracking: str) -> None:
    url = next((each.url for each in label.rows if each.url), "")
    if url:
        other = [each for each in label.rows if each.url not in ("", url)]
        label.refuse(other, f"its tracking URL is not that of the same parcel {tracking}, {url}")
        label.comments = line_of(url)

"""What became of an unconfirmed shipment, as far as the shop's list of shipments tells. Pure.

Not here: reading the list, and drawing the consequences (`order`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cscart_pipelines.cscart.order_fulfilment import ShipmentSeen
from cscart_pipelines.cscart.quantities import total
from cscart_pipelines.fulfilment.journal import Entry
from cscart_pipelines.fulfilment.shipments.parcels.parcel import Parcel, matches


@dataclass(frozen=True)
class WriteOutcome:
    """What became of a write; without any of these it was not applied, and may be.

    Attributes:
        seen: it is in the shop.
        note: what the shop has otherwise than it was sent.
        wait: seconds for which it may still arrive.
        failed: why it is not there and must not be tried again.
    """

    seen: ShipmentSeen | None = None
    note: str | None = None
    wait: float = 0.0
    failed: str | None = None


def outcome_of(
    entry: Entry, shipments: Sequence[ShipmentSeen], *, age: float, settle: float, most: int
) -> WriteOutcome:
    """Finds a written shipment among those that the shop has now.

    Shipments that the shop had before it was sent never count.

    Args:
        entry: of the journal.
        shipments: of the order, read just now.
        age: seconds since it was sent, or since its answer was given up on, when the reading of
            `shipments` began.
        settle: settling time in seconds.
        most: attempts.
    """
    parcel = Parcel.from_json(entry.plan)
    answer = entry.after or {}
    answered_id, rejected = answer.get("shipment_id"), answer.get("rejected")
    known = set((entry.before or {}).get("shipment_ids", ()))
    new = [seen for seen in shipments if seen.shipment_id not in known]
    # An id that the shop does not list may be garbage: the number still identifies it.
    ours = [seen for seen in new if seen.shipment_id == answered_id] or [
        seen for seen in new if matches(parcel, seen)
    ]
    if ours:
        return WriteOutcome(seen=ours[0], note=_differences(parcel, ours))
    rest = settle - max(age, 0.0)
    if rejected is None and rest > 0:
        return WriteOutcome(wait=max(rest, 0.1))
    if rejected is not None:
        return WriteOutcome(failed=str(rejected))
    if answered_id is not None:
        return WriteOutcome(
            failed=f"the shop answered with shipment {answered_id}, but does not have it"
        )
    if entry.attempts >= most:
        return WriteOutcome(failed=f"not applied in {entry.attempts} attempts: {entry.reason}")
    return WriteOutcome()


def _differences(parcel: Parcel, ours: Sequence[ShipmentSeen]) -> str | None:
    """What the shop has otherwise than it was sent."""
    seen, notes = ours[0], []
    if len(ours) > 1:
        ids = ", ".join(str(each.shipment_id) for each in ours)
        notes.append(f"the shop has it {len(ours)} times: shipments {ids}")
    if seen.quantities != dict(parcel.quantities):
        sent, has = parcel.pieces, total(seen.quantities.values())
        notes.append(f"{sent} pieces were sent, the shop took {has}")
    if seen.tracking_number != parcel.tracking_number:
        notes.append(f"the shop has the tracking number {seen.tracking_number!r}")
    if seen.carrier != parcel.carrier:
        notes.append(f"the shop has the carrier {seen.carrier!r}")
    if seen.shipping_id not in (None, parcel.shipping_id):
        notes.append(f"the shop has shipping method {seen.shipping_id}")
    return "; ".join(notes) or None

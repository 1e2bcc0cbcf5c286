"""Which parcels the rows of one order make: grouped, checked, matched with the shop, filled. Pure.

A row ends in exactly one place: a parcel to be posted, a shipment that the shop has already
(adopted), or refused with a reason; good rows go through beside refused ones. Not here: the single
steps (`rows`, `fields`, `quantities`, `adoption`) and the writes (`shipments/order`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from cscart_pipelines.cscart.order_fulfilment import ShipmentSeen, ShippableOrder
from cscart_pipelines.cscart.quantities import NOTHING, tidy
from cscart_pipelines.fulfilment.carriers import CarrierMap
from cscart_pipelines.fulfilment.journal import Entry
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.shipments.parcels.adoption import (
    Adopted,
    match_existing,
    reserved_by_unconfirmed,
)
from cscart_pipelines.fulfilment.shipments.parcels.fields import (
    ShipmentFields,
    ShipmentFieldsBuilder,
)
from cscart_pipelines.fulfilment.shipments.parcels.parcel import Parcel, matches
from cscart_pipelines.fulfilment.shipments.parcels.quantities import (
    RemainingQuantities,
    RowRefusedError,
)
from cscart_pipelines.fulfilment.shipments.parcels.rows import RequestedRow, read_row
from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking
from cscart_pipelines.integrations.settings import IntegrationSettings

__all__ = ["Adopted", "OrderPlan", "Parcel", "matches", "plan"]


@dataclass
class OrderPlan:
    """What becomes of the rows of one order."""

    parcels: list[Parcel] = field(default_factory=list)
    adopted: list[Adopted] = field(default_factory=list)
    refusals: list[tuple[ShipmentRow, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan(
    order_number: str,
    order: ShippableOrder,
    shipments: Sequence[ShipmentSeen],
    rows: Sequence[ShipmentRow],
    history: Sequence[Entry],
    settings: IntegrationSettings,
    carriers: CarrierMap,
    sku_map: Mapping[str, str],
    *,
    fractions: bool = False,
) -> OrderPlan:
    """Plans the parcels of one order.

    Rows take from what is left in the order they were received. Unconfirmed entries of the history
    should have been reconciled before; what they may have shipped is not given again.

    Args:
        order_number: for the reasons.
        order: as the shop has it now.
        shipments: as the shop has them now.
        rows: as they were received.
        history: the journal of the order.
        settings: of the integration.
        carriers: the integration's carriers.
        sku_map: SKU of the fulfilment system to product code.
        fractions: the shop's shipments take quantities with a fraction.
    """
    made = OrderPlan()
    if reason := _unshippable(order_number, order, settings):
        made.refusals = [(row, reason) for row in rows]
        return made
    named = {normalise_tracking(row.tracking_number) for row in rows}
    reserved = reserved_by_unconfirmed(history, shipments, named)
    left = RemainingQuantities(order, shipments, sku_map, reserved, fractions=fractions)
    builder = ShipmentFieldsBuilder(settings, carriers, history)
    used: dict[str, ShipmentFields] = {}
    new: list[RequestedRow] = []
    for tracking, group in _groups(rows, left, settings, made).items():
        fields = builder.build(group)
        made.refusals += fields.refusals
        # Where the number is sent, only the number says which parcel a shipment is.
        line = "" if settings.update_tracking_number else fields.comments
        found = match_existing(fields.rows, line, history, shipments, left)
        made.adopted += found.adopted
        made.refusals += found.refusals
        if found.new:
            used[tracking] = fields
            new += found.new
            if fields.note and fields.note not in made.notes:
                made.notes.append(fields.note)
    filled = _fill(new, left, made)
    for tracking, (its_rows, quantities) in filled.items():
        fields = used[tracking]
        shipping_id, note = _shipping_method(order, tracking, quantities)
        made.notes += [note] if note else []
        made.parcels.append(
            Parcel(
                tracking=tracking,
                tracking_number=fields.tracking_number,
                carrier=fields.carrier,
                comments=fields.comments,
                shipped_at=_earliest(its_rows, settings.zone),
                quantities=quantities,
                rows=tuple(its_rows),
                shipping_id=shipping_id,
            )
        )
    return made


def _unshippable(number: str, order: ShippableOrder, settings: IntegrationSettings) -> str | None:
    if order.is_parent or order.status == "T":
        return f"order {number} is the parent of a split order; its children are shipped"
    if order.status == "N":
        return f"order {number} is incomplete: the customer has not finished the checkout"
    if settings.start_date is not None:
        start = datetime.combine(settings.start_date, time.min, settings.zone)
        if order.ordered_at < start:
            placed = order.ordered_at.astimezone(settings.zone)
            return (
                f"order {number} was placed on {placed:%d/%m/%Y}, before the start date"
                f" {start:%d/%m/%Y}"
            )
    return None


def _groups(
    rows: Sequence[ShipmentRow],
    left: RemainingQuantities,
    settings: IntegrationSettings,
    made: OrderPlan,
) -> dict[str, list[RequestedRow]]:
    """Rows that make sense, by parcel; the others are refused."""
    groups: dict[str, list[RequestedRow]] = {}
    for place, row in enumerate(rows):
        try:
            wanted = read_row(place, row, left, settings)
        except RowRefusedError as refusal:
            made.refusals.append((row, str(refusal)))
        else:
            groups.setdefault(wanted.tracking, []).append(wanted)
    return groups


def _fill(
    rows: Sequence[RequestedRow], left: RemainingQuantities, made: OrderPlan
) -> dict[str, tuple[list[ShipmentRow], dict[str, Decimal]]]:
    """Parcel to its rows and quantities; parcels share what is left as their rows were received."""
    filled: dict[str, tuple[list[ShipmentRow], dict[str, Decimal]]] = {}
    for each in sorted(rows, key=lambda wanted: wanted.place):
        try:
            given = left.take(each.tracking, each.code, each.pieces)
        except RowRefusedError as refusal:
            made.refusals.append((each.row, str(refusal)))
            continue
        its_rows, quantities = filled.setdefault(each.tracking, ([], {}))
        its_rows.append(each.row)
        for item, amount in given.items():
            quantities[item] = tidy(quantities.get(item, NOTHING) + amount)
    return filled


def _shipping_method(
    order: ShippableOrder, tracking: str, quantities: Mapping[str, Decimal]
) -> tuple[int, str | None]:
    """Returns the shipping method of a parcel, and a note where its lines have several.

    The shop keeps one method for a shipment, and one parcel must not become two shipments of the
    same number: the method that most of its pieces have stands for all.
    """
    pieces: dict[int, Decimal] = {}
    names: dict[int, str] = {}
    for line in order.lines:
        if amount := quantities.get(line.item_id):
            key = (line.method and line.method.shipping_id) or order.shipping_id or 1
            pieces[key] = pieces.get(key, NOTHING) + amount
            names[key] = (line.method and line.method.name) or f"method {key}"
    chosen = min(pieces, key=lambda key: (-pieces[key], key))
    if len(pieces) == 1:
        return chosen, None
    return chosen, (
        f"parcel {tracking} holds lines of the shipping methods {', '.join(names.values())};"
        f" a shipment has one: {names[chosen]}, which most of its pieces have"
    )


def _earliest(rows: Sequence[ShipmentRow], zone: ZoneInfo) -> datetime | None:
    """In UTC; a time without a zone is the shop's own."""
    moments = [row.shipped_at for row in rows if row.shipped_at]
    aware = [each if each.tzinfo else each.replace(tzinfo=zone) for each in moments]
    return min(aware).astimezone(UTC) if aware else None

"""Rows of a parcel that the shop has already: written by us before, or by its staff. Pure.

Nothing is posted for them, even if the quantities differ; the reason says so. Not here:
unconfirmed writes, which are read back before anything is planned (`shipments/order`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cscart_pipelines.cscart.order_fulfilment import ShipmentSeen
from cscart_pipelines.cscart.quantities import NOTHING, tidy
from cscart_pipelines.fulfilment.journal import Entry, Kind
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.shipments.parcels.parcel import Parcel, matches, own_shipments
from cscart_pipelines.fulfilment.shipments.parcels.quantities import RemainingQuantities
from cscart_pipelines.fulfilment.shipments.parcels.rows import RequestedRow, key_of


@dataclass(frozen=True)
class Adopted:
    """Rows for which the shop has a shipment; `reason`: which, and how it differs."""

    tracking: str
    rows: tuple[ShipmentRow, ...]
    shipment_id: int
    reason: str


@dataclass
class ExistingMatch:
    """The rows of a parcel, divided by what the shop has. `new`: the shop has nothing."""

    adopted: list[Adopted] = field(default_factory=list)
    refusals: list[tuple[ShipmentRow, str]] = field(default_factory=list)
    new: list[RequestedRow] = field(default_factory=list)


def match_existing(
    group: Sequence[RequestedRow],
    line: str,
    history: Sequence[Entry],
    shipments: Sequence[ShipmentSeen],
    left: RemainingQuantities,
) -> ExistingMatch:
    """Divides the rows of one parcel into adopted, refused and new ones.

    Rows that a verified write of ours has carried out are done. One that names a product of such a
    write by another SKU, or none, is refused: it may be the same row. The others are adopted by a
    shipment of the same number that is not ours; where there is none they are new, also if we have
    shipped other rows of the parcel.

    Args:
        group: the rows of the parcel.
        line: the comments by which it is found without a number.
        history: the order's journal.
        shipments: those that the shop has.
        left: to compare quantities by product code.
    """
    found = ExistingMatch()
    if not group:
        return found
    done = _rows_done(group[0].tracking, history)
    shipped = _codes_shipped(group[0].tracking, history, left)
    rest = []
    for each in group:
        if each.key not in done:
            if reason := _unclear(each, done, shipped, shipments):
                found.refusals.append((each.row, reason))
            else:
                rest.append(each)
            continue
        shipment_id, quantity = done[each.key]
        where = _where(shipment_id, shipments)
        asked = None if each.row.quantity is None else str(each.pieces)
        if quantity == asked:
            reason = f"shipped already, {where}"
            found.adopted.append(Adopted(each.tracking, (each.row,), shipment_id, reason))
        else:
            said = f"{quantity} piece{'s' * (quantity != '1')}" if quantity else "all that was left"
            reason = f"this row was shipped already with {said}, {where}"
            found.refusals.append((each.row, reason))
    foreign = _foreign_shipments(group[0].tracking, line, shipments, history)
    if rest and foreign:
        rows = tuple(each.row for each in rest)
        reason = _adoption_reason(rest, foreign, left)
        found.adopted.append(Adopted(rest[0].tracking, rows, foreign[0].shipment_id, reason))
    else:
        found.new = rest
    return found


def reserved_by_unconfirmed(
    history: Sequence[Entry], shipments: Sequence[ShipmentSeen], named: AbstractSet[str]
) -> list[dict[str, Decimal]]:
    """Returns quantities of writes that may still arrive: the shop does not show them.

    Parcels in `named` are left out: their rows are planned just now.
    """
    ours = own_shipments(history)
    foreign = [seen for seen in shipments if seen.shipment_id not in ours]
    parcels = [
        Parcel.from_json(entry.plan)
        for entry in history
        if entry.kind is Kind.SHIPMENT and entry.unconfirmed and entry.tracking not in named
    ]
    return [each.quantities for each in parcels if not any(matches(each, s) for s in foreign)]


def _unclear(
    each: RequestedRow,
    done: Mapping[str, tuple[int, str | None]],
    shipped: Mapping[str | None, int],
    shipments: Sequence[ShipmentSeen],
) -> str | None:
    """Why a row may be one that was shipped, though it has another SKU or none."""
    if not each.sku and done:
        (known, _), *_ = done.values()
        return (
            f"parcel {each.tracking} was shipped with rows that name their SKU,"
            f" {_where(known, shipments)}; a row without one means everything that is left: which"
            " of them?"
        )
    if each.code in shipped:
        return (
            f"parcel {each.tracking} has product code {each.code} already, from a row with another"
            f" SKU or none, {_where(shipped[each.code], shipments)}"
        )
    return None


def _where(shipment_id: int, shipments: Sequence[ShipmentSeen]) -> str:
    """Which shipment of ours it was, and whether the shop still has it."""
    if any(seen.shipment_id == shipment_id for seen in shipments):
        return f"as shipment {shipment_id}"
    return (
        f"as shipment {shipment_id}, which the shop has no more (`fulfilment deleted` settles it)"
    )


def _rows_done(tracking: str, history: Sequence[Entry]) -> dict[str, tuple[int, str | None]]:
    """Rows of the parcel that verified writes of ours carried out: to shipment id and quantity."""
    done: dict[str, tuple[int, str | None]] = {}
    for shipment_id, entry in own_shipments(history).items():
        if entry.tracking == tracking:
            for row in entry.plan.get("rows", ()):
                done[key_of(row["sku"])] = (shipment_id, _plain(row.get("quantity")))
    return done


def _codes_shipped(
    tracking: str, history: Sequence[Entry], left: RemainingQuantities
) -> dict[str | None, int]:
    """Product codes that verified writes of ours put into the parcel: to shipment id."""
    return {
        code: shipment_id
        for shipment_id, entry in own_shipments(history).items()
        if entry.tracking == tracking
        for code in left.by_code([Parcel.from_json(entry.plan).quantities])
        if code
    }


def _plain(quantity: Any) -> str | None:
    """2, 2.0 and 2E0 are the same number of pieces."""
    return None if quantity is None else str(tidy(Decimal(quantity)))


def _foreign_shipments(
    tracking: str, line: str, shipments: Sequence[ShipmentSeen], history: Sequence[Entry]
) -> list[ShipmentSeen]:
    """Shipments that are this parcel and not ours.

    One of ours for another parcel that was given this number since is this parcel now; the same
    address in its comments says less.
    """
    ours = own_shipments(history)
    held = {
        entry.after["shipment_id"]: entry.tracking
        for entry in history
        if entry.kind is Kind.SHIPMENT and entry.after and entry.after.get("shipment_id")
    }
    numbered = Parcel(tracking, tracking, "", "", None, {})
    addressed = Parcel(tracking, "", "", line, None, {})
    found = []
    for seen in shipments:
        key = seen.shipment_id
        own = ours.get(key)
        if matches(numbered, seen):
            fits = own is None or own.tracking != tracking
        else:
            unclaimed = own is None and held.get(key, tracking) == tracking
            fits = unclaimed and matches(addressed, seen)
        if fits:
            found.append(seen)
    return found


def _adoption_reason(
    rest: Sequence[RequestedRow], foreign: Sequence[ShipmentSeen], left: RemainingQuantities
) -> str:
    ids = ", ".join(str(seen.shipment_id) for seen in foreign)
    has = left.by_code(seen.quantities for seen in foreign)
    asked: dict[str, Decimal] = {}
    for each in rest:
        if each.code is not None and each.pieces is not None:
            asked[each.code] = tidy(asked.get(each.code, NOTHING) + each.pieces)
    different = [
        f"{code} {pieces} asked, {has.get(code, 0)} shipped"
        for code, pieces in sorted(asked.items())
        if has.get(code, NOTHING) != pieces
    ]
    said = f"the shop has this parcel already, as shipment {ids}"
    return said + (f"; quantities differ: {'; '.join(different)}" if different else "")

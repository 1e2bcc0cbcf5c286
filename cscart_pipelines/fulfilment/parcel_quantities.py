"""How many pieces of which line: SKUs found in the order, and what is left given out row by row.

Pure. Not here: what belongs into one parcel (`parcels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from cscart_pipelines.cscart.shippable import ShipmentSeen, ShippableOrder

_MOST_DIGITS = 9


class RowRefusedError(ValueError):
    """A row that cannot be carried out; the text says why, with the numbers."""


def pieces_of(quantity: Decimal | None) -> int | None:
    """A quantity as a whole number above 0; None stays None. Raises RowRefusedError."""
    if quantity is None:
        return None
    if not quantity.is_finite():
        raise RowRefusedError(f"quantity {quantity} is no number")
    if quantity < 0:
        raise RowRefusedError(f"quantity {quantity} is negative")
    if quantity == 0:
        raise RowRefusedError("quantity 0 ships nothing; expected 1 or more")
    if quantity.adjusted() >= _MOST_DIGITS:
        raise RowRefusedError(f"quantity {quantity} is more than any order has")
    if quantity != quantity.to_integral_value():
        raise RowRefusedError(f"quantity {quantity} is not whole")
    return int(quantity)


class Remainder:
    """What is left of one order, while the rows of a plan take from it one after the other."""

    def __init__(
        self,
        order: ShippableOrder,
        shipments: Sequence[ShipmentSeen],
        sku_map: Mapping[str, str],
        in_doubt: Iterable[Mapping[str, int]] = (),
    ) -> None:
        """`in_doubt`: quantities of writes that may still turn out to be done: not given again."""
        self._order = order
        self._shipments = shipments
        self._sku_map = sku_map
        self._left = {line.item_id: line.left for line in order.lines}
        self._ordered = {line.item_id: line.ordered for line in order.lines}
        self._code = {line.item_id: (line.product_code or "").strip() for line in order.lines}
        self._doubted: dict[str, int] = {}
        self._given: dict[str, dict[str, int]] = {}
        """Parcel to item id to pieces, in this plan."""
        for quantities in in_doubt:
            for item, amount in quantities.items():
                self._doubted[item] = self._doubted.get(item, 0) + amount
                self._left[item] = max(self._left.get(item, 0) - amount, 0)

    def code_of(self, sku: str) -> str:
        """The order's product code that a SKU means. Raises RowRefusedError.

        Through the map if it is there; exactly, else in other upper and lower case if that is
        clear.
        """
        mapped = _look_up(self._sku_map, sku) or sku
        codes = {code for code in self._code.values() if code}
        if mapped in codes:
            return mapped
        alike = sorted(code for code in codes if code.casefold() == mapped.casefold())
        if len(alike) == 1:
            return alike[0]
        said = f"SKU {sku}" + (f" (product code {mapped})" if mapped != sku else "")
        if alike:
            raise RowRefusedError(f"{said} could be any of {', '.join(alike)}")
        has = ", ".join(sorted(codes)) or "no product with a code"
        raise RowRefusedError(f"{said} is not in this order; it has {has}")

    def take(self, tracking: str, code: str | None, pieces: int | None) -> dict[str, int]:
        """Gives pieces of a code (None: of all lines) to a parcel, lines by item id; `pieces` None:
        all that is left. Raises RowRefusedError, and gives nothing then."""
        items = sorted(item for item in self._left if code is None or self._code[item] == code)
        left = sum(self._left[item] for item in items)
        if left == 0:
            raise RowRefusedError(self._nothing_left(code, items))
        if pieces is not None and pieces > left:
            ordered = sum(self._ordered[item] for item in items)
            raise RowRefusedError(
                f"SKU {code}: {pieces} asked, {left} left of {ordered} ordered"
                + self._elsewhere(items)
            )
        wanted = left if pieces is None else pieces
        given: dict[str, int] = {}
        for item in items:
            amount = min(self._left[item], wanted)
            if amount > 0:
                given[item] = amount
                self._left[item] -= amount
                wanted -= amount
        total = self._given.setdefault(tracking, {})
        for item, amount in given.items():
            total[item] = total.get(item, 0) + amount
        return given

    def by_code(self, quantities: Iterable[Mapping[str, int]]) -> dict[str, int]:
        """Pieces per product code."""
        total: dict[str, int] = {}
        for each in quantities:
            for item, amount in each.items():
                code = self._code.get(item, "")
                total[code] = total.get(code, 0) + amount
        return total

    def _nothing_left(self, code: str | None, items: list[str]) -> str:
        ids = {*self._order.shipment_ids, *(seen.shipment_id for seen in self._shipments)}
        if self._order.left == 0:
            if not ids:
                return "the order has nothing to ship"
            return f"everything has shipped already: shipments {_listed(ids)}"
        if code is None:
            return "nothing is left of the order" + self._elsewhere(items)
        ordered = sum(self._ordered[item] for item in items)
        return f"SKU {code}: nothing is left of {ordered} ordered" + self._elsewhere(items)

    def _elsewhere(self, items: list[str]) -> str:
        """Where the pieces went."""
        ids = {
            seen.shipment_id
            for seen in self._shipments
            if any(seen.quantities.get(item, 0) for item in items)
        }
        parcels = [
            tracking
            for tracking, given in self._given.items()
            if any(given.get(item, 0) for item in items)
        ]
        doubted = sum(self._doubted.get(item, 0) for item in items)
        said = [f"shipments {_listed(ids)}"] if ids else []
        if parcels:
            said.append(f"rows before this one: {', '.join(parcels)}")
        if doubted:
            said.append(f"{doubted} in a write whose outcome is not known yet")
        return f" ({'; '.join(said)})" if said else ""


def _look_up(sku_map: Mapping[str, str], sku: str) -> str | None:
    if sku in sku_map:
        return sku_map[sku].strip()
    alike = {code.strip() for key, code in sku_map.items() if key.casefold() == sku.casefold()}
    return alike.pop() if len(alike) == 1 else None


def _listed(ids: Iterable[int]) -> str:
    return ", ".join(str(each) for each in sorted(ids))

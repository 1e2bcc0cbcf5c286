"""How many pieces of which line: SKUs found in the order, what is left given out row by row. Pure.

Not here: what belongs into one parcel (`plan`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal

from cscart_pipelines.cscart.order_fulfilment import ShipmentSeen, ShippableOrder
from cscart_pipelines.cscart.quantities import NOTHING, is_whole, shown, tidy, total

_MOST_DIGITS = 9
_SMALLEST = Decimal("0.000001")


class RowRefusedError(ValueError):
    """A row that cannot be carried out; the text says why, with the numbers."""


def pieces_of(quantity: Decimal | None) -> Decimal | None:
    """Returns a quantity above 0 in its shortest form; None stays None.

    Raises:
        RowRefusedError: it is no quantity that can be shipped.
    """
    if quantity is None:
        return None
    if not quantity.is_finite():
        raise RowRefusedError(f"quantity {shown(quantity)} is no number")
    if quantity < 0:
        raise RowRefusedError(f"quantity {shown(quantity)} is negative")
    if quantity == 0:
        raise RowRefusedError("quantity 0 ships nothing; expected more than 0")
    if quantity.adjusted() >= _MOST_DIGITS:
        raise RowRefusedError(f"quantity {shown(quantity)} is more than any order has")
    if tidy(quantity) != quantity.quantize(_SMALLEST):
        raise RowRefusedError(f"quantity {shown(quantity)} has more than 6 decimals")
    return tidy(quantity)


class RemainingQuantities:
    """What is left of one order, while the rows of a plan take from it one after the other."""

    def __init__(
        self,
        order: ShippableOrder,
        shipments: Sequence[ShipmentSeen],
        sku_map: Mapping[str, str],
        reserved: Iterable[Mapping[str, Decimal]] = (),
        *,
        fractions: bool = False,
    ) -> None:
        """Starts with what the shop has left.

        Args:
            order: as the shop has it.
            shipments: as the shop has them.
            sku_map: SKU of the fulfilment system to product code.
            reserved: quantities of writes that may still arrive: not given again.
            fractions: the shop's shipments take them.
        """
        self._fractions = fractions
        self._order = order
        self._shipments = shipments
        self._sku_map = sku_map
        self._left = {line.item_id: line.left for line in order.lines}
        self._ordered = {line.item_id: line.ordered for line in order.lines}
        self._code = {line.item_id: (line.product_code or "").strip() for line in order.lines}
        self._reserved: dict[str, Decimal] = {}
        self._given: dict[str, dict[str, Decimal]] = {}
        """Parcel to item id to pieces, in this plan."""
        for quantities in reserved:
            for item, amount in quantities.items():
                self._reserved[item] = tidy(self._reserved.get(item, NOTHING) + amount)
                self._left[item] = max(tidy(self._left.get(item, NOTHING) - amount), NOTHING)

    def code_of(self, sku: str) -> str:
        """Returns the order's product code that a SKU means: mapped, exact, else by case.

        Raises:
            RowRefusedError: the order has no such product, or several.
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

    def take(self, tracking: str, code: str | None, pieces: Decimal | None) -> dict[str, Decimal]:
        """Gives pieces to a parcel.

        Args:
            tracking: of the parcel.
            code: product code; None for all lines.
            pieces: None for all that is left.

        Returns:
            Item id to pieces.

        Raises:
            RowRefusedError: fewer are left; nothing is given then.
        """
        items = sorted(item for item in self._left if code is None or self._code[item] == code)
        left = total(self._left[item] for item in items)
        if left == 0:
            raise RowRefusedError(self._nothing_left(code, items))
        if pieces is not None and pieces > left:
            ordered = total(self._ordered[item] for item in items)
            raise RowRefusedError(
                f"SKU {code}: {pieces} asked, {left} left of {ordered} ordered"
                + self._where_shipped(items)
            )
        wanted = left if pieces is None else pieces
        given: dict[str, Decimal] = {}
        for item in items:
            amount = min(self._left[item], wanted)
            if not self._fractions:
                amount = amount.to_integral_value(ROUND_FLOOR)
            if amount > 0:
                given[item] = amount
                wanted = tidy(wanted - amount)
        if wanted > 0:
            raise RowRefusedError(self._not_whole(items, pieces))
        its_own = self._given.setdefault(tracking, {})
        for item, amount in given.items():
            self._left[item] = tidy(self._left[item] - amount)
            its_own[item] = tidy(its_own.get(item, NOTHING) + amount)
        return given

    def by_code(self, quantities: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
        """Returns pieces per product code."""
        found: dict[str, Decimal] = {}
        for each in quantities:
            for item, amount in each.items():
                code = self._code.get(item, "")
                found[code] = tidy(found.get(code, NOTHING) + amount)
        return found

    def _not_whole(self, items: list[str], pieces: Decimal | None) -> str:
        """Why a fraction is not shipped. The shop would round it without a word, and mail it."""
        if pieces is not None and not is_whole(pieces):
            said = f"quantity {pieces} is not whole"
        else:
            parts = [
                f"{self._left[item]} of SKU {self._code[item] or '(none)'}"
                for item in items
                if not is_whole(self._left[item])
            ]
            said = f"{', '.join(parts)} {'is' if len(parts) == 1 else 'are'} left to ship"
        return (
            f"{said}, and shipments of this shop hold whole pieces: ship a fraction in the shop's"
            " admin panel, and whole lines by rows with their SKU"
        )

    def _nothing_left(self, code: str | None, items: list[str]) -> str:
        ids = {*self._order.shipment_ids, *(seen.shipment_id for seen in self._shipments)}
        if self._order.left == 0:
            if not ids:
                return "the order has nothing to ship"
            return f"everything has shipped already: shipments {_listed(ids)}"
        if code is None:
            return "nothing is left of the order" + self._where_shipped(items)
        ordered = total(self._ordered[item] for item in items)
        return f"SKU {code}: nothing is left of {ordered} ordered" + self._where_shipped(items)

    def _where_shipped(self, items: list[str]) -> str:
        """Where the pieces went."""
        ids = {
            seen.shipment_id
            for seen in self._shipments
            if any(seen.quantities.get(item) for item in items)
        }
        parcels = [
            tracking
            for tracking, given in self._given.items()
            if any(given.get(item) for item in items)
        ]
        reserved = total(self._reserved.get(item, NOTHING) for item in items)
        said = [f"shipments {_listed(ids)}"] if ids else []
        if parcels:
            said.append(f"rows before this one: {', '.join(parcels)}")
        if reserved:
            said.append(f"{reserved} in a write whose outcome is not known yet")
        return f" ({'; '.join(said)})" if said else ""


def _look_up(sku_map: Mapping[str, str], sku: str) -> str | None:
    if sku in sku_map:
        return sku_map[sku].strip()
    alike = {code.strip() for key, code in sku_map.items() if key.casefold() == sku.casefold()}
    return alike.pop() if len(alike) == 1 else None


def _listed(ids: Iterable[int]) -> str:
    return ", ".join(str(each) for each in sorted(ids))

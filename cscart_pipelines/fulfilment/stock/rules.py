"""From stock on hand to the amount that the shop shows, by the rules of integration and SKU. Pure.

Each step works on what the one before has left: orders since the count, buffer, safety quantity,
cap. None of them raises an amount, so a shop never shows more than the feed says. Not here: where
rules are kept (`rule_book`), when a feed is held (`circuit_breaker`), the writing (`writer`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_FLOOR, Decimal

from cscart_pipelines.cscart.quantities import NOTHING, is_whole, shown, tidy

MAX_AMOUNT = 8_388_607
"""The shop's column holds no more, and cuts what is above without a word (reference 5)."""
MAX_OVERSOLD = 10**9
WHOLE, WEIGHED = Decimal(1), Decimal("0.001")
"""The smallest step of an amount: pieces, or thousandths where a shop sells by weight."""
NO_CAP = Decimal("Infinity")
"""The cap of a SKU that has none though its integration has one."""
_NUMBER = re.compile(r"[0-9]{1,7}(\.[0-9]{1,3})?")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{2}0")
"""Thousands, or a fraction with a zero that says nothing; a cap of 1 for 1000 empties a shop."""


class AmbiguousNumberError(ValueError):
    """A number of a rule that could mean two things."""


class RefusedLevelError(ValueError):
    """A level that cannot be carried out; the text says why."""


@dataclass(frozen=True)
class Buffer:
    """What is kept back: pieces, or a percentage of what there is."""

    amount: Decimal = NOTHING
    percent: bool = False

    def of(self, available: Decimal) -> Decimal:
        """Returns how much of it is kept back."""
        return available * self.amount / 100 if self.percent else self.amount

    def __str__(self) -> str:
        return f"{tidy(self.amount)}{'%' * self.percent}"


@dataclass(frozen=True)
class SkuRules:
    """The rules of one SKU; None: that of the integration."""

    buffer: Buffer | None = None
    safety_quantity: Decimal | None = None
    cap: Decimal | None = None


@dataclass(frozen=True)
class StockRules:
    """The rules for one SKU, or of one integration; the defaults hold where nothing is set.

    Attributes:
        buffer: kept back, in pieces or percent.
        safety_quantity: what is left and not above it is written as 0.
        cap: the shop never shows more.
        subtract_open_orders: take off what was ordered since the level was counted.
        most_to_zero: share of the stocked products that one feed may set to zero, 0 to 1.
    """

    buffer: Buffer = field(default_factory=Buffer)
    safety_quantity: Decimal = NOTHING
    cap: Decimal | None = None
    subtract_open_orders: bool = False
    most_to_zero: Decimal = Decimal("0.5")
    own: frozenset[str] = frozenset()
    """Names of rules that are the SKU's own."""

    def with_own(self, rules: SkuRules) -> StockRules:
        """Returns these rules with those of a SKU in their places."""
        own = {name: value for name, value in vars(rules).items() if value is not None}
        changed = replace(self, **own, own=frozenset(own))
        return replace(changed, cap=None) if changed.cap == NO_CAP else changed


@dataclass(frozen=True)
class RuleBook:
    """All rules of one integration."""

    general: StockRules = field(default_factory=StockRules)
    by_sku: Mapping[str, SkuRules] = field(default_factory=dict)

    def of(self, *names: str) -> StockRules:
        """Returns the rules for a SKU.

        `names`: the SKU and its product code; case is ignored where no rule has the very name.
        """
        for name in (*names, *(name.casefold() for name in names)):
            if name in self.by_sku:
                return self.general.with_own(self.by_sku[name])
        return self.general


@dataclass(frozen=True)
class Amount:
    """What the shop shall show. `steps`: the rules that had an effect, in their order."""

    value: Decimal
    steps: tuple[str, ...] = ()

    @property
    def note(self) -> str | None:
        """The steps as one text; None without any."""
        return "; ".join(self.steps) or None


def amount_for(
    quantity: Decimal | None,
    rules: StockRules,
    ordered: Decimal = NOTHING,
    *,
    fractions: bool = False,
) -> Amount:
    """Returns what the shop shall show of a level: never negative, never more than the level.

    Args:
        quantity: on hand, as the feed says.
        rules: of the SKU.
        ordered: pieces ordered since it was counted.
        fractions: the shop sells by weight; else the result is rounded down to whole pieces.

    Raises:
        RefusedLevelError: the quantity is missing, has a fraction of a piece, or is more than
            a shop can hold.
    """
    if quantity is None or not quantity.is_finite():
        raise RefusedLevelError("no quantity")
    if quantity > MAX_AMOUNT:
        raise RefusedLevelError(f"quantity {shown(quantity)} is more than a shop can hold")
    if quantity < -MAX_OVERSOLD:
        raise RefusedLevelError(f"quantity {shown(quantity)} is less than any shop can have sold")
    steps: list[str] = []
    if quantity < 0:
        steps.append(f"the feed says {shown(quantity)}: sold before it came in, so none")
        quantity = NOTHING
    if not fractions and not is_whole(quantity):
        raise RefusedLevelError(
            f"quantity {shown(quantity)} has a fraction, and no product of this shop has one in its"
            " stock; a shop that sells by weight is known by a product that has, after the next"
            " synchronisation"
        )
    amount = quantity
    if ordered > 0 and amount > 0:
        steps.append(f"{tidy(ordered)} ordered since it was counted")
        amount = max(amount - ordered, NOTHING)
    if amount > 0 and (kept := rules.buffer.of(amount)) > 0:
        steps.append(f"buffer {rules.buffer}{_origin(rules, 'buffer')}")
        amount = max(amount - kept, NOTHING)
    amount = _round_down(amount, fractions=fractions)
    if 0 < amount <= rules.safety_quantity:
        steps.append(
            f"safety quantity {tidy(rules.safety_quantity)}{_origin(rules, 'safety_quantity')}"
        )
        amount = NOTHING
    if rules.cap is not None and amount > rules.cap:
        steps.append(f"cap {tidy(rules.cap)}{_origin(rules, 'cap')}")
        amount = _round_down(max(rules.cap, NOTHING), fractions=fractions)
    return Amount(amount, tuple(steps))


def _origin(rules: StockRules, name: str) -> str:
    return " of this SKU" if name in rules.own else ""


def _round_down(amount: Decimal, *, fractions: bool) -> Decimal:
    return tidy(amount.quantize(WEIGHED if fractions else WHOLE, ROUND_FLOOR))


# --- rules as people write them ------------------------------------------------------------------


def read_number(text: str) -> Decimal:
    """Reads the quantity of a rule. Raises ValueError with a reason."""
    if _GROUPED.fullmatch(text.strip()):
        raise AmbiguousNumberError(
            f"{text!r} is ambiguous (a fraction or thousands); write it without a point, as 1000,"
            " or without zeros behind it, as 1.5"
        )
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is no quantity; expected a number from 0 on, as 5 or 2.5")
    return tidy(Decimal(text.strip()))


def read_buffer(text: str) -> Buffer:
    """Reads pieces or percent: 2, or 10%. Raises ValueError with a reason."""
    number, sign, rest = text.partition("%")
    try:
        if rest.strip():
            raise ValueError
        buffer = Buffer(read_number(number), bool(sign))
    except AmbiguousNumberError:
        raise
    except ValueError:
        raise ValueError(f"{text!r} is no buffer; expected pieces, as 2, or percent, as 10%") from (
            None
        )
    if buffer.percent and buffer.amount > 100:
        raise ValueError(f"{text!r} is more than 100%")
    return buffer


def read_cap(text: str) -> Decimal:
    """Reads a quantity, or NO_CAP for `none`. Raises ValueError with a reason."""
    if text.strip().casefold() == "none":
        return NO_CAP
    try:
        return read_number(text)
    except AmbiguousNumberError:
        raise
    except ValueError:
        raise ValueError(f"{text!r} is no cap; expected a number from 0 on, or none") from None


def explained_by_orders(before: Decimal, planned: Decimal, now: Decimal) -> bool:
    """Returns True if `now` can only be the planned amount less what was ordered since.

    Orders only lower an amount. If the write was to raise it, an amount between the two was not
    there before; if it was to lower it, one below the planned amount was not either. Anything else
    could be the amount before, with orders of its own, so it proves nothing.
    """
    return before < now < planned or now < planned < before

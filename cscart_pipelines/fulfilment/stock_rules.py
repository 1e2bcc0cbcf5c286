"""From stock on hand to the amount that the shop shall show, by the integration's rules.

Pure, but for reading the rules. Not here: which product is meant (`stock_matching`), when a whole
feed is held (`stock_breaker`), the writing (`stock_writer`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

from cscart_pipelines.cscart.quantities import NOTHING, tidy

MOST = 8_388_607
"""The shop's column holds no more, and cuts what is above without a word (reference 5)."""


class RefusedLevelError(ValueError):
    """A level that cannot be carried out; the text says why."""


@dataclass(frozen=True)
class StockRules:
    """The rules of one integration; the defaults hold where nothing is set.

    buffer                pieces kept back of every SKU
    floor, cap            the shop never shows less, or more; where they contradict, the cap holds,
                          because showing too little never sells what is not there
    subtract_open_orders  take off what was ordered since the level was counted
    most_to_zero          share of the stocked products that one push may set to zero
    """

    buffer: int = 0
    floor: int = 0
    cap: int | None = None
    subtract_open_orders: bool = False
    most_to_zero: Decimal = Decimal("0.5")


def read_rules(connection: psycopg.Connection[Any], integration: str) -> StockRules:
    """The integration's rules."""
    row = connection.execute(
        "SELECT buffer, floor, cap, subtract_open_orders, most_to_zero"
        " FROM fulfilment.stock_rules WHERE integration = %s",
        [integration],
    ).fetchone()
    return StockRules(*row) if row else StockRules()


def amount_for(quantity: Decimal | None, rules: StockRules, ordered: Decimal = NOTHING) -> Decimal:
    """What the shop shall show: on hand, less `ordered` and buffer, between floor and cap.

    `ordered`: pieces ordered since the level was counted. Never negative. Raises RefusedLevelError
    for a quantity that is missing, fractional, or more than a shop can hold; one below zero (sold
    before it came in) is none.
    """
    if quantity is None or not quantity.is_finite():
        raise RefusedLevelError("no quantity")
    quantity = max(quantity, Decimal(0))
    if quantity != quantity.to_integral_value():
        raise RefusedLevelError(f"fractional quantity {quantity:f}")
    if quantity > MOST:
        raise RefusedLevelError(f"quantity {quantity:f} is more than a shop can hold")
    amount = max(quantity - ordered - rules.buffer, Decimal(rules.floor), NOTHING)
    return tidy(max(min(amount, Decimal(MOST if rules.cap is None else rules.cap)), NOTHING))


def orders_explain(before: Decimal, planned: Decimal, now: Decimal) -> bool:
    """True if `now` can only be the planned amount less what was ordered since it was written.

    Orders only lower an amount. If the write was to raise it, an amount between the two was not
    there before; if it was to lower it, one below the planned amount was not either. Anything else
    could be the amount before, with orders of its own, so it proves nothing.
    """
    return before < now < planned or now < planned < before

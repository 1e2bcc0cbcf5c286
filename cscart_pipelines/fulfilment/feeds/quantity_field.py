"""Quantities in a feed: pieces, or a weight where a shop sells by weight. Pure.

Not here: what an order has left (`shipments/parcels/quantities`), stock rules (`stock/rules`).
"""

from __future__ import annotations

import re
from decimal import Decimal

from cscart_pipelines.fulfilment.feeds.csv_reader import Cell
from cscart_pipelines.fulfilment.feeds.fields import FULL_WIDTH, RefusedValueError, cell_text, clip

MAX_QUANTITY = 8_388_607
"""Amounts above are cut silently by the shop (reference 4: MEDIUMINT)."""
MAX_DECIMALS = 6
"""Behind the point of a quantity; what is longer is the noise of a binary fraction."""
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:[.,'\u2019 ][0-9]{3})+")
_QUANTITY = re.compile(r"([+\u2212-]?)([0-9]+)(?:[.,]([0-9]+))?")


def quantity(cell: Cell, *, below_zero: bool = False) -> Decimal | None:
    """Returns pieces, or a weight: `2.0` is 2 and `1,5` is 1.5; `1.000` could be 1 or 1000.

    `below_zero`: allow 0 and less, as stock that was sold before it came.

    Raises:
        RefusedValueError: ambiguous, no number, or out of range.
    """
    if isinstance(cell, Decimal):  # of JSON, where 1.000 can only be 1
        if not cell.is_finite() or not -30 < cell.adjusted() <= 12:
            raise RefusedValueError(f"quantity {clip(str(cell))} is not a number of pieces")
        return _in_range(cell, below_zero)
    if not (text := cell_text(cell, "quantity")):
        return None
    text = text if text.isascii() else text.translate(FULL_WIDTH)
    spaced = text.replace("\u00a0", " ").replace("\u202f", " ")
    if _THOUSANDS.fullmatch(spaced.lstrip("+-\u2212")):
        raise RefusedValueError(
            f"quantity {clip(text)} is ambiguous (a fraction or thousands); write 1000 or 1.0"
        )
    if not (found := _QUANTITY.fullmatch(text)):
        raise RefusedValueError(
            f"quantity {clip(text)} is not a number; write digits only, as 12 or 1.5"
        )
    sign, digits, fraction = found.groups()
    digits = digits.lstrip("0") or "0"
    if len(digits) > 12:
        raise RefusedValueError(f"quantity {clip(text)} is above {MAX_QUANTITY}")
    number = Decimal(f"{digits}.{fraction}" if fraction else digits)
    return _in_range(-number if sign and sign != "+" else number, below_zero)


def _in_range(number: Decimal, below_zero: bool) -> Decimal:
    whole = number.to_integral_value()
    shown = clip(f"{whole if number == whole else number:f}")
    if number <= 0 and not below_zero:
        raise RefusedValueError(f"quantity {shown} ships nothing; expected more than 0")
    if abs(number) > MAX_QUANTITY:
        way = "above " if number > 0 else "below -"
        raise RefusedValueError(f"quantity {shown} is {way}{MAX_QUANTITY}")
    if number == whole:
        return Decimal(int(whole))
    exponent = number.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > MAX_DECIMALS:
        raise RefusedValueError(
            f"quantity {shown} has more than {MAX_DECIMALS} places behind the point; round it"
        )
    return number.normalize()

"""Coercion of JSON scalars: what a PHP shop sends for a number, a time or a text.

Every column arrives as a string, computed values as numbers, unset ones as null, "", "0" or []
(reference 5); all of that is accepted. Functions named `require_…` raise UnreadableRowError if
there is no value; the others return None, since an unreadable discount should not lose the order.
The code is straight-line, because a first sync reads tens of millions of fields. Not here: which
fields there are (`records`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from html import unescape
from typing import Any

from cscart_pipelines.cscart.quantities import tidy

Raw = Mapping[str, Any]

ZERO = Decimal("0.00")
LONGEST_NAME = 255
"""Characters of the longest columns of names in a shop; more may not fit into an index here."""
_BIGINT = 2**63
_LAST_SECOND = 253402300800
"""The end of the year 9999, where datetime ends."""
_LARGEST_AMOUNT = Decimal(10) ** 15
_LARGEST_QUANTITY = Decimal(10) ** 9
_SIX_DECIMALS = Decimal("0.000001")
_REFUSED_BY_POSTGRESQL = re.compile("[\x00\ud800-\udfff]")
_from_timestamp = datetime.fromtimestamp
_TAG = re.compile(
    r"</?(?:a|b|big|br|div|em|font|i|img|p|s|small|span|strong|sub|sup|u)(?:\s[^<>]*)?/?>", re.I
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_PLAIN_INT = re.compile(r"[+-]?[0-9]{1,30}(\.0{1,10})?")
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")


class UnreadableRowError(ValueError):
    """A row without a usable key or required field. The text never holds the row's values."""

    def __init__(self, field: str, expectation: str) -> None:
        super().__init__(f"{field}: expected {expectation}")
        self.field = field
        self.expectation = expectation


def text(value: Any) -> str | None:
    """Reads text without what PostgreSQL cannot store; None if empty or no scalar."""
    if value.__class__ is str:
        if not value.isascii() or "\x00" in value:
            value = _REFUSED_BY_POSTGRESQL.sub("", value)
        return value or None
    if value.__class__ is int:
        return str(value)
    if value.__class__ is float:
        return repr(value)
    return None


def label(value: Any) -> str | None:
    """Reads a name for people: `text` without the HTML that shops have in names.

    Entities become characters, tags of emphasis and line breaks go, white space is one space.
    """
    name = text(value)
    if name is None:
        return None
    if "<" in name:
        name = _TAG.sub(" ", name)
    if "&" in name:
        name = _REFUSED_BY_POSTGRESQL.sub("", _ENTITY.sub(lambda m: unescape(m[0]), name))
    return " ".join(name.split()) or None


def integer(value: Any) -> int | None:
    """Reads a whole number that fits into a bigint; None for anything else."""
    if value.__class__ is str:
        if len(value) < 10 and value.isdigit() and value.isascii():
            return int(value)  # the usual case
        value = value.strip()
        if not _PLAIN_INT.fullmatch(value):
            return None
        number = int(value.partition(".")[0])
    elif value.__class__ is int:
        number = value
    elif value.__class__ is float and value.is_integer():
        number = int(value)
    else:
        return None
    return number if -_BIGINT <= number < _BIGINT else None


def require_key(value: Any, field: str) -> int:
    """Reads a row's id, a whole number above 0; else raises UnreadableRowError."""
    number = reference(value)
    if number is None:
        raise UnreadableRowError(field, "an id above 0")
    return number


def reference(value: Any) -> int | None:
    """Reads the id of another row; 0 means none."""
    if value is None:
        return None
    if value.__class__ is str and len(value) < 10 and value.isdigit() and value.isascii():
        return int(value) or None
    number = integer(value)
    return number if number and number > 0 else None


def moment(value: Any) -> datetime | None:
    """Reads a Unix time in seconds as aware UTC; None if unset (0, "", null) or impossible."""
    if value.__class__ is str and len(value) == 10 and value.isdigit() and value.isascii():
        seconds: int | None = int(value)
    else:
        seconds = integer(value)
    if seconds is None or not 0 < seconds < _LAST_SECOND:
        return None
    return _from_timestamp(seconds, UTC)


def require_moment(value: Any, field: str) -> datetime:
    """Reads as `moment`; raises UnreadableRowError instead of None."""
    result = moment(value)
    if result is None:
        raise UnreadableRowError(field, "a time in seconds since 1970")
    return result


def money(value: Any) -> Decimal | None:
    """Reads an amount with 2 to 6 decimals; None if unset or no amount.

    A float is read by its shortest text, so 972.1 is 972.10. Some server settings print binary
    noise (`677.9500000000000455`, reference 5): the amount is rounded to six decimals, and zeros
    after the second are cut, so that equal amounts are equal: "30.000000" (before 4.15) is "30.00".
    """
    if value.__class__ is str:
        if value == "0.00":
            return ZERO
        # The usual case: two decimals, and short enough to be within all bounds.
        if value[-3:-2] == "." and len(value) < 16 and value[:-3].isdigit() and value.isascii():
            try:
                return Decimal(value)
            except InvalidOperation:
                return None
    elif value.__class__ is int:
        return Decimal(f"{value}.00") if -(10**15) < value < 10**15 else None
    elif value.__class__ is float:
        value = repr(value)
        if len(value) < 16:
            if value[-2:-1] == ".":
                return Decimal(value + "0") if value != "-0.0" else ZERO
            if value[-3:-2] == ".":
                return Decimal(value)
    else:
        return None
    return _canonical(value)


def _canonical(value: str) -> Decimal | None:
    try:
        amount = Decimal(value)
        if not amount.is_finite() or abs(amount) >= _LARGEST_AMOUNT:
            return None
        amount = amount.quantize(_SIX_DECIMALS)
    except InvalidOperation:
        return None
    digits = f"{amount:f}"
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    result = Decimal(f"{whole}.{fraction:0<2}")
    return result if result else ZERO


def require_money(value: Any, field: str) -> Decimal:
    """Reads as `money`; raises UnreadableRowError instead of None."""
    amount = money(value)
    if amount is None:
        raise UnreadableRowError(field, "an amount of money")
    return amount


def quantity(value: Any) -> Decimal | None:
    """Reads a quantity: pieces, or a weight with up to 6 decimals (reference 23); else None.

    "1", "1.0", "1.000" and 1 are the same Decimal, 1; binary noise is rounded as in `money`.
    """
    if value.__class__ is str:
        if len(value) < 10 and value.isdigit() and value.isascii():
            return Decimal(value)  # the usual case
        value = value.strip()
    elif value.__class__ is int or value.__class__ is float:
        value = repr(value)
    else:
        return None
    if not _PLAIN_NUMBER.fullmatch(value):
        return None
    amount = _canonical(value)
    return None if amount is None or abs(amount) >= _LARGEST_QUANTITY else tidy(amount)


def require_quantity(value: Any, field: str) -> Decimal:
    """Reads as `quantity`; raises UnreadableRowError instead of None."""
    amount = quantity(value)
    if amount is None:
        raise UnreadableRowError(field, "a quantity")
    return amount


def require_text(value: Any, field: str) -> str:
    """Reads as `text`; raises UnreadableRowError instead of None."""
    result = text(value)
    if result is None:
        raise UnreadableRowError(field, "a text that is not empty")
    return result


def require_name(value: Any, field: str) -> str:
    """Reads a text that is a key in the warehouse; raises UnreadableRowError for a longer one."""
    result = require_text(value, field)
    if len(result) > LONGEST_NAME:
        raise UnreadableRowError(field, f"a text of at most {LONGEST_NAME} characters")
    return result


def entries(value: Any) -> list[tuple[str, Any]]:
    """Returns the entries of a map, which PHP sends as object, list, or [] (reference 5)."""
    if value.__class__ is dict:
        return list(value.items())
    if value.__class__ is list:
        return [(str(place), entry) for place, entry in enumerate(value)]
    return []


def require_object(value: Any) -> Raw:
    """Returns the row if it is an object, else raises UnreadableRowError."""
    if value.__class__ is not dict:
        raise UnreadableRowError("row", "an object")
    row: Raw = value
    return row


def mapping(value: Any) -> Raw:
    """Returns an object, or an empty one if the shop sends anything else."""
    return value if value.__class__ is dict else {}

"""What a cell of a feed means: numbers of orders and parcels, quantities, moments, addresses.

Pure. What could be meant in two ways is refused. Every function takes the cell and raises
RefusedValueError with a reason that names the column; an empty cell is None where that is allowed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cscart_pipelines.fulfilment.feed_csv import Cell
from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking

MOST_PIECES = 8_388_607
"""Amounts above are cut silently by the shop (reference 4: MEDIUMINT)."""
LONGEST = {"order_number": 100, "tracking_number": 255, "sku": 128, "carrier": 255}
LONGEST_URL = 2000
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_WHOLE = re.compile(r"[0-9]+")
_WHOLE_WITH_ZEROS = re.compile(r"([0-9]+)\.(0+)")
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:[.,'\u2019 ][0-9]{3})+")
_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+")
_DAY_FIRST = re.compile(
    r"([0-9]{2})/([0-9]{2})/([0-9]{4})(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?)?"
)
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9].*)?")


class RefusedValueError(ValueError):
    """A cell that cannot be used; the message says why, for whoever sent it."""


def word(cell: Cell, column: str) -> str:
    """One printable line, as an order number; empty if the cell is. Carriers may have any spaces
    in them, which count as one."""
    if not isinstance(cell, str):
        raise RefusedValueError(f"{column} {cell} is a fraction; write it as text")
    text = " ".join(cell.split()) if column == "carrier" else cell.strip()
    if len(text) > LONGEST[column]:
        raise RefusedValueError(f"{column} is longer than {LONGEST[column]} characters")
    if not text.isprintable():
        raise RefusedValueError(f"{column} holds line breaks or characters that cannot be shown")
    if column != "carrier" and _ROUNDED.fullmatch(text):
        raise RefusedValueError(
            f"{column} {text} was rounded by a spreadsheet; format the column as text"
        )
    return text


def required_word(cell: Cell, column: str) -> str:
    if not (text := word(cell, column)):
        raise RefusedValueError(f"{column} is empty")
    return text


def tracking_number(cell: Cell) -> str:
    text = required_word(cell, "tracking_number")
    if not normalise_tracking(text):
        raise RefusedValueError(f"tracking_number {text} has no letter or digit")
    return text


def quantity(cell: Cell, least: int) -> Decimal | None:
    """Whole pieces from `least` on. `2.0` is 2; `1.000` could be 1 or 1000."""
    if isinstance(cell, Decimal):  # of JSON, where 1.000 can only be 1
        if not cell.is_finite() or cell.adjusted() > 12 or cell != cell.to_integral_value():
            raise RefusedValueError(f"quantity {_short(str(cell))} is not a whole number")
        return _in_range(int(cell), least)
    text = cell.strip()
    if not text:
        return None
    sign = -1 if text[0] in "-\u2212" else 1
    digits = text[1:] if text[0] in "+-\u2212" else text
    if _THOUSANDS.fullmatch(digits):
        raise RefusedValueError(
            f"quantity {_short(text)} is ambiguous (a fraction or thousands); write digits only"
        )
    if with_zeros := _WHOLE_WITH_ZEROS.fullmatch(digits):
        digits = with_zeros[1]
    if not _WHOLE.fullmatch(digits):
        raise RefusedValueError(
            f"quantity {_short(text)} is not a whole number; write digits only, as 12"
        )
    digits = digits.lstrip("0") or "0"
    if len(digits) > 12:
        raise RefusedValueError(f"quantity {_short(text)} is above {MOST_PIECES}")
    return _in_range(sign * int(digits), least)


def _in_range(number: int, least: int) -> Decimal:
    if number < least:
        raise RefusedValueError(f"quantity {number} is below {least}")
    if number > MOST_PIECES:
        raise RefusedValueError(f"quantity {number} is above {MOST_PIECES}")
    return Decimal(number)


def tracking_url(cell: Cell) -> str | None:
    """An http(s) address on one line."""
    if not isinstance(cell, str):
        raise RefusedValueError(f"tracking_url {cell} is not an address")
    if not (text := cell.strip()):
        return None
    if len(text) > LONGEST_URL:
        raise RefusedValueError(f"tracking_url is longer than {LONGEST_URL} characters")
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host = None
    odd = not text.isprintable() or any(mark in text for mark in ' "<>')
    if odd or not host or parts.scheme.lower() not in ("http", "https"):
        raise RefusedValueError("tracking_url is not an address; expected https://… on one line")
    return text


def moment(cell: Cell, column: str, zone: ZoneInfo, latest: datetime) -> datetime | None:
    """In UTC. ISO 8601 or dd/MM/yyyy[ HH:mm[:ss]]; without an offset in the zone of the shop."""
    text = str(cell).strip()
    if not text:
        return None
    found = _moment(text, zone)
    if found is None:
        raise RefusedValueError(
            f"{column} {_short(text)} is not a time;"
            " expected 2024-01-31T15:00:00Z or 31/01/2024 15:00"
        )
    if found < EARLIEST:
        raise RefusedValueError(f"{column} {_short(text)} is before the year 2000")
    if found > latest + timedelta(days=1):
        raise RefusedValueError(f"{column} {_short(text)} is in the future")
    return found


@lru_cache(maxsize=1024)  # a feed says the same moment in each of its lines
def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        if parts := _DAY_FIRST.fullmatch(text):
            day, month, year, hour, minute, second = (int(part or 0) for part in parts.groups())
            found = datetime(year, month, day, hour, minute, second)
        elif _ISO.fullmatch(text):
            found = datetime.fromisoformat(text)
        else:
            return None
        if found.tzinfo is None:
            found = found.replace(tzinfo=zone)
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _short(text: str) -> str:
    """As a reason repeats it."""
    return "".join(c if c.isprintable() else "?" for c in text[:40]) + ("…" * (len(text) > 40))

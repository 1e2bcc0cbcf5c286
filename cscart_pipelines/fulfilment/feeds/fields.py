"""What a cell of a feed means: numbers of orders and parcels, quantities, moments, addresses.

Pure. Guards and other additions that are surely not part of the value are taken off; what could be
meant in two ways, or was damaged on its way, is refused. Every function takes the cell and raises
RefusedValueError with a reason that names the column; an empty cell is None where that is allowed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cscart_pipelines.fulfilment.feeds.csv_reader import Cell
from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking
from cscart_pipelines.spreadsheets import bare, is_formula

MAX_QUANTITY = 8_388_607
"""Amounts above are cut silently by the shop (reference 4: MEDIUMINT)."""
MAX_DECIMALS = 6
"""Behind the point of a quantity; what is longer is the noise of a binary fraction."""
MAX_LENGTH = {"order_number": 100, "tracking_number": 255, "sku": 128, "product_code": 64,
           "carrier": 255}  # fmt: skip
MAX_URL_LENGTH = 2000
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
EXACT_DIGITS = 15
"""Of a number in a spreadsheet; the digits behind become zeros."""
MAX_EXACT_INTEGER = 2**53
"""Whole numbers up to here survive every reader and writer of JSON."""
ROUNDED_ZEROS = 3
"""So many zeros behind the fifteenth digit are no coincidence."""

_NULL_WORDS = frozenset(
    ("nan", "none", "null", "nil", "nat", "na", "n/a", "n.a.", "<na>", "(null)", "<null>", "(none)",
     "(blank)", "\\n", "-", "--", "\u2013", "\u2014")
)  # fmt: skip
"""Words by which programs write that there is no value."""
_ERROR_VALUES = re.compile(
    r"#[\w/]+ ?[!?]|#(?:n/a|na|n/d|nv)(?: .*)?|undefined|\[object \w+\]|true|false", re.I
)
"""Errors of spreadsheets in their languages, and of scripts."""
_MAY_BE_EMPTY = ("carrier", "tracking_url", "shipped_at", "as_of")
"""Not `sku` and `quantity`: without them all that is left is shipped, which is never guessed."""
_ROUNDED = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+[eE][+-]?[0-9]+|[.,]?[eE][+-][0-9]+)")
"""No program writes a rounded number without a fraction or a sign: 10E5 is a code."""
_WHOLE = re.compile(r"([0-9]+)[.,]0+")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_TRACKING = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/-]*[A-Za-z0-9])?")
_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*://|(?:tel|mailto|data|urn):|www\.|\S*@|[a-z0-9.-]+\.[a-z]{2,}/", re.I
)
_SEPARATOR = re.compile(r"(?<=.)[,;|&+\r\n\t]|\s(?:and|und|et|or|oder|y|e|plus|και)\s", re.I)
_ONE_OF_SEVERAL = re.compile(r"(?=.*[0-9])[A-Za-z0-9._-]+")
_NOT_A_NUMBER = re.compile(
    r"[A-Z]?[a-z]{2,}|(?i:pending|unknown|missing|empty|tb[acd]|todo|pick-?up|collected)"
    r"|(?:.*[ /])?(?:[A-Z]?[a-z]{4,}|[A-Z]?[a-z]{2,}[ /][A-Z]?[a-z]{2,})(?:[ /].*)?"
)
"""Words in place of a number."""
_DATE = re.compile(r"([0-9]{1,4})([/.-])([0-9]{1,2})\2([0-9]{2,4})(?:[ T].*)?")

_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:[.,'\u2019 ][0-9]{3})+")
_QUANTITY = re.compile(r"([+\u2212-]?)([0-9]+)(?:[.,]([0-9]+))?")
_DAY_FIRST = re.compile(
    r"([0-9]{2})/([0-9]{2})/([0-9]{4})(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?)?"
)
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9].*)?")
_TEXT = "format the column as text and export again"


class RefusedValueError(ValueError):
    """A cell that cannot be used; the message says why, and what to do."""


# --- words ---------------------------------------------------------------------------------------


def clean(text: str, column: str) -> str:
    """Returns a cell without what is surely not part of its value; refuses nothing."""
    text = bare(text)
    if column == "carrier":
        return " ".join(text.split())
    if column in ("order_number", "tracking_number"):
        if not text.isascii():
            text = "".join(" " if unicodedata.category(c) == "Zs" else c for c in text)
            text = text.translate(_FULL_WIDTH)
        text = text.strip(" ,;")
        if (whole := _WHOLE.fullmatch(text)) and len(whole[1].lstrip("0")) <= EXACT_DIGITS:
            return whole[1]
    return text


def text_value(cell: Cell, column: str) -> str:
    """Returns one printable line, as an order number or a SKU; "" if the cell is empty.

    Any white space in the name of a carrier counts as one space. The words by which programs say
    that there is no value are an empty cell where that means no more than that.

    Raises:
        RefusedValueError: with the reason.
    """
    text = _cell_text(cell, column)
    if len(text) > MAX_LENGTH[column]:
        raise RefusedValueError(f"{column} is longer than {MAX_LENGTH[column]} characters")
    # What is whole and was not cut by `clean` has more digits than a spreadsheet keeps.
    cut = column in ("order_number", "tracking_number") and _WHOLE.fullmatch(text)
    if cut or _ROUNDED.fullmatch(text):
        raise RefusedValueError(
            f"{column} {_clip(text)} was rounded by a spreadsheet or script; {_TEXT}"
        )
    if column == "tracking_number" and _SEPARATOR.search(text):
        raise _several_numbers(text)
    if not text.isprintable():
        raise RefusedValueError(f"{column} holds line breaks or characters that cannot be shown")
    if column in ("order_number", "tracking_number") and not text.isascii():
        invalid = next(letter for letter in text if not letter.isascii())
        raise RefusedValueError(
            f"{column} {_clip(text)} holds “{invalid}”"
            f" ({unicodedata.name(invalid, 'no letter').lower()});"
            " only the letters A to Z and the digits 0 to 9 can stand there"
        )
    return text


def required_text(cell: Cell, column: str) -> str:
    """Returns the same; an empty cell is refused."""
    if not (text := text_value(cell, column)):
        raise RefusedValueError(f"{column} is empty")
    return text


def tracking_number(cell: Cell) -> str:
    """Returns the number of one parcel: letters, digits, and space - . _ / between them.

    Raises:
        RefusedValueError: a word, several numbers, an address, a date, or a number that a
            spreadsheet has rounded.
    """
    text = _cell_text(cell, "tracking_number")
    if _ADDRESS.match(text):
        raise RefusedValueError(
            f"tracking_number {_clip(text)} is an address; write it into the column tracking_url"
            " and the parcel's number here"
        )
    text = required_text(cell, "tracking_number")
    if not normalise_tracking(text):
        raise RefusedValueError(f"tracking_number {_clip(text)} has no letter or digit")
    if not _TRACKING.fullmatch(text):
        invalid = next((each for each in text if not _TRACKING.fullmatch(f"1{each}1")), None)
        what = f"holds “{invalid}”" if invalid else "begins or ends with a mark"
        raise RefusedValueError(
            f"tracking_number {_clip(text)} {what}; a number is made of letters A to Z and digits,"
            " with space - . _ / between them"
        )
    if _NOT_A_NUMBER.fullmatch(text):
        raise RefusedValueError(
            f"tracking_number {_clip(text)} is a word and no parcel's number; leave the row out"
            " until there is one"
        )
    if not normalise_tracking(text).strip("0"):
        raise RefusedValueError(
            f"tracking_number {_clip(text)} is zero; leave the row out until there is a number"
        )
    if _is_date(text):
        raise RefusedValueError(
            f"tracking_number {_clip(text)} is a date, which spreadsheets make of numbers; {_TEXT}"
        )
    for separator, least in ((r"\s+", 8), ("/", 6)):
        parts = [part for part in re.split(separator, text) if len(part) >= least]
        if len(parts) > 1 and all(map(_ONE_OF_SEVERAL.fullmatch, parts)):
            raise _several_numbers(text)
    if trailing_zeros(text) >= ROUNDED_ZEROS:
        raise RefusedValueError(rounded_reason(text))
    return text


def rounded_reason(text: str) -> str:
    """Returns why a number that ends in zeros is refused."""
    return (
        f"tracking_number {text} ends in zeros after its 15th digit: it was rounded by a"
        f" spreadsheet; {_TEXT}"
    )


def trailing_zeros(text: str) -> int:
    """Returns how many digits follow the fifteenth, if all of them are zeros; else 0."""
    digits = text.replace(" ", "").lstrip("0")
    behind = digits[EXACT_DIGITS:]
    return 0 if not digits.isdecimal() or behind.strip("0") else len(behind)


def rounded_numbers(numbers: Iterable[str]) -> set[str]:
    """Returns those tracking numbers of a file that a spreadsheet has surely rounded.

    One zero at the end of a number of 16 digits is a coincidence; all numbers of a file that are
    longer than 15 digits ending so is none.
    """
    long = {text for text in numbers if len(text.replace(" ", "").lstrip("0")) > EXACT_DIGITS}
    long = {text for text in long if text.replace(" ", "").isdecimal()}
    zeros = [trailing_zeros(text) for text in long]
    return long if sum(zeros) >= ROUNDED_ZEROS and all(zeros) else set()


def _cell_text(cell: Cell, column: str) -> str:
    """The text of a cell, "" for nothing. Raises RefusedValueError for what says no value."""
    text = clean(cell, column) if isinstance(cell, str) else _number_text(cell, column)
    if text.casefold() in _NULL_WORDS:
        if column in _MAY_BE_EMPTY:
            return ""
        raise RefusedValueError(
            f"{column} {text} is a program's word for no value; write the value, or leave out the"
            " row"
        )
    if _ERROR_VALUES.fullmatch(text) or (column == "carrier" and text and not text.strip("0")):
        raise RefusedValueError(
            f"{column} {_clip(text)} is an error of a spreadsheet or script and no value; correct"
            " it where the file is made"
        )
    if isinstance(cell, str) and "=" in cell and is_formula(cell):
        raise RefusedValueError(
            f"{column} {_clip(text)} is a formula; export its value, or mark it as text with an"
            " apostrophe before it"
        )
    return text


def _number_text(number: Decimal, column: str) -> str:
    """A number of JSON as the text that was surely meant."""
    whole = number.is_finite() and number.adjusted() < 17 and number == number.to_integral_value()
    written = isinstance((places := number.as_tuple().exponent), int) and -9 < places <= 0
    # 1.0 may be a SKU; a number of an order or a parcel has no point.
    if not (
        whole and written and abs(number) <= MAX_EXACT_INTEGER and (column != "sku" or not places)
    ):
        raise RefusedValueError(
            f"{column} {_clip(str(number))} is a number that programs do not keep exactly (a"
            " fraction, or above 2^53); write it in quotes"
        )
    return f"{number:.0f}"


def _several_numbers(text: str) -> RefusedValueError:
    return RefusedValueError(
        f"tracking_number {_clip(text)} holds several numbers; write a row for each, with the SKUs"
        " that are in its parcel"
    )


def _is_date(text: str) -> bool:
    if not (found := _DATE.fullmatch(text)):
        return False
    first, second, third = int(found[1]), int(found[3]), int(found[4])
    ways = ((first, second, third), (third, second, first), (third, first, second))
    return any(1990 <= year <= 2100 and _is_day(year, month, day) for year, month, day in ways)


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


# --- quantities ----------------------------------------------------------------------------------


def quantity(cell: Cell, *, below_zero: bool = False) -> Decimal | None:
    """Returns pieces, or a weight: `2.0` is 2 and `1,5` is 1.5; `1.000` could be 1 or 1000.

    `below_zero`: allow 0 and less, as stock that was sold before it came.

    Raises:
        RefusedValueError: ambiguous, no number, or out of range.
    """
    if isinstance(cell, Decimal):  # of JSON, where 1.000 can only be 1
        if not cell.is_finite() or not -30 < cell.adjusted() <= 12:
            raise RefusedValueError(f"quantity {_clip(str(cell))} is not a number of pieces")
        return _in_range(cell, below_zero)
    if not (text := _cell_text(cell, "quantity")):
        return None
    text = text if text.isascii() else text.translate(_FULL_WIDTH)
    spaced = text.replace("\u00a0", " ").replace("\u202f", " ")
    if _THOUSANDS.fullmatch(spaced.lstrip("+-\u2212")):
        raise RefusedValueError(
            f"quantity {_clip(text)} is ambiguous (a fraction or thousands); write 1000 or 1.0"
        )
    if not (found := _QUANTITY.fullmatch(text)):
        raise RefusedValueError(
            f"quantity {_clip(text)} is not a number; write digits only, as 12 or 1.5"
        )
    sign, digits, fraction = found.groups()
    digits = digits.lstrip("0") or "0"
    if len(digits) > 12:
        raise RefusedValueError(f"quantity {_clip(text)} is above {MAX_QUANTITY}")
    number = Decimal(f"{digits}.{fraction}" if fraction else digits)
    return _in_range(-number if sign and sign != "+" else number, below_zero)


def _in_range(number: Decimal, below_zero: bool) -> Decimal:
    whole = number.to_integral_value()
    shown = _clip(f"{whole if number == whole else number:f}")
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


# --- addresses and moments -----------------------------------------------------------------------


def tracking_url(cell: Cell) -> str | None:
    """Returns an http or https address that may be shown to customers, on one line.

    Raises:
        RefusedValueError: it is none.
    """
    if not isinstance(cell, str):
        raise RefusedValueError(f"tracking_url {_clip(str(cell))} is not an address")
    if not (text := _cell_text(cell, "tracking_url")):
        return None
    if len(text) > MAX_URL_LENGTH:
        raise RefusedValueError(f"tracking_url is longer than {MAX_URL_LENGTH} characters")
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host = None
    # What is beyond the basic plane is cut off by old shops' columns, with all that follows.
    invalid = not text.isprintable() or any(each in ' "<>\\' or each > "\uffff" for each in text)
    if invalid or not host or parts.scheme.lower() not in ("http", "https"):
        raise RefusedValueError("tracking_url is not an address; expected https://… on one line")
    return text


def timestamp(cell: Cell, column: str, zone: ZoneInfo, latest: datetime) -> datetime | None:
    """Reads ISO 8601 or dd/MM/yyyy[ HH:mm[:ss]], in UTC.

    Args:
        cell: of the feed.
        column: for the reason.
        zone: of the shop, for times without an offset.
        latest: a time more than a day after it is refused.

    Raises:
        RefusedValueError: no time, or before 2000, or in the future.
    """
    text = _cell_text(str(cell), column)
    if not text:
        return None
    found = _parse_timestamp(text, zone)
    if found is None:
        why = "is not a time"
        if re.fullmatch(r"[0-9]{5}(?:[.,][0-9]+)?", text):
            why = "is a spreadsheet's count of days and not a time"
        elif (parts := _DATE.fullmatch(text)) and len(parts[1]) < 3 and len(parts[4]) == 2:
            why = "has a year of two digits"
        raise RefusedValueError(
            f"{column} {_clip(text)} {why}; expected 2024-01-31T15:00:00Z or 31/01/2024 15:00"
        )
    if found < EARLIEST:
        raise RefusedValueError(f"{column} {_clip(text)} is before the year 2000")
    if found > latest + timedelta(days=1):
        raise RefusedValueError(f"{column} {_clip(text)} is in the future")
    return found


def is_month_first(cell: Cell) -> bool:
    """Returns True for a date that can only be month before day: 01/31/2024."""
    found = _DATE.fullmatch(bare(cell)) if isinstance(cell, str) else None
    if found is None or len(found[1]) > 2 or (len(found[4]) != 4 and found[2] != "/"):
        return False
    first, second, year = int(found[1]), int(found[3]), int(found[4])
    return second > 12 and _is_day(year if year > 99 else 2000 + year, first, second)


@lru_cache(maxsize=1024)  # a feed says the same moment in each of its lines
def _parse_timestamp(text: str, zone: ZoneInfo) -> datetime | None:
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


def _clip(text: str) -> str:
    """As a reason repeats it."""
    return "".join(c if c.isprintable() else "?" for c in text[:40]) + ("…" * (len(text) > 40))

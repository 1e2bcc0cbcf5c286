"""Cells of text in a feed: values without their additions, empty cells, web addresses. Pure.

Guards and other additions that are surely no part of the value are removed; an ambiguous or damaged
value is refused: RefusedValueError, with a reason that names the column. Not here: other columns
(`tracking_field`, `quantity_field`, `time_fields`).
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from urllib.parse import urlsplit

from cscart_pipelines.fulfilment.feeds.csv_reader import Cell
from cscart_pipelines.spreadsheets import bare, is_formula

MAX_LENGTH = {"order_number": 100, "tracking_number": 255, "sku": 128, "product_code": 64,
           "carrier": 255}  # fmt: skip
MAX_URL_LENGTH = 2000
EXACT_DIGITS = 15
"""Of a number in a spreadsheet; the digits behind become zeros."""
MAX_EXACT_INTEGER = 2**53
"""Whole numbers up to here survive every reader and writer of JSON."""
TEXT_FORMAT = "format the column as text and export again"
_NULL_WORDS = frozenset(
    ("nan", "none", "null", "nil", "nat", "na", "n/a", "n.a.", "<na>", "(null)", "<null>", "(none)",
     "(blank)", "\\n", "-", "--", "\u2013", "\u2014", "?", "n/d", "n.d.", "s/o", "k.a.", "n.v.t.")
)  # fmt: skip
"""Words by which programs and people write that there is no value."""
_ERROR_VALUES = re.compile(
    r"#[¡¿]?[\w/]+ ?[!?]|#(?:\w/\w|na|nv|getting_data)(?: .*)?|#+|undefined|\[object \w+\]"
    r"|true|false|wahr|falsch|vrai|faux|vero|falso|verdadero|αληθεσ|ψευδεσ",
    re.I,
)
"""Errors of spreadsheets in their languages, and of scripts."""
_MAY_BE_EMPTY = ("carrier", "tracking_url", "shipped_at", "as_of")
"""Not `sku` and `quantity`: without them all that is left is shipped, which is never guessed."""
_ROUNDED = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+[eE][+-]?[0-9]+|[.,]?[eE][+-][0-9]+)")
"""No program writes a rounded number without a fraction or a sign: 10E5 is a code."""
_WHOLE = re.compile(r"([0-9]+)[.,]0+")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}[.,]000")
"""1,000 may be one thousand: the order 1 would get what was sent for the order 1000."""
FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SEPARATOR = re.compile(r"(?<=.)[,;|&+\r\n\t]|\s(?:and|und|et|or|oder|y|e|plus|και)\s", re.I)


class RefusedValueError(ValueError):
    """A cell that cannot be used; the message says why, and what to do."""


def clean(text: str, column: str) -> str:
    """Returns a cell without additions that are surely no part of its value; refuses nothing."""
    text = bare(text)
    if column == "carrier":
        return " ".join(text.split())
    if column in ("order_number", "tracking_number"):
        if not text.isascii():
            text = "".join(" " if unicodedata.category(c) == "Zs" else c for c in text)
            text = text.translate(FULL_WIDTH)
        text = text.strip(" ,;")
        whole = None if _GROUPED.fullmatch(text) else _WHOLE.fullmatch(text)
        if whole and len(whole[1].lstrip("0")) <= EXACT_DIGITS:
            return whole[1]
    return text


def text_value(cell: Cell, column: str) -> str:
    """Returns one printable line, as an order number or a SKU; "" if the cell is empty.

    White space in the name of a carrier counts as one space. Words of programs for no value are an
    empty cell in the columns that may be empty.

    Raises:
        RefusedValueError: with the reason.
    """
    text = cell_text(cell, column)
    if len(text) > MAX_LENGTH[column]:
        raise RefusedValueError(f"{column} is longer than {MAX_LENGTH[column]} characters")
    number = column in ("order_number", "tracking_number")
    if number and _GROUPED.fullmatch(text):
        raise RefusedValueError(
            f"{column} {text} is ambiguous (a fraction or thousands); {TEXT_FORMAT}"
        )
    # What is whole and was not cut by `clean` has more digits than a spreadsheet keeps.
    cut = number and _WHOLE.fullmatch(text)
    if cut or _ROUNDED.fullmatch(text):
        raise RefusedValueError(
            f"{column} {clip(text)} was rounded by a spreadsheet or script; {TEXT_FORMAT}"
        )
    if column == "tracking_number" and _SEPARATOR.search(text):
        raise several_numbers(text)
    if not text.isprintable():
        raise RefusedValueError(f"{column} holds line breaks or characters that cannot be shown")
    if number and not text.isascii():
        invalid = next(letter for letter in text if not letter.isascii())
        raise RefusedValueError(
            f"{column} {clip(text)} holds “{invalid}”"
            f" ({unicodedata.name(invalid, 'no letter').lower()});"
            " only the letters A to Z and the digits 0 to 9 can stand there"
        )
    return text


def required_text(cell: Cell, column: str) -> str:
    """Returns `text_value`; an empty cell is refused."""
    if not (text := text_value(cell, column)):
        raise RefusedValueError(f"{column} is empty")
    return text


def tracking_url(cell: Cell) -> str | None:
    """Returns an http or https address that may be shown to customers, on one line.

    Raises:
        RefusedValueError: it is none.
    """
    if not isinstance(cell, str):
        raise RefusedValueError(f"tracking_url {clip(str(cell))} is not an address")
    if not (text := cell_text(cell, "tracking_url")):
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


def cell_text(cell: Cell, column: str) -> str:
    """Returns the text of a cell, "" for an empty one.

    Raises:
        RefusedValueError: an error of a spreadsheet, a formula, or a word for no value.
    """
    text = clean(cell, column) if isinstance(cell, str) else _number_text(cell, column)
    if text.casefold() in _NULL_WORDS:
        if column in _MAY_BE_EMPTY:
            return ""
        raise RefusedValueError(
            f"{column} {text} stands for no value; write the value, or leave out the row"
        )
    if _ERROR_VALUES.fullmatch(text) or (column == "carrier" and text and not text.strip("0.")):
        raise RefusedValueError(
            f"{column} {clip(text)} is an error of a spreadsheet or script and no value; correct"
            " it where the file is made"
        )
    if isinstance(cell, str) and "=" in cell and is_formula(cell):
        raise RefusedValueError(
            f"{column} {clip(text)} is a formula; export its value, or mark it as text with an"
            " apostrophe before it"
        )
    return text


def _number_text(number: Decimal, column: str) -> str:
    """Returns a number of JSON as text; refuses those that programs do not keep exactly."""
    whole = number.is_finite() and number.adjusted() < 17 and number == number.to_integral_value()
    written = isinstance((places := number.as_tuple().exponent), int) and -9 < places <= 0
    # 1.0 may be a SKU; a number of an order or a parcel has no point.
    if not (
        whole and written and abs(number) <= MAX_EXACT_INTEGER and (column != "sku" or not places)
    ):
        raise RefusedValueError(
            f"{column} {clip(str(number))} is a number that programs do not keep exactly (a"
            " fraction, or above 2^53); write it in quotes"
        )
    return f"{number:.0f}"


def several_numbers(text: str) -> RefusedValueError:
    """Returns the refusal of a cell that holds several tracking numbers."""
    return RefusedValueError(
        f"tracking_number {clip(text)} holds several numbers; write a row for each, with the SKUs"
        " that are in its parcel"
    )


def clip(text: str) -> str:
    """Returns a text as a reason repeats it."""
    return "".join(c if c.isprintable() else "?" for c in text[:40]) + ("…" * (len(text) > 40))

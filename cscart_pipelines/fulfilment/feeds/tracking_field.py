"""Tracking numbers in a feed: what can be the number of one parcel. Pure.

Refused are words, several numbers, addresses, dates, and numbers that a spreadsheet has rounded.
Not here: when two spellings mean the same parcel (`fulfilment/tracking_numbers`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from cscart_pipelines.fulfilment.carriers import is_carrier
from cscart_pipelines.fulfilment.feeds.csv_reader import Cell
from cscart_pipelines.fulfilment.feeds.fields import (
    EXACT_DIGITS,
    TEXT_FORMAT,
    RefusedValueError,
    cell_text,
    clip,
    required_text,
    several_numbers,
)
from cscart_pipelines.fulfilment.feeds.time_fields import is_date
from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking

COINCIDENCE = 0.0011
"""What is less probable was rounded: three zeros where three digits would be lost."""
_JAVASCRIPT_DIGITS = 17
_DOUBLE_BITS = 53
_TRACKING = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/-]*[A-Za-z0-9])?")
_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*://|(?:tel|mailto|data|urn):|www\.|\S*@|[a-z0-9.-]+\.[a-z]{2,}/", re.I
)
_ONE_OF_SEVERAL = re.compile(r"(?=.*[0-9])[A-Za-z0-9._-]+")
_NOT_A_NUMBER = re.compile(
    r"[A-Z]?[a-z]{2,}|(?i:x|pending|unknown|missing|empty|tb[acd]|todo|pick-?up|collected)"
    r"|(?:.*[ /])?(?:[A-Z]?[a-z]{4,}|[A-Z]?[a-z]{2,}[ /][A-Z]?[a-z]{2,})(?:[ /].*)?"
)
"""Words in place of a number."""
_NAMED_DATE = re.compile(
    r"(?:[0-3]?[0-9][-. ]{1,2})?(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[-. ]"
    r"(?:19|20)?[0-9]{2}|[0-3]?[0-9][-. ]{1,2}[A-Z]?[a-z]{2,4}\.?(?:[-. ](?:19|20)?[0-9]{2})?"
)
"""`1-Mar`, `01-MAR-24`, `Mar-24`, `1. Mai`: what spreadsheets make of MAR1 and of 1-3."""


def tracking_number(cell: Cell) -> str:
    """Returns the number of one parcel: letters, digits, and space - . _ / between them.

    Raises:
        RefusedValueError: a word, several numbers, an address, a date, or a number that a
            spreadsheet has rounded.
    """
    text = cell_text(cell, "tracking_number")
    if _ADDRESS.match(text):
        raise RefusedValueError(
            f"tracking_number {clip(text)} is an address; write it into the column tracking_url"
            " and the parcel's number here"
        )
    text = required_text(cell, "tracking_number")
    if not normalise_tracking(text):
        raise RefusedValueError(f"tracking_number {clip(text)} has no letter or digit")
    if not _TRACKING.fullmatch(text):
        invalid = next((each for each in text if not _TRACKING.fullmatch(f"1{each}1")), None)
        what = f"holds “{invalid}”" if invalid else "begins or ends with a mark"
        raise RefusedValueError(
            f"tracking_number {clip(text)} {what}; a number is made of letters A to Z and digits,"
            " with space - . _ / between them"
        )
    if _NOT_A_NUMBER.fullmatch(text):
        raise RefusedValueError(
            f"tracking_number {clip(text)} is a word and no parcel's number; leave the row out"
            " until there is one"
        )
    if is_carrier(text):
        raise RefusedValueError(
            f"tracking_number {clip(text)} is the name of a carrier; check the order of the columns"
        )
    if not normalise_tracking(text).strip("0"):
        raise RefusedValueError(
            f"tracking_number {clip(text)} is zero; leave the row out until there is a number"
        )
    if is_date(text) or _NAMED_DATE.fullmatch(text):
        raise RefusedValueError(
            f"tracking_number {clip(text)} is a date, which spreadsheets make of numbers;"
            f" {TEXT_FORMAT}"
        )
    for separator, least in ((r"\s+", 8), ("/", 6)):
        parts = [part for part in re.split(separator, text) if len(part) >= least]
        if len(parts) > 1 and all(map(_ONE_OF_SEVERAL.fullmatch, parts)):
            raise several_numbers(text)
    if any(chance <= COINCIDENCE for chance in _chances(text) if chance is not None):
        raise RefusedValueError(rounded_reason(text))
    return text


def rounded_reason(text: str) -> str:
    """Returns why a number is refused whose last digits were lost."""
    what = "ends in zeros after its 15th digit" if text.endswith("0") else "lost its last digits"
    return (
        f"tracking_number {text} {what}: it was rounded by a spreadsheet or script; {TEXT_FORMAT}"
    )


def rounded_numbers(numbers: Iterable[str]) -> set[str]:
    """Returns those tracking numbers of a file that were surely rounded.

    One zero at the end of a number of 16 digits is a coincidence; all numbers of a file that are
    longer than 15 digits ending so is none.
    """
    long: tuple[dict[str, float], ...] = ({}, {}, {})
    for text in numbers:
        for found, chance in zip(long, _chances(text), strict=True):
            if chance is not None:
                found[text] = chance
    return {
        text
        for found in long
        if 1 not in found.values() and math.prod(found.values()) <= COINCIDENCE
        for text in found
    }


def _chances(text: str) -> tuple[float | None, float | None, float | None]:
    """Returns how probable a number that was not rounded looks as if it was.

    By a spreadsheet (zeros after the 15th digit), by JavaScript (after the 17th), by a program that
    keeps numbers as floating point and writes them in full, as pandas does where a column has empty
    cells. None: the number is too short to be rounded; 1: it has digits that would be lost.
    """
    digits = text.replace(" ", "").lstrip("0")
    if not digits.isdecimal():
        return None, None, None
    bits = int(digits).bit_length() - _DOUBLE_BITS
    exact = bits <= 0 or int(float(digits)) == int(digits)
    return (
        _chance_of_zeros(digits[EXACT_DIGITS:]),
        _chance_of_zeros(digits[_JAVASCRIPT_DIGITS:]),
        None if bits <= 0 else 2.0**-bits if exact else 1,
    )


def _chance_of_zeros(behind: str) -> float | None:
    if not behind:
        return None
    return 1 if behind.strip("0") else 10.0 ** -len(behind)

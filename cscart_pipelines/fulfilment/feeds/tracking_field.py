"""Tracking numbers in a feed: what can be the number of one parcel. Pure.

Refused are words, several numbers, addresses, dates, and numbers that a spreadsheet has rounded.
Not here: when two spellings mean the same parcel (`fulfilment/tracking_numbers`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

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

ROUNDED_ZEROS = 3
"""So many zeros behind the fifteenth digit are no coincidence."""
_TRACKING = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/-]*[A-Za-z0-9])?")
_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*://|(?:tel|mailto|data|urn):|www\.|\S*@|[a-z0-9.-]+\.[a-z]{2,}/", re.I
)
_ONE_OF_SEVERAL = re.compile(r"(?=.*[0-9])[A-Za-z0-9._-]+")
_NOT_A_NUMBER = re.compile(
    r"[A-Z]?[a-z]{2,}|(?i:pending|unknown|missing|empty|tb[acd]|todo|pick-?up|collected)"
    r"|(?:.*[ /])?(?:[A-Z]?[a-z]{4,}|[A-Z]?[a-z]{2,}[ /][A-Z]?[a-z]{2,})(?:[ /].*)?"
)
"""Words in place of a number."""


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
    if not normalise_tracking(text).strip("0"):
        raise RefusedValueError(
            f"tracking_number {clip(text)} is zero; leave the row out until there is a number"
        )
    if is_date(text):
        raise RefusedValueError(
            f"tracking_number {clip(text)} is a date, which spreadsheets make of numbers;"
            f" {TEXT_FORMAT}"
        )
    for separator, least in ((r"\s+", 8), ("/", 6)):
        parts = [part for part in re.split(separator, text) if len(part) >= least]
        if len(parts) > 1 and all(map(_ONE_OF_SEVERAL.fullmatch, parts)):
            raise several_numbers(text)
    if trailing_zeros(text) >= ROUNDED_ZEROS:
        raise RefusedValueError(rounded_reason(text))
    return text


def rounded_reason(text: str) -> str:
    """Returns why a number that ends in zeros is refused."""
    return (
        f"tracking_number {text} ends in zeros after its 15th digit: it was rounded by a"
        f" spreadsheet; {TEXT_FORMAT}"
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

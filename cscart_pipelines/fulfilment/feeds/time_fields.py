"""Times in a feed: ISO 8601 or dd/MM/yyyy, never a date that could be month first. Pure.

Not here: refusing a whole file for one date that is month first (`parse`).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cscart_pipelines.fulfilment.feeds.csv_reader import Cell
from cscart_pipelines.fulfilment.feeds.fields import RefusedValueError, cell_text, clip
from cscart_pipelines.spreadsheets import bare

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"([0-9]{1,4})([/.-])([0-9]{1,2})\2([0-9]{2,4})(?:[ T].*)?")
_DAY_FIRST = re.compile(
    r"([0-9]{2})/([0-9]{2})/([0-9]{4})(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?)?"
)
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9].*)?")


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
    text = cell_text(str(cell), column)
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
            f"{column} {clip(text)} {why}; expected 2024-01-31T15:00:00Z or 31/01/2024 15:00"
        )
    if found < EARLIEST:
        raise RefusedValueError(f"{column} {clip(text)} is before the year 2000")
    if found > latest + timedelta(days=1):
        raise RefusedValueError(f"{column} {clip(text)} is in the future")
    return found


def file_time(modified: float) -> datetime | None:
    """Returns when a file was written, at most now.

    Args:
        modified: seconds since 1970, as the file system has it.

    Returns:
        None for a time before 2000: archives and mounted buckets write 1970 or 1980 for no time.
    """
    written = min(datetime.fromtimestamp(modified, UTC), datetime.now(UTC))
    return written if written >= EARLIEST else None


def is_month_first(cell: Cell) -> bool:
    """Returns True for a date that can only be month before day: 01/31/2024."""
    found = _DATE.fullmatch(bare(cell)) if isinstance(cell, str) else None
    if found is None or len(found[1]) > 2 or (len(found[4]) != 4 and found[2] != "/"):
        return False
    first, second, year = int(found[1]), int(found[3]), int(found[4])
    return second > 12 and _is_day(year if year > 99 else 2000 + year, first, second)


def is_date(text: str) -> bool:
    """Returns True if a text can be a date, in any order of day, month and year."""
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

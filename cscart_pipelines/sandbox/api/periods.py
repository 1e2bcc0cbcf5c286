"""Creation-time filters: `period`, `time_from`, `time_to` (reference 8.2), in the shop's zone.

Pure; takes the current time as an argument.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cscart_pipelines.sandbox.http.php import intval, is_numeric

_DAY = timedelta(days=1)


def bounds(
    params: dict[str, Any], *, now: int, zone: ZoneInfo, day_first: bool = False, prefix: str = ""
) -> tuple[int, int] | None:
    """Inclusive epoch bounds, or None where no time filter applies (no `period`, or `A`)."""
    period = params.get(f"{prefix}period")
    if not isinstance(period, str) or period in ("", "A"):
        return None
    rolling = {"HH": 1, "HW": 7, "HM": 30}
    if period in rolling:
        return now - rolling[period] * 86_400, now
    if period == "HC":
        return now - intval(params.get("last_days", 0)) * 86_400, now
    calendar = _calendar(period, datetime.fromtimestamp(now, zone))
    if calendar is not None:
        return int(calendar[0].timestamp()), int(calendar[1].timestamp()) - 1
    start = params.get(f"{prefix}time_from", "")
    end = params.get(f"{prefix}time_to", "")
    return (
        0 if start == "" else moment(start, now=now, zone=zone, day_first=day_first),
        now if end == "" else moment(end, now=now, zone=zone, day_first=day_first, end=True),
    )


def moment(
    value: Any, *, now: int, zone: ZoneInfo, day_first: bool = False, end: bool = False
) -> int:
    """A number is epoch seconds, a shop date a local day; **any other text becomes now**."""
    if is_numeric(value):
        return intval(value)
    match = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", str(value))
    if match is None:
        return now
    first, second, year = (int(part) for part in match.groups())
    month, day = (second, first) if day_first else (first, second)
    try:
        midnight = datetime(year, month, day, tzinfo=zone)
    except ValueError:
        return now
    return int(midnight.timestamp()) + (86_399 if end else 0)


def _calendar(period: str, local: datetime) -> tuple[datetime, datetime] | None:
    today = local.replace(hour=0, minute=0, second=0, microsecond=0)
    week = today - today.weekday() * _DAY
    month = today.replace(day=1)
    year = month.replace(month=1)
    last_month = (month - _DAY).replace(day=1)
    last_year = year.replace(year=year.year - 1)
    tomorrow = today + _DAY
    spans = {
        "D": (today, tomorrow),
        "LD": (today - _DAY, today),
        "W": (week, tomorrow),
        "LW": (week - 7 * _DAY, week),
        "M": (month, tomorrow),
        "LM": (last_month, month),
        "Y": (year, tomorrow),
        "LY": (last_year, year),
    }
    return spans.get(period)

"""When stock is pushed: pure, from the integrations' schedules and the sensor's last evaluation.

Not here: what waits (`fulfilment.pushes.due`), requesting the runs (`sensors`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from cscart_pipelines.defs.shared.run_requests import read_json


@dataclass(frozen=True)
class ScheduleCursor:
    """The cursor of `stock_schedule`.

    Attributes:
        at: the last evaluation, epoch seconds; None before the first.
        owed: integrations whose time has come while their shop was being written to.
    """

    at: float | None = None
    owed: tuple[str, ...] = ()

    def to_cursor(self) -> str:
        """Returns the cursor as Dagster keeps it."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_cursor(cursor: str | None) -> ScheduleCursor:
        """Reads a cursor; an unreadable one counts as none: schedules begin anew."""
        found = read_json(cursor)
        try:
            owed = tuple(str(key) for key in found.get("owed", ()))
            return ScheduleCursor(float(found["at"]), owed)
        except (KeyError, TypeError, ValueError):
            return ScheduleCursor()


def due_keys(
    schedules: Mapping[str, tuple[str, ZoneInfo]], cursor: ScheduleCursor, now: float
) -> list[str]:
    """Returns the integrations whose schedule has come since the last evaluation, or is owed.

    Args:
        schedules: five cron fields and the zone they count in, by integration.
        cursor: of the last evaluation.
        now: epoch seconds.

    Returns:
        Each integration once, however often its schedule has come.
    """
    if cursor.at is None:
        return []
    owed = [key for key in cursor.owed if key in schedules]
    came = [
        key
        for key, (expression, zone) in schedules.items()
        if (moment := next_time(expression, zone, cursor.at)) is not None and moment <= now
    ]
    return sorted({*owed, *came})


def next_time(expression: str, zone: ZoneInfo, after: float) -> float | None:
    """Returns the first moment of a schedule after `after`, both in epoch seconds.

    None if there is none: the 30th of February, or no cron expression.
    """
    try:
        return next(CronSim(expression, datetime.fromtimestamp(after, zone))).timestamp()
    except (CronSimError, StopIteration):
        return None


def split_busy(
    came: Collection[str], busy: Collection[str], now: float
) -> tuple[list[str], ScheduleCursor]:
    """Returns the integrations to push to now, and the next cursor, in which busy ones are owed."""
    return (
        sorted(key for key in came if key not in busy),
        ScheduleCursor(now, tuple(sorted(key for key in came if key in busy))),
    )

"""When pushes are asked for: pure, from what waits, the clock and the sensor's last answer.

Not here: looking (`write_back_due`), asking (`write_back_sensors`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

UNCHANGED = 600
"""Seconds before something that a run left as it was is tried again."""


@dataclass(frozen=True)
class PushRequests:
    """The cursor of `fulfilment_inbox`: for whom a push was asked last, for what, and when."""

    what: dict[str, tuple[str, float]] = field(default_factory=dict)

    def to_cursor(self) -> str:
        return json.dumps(self.what)

    @staticmethod
    def from_cursor(cursor: str | None) -> PushRequests:
        """One that nobody can read counts as none: at worst a push finds nothing to do."""
        found = _read(cursor)
        try:
            return PushRequests({key: (str(what), float(at)) for key, (what, at) in found.items()})
        except (TypeError, ValueError):
            return PushRequests()


def to_ask(
    waiting: Mapping[str, str], asked: PushRequests, now: float
) -> tuple[list[str], PushRequests]:
    """Whom to push to now, and the next cursor.

    A push that failed changes what waits (the count of failures is part of it), so it is asked for
    again as soon as its round may start. One that ended before its round began changed nothing.
    """
    keys = []
    after = {}
    for key, what in sorted(waiting.items()):
        before, at = asked.what.get(key, ("", -math.inf))
        if before == what and at <= now < at + UNCHANGED:
            after[key] = (before, at)
        else:
            keys.append(key)
            after[key] = (what, now)
    return keys, PushRequests(after)


@dataclass(frozen=True)
class Clock:
    """The cursor of `stock_schedule`: when it was looked at last, and whose time was missed."""

    at: float | None = None
    """Epoch seconds; None: never."""
    owed: tuple[str, ...] = ()
    """Their time has come, and somebody else was writing to their shops."""

    def to_cursor(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_cursor(cursor: str | None) -> Clock:
        """One that nobody can read counts as none: schedules begin anew."""
        found = _read(cursor)
        try:
            return Clock(float(found["at"]), tuple(str(key) for key in found.get("owed", ())))
        except (KeyError, TypeError, ValueError):
            return Clock()


def due_keys(schedules: Mapping[str, tuple[str, ZoneInfo]], clock: Clock, now: float) -> list[str]:
    """Integrations whose schedule (five cron fields, in their zone) has come since the last look,
    once however often it came; and those owed."""
    if clock.at is None:
        return []
    owed = [key for key in clock.owed if key in schedules]
    came = [
        key
        for key, (expression, zone) in schedules.items()
        if (moment := next_time(expression, zone, clock.at)) is not None and moment <= now
    ]
    return sorted({*owed, *came})


def next_time(expression: str, zone: ZoneInfo, after: float) -> float | None:
    """The schedule's first moment after this one; None if there is none (the 30th of February)."""
    try:
        return next(CronSim(expression, datetime.fromtimestamp(after, zone))).timestamp()
    except (CronSimError, StopIteration):
        return None


def resume(came: Collection[str], busy: Collection[str], now: float) -> tuple[list[str], Clock]:
    """Whom to push to now, and the next cursor: who is busy is owed."""
    return (
        sorted(key for key in came if key not in busy),
        Clock(now, tuple(sorted(key for key in came if key in busy))),
    )


def _read(cursor: str | None) -> dict[str, Any]:
    try:
        found = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""Which orders to ask the shop for: windows over its list, by kind of run and capabilities.

Pure: capabilities, watermark and the shop's time in, windows out. The facts are in reference 8.2,
8.6 and 14. Not here: requests, rows.

Every window is closed above at the shop's present time, so that it can only shrink while its pages
are read; what changes meanwhile belongs to the next window. Windows overlap, because a change gets
its time when the shop begins to write it and shows when that is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

OVERLAP = timedelta(minutes=10)
RECENT = timedelta(days=30)
"""Without a filter on changes, orders younger than this are read again."""
SETTLED_FOR_GOOD = frozenset("CIFDNT")
"""Statuses that rarely change any more; all others are read again however old the order is."""

DETAILS = {"get_orders_data": 1}
INCOMPLETE_TOO = {"include_incompleted": 1}
"""Started checkouts (status N) feed the abandoned-checkout segment."""


@dataclass(frozen=True)
class Window:
    """One list of orders to walk through."""

    label: str
    params: dict[str, Any]
    details: bool
    """Each row with its details; otherwise list rows, and details only of orders that differ."""
    until: datetime | None = None
    """The watermark after this window."""
    sweep: bool = False
    """The window holds every order: what it lacks is deleted in the shop."""


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def created(until: datetime, since: datetime | None = None) -> dict[str, Any]:
    """A window on the creation time; without `period` the shop ignores both ends (8.2)."""
    start = _epoch(since) if since else 0
    return {**INCOMPLETE_TOO, "period": "C", "time_from": start, "time_to": _epoch(until)}


def whole(now: datetime, *, details: bool) -> Window:
    """Every order: the first synchronisation, and a full one."""
    params = created(now) | (DETAILS if details else {})
    return Window("whole", params, details, until=now, sweep=True)


def slim_sweep(now: datetime) -> Window:
    """Every order as a list row: finds deletions, and changes that the filters do not show."""
    return Window("sweep", created(now), details=False, sweep=True)


def changed(
    watermark: datetime,
    now: datetime,
    *,
    details: bool,
    updated_at_filter: bool,
    known_statuses: Iterable[str] = (),
) -> list[Window]:
    """What has changed since the watermark, as far as the shop can say."""
    extra = DETAILS if details else {}
    if updated_at_filter:
        params = {
            **INCOMPLETE_TOO,
            **extra,
            "updated_at_from": _epoch(watermark - OVERLAP),
            "updated_at_to": _epoch(now),
        }
        return [Window("changed", params, details, until=now)]
    since = min(now - RECENT, watermark - OVERLAP)
    windows = [Window("recent", created(now, since) | extra, details, until=now)]
    open_letters = sorted(set(known_statuses) - SETTLED_FOR_GOOD)
    if open_letters:
        params = created(since) | {"status[]": open_letters}
        windows.append(Window("open", params, details=False))
    return windows

"""Which orders to ask the shop for: windows over its list, by kind of run and capabilities.

Pure functions of capabilities, watermark and the shop's time (reference 8.2, 8.6 and 14). Not here:
requests, rows.

Every window ends at the shop's present time, so that it can only shrink while its pages are read;
what changes meanwhile belongs to the next window. Windows overlap, because a change has the time at
which the shop begins to write it, and shows in lists when that is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cscart_pipelines.sync.clock import ShopTime

OVERLAP = timedelta(minutes=10)
SET_BACK = timedelta(days=1)
"""Additional overlap after the shop's clock was set back behind the watermark."""
RECENT = timedelta(days=30)
"""Without a filter on changes, orders younger than this are read again."""
OPEN_FOR = timedelta(days=180)
"""… and list rows of unsettled orders younger than this; a daily sweep compares all list rows."""
FRESH = timedelta(days=3)
"""Without details in the list, orders younger than this are always read in full: an address or a
line may have changed, which list rows do not show."""
SETTLED_FOR_GOOD = frozenset("CIFDNT")
"""Statuses that rarely change any more."""

DETAILS = {"get_orders_data": 1}
INCOMPLETE_TOO = {"include_incompleted": 1}
"""Started checkouts (status N) feed the abandoned-checkout segment."""


@dataclass(frozen=True)
class Window:
    """One list of orders to read to its end."""

    label: str
    params: dict[str, Any]
    details: bool
    """Each row with its details; otherwise list rows, and details of orders that differ."""
    created_until: datetime | None = None
    """The window holds every order up to this time of creation: what it lacks is deleted."""
    watermark: datetime | None = None
    """The watermark after this window."""
    afresh_since: datetime | None = None
    """Without details in the list: orders created since are read in full, changed or not."""


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def created(until: datetime, since: datetime | None = None) -> dict[str, Any]:
    """Returns the filter by creation time; without `period` the shop ignores both ends (8.2)."""
    start = _epoch(since) if since else 0
    return {**INCOMPLETE_TOO, "period": "C", "time_from": start, "time_to": _epoch(until)}


def limited(window: Window, filters: Mapping[str, Any]) -> Window:
    """Returns the window of only the integration's orders, where the shop can filter so."""
    return replace(window, params={**window.params, **filters}) if filters else window


def whole(now: ShopTime, *, details: bool) -> Window:
    """Returns the window of every order: for the first synchronisation, and for a full one."""
    end = now.latest
    params = created(end) | (DETAILS if details else {})
    beginning = datetime.fromtimestamp(0, UTC)
    return Window("whole", params, details, end, now.earliest, afresh_since=beginning)


def unfinished_whole(params: dict[str, Any], watermark: datetime) -> Window:
    """Returns the window of an interrupted reading, with the parameters that it had."""
    end = datetime.fromtimestamp(params["time_to"], UTC)
    beginning = datetime.fromtimestamp(0, UTC)
    details = params.keys() >= DETAILS.keys()
    return Window("whole", params, details, end, watermark, afresh_since=beginning)


def slim_sweep(until: datetime) -> Window:
    """Returns every order as a list row: finds deletions, and changes that filters do not show."""
    return Window("sweep", created(until), details=False, created_until=until)


def by_number(numbers: Iterable[int], *, afresh: bool = False) -> Window:
    """Returns these orders as list rows; one that is not listed is deleted."""
    text = ",".join(map(str, numbers))
    beginning = datetime.fromtimestamp(0, UTC) if afresh else None
    return Window(
        "by number", {**INCOMPLETE_TOO, "order_id": text}, details=False, afresh_since=beginning
    )


def changed(watermark: datetime, now: ShopTime, *, details: bool) -> Window:
    """Returns what changed since the watermark, where the shop can filter so (from 4.13 on)."""
    params = {
        **INCOMPLETE_TOO,
        **(DETAILS if details else {}),
        "updated_at_from": _epoch(_since(watermark, now)),
        "updated_at_to": _epoch(now.latest),
    }
    return Window("changed", params, details, watermark=now.earliest)


def recent(watermark: datetime, now: ShopTime, *, details: bool) -> Window:
    """Returns the orders that are likely to have changed, for a shop without such a filter."""
    since = min(now.earliest - RECENT, _since(watermark, now))
    params = created(now.latest, since) | (DETAILS if details else {})
    afresh = min(now.earliest - FRESH, _since(watermark, now))
    return Window("recent", params, details, watermark=now.earliest, afresh_since=afresh)


def open_orders(before: datetime, now: ShopTime, letters: Iterable[str]) -> Window | None:
    """Returns list rows of unsettled orders created before then; None if there can be none."""
    wanted = sorted(set(letters) - SETTLED_FOR_GOOD)
    since = now.earliest - OPEN_FOR
    if not wanted or since >= before:
        return None
    return Window("open", created(before, since) | {"status[]": wanted}, details=False)


def _since(watermark: datetime, now: ShopTime) -> datetime:
    if watermark > now.earliest:  # the clock was set back; how far is unknown
        return now.earliest - (watermark - now.earliest) - SET_BACK
    return watermark - OVERLAP

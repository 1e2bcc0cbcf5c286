"""Which orders to ask the shop for: windows over its list, by kind of run and capabilities.

Pure: capabilities, watermark and the shop's time in, windows out. The facts are in reference 8.2,
8.6 and 14. Not here: requests, rows.

Every window is closed above at the shop's present time, so that it can only shrink while its pages
are read; what changes meanwhile belongs to the next window. Windows overlap, because a change gets
its time when the shop begins to write it and shows when that is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cscart_pipelines.sync.clock import ShopTime

OVERLAP = timedelta(minutes=10)
SET_BACK = timedelta(days=1)
"""Further back than that, where the shop's clock has been set back behind our watermark."""
RECENT = timedelta(days=30)
"""Without a filter on changes, orders younger than this are read again."""
OPEN_FOR = timedelta(days=180)
"""… and list rows of unsettled orders younger than this; a daily sweep compares all list rows."""
FRESH = timedelta(days=3)
"""Without details in the list, orders younger than this are read in full whatever their row says:
an address or a line may have changed, which list rows do not show."""
SETTLED_FOR_GOOD = frozenset("CIFDNT")
"""Statuses that rarely change any more."""

DETAILS = {"get_orders_data": 1}
INCOMPLETE_TOO = {"include_incompleted": 1}
"""Started checkouts (status N) feed the abandoned-checkout segment."""


@dataclass(frozen=True)
class Window:
    """One list of orders to walk through."""

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
    """A window on the creation time; without `period` the shop ignores both ends (8.2)."""
    start = _epoch(since) if since else 0
    return {**INCOMPLETE_TOO, "period": "C", "time_from": start, "time_to": _epoch(until)}


def limited(window: Window, filters: Mapping[str, Any]) -> Window:
    """Only the orders that the integration takes, where the shop can filter so."""
    return replace(window, params={**window.params, **filters}) if filters else window


def whole(now: ShopTime, *, details: bool) -> Window:
    """Every order: the first synchronisation, and a full one."""
    end = now.surely_not_yet
    params = created(end) | (DETAILS if details else {})
    beginning = datetime.fromtimestamp(0, UTC)
    return Window("whole", params, details, end, now.surely_over, afresh_since=beginning)


def unfinished_whole(params: dict[str, Any], watermark: datetime) -> Window:
    """The window of a walk that was cut short, with the parameters it had."""
    end = datetime.fromtimestamp(params["time_to"], UTC)
    beginning = datetime.fromtimestamp(0, UTC)
    details = params.keys() >= DETAILS.keys()
    return Window("whole", params, details, end, watermark, afresh_since=beginning)


def slim_sweep(until: datetime) -> Window:
    """Every order as a list row: finds deletions, and changes that the filters do not show."""
    return Window("sweep", created(until), details=False, created_until=until)


def by_number(numbers: Iterable[int], *, afresh: bool = False) -> Window:
    """These orders, as list rows; one that does not come is gone."""
    text = ",".join(map(str, numbers))
    beginning = datetime.fromtimestamp(0, UTC) if afresh else None
    return Window(
        "by number", {**INCOMPLETE_TOO, "order_id": text}, details=False, afresh_since=beginning
    )


def changed(watermark: datetime, now: ShopTime, *, details: bool) -> Window:
    """What has changed since the watermark, where the shop can filter by that (from 4.13 on)."""
    params = {
        **INCOMPLETE_TOO,
        **(DETAILS if details else {}),
        "updated_at_from": _epoch(_since(watermark, now)),
        "updated_at_to": _epoch(now.surely_not_yet),
    }
    return Window("changed", params, details, watermark=now.surely_over)


def recent(watermark: datetime, now: ShopTime, *, details: bool) -> Window:
    """Orders that may well have changed, where the shop cannot filter by change."""
    since = min(now.surely_over - RECENT, _since(watermark, now))
    params = created(now.surely_not_yet, since) | (DETAILS if details else {})
    afresh = min(now.surely_over - FRESH, _since(watermark, now))
    return Window("recent", params, details, watermark=now.surely_over, afresh_since=afresh)


def open_orders(before: datetime, now: ShopTime, letters: Iterable[str]) -> Window | None:
    """List rows of unsettled orders created before that; None if there can be none."""
    wanted = sorted(set(letters) - SETTLED_FOR_GOOD)
    since = now.surely_over - OPEN_FOR
    if not wanted or since >= before:
        return None
    return Window("open", created(before, since) | {"status[]": wanted}, details=False)


def _since(watermark: datetime, now: ShopTime) -> datetime:
    if watermark > now.surely_over:  # the clock was set back; from how far, nobody knows
        return now.surely_over - (watermark - now.surely_over) - SET_BACK
    return watermark - OVERLAP

"""When stock is pushed: schedules in their zones, missed times, shops that are busy."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.defs.fulfilment.stock_schedule import (
    ScheduleCursor,
    due_keys,
    next_time,
    split_busy,
)

ATHENS = ZoneInfo("Europe/Athens")
UTC_ZONE = ZoneInfo("UTC")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_a_schedule_counts_in_the_zone_of_its_shop() -> None:
    two_at_night = {"shop": ("0 2 * * *", ATHENS)}
    clock = ScheduleCursor(at("2026-01-10 23:30"))
    assert due_keys(two_at_night, clock, at("2026-01-10 23:59")) == []
    assert due_keys(two_at_night, clock, at("2026-01-11 00:00")) == ["shop"]


def test_missed_times_are_made_up_for_once() -> None:
    often = {"shop": ("*/5 * * * *", UTC_ZONE)}
    clock = ScheduleCursor(at("2026-01-10 10:00"))
    three_days_later = at("2026-01-13 10:01")
    assert due_keys(often, clock, three_days_later) == ["shop"]
    _, clock = split_busy(["shop"], [], three_days_later)
    assert due_keys(often, clock, three_days_later + 60) == []


def test_nothing_is_due_before_the_first_look() -> None:
    assert (
        due_keys({"shop": ("* * * * *", UTC_ZONE)}, ScheduleCursor(), at("2026-01-10 10:00")) == []
    )


def test_a_time_that_falls_into_a_push_is_owed() -> None:
    keys, clock = split_busy(["a", "b"], ["b"], 100.0)
    assert keys == ["a"]
    schedules = {"a": ("0 0 1 1 *", UTC_ZONE), "b": ("0 0 1 1 *", UTC_ZONE)}
    assert due_keys(schedules, ScheduleCursor.from_cursor(clock.to_cursor()), 160.0) == ["b"]
    # Switched off meanwhile: not owed any more.
    assert due_keys({"a": schedules["a"]}, clock, 160.0) == []


def test_a_schedule_without_a_day_never_comes() -> None:
    assert next_time("0 0 30 2 *", UTC_ZONE, 0.0) is None
    assert next_time("nonsense", UTC_ZONE, 0.0) is None


def test_the_hour_that_is_skipped_in_spring_is_not_lost() -> None:
    half_past_three = {"shop": ("30 3 * * *", ATHENS)}  # 03:00 to 04:00 does not exist that day
    clock = ScheduleCursor(at("2026-03-28 22:00"))
    assert due_keys(half_past_three, clock, at("2026-03-29 02:00")) == ["shop"]


@given(
    st.lists(st.integers(30, 7200), min_size=1, max_size=40),
    st.sampled_from(["*/7 * * * *", "0 */2 * * *", "15 3 * * *"]),
)
def test_looks_at_any_times_start_each_hour_at_most_once_and_miss_none(
    pauses: list[int], cron: str
) -> None:
    """Between two looks the schedule came at least once exactly if the shop is started."""
    now = at("2026-03-28 20:00")
    clock = ScheduleCursor(now)
    for pause in pauses:
        before, now = now, now + pause
        came = due_keys({"shop": (cron, ATHENS)}, clock, now)
        moment = next_time(cron, ATHENS, before)
        assert bool(came) == (moment is not None and moment <= now)
        _, clock = split_busy(came, [], now)


@pytest.mark.parametrize("cursor", [None, "", "nonsense", "[]", "3", '{"at": "x"}', '{"a": 1}'])
def test_an_unreadable_cursor_counts_as_none(cursor: str | None) -> None:
    assert ScheduleCursor.from_cursor(cursor) == ScheduleCursor()

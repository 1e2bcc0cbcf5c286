"""When pushes are asked for: schedules in their zones, missed times, what was left as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.defs.fulfilment.stock_schedule import (
    UNCHANGED,
    Clock,
    PushRequests,
    due_keys,
    next_time,
    resume,
    to_ask,
)

ATHENS = ZoneInfo("Europe/Athens")
UTC_ZONE = ZoneInfo("UTC")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_a_schedule_counts_in_the_zone_of_its_shop() -> None:
    two_at_night = {"shop": ("0 2 * * *", ATHENS)}
    clock = Clock(at("2026-01-10 23:30"))
    assert due_keys(two_at_night, clock, at("2026-01-10 23:59")) == []
    assert due_keys(two_at_night, clock, at("2026-01-11 00:00")) == ["shop"]


def test_missed_times_are_made_up_for_once() -> None:
    often = {"shop": ("*/5 * * * *", UTC_ZONE)}
    clock = Clock(at("2026-01-10 10:00"))
    three_days_later = at("2026-01-13 10:01")
    assert due_keys(often, clock, three_days_later) == ["shop"]
    _, clock = resume(["shop"], [], three_days_later)
    assert due_keys(often, clock, three_days_later + 60) == []


def test_nothing_is_due_before_the_first_look() -> None:
    assert due_keys({"shop": ("* * * * *", UTC_ZONE)}, Clock(), at("2026-01-10 10:00")) == []


def test_a_time_that_falls_into_a_push_is_owed() -> None:
    keys, clock = resume(["a", "b"], ["b"], 100.0)
    assert keys == ["a"]
    schedules = {"a": ("0 0 1 1 *", UTC_ZONE), "b": ("0 0 1 1 *", UTC_ZONE)}
    assert due_keys(schedules, Clock.from_cursor(clock.to_cursor()), 160.0) == ["b"]
    # Switched off meanwhile: owed to nobody.
    assert due_keys({"a": schedules["a"]}, clock, 160.0) == []


def test_a_schedule_without_a_day_never_comes() -> None:
    assert next_time("0 0 30 2 *", UTC_ZONE, 0.0) is None
    assert next_time("nonsense", UTC_ZONE, 0.0) is None


def test_the_hour_that_is_skipped_in_spring_is_not_lost() -> None:
    half_past_three = {"shop": ("30 3 * * *", ATHENS)}  # 03:00 to 04:00 does not exist that day
    clock = Clock(at("2026-03-28 22:00"))
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
    clock = Clock(now)
    for pause in pauses:
        before, now = now, now + pause
        came = due_keys({"shop": (cron, ATHENS)}, clock, now)
        moment = next_time(cron, ATHENS, before)
        assert bool(came) == (moment is not None and moment <= now)
        _, clock = resume(came, [], now)


@pytest.mark.parametrize("cursor", [None, "", "nonsense", "[]", "3", '{"at": "x"}', '{"a": 1}'])
def test_a_cursor_that_nobody_can_read_counts_as_none(cursor: str | None) -> None:
    assert Clock.from_cursor(cursor) == Clock()
    assert PushRequests.from_cursor(cursor) == PushRequests()


def test_what_waits_is_asked_for_once_until_it_changes() -> None:
    keys, asked = to_ask({"a": "1", "b": "1"}, PushRequests(), 1000.0)
    assert keys == ["a", "b"]
    asked = PushRequests.from_cursor(asked.to_cursor())
    assert to_ask({"a": "1", "b": "1"}, asked, 1030.0) == ([], asked)
    keys, asked = to_ask({"a": "1", "b": "2"}, asked, 1060.0)
    assert keys == ["b"]
    assert to_ask({"a": "1", "b": "2"}, asked, 1090.0)[0] == []


def test_what_was_left_as_it_was_is_asked_for_again_later() -> None:
    """A run that was cancelled in the queue, or died before it reached the shop."""
    _, asked = to_ask({"a": "1"}, PushRequests(), 1000.0)
    assert to_ask({"a": "1"}, asked, 999.0 + UNCHANGED)[0] == []
    assert to_ask({"a": "1"}, asked, 1000.0 + UNCHANGED)[0] == ["a"]


def test_the_clock_may_be_set_back() -> None:
    _, asked = to_ask({"a": "1"}, PushRequests(), 1000.0)
    keys, asked = to_ask({"a": "1"}, asked, 1000.0 - timedelta(days=1).total_seconds())
    assert keys == ["a"]


def test_what_waits_no_more_is_forgotten() -> None:
    _, asked = to_ask({"a": "1", "b": "1"}, PushRequests(), 1000.0)
    _, asked = to_ask({"b": "1"}, asked, 1030.0)
    assert set(asked.what) == {"b"}

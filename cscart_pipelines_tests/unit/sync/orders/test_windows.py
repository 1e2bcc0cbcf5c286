"""Windows over the list of orders, as pure rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.sync.clock import UNCERTAIN, ShopTime
from cscart_pipelines.sync.orders import windows

NOON = datetime(2025, 6, 15, 12, tzinfo=UTC)
NOW = ShopTime(NOON, NOON)
VAGUE = ShopTime(NOON - UNCERTAIN, NOON + UNCERTAIN)


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def test_the_whole_list_ends_now_and_holds_started_checkouts() -> None:
    window = windows.whole(NOW, details=True)
    assert window.params == {
        "include_incompleted": 1,
        "period": "C",
        "time_from": 0,
        "time_to": _epoch(NOON),
        "get_orders_data": 1,
    }
    assert (window.created_until, window.watermark, window.details) == (NOON, NOON, True)


def test_an_interrupted_whole_list_goes_on_with_the_window_it_had() -> None:
    for details in (True, False):
        before = windows.whole(NOW, details=details)
        assert before.watermark is not None
        assert windows.unfinished_whole(before.params, before.watermark) == before


def test_changes_are_asked_for_with_an_overlap() -> None:
    window = windows.changed(NOON - timedelta(hours=1), NOW, details=True)
    assert window.params["updated_at_from"] == _epoch(NOON - timedelta(hours=1, minutes=10))
    assert window.params["updated_at_to"] == _epoch(NOON)
    assert window.params["include_incompleted"] == 1
    assert window.watermark == NOON
    assert window.created_until is None  # what is missing in it is not deleted


def test_a_clock_that_is_not_known_leaves_a_day_on_both_sides() -> None:
    window = windows.changed(NOON - timedelta(days=2), VAGUE, details=True)
    assert window.params["updated_at_to"] == _epoch(NOON + timedelta(days=1))
    assert window.watermark == NOON - timedelta(days=1)
    assert windows.whole(VAGUE, details=False).created_until == NOON + timedelta(days=1)


def test_a_clock_that_was_set_back_is_asked_for_more_than_the_overlap() -> None:
    # The watermark was taken while the clock was an hour ahead: real time may be an hour earlier.
    window = windows.changed(NOON + timedelta(hours=1), NOW, details=True)
    assert window.params["updated_at_from"] <= _epoch(NOON - timedelta(hours=1))


def test_without_a_filter_a_month_is_read_again_or_more_after_a_long_break() -> None:
    window = windows.recent(NOON - timedelta(hours=1), NOW, details=False)
    assert window.params["time_from"] == _epoch(NOON - timedelta(days=30))
    assert window.afresh_since == NOON - timedelta(days=3)
    window = windows.recent(NOON - timedelta(days=50), NOW, details=False)
    assert window.params["time_from"] == _epoch(NOON - timedelta(days=50, minutes=10))
    assert window.afresh_since == NOON - timedelta(days=50, minutes=10)


def test_open_orders_are_those_with_letters_that_may_still_change() -> None:
    month_ago = NOON - timedelta(days=30)
    window = windows.open_orders(month_ago, NOW, "CPONQ")
    assert window is not None
    assert window.params["status[]"] == ["O", "P", "Q"]
    assert window.params["time_to"] == _epoch(month_ago)
    assert window.watermark is window.created_until is None
    assert windows.open_orders(month_ago, NOW, "CFN") is None
    assert windows.open_orders(NOON - timedelta(days=400), NOW, "OP") is None


def test_orders_by_number_are_one_filter() -> None:
    window = windows.by_number([5, 7], afresh=True)
    assert window.params["order_id"] == "5,7"
    assert window.afresh_since is not None
    assert windows.by_number([5]).afresh_since is None


times = st.datetimes(datetime(2001, 1, 1), datetime(2090, 1, 1)).map(
    lambda t: t.replace(tzinfo=UTC)
)


@given(st.lists(times, min_size=2, max_size=8), st.booleans())
def test_successive_windows_leave_no_gap(moments: list[datetime], details: bool) -> None:
    """Every second between two runs lies in one of them, also when the clock is set back."""
    watermark = moments[0]
    for moment in moments[1:]:
        now = ShopTime(moment, moment)
        for window in (
            windows.changed(watermark, now, details=details).params["updated_at_from"],
            windows.recent(watermark, now, details=details).params["time_from"],
        ):
            assert window <= _epoch(min(watermark, moment) - windows.OVERLAP) + 1
        watermark = moment

"""The shop's clock, as far as its answers tell it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cscart_pipelines.sync.clock import UNCERTAIN, ShopClock

OURS = datetime(2025, 6, 15, 12, 0, 0, 400_000, tzinfo=UTC)


class _Now:
    def __init__(self) -> None:
        self.value = OURS

    def __call__(self) -> datetime:
        return self.value


def test_it_is_the_time_of_the_last_answer_plus_what_has_passed() -> None:
    now = _Now()
    clock = ShopClock(now=now)
    clock.observe(datetime(2025, 6, 15, 11, 0, 7, tzinfo=UTC))
    now.value += timedelta(seconds=90)
    told = clock.now()
    assert told.earliest == told.latest == datetime(2025, 6, 15, 11, 1, 37, tzinfo=UTC)
    assert clock.at(OURS).earliest == datetime(2025, 6, 15, 11, 0, 7, tzinfo=UTC)


def test_it_asks_when_nothing_was_heard_and_once_only() -> None:
    asked = []

    def ask() -> datetime | None:
        asked.append(1)
        return None

    clock = ShopClock(ask, _Now())
    for _ in range(3):
        told = clock.now()
        assert told.earliest == OURS.replace(microsecond=0) - UNCERTAIN
        assert told.latest == OURS.replace(microsecond=0) + UNCERTAIN
    assert len(asked) == 1
    clock.observe(None)
    assert clock.now().earliest != clock.now().latest
    clock.observe(OURS.replace(microsecond=0))
    assert clock.now().earliest == clock.now().latest


def test_it_does_not_ask_once_an_answer_was_heard() -> None:
    clock = ShopClock(ask=lambda: 1 / 0, now=_Now())  # type: ignore[arg-type, return-value]
    clock.observe(OURS)
    assert clock.now().earliest <= OURS

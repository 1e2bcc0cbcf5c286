"""When orders are pulled: after each synchronisation once, again after a failure, not for ever."""

from __future__ import annotations

import pytest

from cscart_pipelines.defs.fulfilment.order_pull_policy import PAUSES, PullCursor, decide
from cscart_pipelines.defs.shared.run_requests import Fate

DONE, BUSY, FAILED = Fate.SUCCEEDED, Fate.UNDER_WAY, Fate.FAILED


def asked(
    pulled: PullCursor, synced: dict[str, int], fate: Fate = DONE, now: float = 0.0
) -> tuple[list[str], PullCursor]:
    answer = decide(pulled, synced, fate, now)
    assert not isinstance(answer, str), answer
    keys, after = answer
    return keys, PullCursor.from_cursor(after.to_cursor())


def test_each_synchronisation_is_followed_once_in_whatever_order_they_end() -> None:
    keys, pulled = asked(PullCursor(), {"a": 3})
    assert keys == ["a"]
    keys, pulled = asked(pulled, {"a": 3, "b": 2})  # began earlier, ended later
    assert keys == ["b"]
    assert (
        decide(pulled, {"a": 3, "b": 2}, DONE, 1.0)
        == "The orders of every synchronisation are pulled."
    )
    assert asked(pulled, {"a": 4, "b": 2})[0] == ["a"]


def test_while_orders_are_pulled_nothing_is_asked_for_and_nothing_is_lost() -> None:
    _, pulled = asked(PullCursor(), {"a": 3})
    assert decide(pulled, {"a": 4}, BUSY, 1.0) == "A run of pull_orders is queued or running."
    assert asked(pulled, {"a": 4})[0] == ["a"]


def test_a_failed_pull_is_asked_for_again_a_few_times() -> None:
    _, pulled = asked(PullCursor(), {"a": 3}, now=1000.0)
    now, names = 1000.0, {pulled.request}
    for pause in PAUSES:
        assert "tried again soon" in str(decide(pulled, {"a": 3}, FAILED, now + pause - 1))
        now += pause
        keys, pulled = asked(pulled, {"a": 3}, FAILED, now)
        assert keys == ["a"]
        names.add(pulled.request)
    assert len(names) == 1 + len(PAUSES)  # keys of runs are remembered for ever
    assert (
        decide(pulled, {"a": 3}, FAILED, now + 1e6)
        == "The orders of every synchronisation are pulled."
    )
    keys, pulled = asked(pulled, {"a": 4}, FAILED, now + 1e6)
    assert (keys, pulled.attempt) == (["a"], 1)


def test_what_failed_goes_along_with_what_is_new() -> None:
    _, pulled = asked(PullCursor(), {"a": 3}, now=1000.0)
    assert asked(pulled, {"a": 3, "b": 4}, FAILED, 1001.0)[0] == ["a", "b"]


def test_an_integration_that_begins_to_use_fulfilment_is_pulled_at_once() -> None:
    _, pulled = asked(PullCursor(), {"a": 9})
    assert asked(pulled, {"a": 9, "late": 5})[0] == ["late"]


def test_one_that_is_gone_is_forgotten() -> None:
    _, pulled = asked(PullCursor(), {"a": 3, "gone": 2})
    _, pulled = asked(pulled, {"a": 4})
    assert pulled.seen == {"a": 4}


@pytest.mark.parametrize("cursor", [None, "", "{", "[]", '{"seen": 1}', '{"at": []}'])
def test_a_cursor_that_nobody_can_read_counts_as_none(cursor: str | None) -> None:
    assert PullCursor.from_cursor(cursor) == PullCursor()

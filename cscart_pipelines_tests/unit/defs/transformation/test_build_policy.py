"""Which lists are built now."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cscart_pipelines.defs.transformation.build_policy import MOST_RUNS, PATIENCE, PAUSES, decide
from cscart_pipelines.integrations.list_builds import ListState

NOW = datetime(2026, 5, 20, 10, 30, tzinfo=UTC)
FRESH = ListState(
    integration="a",
    timezone="UTC",
    as_of=NOW - timedelta(minutes=10),
    settings_changed=False,
    newest_change=None,
    change_age=None,
    is_targeted=False,
    is_syncing=False,
    has_visitors=False,
    attempts=0,
    attempted_at=None,
    attempted_sync=0,
)
DUE = replace(FRESH, newest_change=7, change_age=1.0)


def named(state: ListState, *keys: str) -> list[ListState]:
    return [replace(state, integration=key) for key in keys]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (FRESH, None),
        (DUE, "synchronised"),
        (replace(DUE, as_of=None), "never built"),
        (replace(FRESH, as_of=None), None),  # nothing was read yet
        (replace(FRESH, settings_changed=True), "settings changed"),
        (replace(FRESH, as_of=NOW - timedelta(hours=11)), "a new day"),
        (replace(FRESH, as_of=NOW - timedelta(hours=10)), None),
        (replace(FRESH, timezone="Pacific/Auckland", as_of=NOW - timedelta(hours=10)), None),
        (replace(FRESH, timezone="Pacific/Auckland", as_of=NOW - timedelta(hours=23)), "a new day"),
        (replace(FRESH, has_visitors=True), None),
        (replace(FRESH, has_visitors=True, as_of=NOW - timedelta(hours=1)), "onsite events"),
    ],
)
def test_what_makes_a_list_due(state: ListState, reason: str | None) -> None:
    assert state.reason(NOW) == reason


def test_the_due_ones_and_no_others() -> None:
    assert decide([*named(DUE, "c", "a"), *named(FRESH, "b")], [], NOW) == ["a", "c"]
    assert decide(named(FRESH, "a", "b"), [], NOW) == "Every list is up to date."


def test_lists_that_are_being_built_are_left_out() -> None:
    states = named(DUE, "a", "b")
    assert decide(states, [["a"]], NOW) == ["b"]
    assert decide(states, [["a", "b"]], NOW) == "The lists that are due (2) are being built."
    full = [[f"other-{number}"] for number in range(MOST_RUNS)]
    assert decide(states, full, NOW) == (
        "Lists that wait for the builds that are queued or running: 2."
    )


def test_the_shops_of_one_run_are_waited_for_but_not_for_hours() -> None:
    syncing = replace(FRESH, integration="z", is_syncing=True)
    assert decide([DUE, syncing], [], NOW) == "Synchronisations that are still running: 1."
    waited = replace(DUE, change_age=float(PATIENCE))
    assert decide([waited, syncing], [], NOW) == ["a"]
    touched = replace(DUE, is_targeted=True)
    assert decide([touched, syncing], [], NOW) == ["a"]
    # With the one that has waited, the others that are ready: one dbt start for all of them.
    assert decide([waited, *named(DUE, "b"), syncing], [], NOW) == ["a", "b"]
    # One that is being read now is due again at its end.
    assert decide([waited, replace(DUE, integration="b", is_syncing=True)], [], NOW) == ["a"]


def test_a_failed_build_is_begun_again_a_few_times_and_after_the_next_change() -> None:
    for attempt, pause in enumerate(PAUSES, start=1):
        failed = replace(DUE, attempts=attempt, attempted_at=NOW - pause, attempted_sync=7)
        assert decide([failed], [], NOW) == ["a"]
        soon = replace(failed, attempted_at=NOW - pause + timedelta(seconds=1))
        assert isinstance(decide([soon], [], NOW), str)
        assert decide([replace(soon, newest_change=8)], [], NOW) == ["a"]
        assert decide([soon, *named(DUE, "b")], [], NOW) == ["b"]
    given_up = replace(
        DUE, attempts=len(PAUSES) + 1, attempted_at=NOW - timedelta(days=9), attempted_sync=7
    )
    assert isinstance(decide([given_up], [], NOW), str)

"""When lists are rebuilt."""

from __future__ import annotations

import pytest

from cscart_pipelines.defs.transformation.build_policy import (
    PATIENCE,
    PAUSES,
    BuildCursor,
    BuildState,
    Fate,
    decide,
)

NOW = 1_000_000.0
DONE = "The lists contain every synchronisation."


def ended(*numbers: int, age: float = 1.0, running: tuple[int, ...] = ()) -> BuildState:
    """Synchronisations that no build covers yet."""
    return BuildState([(number, age) for number in numbers], running)


def asked(decision: BuildCursor | str) -> BuildCursor:
    assert isinstance(decision, BuildCursor), decision
    return decision


def test_the_first_synchronisation_asks_for_a_build() -> None:
    made = asked(decide(BuildCursor(), ended(1), Fate.FAILED, NOW))
    assert (made.upto, made.open, made.request, made.attempt) == (1, (), "lists-1-1", 1)


def test_nothing_is_asked_for_when_a_build_covers_everything() -> None:
    assert decide(BuildCursor(), ended(), Fate.FAILED, NOW) == DONE


def test_one_request_for_one_synchronisation() -> None:
    made = asked(decide(BuildCursor(), ended(7), Fate.FAILED, NOW))
    assert decide(made, ended(7), Fate.UNDER_WAY, NOW + 20) == "A build is queued or running."
    assert decide(made, ended(7), Fate.SUCCEEDED, NOW + 40) == DONE


def test_it_waits_while_others_are_running() -> None:
    assert decide(BuildCursor(), ended(3, running=(4, 5)), Fate.FAILED, NOW) == (
        "2 synchronisations are still running."
    )


def test_it_does_not_wait_for_hours() -> None:
    made = asked(decide(BuildCursor(), ended(3, age=PATIENCE, running=(1, 4)), Fate.FAILED, NOW))
    assert made.open == (1,)
    # The long one is not in that build, and gets its own when it ends, though its number is lower.
    assert decide(made, ended(3, age=900, running=(1, 4)), Fate.SUCCEEDED, NOW) == DONE
    after = asked(decide(made, ended(1, 3), Fate.SUCCEEDED, NOW + 5000))
    assert after.request == "lists-1-1"
    assert after.upto == 3


def test_what_ends_during_a_build_gets_the_next_one() -> None:
    made = asked(decide(BuildCursor(), ended(1), Fate.FAILED, NOW))
    assert decide(made, ended(1, 2), Fate.UNDER_WAY, NOW) == "A build is queued or running."
    assert asked(decide(made, ended(2), Fate.SUCCEEDED, NOW)).request == "lists-2-1"


def test_a_failed_build_is_asked_for_again_under_another_key_after_a_pause() -> None:
    made = asked(decide(BuildCursor(), ended(5), Fate.FAILED, NOW))
    now = NOW
    for attempt, pause in enumerate(PAUSES, start=2):
        soon = decide(made, ended(5), Fate.FAILED, now + pause - 1)
        assert soon == "The last build failed; it is tried again in 1 seconds."
        now += pause
        made = asked(decide(made, ended(5), Fate.FAILED, now))
        assert made.request == f"lists-5-{attempt}"
    late = decide(made, ended(5), Fate.FAILED, now + 1e6)
    assert late == "3 builds have failed; the next synchronisation starts another."


def test_a_new_synchronisation_does_not_wait_for_the_pause_of_a_failed_build() -> None:
    made = asked(decide(BuildCursor(), ended(5), Fate.FAILED, NOW))
    again = asked(decide(made, ended(5, 6), Fate.FAILED, NOW + 1))
    assert (again.request, again.attempt) == ("lists-6-1", 1)


def test_a_failed_build_that_somebody_made_good_is_not_asked_for_again() -> None:
    made = asked(decide(BuildCursor(), ended(5), Fate.FAILED, NOW))
    assert decide(made, ended(), Fate.FAILED, NOW + 1e6) == DONE


def test_the_cursor_survives_being_written_down() -> None:
    made = BuildCursor(9, (3, 4), "lists-9-2", 2, 12.5)
    assert BuildCursor.from_cursor(made.to_cursor()) == made


@pytest.mark.parametrize("cursor", [None, "", "12", "[]", "{", '{"other": 1}', '{"open": 3}'])
def test_a_cursor_that_nobody_can_read_counts_as_none(cursor: str | None) -> None:
    assert BuildCursor.from_cursor(cursor) == BuildCursor()

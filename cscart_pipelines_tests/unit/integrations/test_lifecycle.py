"""The rules, act by act and status by status, as seed 000 tells them."""

from __future__ import annotations

import itertools

import pytest

from cscart_pipelines.integrations.lifecycle import (
    Action,
    NotAllowedError,
    Standing,
    Status,
    after_enable,
    rejection_reason,
    require,
)

READY, SYNCING, ENABLED, FAILED, DISABLED = Status
TABLE = {
    # act: the statuses that allow it
    Action.START: {READY, FAILED},
    Action.RESYNC: {ENABLED, FAILED},
    Action.SCHEDULED: {ENABLED, FAILED},
    Action.EDIT: {READY, ENABLED, FAILED, DISABLED},
    Action.DISABLE: {READY, ENABLED, FAILED},
    Action.ENABLE: {DISABLED},
    Action.REMOVE: {READY, ENABLED, FAILED, DISABLED},
    Action.TRACKING_FILE: {ENABLED},
    Action.PUSH: {SYNCING, ENABLED, FAILED},
}
EVERY = list(itertools.product(Action, Status))


def standing(status: Status, **more: bool) -> Standing:
    return Standing(**{"status": status, "synced_before": True, "tested": True, **more})


@pytest.mark.parametrize(("act", "status"), EVERY)
def test_every_act_in_every_status(act: Action, status: Status) -> None:
    reason = rejection_reason(act, standing(status))
    assert (reason is None) == (status in TABLE[act])
    if reason is not None:
        with pytest.raises(NotAllowedError, match=f"^{act} is not allowed: "):
            require(act, standing(status))


@pytest.mark.parametrize(("act", "status"), EVERY)
def test_a_refusal_never_advises_what_is_refused_as_well(act: Action, status: Status) -> None:
    reason = rejection_reason(act, standing(status)) or ""
    for advised in (Action.START, Action.RESYNC, Action.ENABLE):
        if f"use {advised}" in reason:
            # `start` is advised where nothing was ever read.
            assert (
                rejection_reason(advised, standing(status, synced_before=status is not READY))
                is None
            )


@pytest.mark.parametrize("status", [ENABLED, FAILED])
@pytest.mark.parametrize("act", [Action.RESYNC, Action.SCHEDULED])
def test_changed_connection_details_need_a_test_first(act: Action, status: Status) -> None:
    assert "use test first" in (rejection_reason(act, standing(status, tested=False)) or "")


def test_start_needs_a_test_as_well() -> None:
    assert "use test first" in (rejection_reason(Action.START, standing(READY, tested=False)) or "")


def test_a_permanent_failure_waits_for_a_person() -> None:
    broken = standing(FAILED, permanent_failure=True)
    assert "is permanent" in (rejection_reason(Action.SCHEDULED, broken) or "")
    assert rejection_reason(Action.RESYNC, broken) is None
    assert rejection_reason(Action.SCHEDULED, standing(FAILED)) is None


def test_a_failed_first_synchronisation_may_be_retried_either_way() -> None:
    never = standing(FAILED, synced_before=False)
    assert rejection_reason(Action.START, never) is None
    assert rejection_reason(Action.RESYNC, never) is None
    assert rejection_reason(Action.SCHEDULED, never) is None


def test_enabling_goes_where_it_came_from() -> None:
    assert after_enable(standing(DISABLED)) is ENABLED
    assert after_enable(standing(DISABLED, synced_before=False)) is READY
    assert after_enable(standing(DISABLED, failed_last=True)) is FAILED
    assert after_enable(standing(DISABLED, synced_before=False, failed_last=True)) is FAILED

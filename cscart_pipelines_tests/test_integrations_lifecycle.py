"""The rules, act by act and status by status, as seed 000 tells them."""

from __future__ import annotations

import itertools

import pytest

from cscart_pipelines.integrations.lifecycle import (
    Act,
    NotAllowedError,
    Standing,
    Status,
    after_enable,
    refusal,
    require,
)

READY, SYNCING, ENABLED, FAILED, DISABLED = Status
TABLE = {
    # act: the statuses that allow it
    Act.START: {READY, FAILED},
    Act.RESYNC: {ENABLED, FAILED},
    Act.SCHEDULED: {ENABLED, FAILED},
    Act.EDIT: {READY, ENABLED, FAILED, DISABLED},
    Act.DISABLE: {READY, ENABLED, FAILED},
    Act.ENABLE: {DISABLED},
    Act.REMOVE: {READY, ENABLED, FAILED, DISABLED},
    Act.TRACKING_FILE: {ENABLED},
    Act.PUSH: {SYNCING, ENABLED, FAILED},
}
EVERY = list(itertools.product(Act, Status))


def standing(status: Status, **more: bool) -> Standing:
    return Standing(**{"status": status, "synced_before": True, "tested": True, **more})


@pytest.mark.parametrize(("act", "status"), EVERY)
def test_every_act_in_every_status(act: Act, status: Status) -> None:
    reason = refusal(act, standing(status))
    assert (reason is None) == (status in TABLE[act])
    if reason is not None:
        with pytest.raises(NotAllowedError, match=f"^{act} is not allowed: "):
            require(act, standing(status))


@pytest.mark.parametrize(("act", "status"), EVERY)
def test_a_refusal_never_advises_what_is_refused_as_well(act: Act, status: Status) -> None:
    reason = refusal(act, standing(status)) or ""
    for advised in (Act.START, Act.RESYNC, Act.ENABLE):
        if f"use {advised}" in reason:
            # `start` is advised where nothing was ever read.
            assert refusal(advised, standing(status, synced_before=status is not READY)) is None


@pytest.mark.parametrize("status", [ENABLED, FAILED])
@pytest.mark.parametrize("act", [Act.RESYNC, Act.SCHEDULED])
def test_changed_connection_details_need_a_test_first(act: Act, status: Status) -> None:
    assert "use test first" in (refusal(act, standing(status, tested=False)) or "")


def test_start_needs_a_test_as_well() -> None:
    assert "use test first" in (refusal(Act.START, standing(READY, tested=False)) or "")


def test_a_permanent_failure_waits_for_a_person() -> None:
    broken = standing(FAILED, permanent_failure=True)
    assert "is permanent" in (refusal(Act.SCHEDULED, broken) or "")
    assert refusal(Act.RESYNC, broken) is None
    assert refusal(Act.SCHEDULED, standing(FAILED)) is None


def test_a_failed_first_synchronisation_may_be_retried_either_way() -> None:
    never = standing(FAILED, synced_before=False)
    assert refusal(Act.START, never) is None
    assert refusal(Act.RESYNC, never) is None
    assert refusal(Act.SCHEDULED, never) is None


def test_enabling_goes_where_it_came_from() -> None:
    assert after_enable(standing(DISABLED)) is ENABLED
    assert after_enable(standing(DISABLED, synced_before=False)) is READY
    assert after_enable(standing(DISABLED, failed_last=True)) is FAILED
    assert after_enable(standing(DISABLED, synced_before=False, failed_last=True)) is FAILED

"""The life of an integration as one pure state machine: which action is allowed in which status.

Command line and Dagster obey these rules. Words and conditions are those of seed 000. Not here: the
triggers that enforce them against a second process (`warehouse/migrations/sql`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The status of an integration (docs/contract.md)."""

    READY = "ready"
    SYNCING = "syncing"
    ENABLED = "enabled"
    FAILED = "failed"
    DISABLED = "disabled"


class Action(StrEnum):
    """What a person or a schedule may ask of an integration."""

    START = "start"
    RESYNC = "resync"
    SCHEDULED = "scheduled resync"
    EDIT = "edit"
    DISABLE = "disable"
    ENABLE = "enable"
    REMOVE = "remove"
    TRACKING_FILE = "tracking-file"
    PUSH = "writing to the shop"


class NotAllowedError(RuntimeError):
    """The action is not allowed in this status; the message says what to do instead."""


@dataclass(frozen=True)
class Standing:
    """The facts about an integration that the rules use."""

    status: Status
    synced_before: bool
    tested: bool
    """The connection details are those that passed the last test."""
    permanent_failure: bool = False
    """A repetition cannot succeed: credentials, privileges or settings are wrong."""
    failed_last: bool = False
    """Nothing has succeeded since the last failure."""


_ALLOWED: dict[Action, frozenset[Status]] = {
    Action.START: frozenset({Status.READY, Status.FAILED}),
    Action.RESYNC: frozenset({Status.ENABLED, Status.FAILED}),
    Action.SCHEDULED: frozenset({Status.ENABLED, Status.FAILED}),
    Action.EDIT: frozenset({Status.READY, Status.ENABLED, Status.FAILED, Status.DISABLED}),
    Action.DISABLE: frozenset({Status.READY, Status.ENABLED, Status.FAILED}),
    Action.ENABLE: frozenset({Status.DISABLED}),
    Action.REMOVE: frozenset({Status.READY, Status.ENABLED, Status.FAILED, Status.DISABLED}),
    Action.TRACKING_FILE: frozenset({Status.ENABLED}),
    # Also while it syncs or after a failed sync: parcels do not wait for lists.
    Action.PUSH: frozenset({Status.SYNCING, Status.ENABLED, Status.FAILED}),
}

_INSTEAD: dict[tuple[Action, Status], str] = {
    (Action.START, Status.ENABLED): "it has been started already; use resync",
    (Action.START, Status.SYNCING): "a synchronisation is in progress",
    (Action.RESYNC, Status.SYNCING): "a synchronisation is in progress",
    (Action.RESYNC, Status.READY): "it has not been started yet; use start",
    (
        Action.EDIT,
        Status.SYNCING,
    ): "settings cannot be edited while it is syncing; wait until it ends",
    (Action.REMOVE, Status.SYNCING): "it is syncing; wait until it ends",
    (Action.DISABLE, Status.SYNCING): "it is syncing; wait until it ends",
    (Action.DISABLE, Status.DISABLED): "it is disabled already",
    (Action.ENABLE, Status.SYNCING): "it is not disabled",
    (Action.ENABLE, Status.READY): "it is not disabled; use start",
    (Action.ENABLE, Status.ENABLED): "it is enabled already",
    (Action.ENABLE, Status.FAILED): "it is not disabled; use resync",
    (Action.SCHEDULED, Status.SYNCING): "a synchronisation is in progress",
    (Action.TRACKING_FILE, Status.SYNCING): "wait until the synchronisation ends",
    (Action.TRACKING_FILE, Status.FAILED): "its last synchronisation failed; use resync",
}


def rejection_reason(act: Action, standing: Standing) -> str | None:
    """Returns why the action is not allowed and what to do instead; None if it is allowed."""
    status = standing.status
    if status not in _ALLOWED[act]:
        default = {
            Status.DISABLED: "it is disabled; use enable first",
            Status.READY: "it has not been started yet; use start",
        }.get(status, f"its status is {status}")
        return _INSTEAD.get((act, status), default)
    if act in (Action.START, Action.RESYNC, Action.SCHEDULED, Action.PUSH) and not standing.tested:
        return (
            "its connection details, or the installation's secret key, have changed since the last"
            " test; use test first"
        )
    if act is Action.SCHEDULED and status is Status.FAILED and standing.permanent_failure:
        return "its last failure is permanent: edit the settings, or use resync"
    return None


def require(act: Action, standing: Standing) -> None:
    """Checks that an action is allowed.

    Raises:
        NotAllowedError: It is not; the message says what to do instead.
    """
    if reason := rejection_reason(act, standing):
        raise NotAllowedError(f"{act} is not allowed: {reason}")


def after_enable(standing: Standing) -> Status:
    """Returns the status after `enable`: an earlier failure is not forgotten."""
    if standing.failed_last:
        return Status.FAILED
    return Status.ENABLED if standing.synced_before else Status.READY

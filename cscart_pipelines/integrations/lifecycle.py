"""The life of an integration as one pure state machine: which act is allowed when.

Command line, Dagster and any later front obey these rules; no I/O here. The words and conditions
are those of seed 000. Not here: who enforces them against a second process (`registry`, through the
database).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What an integration is at any moment (CONTRACT)."""

    READY = "ready"
    SYNCING = "syncing"
    ENABLED = "enabled"
    FAILED = "failed"
    DISABLED = "disabled"


class Act(StrEnum):
    """What somebody may ask of an integration."""

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
    """The act is not allowed in the integration's status; the message says what to do instead."""


@dataclass(frozen=True)
class Standing:
    """What the rules look at."""

    status: Status
    synced_before: bool
    tested: bool
    """The connection details are those that passed the last test."""
    permanent_failure: bool = False
    """The last failure will not go away by itself: credentials, privileges, settings."""
    failed_last: bool = False
    """Nothing has succeeded since the last failure."""


_ALLOWED: dict[Act, frozenset[Status]] = {
    Act.START: frozenset({Status.READY, Status.FAILED}),
    Act.RESYNC: frozenset({Status.ENABLED, Status.FAILED}),
    Act.SCHEDULED: frozenset({Status.ENABLED, Status.FAILED}),
    Act.EDIT: frozenset({Status.READY, Status.ENABLED, Status.FAILED, Status.DISABLED}),
    Act.DISABLE: frozenset({Status.READY, Status.ENABLED, Status.FAILED}),
    Act.ENABLE: frozenset({Status.DISABLED}),
    Act.REMOVE: frozenset({Status.READY, Status.ENABLED, Status.FAILED, Status.DISABLED}),
    Act.TRACKING_FILE: frozenset({Status.ENABLED}),
    # Also while it syncs or after a failed sync: parcels do not wait for lists.
    Act.PUSH: frozenset({Status.SYNCING, Status.ENABLED, Status.FAILED}),
}

_INSTEAD: dict[tuple[Act, Status], str] = {
    (Act.START, Status.ENABLED): "it has been started already; use resync",
    (Act.START, Status.SYNCING): "a synchronisation is in progress",
    (Act.RESYNC, Status.SYNCING): "a synchronisation is in progress",
    (Act.RESYNC, Status.READY): "it has not been started yet; use start",
    (Act.EDIT, Status.SYNCING): "settings cannot be edited while it is syncing; wait until it ends",
    (Act.REMOVE, Status.SYNCING): "it is syncing; wait until it ends",
    (Act.DISABLE, Status.SYNCING): "it is syncing; wait until it ends",
    (Act.DISABLE, Status.DISABLED): "it is disabled already",
    (Act.ENABLE, Status.SYNCING): "it is not disabled",
    (Act.ENABLE, Status.READY): "it is not disabled; use start",
    (Act.ENABLE, Status.ENABLED): "it is enabled already",
    (Act.ENABLE, Status.FAILED): "it is not disabled; use resync",
    (Act.SCHEDULED, Status.SYNCING): "a synchronisation is in progress",
    (Act.TRACKING_FILE, Status.SYNCING): "wait until the synchronisation ends",
    (Act.TRACKING_FILE, Status.FAILED): "its last synchronisation failed; use resync",
}


def refusal(act: Act, standing: Standing) -> str | None:
    """Why the act is not allowed now, in words that end with what to do; None when it is."""
    status = standing.status
    if status not in _ALLOWED[act]:
        default = {
            Status.DISABLED: "it is disabled; use enable first",
            Status.READY: "it has not been started yet; use start",
        }.get(status, f"its status is {status}")
        return _INSTEAD.get((act, status), default)
    if act in (Act.START, Act.RESYNC, Act.SCHEDULED, Act.PUSH) and not standing.tested:
        return "its connection details have changed since the last test; use test first"
    if act is Act.SCHEDULED and status is Status.FAILED and standing.permanent_failure:
        return "its last failure is permanent: edit the settings, or use resync"
    return None


def require(act: Act, standing: Standing) -> None:
    """Raises NotAllowedError unless the act is allowed."""
    if reason := refusal(act, standing):
        raise NotAllowedError(f"{act} is not allowed: {reason}")


def after_enable(standing: Standing) -> Status:
    """Where an integration goes when it is enabled again: enabling mends no failure."""
    if standing.failed_last:
        return Status.FAILED
    return Status.ENABLED if standing.synced_before else Status.READY

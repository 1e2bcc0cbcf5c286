"""How a sensor starts one run for what waits, and not a second one: by tag, and by cursor.

Dagster remembers run keys for ever, and the same rows may be tried again, so run keys cannot do
this. Not here: what waits (`fulfilment.pushes.due`, `onsite.change_queue`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import dagster as dg

HIDDEN = ".dagster/cscart_"
"""So begin tags that this project alone reads: the UI shows no tag of `.dagster/`."""
STARTED_BY = "cscart/started_by"
"""The tag that names what started a run: a sensor, a schedule, the command line."""
INTEGRATIONS = "cscart/integrations"
"""The tag with the number of integrations of a run."""
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""Without NOT_STARTED: a run that was never handed over, because the daemon ended, never ends."""
RETRY_SECONDS = 600
"""Before a run is requested again for something that the last one left as it was."""


def unfinished_runs(instance: dg.DagsterInstance, job: str, started_by: str) -> list[dg.DagsterRun]:
    """Returns the unfinished runs of a job, also those that Dagster restarted after a crash.

    Args:
        instance: where the runs are.
        job: name of the job.
        started_by: value of the tag `STARTED_BY`.
    """
    filters = dg.RunsFilter(job_name=job, statuses=UNFINISHED, tags={STARTED_BY: started_by})
    return list(instance.get_runs(filters=filters))


@dataclass(frozen=True)
class RequestCursor:
    """The cursor of a sensor: what a run was requested for last, by integration.

    Attributes:
        last: the digest of what waited then, and when that was (epoch seconds).
    """

    last: dict[str, tuple[str, float]] = field(default_factory=dict)

    def to_cursor(self) -> str:
        """Returns the cursor as Dagster keeps it."""
        return json.dumps(self.last)

    @staticmethod
    def from_cursor(cursor: str | None) -> RequestCursor:
        """Reads a cursor; an unreadable one counts as none: at worst a run has nothing to do."""
        found = read_json(cursor)
        try:
            return RequestCursor({key: (str(what), float(at)) for key, (what, at) in found.items()})
        except (TypeError, ValueError):
            return RequestCursor()


def keys_to_request(
    waiting: Mapping[str, str], cursor: RequestCursor, now: float
) -> tuple[list[str], RequestCursor]:
    """Decides for which integrations a run is requested.

    A run that failed changes the digest (failures are part of it), so the next is requested as soon
    as the back-off allows. A run that ended before it began changed nothing.

    Args:
        waiting: digests of what waits, by integration.
        cursor: of the last evaluation.
        now: epoch seconds.

    Returns:
        The integrations, and the next cursor.
    """
    keys = []
    after = {}
    for key, what in sorted(waiting.items()):
        before, at = cursor.last.get(key, ("", -math.inf))
        if before == what and at <= now < at + RETRY_SECONDS:
            after[key] = (before, at)
        else:
            keys.append(key)
            after[key] = (what, now)
    return keys, RequestCursor(after)


def read_json(cursor: str | None) -> dict[str, Any]:
    """Returns the object in a cursor; an empty one if there is none."""
    try:
        found = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Fate(StrEnum):
    """What became of a run that was asked for."""

    UNDER_WAY = "under way"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Or cancelled, or it was never started."""


def fate_of(instance: dg.DagsterInstance, tag: str, request: str | None) -> Fate:
    """Of the run with this tag; runs that Dagster starts again after a crash carry it too."""
    runs = runs_of(instance, tag, request) if request else []
    if any(run.status is dg.DagsterRunStatus.SUCCESS for run in runs):
        return Fate.SUCCEEDED
    return Fate.UNDER_WAY if any(not run.is_finished for run in runs) else Fate.FAILED


def runs_of(instance: dg.DagsterInstance, tag: str, value: str) -> list[dg.DagsterRun]:
    """Runs with a tag, whatever their status."""
    return list(instance.get_runs(filters=dg.RunsFilter(tags={tag: value})))

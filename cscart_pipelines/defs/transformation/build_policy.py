"""When lists are rebuilt: pure, from what the registry and the runs say.

A build is asked for once after new synchronisations, when none is under way any more, or when some
have waited long enough beside one that takes hours. One that fails is asked for again after a
while, a few times: what made it fail may pass (the database was away), and what does not is told by
the alerts. After that the next synchronisation starts anew. Not here: looking (`sensors`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

PATIENCE = 600
"""Seconds that a finished synchronisation waits for the others that are running."""
PAUSES = (300, 1200)
"""Seconds before a failed build is asked for again, each time."""


@dataclass(frozen=True)
class BuildCursor:
    """The cursor: what the last request was for, and how often it has been made."""

    upto: int = 0
    """Synchronisations up to this number had been seen, except the open ones."""
    open: tuple[int, ...] = ()
    """Those that were running then."""
    request: str | None = None
    attempt: int = 0
    at: float = 0.0
    """When it was made, epoch seconds."""

    def to_cursor(self) -> str:
        """Returns the cursor as Dagster keeps it."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_cursor(cursor: str | None) -> BuildCursor:
        """Reads a cursor; an unreadable one counts as none: at worst the lists are built twice."""
        try:
            values = json.loads(cursor or "{}")
            return BuildCursor(**{**values, "open": tuple(values.get("open", ()))})
        except (AttributeError, TypeError, ValueError):
            return BuildCursor()


class Fate(StrEnum):
    """What became of the build that was asked for."""

    UNDER_WAY = "under way"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Or cancelled, or it was never started."""


@dataclass(frozen=True)
class BuildState:
    """What the warehouse says: synchronisations that no build covers."""

    finished: Sequence[tuple[int, float]]
    """Number and seconds since the end."""
    running: Sequence[int]


def decide(asked: BuildCursor, registry: BuildState, fate: Fate, now: float) -> BuildCursor | str:
    """The request to make, or the reason why none is made now."""
    if not registry.finished:
        return "The lists contain every synchronisation."
    new = [(n, age) for n, age in registry.finished if n > asked.upto or n in asked.open]
    if asked.request is not None and fate is Fate.UNDER_WAY:
        return "A build is queued or running."
    if new:
        oldest = max(age for _, age in new)
        if registry.running and oldest < PATIENCE:
            # An hourly run over many shops ends one shop after the other: one build at its end.
            return f"{len(registry.running)} synchronisations are still running."
        newest = max(n for n, _ in registry.finished)
        return BuildCursor(
            upto=max(newest, asked.upto),
            open=tuple(n for n in registry.running if n < max(newest, asked.upto)),
            request=f"lists-{max(n for n, _ in new)}-1",
            attempt=1,
            at=now,
        )
    if asked.request is None or fate is Fate.SUCCEEDED:
        return "The lists contain every synchronisation."
    if asked.attempt > len(PAUSES):
        return f"{asked.attempt} builds have failed; the next synchronisation starts another."
    wait = asked.at + PAUSES[asked.attempt - 1] - now
    if wait > 0:
        return f"The last build failed; it is tried again in {wait:.0f} seconds."
    attempt = asked.attempt + 1
    stem = asked.request.rpartition("-")[0]
    return BuildCursor(asked.upto, asked.open, f"{stem}-{attempt}", attempt, now)

"""How far a synchronisation is: percent, speed and time left, from its record.

Pure; the view `analytics.lists` says the same in SQL. Not here: who writes the record (`lease`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """Of the phase that is being read; None where it cannot be said (yet)."""

    phase: str | None
    rows_done: int
    rows_total: int | None
    percent: float | None
    rows_per_second: float | None
    seconds_left: int | None

    def numbers(self) -> dict[str, Any]:
        return asdict(self)


def progress_of(run: Mapping[str, Any]) -> Progress | None:
    """From a row of `registry.sync_runs`; None for one that has ended."""
    if run["state"] != "running":
        return None
    done, total = run["rows_done"], run["rows_total"]
    speed = left = None
    began, rows = run["phase_started_at"], run["phase_started_rows"]
    if began is not None and rows is not None:
        # Up to the last report: between two of them nothing is known.
        seconds = (run["heartbeat_at"] - began).total_seconds()
        speed = (done - rows) / seconds if seconds > 0 else None
    if speed and total is not None:
        left = -int(-(total - done) // speed)
    return Progress(
        phase=run["phase"],
        rows_done=done,
        rows_total=total,
        percent=round(100 * done / total, 1) if total else None,
        rows_per_second=None if speed is None else round(speed, 1),
        seconds_left=left,
    )

"""How far a synchronisation is: percent, speed and time left, from its record.

Pure; the view `analytics.lists` says the same in SQL. Not here: writing the record (`lock`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """The progress of the present phase; None where it is not known (yet)."""

    phase: str | None
    rows_done: int
    rows_total: int | None
    percent: float | None
    rows_per_second: float | None
    seconds_left: int | None

    def numbers(self) -> dict[str, Any]:
        """Returns the fields by name, for JSON."""
        return asdict(self)


def progress_of(run: Mapping[str, Any]) -> Progress | None:
    """Computes the progress from a row of `registry.sync_runs`; None for one that has ended."""
    if run["state"] != "running":
        return None
    done, total = run["rows_done"], run["rows_total"]
    speed = left = None
    began, rows = run["phase_started_at"], run["phase_started_rows"]
    if began is not None and rows is not None:
        # Up to the last heartbeat, which carries `rows_done`.
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

"""When orders are pulled: pure, from the synchronisations that succeeded and the last request.

Each integration's orders are pulled once after each synchronisation; a run that failed is asked for
again a few times, and then the next synchronisation asks anew. Not here: the sensor (`assets`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from cscart_pipelines.defs.shared.run_requests import Fate

PAUSES = (300, 1200)
"""Seconds before a failed run is asked for again, each time."""


@dataclass(frozen=True)
class PullCursor:
    """The cursor of `pull_after_sync`.

    Attributes:
        seen: the last synchronisation of each integration for which a pull was requested.
        last: the integrations of the last request.
        request: its name.
        attempt: how many requests for the same have been made, this one included.
        at: when it was made, epoch seconds.
    """

    seen: dict[str, int] = field(default_factory=dict)
    last: tuple[str, ...] = ()
    request: str | None = None
    attempt: int = 0
    at: float = 0.0

    def to_cursor(self) -> str:
        """Returns the cursor as Dagster keeps it."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_cursor(cursor: str | None) -> PullCursor:
        """Reads a cursor; an unreadable one counts as none: at worst orders are pulled twice."""
        try:
            found = json.loads(cursor or "{}")
            return PullCursor(
                {str(key): int(number) for key, number in found.get("seen", {}).items()},
                tuple(str(key) for key in found.get("last", ())),
                found.get("request"),
                int(found.get("attempt", 0)),
                float(found.get("at", 0.0)),
            )
        except (AttributeError, TypeError, ValueError):
            return PullCursor()


def decide(
    pulled: PullCursor, synced: Mapping[str, int], fate: Fate, now: float
) -> tuple[list[str], PullCursor] | str:
    """Decides of which integrations orders are pulled now.

    Args:
        pulled: the cursor of the last request.
        synced: the number of the last synchronisation that succeeded, of each integration whose
            orders are wanted.
        fate: of the run of the last request.
        now: epoch seconds.

    Returns:
        The integrations and the next cursor; or the reason why there are none.
    """
    if pulled.request is not None and fate is Fate.UNDER_WAY:
        return "A run of pull_orders is queued or running."
    new = {key for key, number in synced.items() if number > pulled.seen.get(key, 0)}
    again: set[str] = set()
    if pulled.request is not None and fate is Fate.FAILED and pulled.attempt <= len(PAUSES):
        if not new and now - pulled.at < PAUSES[pulled.attempt - 1]:
            return "The last pull failed; it is tried again soon."
        again = {key for key in pulled.last if key in synced}  # goes along with what is new
    keys = sorted(new | again)
    if not keys:
        return "The orders of every synchronisation are pulled."
    seen = {
        key: number if key in keys else pulled.seen[key]
        for key, number in synced.items()
        if key in keys or key in pulled.seen
    }
    attempt = pulled.attempt + 1 if again else 1
    # With the time in it: keys of runs are remembered for ever, and pulling twice does no harm.
    request = f"orders-{max(synced[key] for key in keys)}-{attempt}-{now:.0f}"
    return keys, PullCursor(seen, tuple(keys), request, attempt, now)

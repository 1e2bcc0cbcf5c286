"""Which lists are built now: pure, from what the registry and the runs say.

Lists that are due are built in one run, once no synchronisation is under way any more, or when some
have waited long enough beside one that takes hours. A build that fails is begun again after a
while, a few times: what made it fail may pass (the database was away), and what does not is told by
the alerts. After that the next synchronisation that changes something starts anew. Not here:
reading the state (`sensors`), what makes a list due (`integrations.list_builds`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from cscart_pipelines.integrations.list_builds import ListState

PATIENCE = 600
"""Seconds that a finished synchronisation waits for the others that are running."""
PAUSES = (timedelta(minutes=5), timedelta(minutes=20))
"""How long after a build that has not finished another is begun, each time."""
MOST_RUNS = 2
"""Builds that are queued or running at a time; a third waits for one of them, with more lists."""


def decide(
    states: Sequence[ListState],
    under_way: Sequence[Collection[str]],
    now: datetime,
) -> list[str] | str:
    """The lists to build in one run, or the reason why none is built now.

    Args:
        states: Of all integrations whose lists are kept up to date.
        under_way: The integrations of each build that is queued or running.
        now: A time with its zone.
    """
    busy = {key for keys in under_way for key in keys}
    due = {one.integration: one for one in states if one.reason(now) is not None}
    if not due:
        return "Every list is up to date."
    ready = [one for one in due.values() if one.integration not in busy]
    if not ready:
        return f"The lists that are due ({len(due)}) are being built."
    if len(under_way) >= MOST_RUNS:
        return f"Lists that wait for the builds that are queued or running: {len(ready)}."
    tried = [one for one in ready if _may_be_tried(one, now)]
    if not tried:
        return f"Lists whose build has failed, to be begun again after a pause: {len(ready)}."
    # An hourly run over many shops ends one shop after the other: one build at its end.
    syncing = sum(one.is_syncing for one in states)
    if syncing and not any(_has_waited(one) for one in tried):
        return f"Synchronisations that are still running: {syncing}."
    # A list whose shop is being read is due again at the end, and built then if it has not waited.
    settled = [one for one in tried if not one.is_syncing or _has_waited(one)]
    if not settled:
        return "The shops of the lists that are due are being read."
    return sorted(one.integration for one in settled)


def _has_waited(state: ListState) -> bool:
    """What a visitor has just done does not wait for the synchronisations of other shops."""
    return state.is_targeted or (state.change_age or 0) >= PATIENCE


def _may_be_tried(state: ListState, now: datetime) -> bool:
    if state.attempts == 0 or (state.newest_change or 0) > state.attempted_sync:
        return True
    if state.attempts > len(PAUSES) or state.attempted_at is None:
        return False
    return now >= state.attempted_at + PAUSES[state.attempts - 1]

"""Shops side by side: several at a time, each in a thread of its own, each with its own outcome.

Not here: what is done in a shop (`sync.batches`, `fulfilment.pushes.batch`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")

SHOPS_AT_ONCE = 4
"""At 8, a tick over 200 quick shops took half as much CPU again: they share one interpreter."""


def for_each_shop(
    keys: Sequence[str], visit: Callable[[str], T], stop: Callable[[], None]
) -> Iterator[tuple[str, Future[T]]]:
    """Visits the shops, `SHOPS_AT_ONCE` at a time, and yields each one as soon as it is done.

    A cancelled run (an exception in the caller's loop) begins no other shop and waits for those
    under way.

    Args:
        keys: the integrations, in the order in which they are begun.
        visit: called with each key in a thread; what it raises is in the future.
        stop: called in the caller's thread when the run is cancelled; tells the visits under way
            to end soon.

    Yields:
        The key of an integration with its future, which is done.
    """
    with ThreadPoolExecutor(SHOPS_AT_ONCE, "shop") as threads:
        try:
            started = {threads.submit(visit, key): key for key in keys}
            for future in as_completed(started):
                yield started[future], future
        except BaseException:
            stop()
            threads.shutdown(wait=False, cancel_futures=True)
            raise

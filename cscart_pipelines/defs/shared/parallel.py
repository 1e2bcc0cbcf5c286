"""Shops side by side: several at a time, each in a thread of its own, each with its own outcome.

A cancelled run starts no other shop and tells those under way to stop. Not here: what is done in a
shop (`visits` reads, `write_back_visits` writes).
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
    """Yields each shop when it is done. A cancelled run ends the visits under way first.

    `stop`: called in the thread of the run when it is cancelled; the visits should end soon then.
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

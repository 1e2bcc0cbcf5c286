"""Limits of what is accepted: requests a second per name, and bytes in work. No I/O.

Used by one event loop; nothing here is safe between threads.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic


class Rates:
    """Token buckets by name (a write key, a network), the least recently used dropped first.

    A dropped name starts with a full bucket: memory is bounded, however many names a client
    invents.
    """

    def __init__(
        self, per_second: float, burst: float, *, names: int = 20_000,
        clock: Callable[[], float] = monotonic,
    ) -> None:  # fmt: skip
        self._rate, self._burst, self._names, self._clock = per_second, burst, names, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, name: str, per_second: float | None = None) -> int:
        """Takes one token.

        Args:
            name: The bucket.
            per_second: A rate for this name instead of the usual one, with a burst of two seconds.

        Returns:
            0 when there was a token, otherwise whole seconds until there is one.
        """
        rate = per_second or self._rate
        burst = 2 * per_second if per_second else self._burst
        now = self._clock()
        tokens, then = self._buckets.pop(name, (burst, now))
        tokens = min(burst, tokens + (now - then) * rate)
        enough = tokens >= 1
        self._buckets[name] = (tokens - 1 if enough else tokens, now)
        if len(self._buckets) > self._names:
            self._buckets.popitem(last=False)
        return 0 if enough else max(1, math.ceil((1 - tokens) / rate))


class InFlight:
    """Bytes of requests that are being read or wait for their commit, up to a limit."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.bytes = 0

    def take(self, size: int) -> bool:
        """Adds `size` bytes; False, and nothing is added, when that exceeds the limit."""
        if self.bytes + size > self.most:
            return False
        self.bytes += size
        return True

    def give_back(self, size: int) -> None:
        """Takes `size` bytes off the count again."""
        self.bytes -= size

"""How much is taken: rates per name, and bytes that are being worked on. Counters only, no I/O.

Used by one event loop; nothing here is safe between threads.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic


class Rates:
    """Token buckets by name (a write key, a network), the least recently used forgotten first.

    A forgotten name starts with a full bucket: memory is bounded, whatever names are made up.
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
        """Takes one token: 0 when there was one, otherwise whole seconds until there is.

        `per_second` stands for this name in place of the usual rate, with a burst of two seconds.
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
    """Bytes of requests that are being read or wait for their commit."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.bytes = 0

    def take(self, size: int) -> bool:
        """Notes `size` bytes more; False, and nothing noted, when that is too much."""
        if self.bytes + size > self.most:
            return False
        self.bytes += size
        return True

    def give_back(self, size: int) -> None:
        self.bytes -= size

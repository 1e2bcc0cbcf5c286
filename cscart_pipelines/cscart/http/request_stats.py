"""Counts of the requests to a shop: one record per request, and their sums."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One request and its outcome. `status` is None without an answer."""

    verb: str
    entity: str
    status: int | None
    seconds: float
    bytes: int
    error: str | None


class CallStats:
    """The sums of one client's requests. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls = 0
        self.retries = 0
        self.bytes = 0
        self.seconds = 0.0
        self.notices = 0

    def add(self, *, seconds: float, size: int, notices: bool) -> None:
        """Counts one request.

        Args:
            seconds: Until the last byte.
            size: Bytes of the body.
            notices: PHP notices stood around the JSON.
        """
        with self._lock:
            self.calls += 1
            self.bytes += size
            self.seconds += seconds
            self.notices += notices

    def add_retry(self) -> None:
        """Counts a request that is about to be repeated."""
        with self._lock:
            self.retries += 1

    def snapshot(self) -> dict[str, float]:
        """Returns the sums, all of the same moment."""
        with self._lock:
            return {
                "calls": self.calls,
                "retries": self.retries,
                "bytes": self.bytes,
                "seconds": round(self.seconds, 3),
                "notices": self.notices,
            }

"""The record of requests that a shop saw, for counting calls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request the shop saw; `status` 0: the connection was reset instead of answered."""

    method: str
    path: str
    query: str
    status: int
    time: float
    size: int = 0


class RequestLog:
    """The record of requests, oldest first; iteration works on a copy."""

    def __init__(self, limit: int = 200_000) -> None:
        self._records: list[RequestRecord] = []
        self._lock = threading.Lock()
        self._limit = limit

    def append(self, record: RequestRecord) -> None:
        """Adds a request; the older half is dropped when there are too many."""
        with self._lock:
            self._records.append(record)
            if len(self._records) > self._limit:
                del self._records[: self._limit // 2]

    def clear(self) -> None:
        """Forgets all requests."""
        with self._lock:
            self._records.clear()

    def count(self, *, method: str = "", path: str = "", query: str = "") -> int:
        """How many requests had this method and these parts in path and query."""
        return sum(
            (not method or each.method == method) and path in each.path and query in each.query
            for each in self
        )

    def __iter__(self) -> Iterator[RequestRecord]:
        with self._lock:
            return iter(list(self._records))

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> RequestRecord:
        return self._records[index]

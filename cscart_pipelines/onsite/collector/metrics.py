"""What the collector counts, and how Prometheus reads it. No keys and no addresses are in it.

Counters may be raised by any thread; one lost in a race would be no harm, but the lock is cheap.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds of a commit."""
PREFIX = "cscart_collector_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters since the start of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.answers: Counter[int] = Counter()
        self.events: Counter[str] = Counter(
            dict.fromkeys(("stored", "repeated", "spooled", "replayed", "rejected", "robot"), 0)
        )
        self._commits = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0

    def answered(self, status: int) -> None:
        with self._lock:
            self.answers[status] += 1

    def count(self, outcome: str, number: int = 1) -> None:
        with self._lock:
            self.events[outcome] += number

    def committed(self, seconds: float) -> None:
        with self._lock:
            self._commits[bisect_left(BUCKETS, seconds)] += 1
            self._seconds += seconds

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """Everything in Prometheus' text format; `gauges` maps a name to its help and value."""
        lines: list[str] = []
        with self._lock:
            _head(lines, "batches_total", "counter", "Requests with a batch, by HTTP status")
            for status, number in sorted(self.answers.items()):
                lines.append(f'{PREFIX}batches_total{{status="{status}"}} {number}')
            _head(lines, "events_total", "counter", "Events by outcome")
            for outcome, number in sorted(self.events.items()):
                lines.append(f'{PREFIX}events_total{{outcome="{outcome}"}} {number}')
            _head(lines, "commit_seconds", "histogram", "Seconds of one transaction")
            total = 0
            for bound, number in zip((*BUCKETS, "+Inf"), self._commits, strict=True):
                total += number
                lines.append(f'{PREFIX}commit_seconds_bucket{{le="{bound}"}} {total}')
            lines.append(f"{PREFIX}commit_seconds_sum {self._seconds:.6f}")
            lines.append(f"{PREFIX}commit_seconds_count {total}")
        for name, (about, value) in gauges.items():
            _head(lines, name, "gauge", about)
            lines.append(f"{PREFIX}{name} {value:g}")
        return "\n".join(lines) + "\n"


def _head(lines: list[str], name: str, kind: str, about: str) -> None:
    lines += [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} {kind}"]

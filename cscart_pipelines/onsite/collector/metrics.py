"""Counters of the collector, in Prometheus' text format (`prometheus-client`).

No write key, address or identity is a label.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE

__all__ = ["CONTENT_TYPE", "Metrics"]

BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds of a commit."""
NAMESPACE = "cscart_collector"
OUTCOMES = ("stored", "repeated", "spooled", "replayed", "rejected", "robot")


class Metrics:
    """Counters since the start of the process; safe to use from any thread."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._batches = Counter(
            "batches", "Requests with a batch, by HTTP status", ["status"],
            namespace=NAMESPACE, registry=self._registry,
        )  # fmt: skip
        self._events = Counter(
            "events", "Events by outcome", ["outcome"], namespace=NAMESPACE, registry=self._registry
        )
        for outcome in OUTCOMES:
            self._events.labels(outcome)
        self._commits = Histogram(
            "commit_seconds", "Seconds of one transaction",
            namespace=NAMESPACE, registry=self._registry, buckets=BUCKETS,
        )  # fmt: skip

    def count_response(self, status: int) -> None:
        """Counts one answer to a request with a batch, by its HTTP status."""
        self._batches.labels(str(status)).inc()

    def count_events(self, outcome: str, number: int = 1) -> None:
        """Counts events by what became of them."""
        self._events.labels(outcome).inc(number)

    def observe_commit(self, seconds: float) -> None:
        """Adds the duration of one transaction."""
        self._commits.observe(seconds)

    def add_gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Shows a value that is read at each scrape."""
        gauge = Gauge(name, description, namespace=NAMESPACE, registry=self._registry)
        gauge.set_function(read)

    def text(self) -> bytes:
        """All metrics as the body of a response of type `CONTENT_TYPE`."""
        return generate_latest(self._registry)

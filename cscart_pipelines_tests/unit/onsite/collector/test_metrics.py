"""The metrics text: names that docs/operators.md promises, in Prometheus' format."""

from __future__ import annotations

from cscart_pipelines.onsite.collector.metrics import Metrics


def test_the_promised_names_are_there_from_the_start_and_count() -> None:
    metrics = Metrics()
    metrics.add_gauge("spool_bytes", "Bytes in the spool", lambda: 7)
    metrics.count_response(503)
    metrics.count_events("stored", 5)
    metrics.observe_commit(0.003)
    lines = metrics.text().decode().splitlines()
    for line in (
        'cscart_collector_batches_total{status="503"} 1.0',
        'cscart_collector_events_total{outcome="stored"} 5.0',
        'cscart_collector_events_total{outcome="repeated"} 0.0',
        'cscart_collector_commit_seconds_bucket{le="0.002"} 0.0',
        'cscart_collector_commit_seconds_bucket{le="0.005"} 1.0',
        "cscart_collector_commit_seconds_count 1.0",
        "# TYPE cscart_collector_spool_bytes gauge",
        "cscart_collector_spool_bytes 7.0",
    ):
        assert line in lines
    assert not any("_created" in line for line in lines)

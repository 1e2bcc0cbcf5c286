"""Alerts: what a failed run says, to the log and to a web server; nothing hides the failure."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import dagster as dg
import pytest

from cscart_pipelines.defs.shared.alerts import Alert, AlertSink, alert_on_failure
from cscart_pipelines.defs.shared.failures import FAILED
from cscart_pipelines.settings import read_settings
from cscart_pipelines_tests.support.dagster.location import PYDANTIC

pytestmark = pytest.mark.filterwarnings(PYDANTIC)
ALERT = Alert("resync", "run-1", "1 of 2 failed: shop-b. shop-b: wrong key", ("shop-b",))
TOKEN = "T0KEN-in-the-address"


@dataclass
class Chat:
    """What arrived, and what is answered."""

    status: int = 200
    bodies: list[Any] = field(default_factory=list)
    url: str = ""


@contextmanager
def chat(status: int = 200) -> Iterator[Chat]:
    """A web server that takes alerts."""
    made = Chat(status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(made.status)
            self.send_header("Location", f"http://127.0.0.1:1/{TOKEN}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Not to standard error."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/hook/{TOKEN}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def failed_run(op: Any, tags: dict[str, str] | None = None) -> dg.RunFailureSensorContext:
    """What Dagster gives the sensor about a run of this op."""

    @dg.job(name="resync")
    def one() -> None:
        op()

    instance = dg.DagsterInstance.ephemeral()
    result = one.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    return dg.build_run_status_sensor_context(
        sensor_name="alert_on_failure",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_failure_event(),
    ).for_run_failure()


@dg.op
def shops_failed() -> None:
    raise dg.Failure(
        "1 of 2 failed: shop-b. shop-b: wrong key",
        metadata={FAILED: dg.MetadataValue.json(["shop-b"])},
        allow_retries=False,
    )


@dg.op
def something_broke() -> None:
    raise ConnectionError("the server\nclosed the connection")


def test_an_alert_has_the_reason_and_the_shops(monkeypatch: pytest.MonkeyPatch) -> None:
    with chat() as channel:
        monkeypatch.setenv("CSCART_PIPELINES_ALERT_WEBHOOK", channel.url)
        context = failed_run(shops_failed)
        alert_on_failure(context, alerts=AlertSink())
    assert channel.bodies == [
        {
            "text": "resync failed: 1 of 2 failed: shop-b. shop-b: wrong key",
            "job": "resync",
            "run_id": context.dagster_run.run_id,
            "message": "1 of 2 failed: shop-b. shop-b: wrong key",
            "integrations": ["shop-b"],
        }
    ]


@dg.op
def a_row_was_refused() -> None:
    raise ValueError("the row violates a check\nDETAIL:  Failing row contains (ada@mail.example).")


def test_an_alert_quotes_no_row() -> None:
    with chat() as channel:
        alert_on_failure(failed_run(a_row_was_refused), alerts=AlertSink(webhook=channel.url))
    assert "the row violates a check" in channel.bodies[0]["message"]
    assert "ada" not in str(channel.bodies)


def test_an_error_nobody_foresaw_is_told_in_one_line() -> None:
    with chat() as channel:
        context = failed_run(something_broke, {"dagster/partition": "shop-a"})
        alert_on_failure(context, alerts=AlertSink(webhook=channel.url))
    assert "the server closed the connection" in channel.bodies[0]["message"]
    assert channel.bodies[0]["integrations"] == ["shop-a"]


def test_without_a_webhook_the_log_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "cscart_pipelines.alerts"):
        alert_on_failure(failed_run(shops_failed), alerts=AlertSink())
    assert "of resync failed: 1 of 2 failed: shop-b. shop-b: wrong key" in caplog.text


def test_what_the_log_says(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "cscart_pipelines.alerts"):
        AlertSink().send(ALERT)
    assert caplog.messages == [f"run run-1 of resync failed: {ALERT.message}"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_refuses_is_logged_without_its_address(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with chat(status) as channel, caplog.at_level(logging.INFO):
        AlertSink(webhook=channel.url).send(ALERT)
    assert len(channel.bodies) == 1
    assert f"the alert webhook did not take the alert: {status}" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:1/{TOKEN}",
        f"not-a-url-{TOKEN}",
        f"http://[::1/{TOKEN}",
        f"http://\x00{TOKEN}/",
        f"ftp://127.0.0.1/{TOKEN}",
        "",
    ],
)
def test_a_webhook_that_cannot_be_reached_raises_nothing(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        AlertSink(webhook=url).send(ALERT)
    assert "the alert webhook did not take the alert: " in caplog.text
    assert TOKEN not in caplog.text


def test_the_webhook_of_the_environment_shows_in_no_repr() -> None:
    with_hook = read_settings({"CSCART_PIPELINES_ALERT_WEBHOOK": f"http://127.0.0.1:1/{TOKEN}"})
    assert TOKEN not in repr(with_hook)

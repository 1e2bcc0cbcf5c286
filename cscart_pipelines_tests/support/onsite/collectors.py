"""Real collector processes, shops they take events for, and clients that remember what they heard.

What a test of one module needs beside that is in the test.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from cscart_pipelines.onsite.write_keys import write_key

SECONDS = 60
"""How long an event may take before a test gives up on it."""
ORIGIN = "https://shop.example"
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
T = TypeVar("T")


def until(condition: Callable[[], T]) -> T:
    """For what another process has no event for."""
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
    return found


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def new_id() -> str:
    return secrets.token_urlsafe(16)


def event(name: str = "page_view", **more: Any) -> dict[str, Any]:
    return {"id": new_id(), "name": name, "at": now_ms(), "page": "/", **more}


def batch(*events: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = list(events) or [event()]
    return {"v": 1, "sent_at": now_ms(), "visitor": new_id(), "events": given, **more}


def add_shop(
    connection: psycopg.Connection[Any], key: str = "shop", url: str = ORIGIN,
    status: str = "enabled", **site: Any,
) -> str:  # fmt: skip
    """An enabled integration; its write key."""
    connection.execute(
        "INSERT INTO registry.integrations (integration, list_name, url, email, status,"
        " first_synced_at) VALUES (%s, %s, %s, 'admin@shop.example', %s, now())",
        [key, key, url, status],
    )
    values = {"batches_per_second": 100_000, **site}
    columns = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    connection.execute(
        f"INSERT INTO onsite.sites (integration, {columns}) VALUES (%s, {marks})",
        [key, *values.values()],
    )
    return write_key(connection, key)


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class CollectorProcess:
    """`cscart-pipelines collector` as a process of its own, on a free port or the one given."""

    def __init__(self, environment: Mapping[str, str], log: Path, port: int = 0) -> None:
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "cscart_pipelines.cli.main",
                    "collector",
                    "--port",
                    str(port),
                ],
                stdout=subprocess.PIPE,
                stderr=errors,
                env={
                    **os.environ,
                    "CSCART_PIPELINES_COLLECTOR_ADDRESS_RATE": "1000000",
                    **environment,
                },
                start_new_session=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert "http://" in line, log.read_text()
        self.port = int(line.rsplit(":", 1)[1])

    @property
    def pid(self) -> int:
        return self.process.pid

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> Answer:
        given: dict[str, str | None] = {
            "Origin": ORIGIN, "User-Agent": AGENT, "Content-Type": "text/plain;charset=UTF-8"
        }  # fmt: skip
        given.update({name.replace("_", "-"): value for name, value in headers.items()})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        with contextlib.closing(connection):
            connection.request(
                method, path, body, {k: v for k, v in given.items() if v is not None}
            )
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())  # type: ignore[arg-type]

    def send(self, key: str, data: Any, **headers: str | None) -> Answer:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        return self.request("POST", f"/v1/events/{key}", body, **headers)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self.request("GET", "/health").json
        return found

    def metric(self, name: str) -> float:
        text = self.request("GET", "/metrics").body.decode()
        for line in text.splitlines():
            if line.startswith(f"cscart_collector_{name} "):
                return float(line.rsplit(" ", 1)[1])
        raise AssertionError(f"no {name} in {text}")

    def ready(self) -> CollectorProcess:
        """Waits until it knows the keys and the warehouse."""
        until(lambda: self.health()["warehouse"] and self.health()["status"] == "ok")
        return self

    def knows_keys(self) -> CollectorProcess:
        """Waits until it has read the keys: all that there were when it was started."""
        until(lambda: self.health()["keys"] > 0)
        return self

    def kill(self) -> None:
        self.process.kill()
        self._end()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._end()

    def _end(self) -> int:
        code = self.process.wait(SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def connection(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)


class Collectors:
    """Starts collectors over one database, and ends them with the test."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment, self.log = dict(environment), log
        self._started: list[CollectorProcess] = []

    def start(self, port: int = 0, **more: str) -> CollectorProcess:
        made = CollectorProcess({**self._environment, **more}, self.log, port)
        self._started.append(made)
        return made

    def end(self) -> None:
        for one in self._started:
            if one.process.poll() is None:
                one.kill()


@contextlib.contextmanager
def collectors(environment: Mapping[str, str], folder: Path) -> Iterator[Collectors]:
    made = Collectors(
        {"CSCART_PIPELINES_HOME": str(folder / "home"), **environment}, folder / "log"
    )
    try:
        yield made
    finally:
        made.end()


@dataclass
class Load:
    """Clients in threads that send until they are told to stop, and remember each answer."""

    key: str
    events: int = 5
    acknowledged: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    answers: dict[int, int] = field(default_factory=dict)
    collector: CollectorProcess | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, collector: CollectorProcess, clients: int = 8) -> Load:
        self.collector = collector
        for _ in range(clients):
            thread = threading.Thread(target=self._run, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive()

    def acknowledges(self, more: int) -> None:
        """Waits until that many events more have been acknowledged."""
        wanted = len(self.acknowledged) + more
        until(lambda: len(self.acknowledged) >= wanted)

    def _run(self) -> None:
        while not self._ended.is_set():
            data = batch(*[event() for _ in range(self.events)])
            ids = [one["id"] for one in data["events"]]
            with self._lock:
                self.sent += ids
            try:
                assert self.collector is not None
                answer = self.collector.send(self.key, data)
            except (OSError, http.client.HTTPException):
                self._ended.wait(0.02)
                continue
            with self._lock:
                self.answers[answer.status] = self.answers.get(answer.status, 0) + 1
                if answer.status == 204:
                    self.acknowledged += ids


def stored(connection: psycopg.Connection[Any]) -> list[str]:
    return [row[0] for row in connection.execute("SELECT event_id FROM onsite.events")]

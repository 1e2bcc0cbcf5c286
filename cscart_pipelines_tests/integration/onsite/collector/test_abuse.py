"""Whoever means harm, or is broken: the collector stays up, small, and there for the others."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.examples import examples
from cscart_pipelines_tests.support.onsite.collectors import (
    AGENT,
    ORIGIN,
    SECONDS,
    CollectorProcess,
    Load,
    add_shop,
    batch,
    collectors,
    event,
    stored,
    until,
)

pytestmark = pytest.mark.begun_first

MB = 1024 * 1024
GROWTH = 64 * MB
"""More than the bytes in flight may cost, much less than what is sent here altogether."""


class Target:
    def __init__(self, collector: CollectorProcess, key: str, log: Path) -> None:
        self.collector, self.key, self.log = collector, key, log
        self.path = f"/v1/events/{key}"

    def memory(self) -> int:
        found: int = psutil.Process(self.collector.pid).memory_info().rss
        return found

    def is_well(self) -> None:
        assert self.collector.send(self.key, batch()).status == 204
        assert self.collector.process.poll() is None
        assert "Traceback" not in self.log.read_text()
        assert "a request failed" not in self.log.read_text()

    def head(self, length: int | str | None, *more: str) -> bytes:
        lines = [f"POST {self.path} HTTP/1.1", "Host: collector", f"Origin: {ORIGIN}",
                 f"User-Agent: {AGENT}", *more]  # fmt: skip
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.fixture(scope="module")
def target(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("abuse")
    with module_database.connect() as connection:
        key = add_shop(connection)
    with collectors(module_database.settings_env, folder) as made:
        one = made.start(
            CSCART_PIPELINES_COLLECTOR_REQUEST_SECONDS="2",
            CSCART_PIPELINES_COLLECTOR_IN_FLIGHT_MB="2",
        )
        yield Target(one.ready().knows_keys(), key, made.log)


def answer_of(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    said = b""
    try:
        while piece := connection.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return said


def test_two_thousand_malformed_bodies(target: Target) -> None:
    shuffle = random.Random(7)  # the same bodies everywhere
    sound = json.dumps(batch(event(items=[{"sku": "A"}]))).encode()
    before = target.memory()
    connection = http.client.HTTPConnection("127.0.0.1", target.collector.port, timeout=SECONDS)
    statuses: dict[int, int] = {}
    for number in range(2_000):
        kind = number % 4
        if kind == 0:
            body = shuffle.randbytes(shuffle.randint(0, 300))
        elif kind == 1:
            body = sound[: shuffle.randrange(len(sound))]
        elif kind == 2:
            body = b"[" * shuffle.randint(1, 3000)
        else:
            changed = bytearray(sound)
            changed[shuffle.randrange(len(sound))] = shuffle.randrange(256)
            body = bytes(changed)
        connection.request("POST", target.path, body, {"Origin": ORIGIN, "User-Agent": AGENT})
        answer = connection.getresponse()
        answer.read()
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
    connection.close()
    assert set(statuses) == {204, 400}
    assert statuses[400] > 1400
    assert target.memory() - before < GROWTH
    target.is_well()


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_not_read(target: Target, announced: bool) -> None:
    before = target.memory()
    for _ in range(20):
        with target.collector.connection() as connection:
            try:
                if announced:
                    connection.sendall(target.head(500 * MB) + b" " * 1000)
                else:
                    connection.sendall(target.head(None, "Transfer-Encoding: chunked"))
                    for _ in range(300):
                        connection.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")
            except (ConnectionResetError, BrokenPipeError):
                pass  # it had said its word and closed
            said = answer_of(connection)
            assert not said or said.startswith(b"HTTP/1.1 413")
    assert target.collector.send(target.key, b" " * 65537).status == 413
    assert target.memory() - before < GROWTH
    target.is_well()


def test_requests_that_drip_are_cut_off(target: Target) -> None:
    slow = [target.collector.connection() for _ in range(4)]
    slow[0].sendall(target.head(100) + b"{")
    slow[1].sendall(target.head(100)[:40])
    slow[2].sendall(b"\r\n")
    for one in slow:  # the last one says nothing at all
        assert answer_of(one) == b""
        one.close()
    target.is_well()


def test_headers_without_end_are_cut_off(target: Target) -> None:
    with target.collector.connection() as connection:
        try:
            connection.sendall(target.head(None)[:-2])
            for _ in range(2000):
                connection.sendall(b"X-Filler: " + b"y" * 1000 + b"\r\n")
        except (ConnectionResetError, BrokenPipeError):
            pass
        said = answer_of(connection)
        assert not said or said.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    with target.collector.connection() as connection:
        connection.sendall(target.head(2, "X-Large: " + "z" * 40_000) + b"{}")
        said = answer_of(connection)
        assert not said or said.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    target.is_well()


@pytest.mark.parametrize(
    "words",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\0" * 100,
        b"POST /v1/events/x HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /v1/events/x HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ],
)  # fmt: skip
def test_what_is_no_http_ends_a_connection_only(target: Target, words: bytes) -> None:
    with target.collector.connection() as connection:
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        answer_of(connection)
    target.is_well()


def test_requests_in_a_row_without_waiting_are_refused(target: Target) -> None:
    """uvicorn would keep every one of them, each larger than it came."""
    before = target.memory()
    with target.collector.connection() as connection:
        with contextlib.suppress(OSError):
            for _ in range(2000):
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        answer = answer_of(connection)
    assert b"HTTP/1.1 400" in answer
    assert answer.count(b"HTTP/1.1 200") <= 1
    assert target.memory() < before + 20 * 1024 * 1024
    target.is_well()


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may open as many as the account may; the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_thousand_connections_and_those_beyond(module_database: Database, tmp_path: Path) -> None:
    with module_database.connect() as connection:
        key = add_shop(connection, "crowded")
    with collectors(module_database.settings_env, tmp_path) as made:
        one = made.start(CSCART_PIPELINES_COLLECTOR_CONNECTIONS="1000").ready().knows_keys()
        crowd = Target(one, key, made.log)
        before = crowd.memory()
        body = json.dumps(batch()).encode()
        held = [one.connection() for _ in range(990)]
        for each in held:
            each.sendall(crowd.head(len(body)))
        crowd.is_well()  # the others are not in its way
        extra = [one.connection() for _ in range(60)]
        refused = [each for each in extra if _refused(each)]
        assert len(refused) >= 50
        for each in held:
            each.sendall(body)
        statuses = [_first_line(each) for each in held]
        assert set(statuses) == {b"HTTP/1.1 204 No Content"}
        assert crowd.memory() - before < GROWTH
        for each in (*held, *extra):
            each.close()
        until(lambda: _able(crowd))


def _able(crowd: Target) -> bool:
    try:
        crowd.is_well()
    except (AssertionError, OSError, http.client.HTTPException):
        return False
    return True


def _refused(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        return connection.recv(100).startswith(b"HTTP/1.1 503")
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def _first_line(connection: socket.socket) -> bytes:
    return connection.recv(4096).split(b"\r\n", 1)[0]


def test_more_than_fits_is_sent_away_and_memory_stays(target: Target) -> None:
    before = target.memory()
    size = 60_000
    held = []
    for _ in range(60):  # 3.6 MB, where 2 are allowed
        connection = target.collector.connection()
        connection.sendall(target.head(size) + b" " * (size - 100))
        held.append(connection)
    said = [_answer_or_nothing(one) for one in held]
    refused = [one for one in said if one]
    assert refused and len(refused) < len(held)
    assert all(one.startswith(b"HTTP/1.1 503") and b"retry-after: 5" in one for one in refused)
    assert target.collector.metric("in_flight_bytes") <= 2 * MB
    for one in held:
        one.close()
    until(lambda: target.collector.metric("in_flight_bytes") == 0)
    assert target.memory() - before < GROWTH
    target.is_well()


def _answer_or_nothing(connection: socket.socket) -> bytes:
    connection.settimeout(0.05)
    try:
        return connection.recv(4096)
    except TimeoutError:
        return b""


def test_clients_that_vanish_leave_nothing(target: Target) -> None:
    body = json.dumps(batch()).encode()
    for cut in range(0, len(body), 3):
        with target.collector.connection() as connection:
            connection.sendall(target.head(len(body)) + body[:cut])
    until(lambda: target.collector.metric("in_flight_bytes") == 0)
    target.is_well()


def test_memory_is_bounded_under_a_long_load(target: Target, module_database: Database) -> None:
    load = Load(target.key, events=50).start(target.collector, clients=4)
    load.acknowledges(2000)
    before = target.memory()
    load.acknowledges(10_000)
    load.stop()
    assert target.memory() - before < GROWTH
    with module_database.connect() as connection:
        assert set(load.acknowledged) <= set(stored(connection))


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_collector_keeps_to_its_description(target: Target, mode: GenerationMode) -> None:
    address = f"http://127.0.0.1:{target.collector.port}"
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    answers: list[int] = []
    # What the description does not allow may still be taken in part: one event of several.
    lenient = [] if mode is GenerationMode.POSITIVE else [negative_data_rejection]

    def against(case: schemathesis.Case) -> None:
        if case.path_parameters:
            case.path_parameters["key"] = target.key
        case.headers = {"Origin": ORIGIN, "User-Agent": AGENT}
        found = case.call_and_validate(base_url=address, excluded_checks=lenient)
        answers.append(found.status_code)

    for operation in schema.get_all_operations():
        found = operation.ok()
        if mode is GenerationMode.NEGATIVE and found.method != "post":
            continue  # nothing in them that could be wrong

        @settings_of_hypothesis(examples(25), suppress_health_check=list(HealthCheck))
        @given(case=found.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case) -> None:
            against(case)

        check()
    if mode is GenerationMode.POSITIVE:
        assert set(answers) == {200, 204}
    else:
        # Many of these are wrong only in what is put right above.
        assert 400 in answers
        assert set(answers) <= {204, 400}
    target.is_well()

"""The collector: an ASGI application that accepts what visitors' browsers send.

A request is checked in the order of cost: who may send at all, how often, how much, what it says;
then it waits for its commit. 204 means that the batch is durable. Not here: how it becomes durable
(`writer`), HTTP connections (`protocol`), texts of refusals (`responses`).
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cscart_pipelines.onsite.collector import client
from cscart_pipelines.onsite.collector.connections import ConnectionFactory
from cscart_pipelines.onsite.collector.metrics import CONTENT_TYPE, Metrics
from cscart_pipelines.onsite.collector.openapi import description
from cscart_pipelines.onsite.collector.rate_limits import InFlight, Rates
from cscart_pipelines.onsite.collector.responses import accepted, preflight, problem
from cscart_pipelines.onsite.collector.rows import Sender, payload, rejection
from cscart_pipelines.onsite.collector.schema import MAX_BYTES, UnreadableBatchError, read_batch
from cscart_pipelines.onsite.collector.spool import Spool
from cscart_pipelines.onsite.collector.write_key_cache import WriteKeyCache
from cscart_pipelines.onsite.collector.writer import BatchOutcome, Writer
from cscart_pipelines.settings import Settings

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
COMMIT_SECONDS = 20.0
"""That a request waits for its commit; longer than the statement timeouts of one commit."""
BURST_SECONDS = 4
ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,255}")
MEGABYTE = 1024 * 1024


class Collector:
    """Everything of one process; `make_app` puts it behind its routes."""

    def __init__(self, settings: Settings) -> None:
        config = settings.collector
        connections = ConnectionFactory(settings)
        self.metrics = Metrics()
        self.write_keys = WriteKeyCache(lambda: connections.connect(autocommit=True))
        spool = Spool(spool_folder(settings), config.spool_mb * MEGABYTE)
        self.writer = Writer(connections.connect, spool, self.metrics)
        self.in_flight = InFlight(config.in_flight_mb * MEGABYTE)
        self.network_rates = Rates(config.address_rate, BURST_SECONDS * config.address_rate)
        self.key_rates = Rates(1, 2)
        self._trusted = client.networks(config.trusted_proxies)
        self._headless = config.headless
        for name, about, read in (
            ("queue_batches", "Batches that wait for a transaction", lambda: self.writer.waiting),
            ("in_flight_bytes", "Bytes of requests being worked on", lambda: self.in_flight.bytes),
            ("spool_bytes", "Bytes in the spool", lambda: spool.bytes),
            ("spool_segments", "Files in the spool", lambda: len(spool.segments)),
            ("warehouse_up", "Whether there is a connection", lambda: self.writer.connected),
            ("keys", "Write keys known", lambda: len(self.write_keys)),
        ):
            self.metrics.add_gauge(name, about, read)

    async def events(self, request: Request) -> Response:
        """POST and OPTIONS /v1/events/{write key}."""
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            response = Response(status_code=400)  # the client has gone
        except Exception as error:
            # The text of an error may quote the batch.
            log.error("a request failed: %s", type(error).__name__)
            response = problem(500, "an internal error of the collector")
        if request.method == "POST":
            self.metrics.count_response(response.status_code)
        return response

    async def _respond(self, request: Request) -> Response:
        headers = request.headers
        peer = request.client.host if request.client else None
        network = client.client_network(peer, _joined(headers, "x-forwarded-for"), self._trusted)
        if seconds := self.network_rates.wait(network):
            return problem(429, "too many requests", retry_after=seconds, close=True)
        if not self.write_keys.known:
            return problem(503, "not ready", retry_after=5, close=True)
        write_key = request.path_params["key"]
        site = self.write_keys.get(write_key)
        origin = headers.get("origin", "")
        # A tag that has to stop must be able to read that, also on the pages of an unknown shop:
        # without the header a browser hides the status, and the tag goes on.
        readable_by = origin if ORIGIN.fullmatch(origin) else None
        if site is None:
            return problem(404, "unknown key", origin=readable_by, close=True)
        if not site.is_open:
            return problem(410, "this key is not in use any more", origin=readable_by, close=True)
        agent = headers.get("user-agent", "")
        now = time.time_ns() // 1_000_000
        sender = Sender(write_key, site, now, network, client.device(agent))
        if origin not in site.origins:
            self._count_rejection("origin not allowed", sender)
            return problem(403, "this origin is not allowed", close=True)
        if request.method == "OPTIONS":
            return preflight(origin)
        if seconds := self.key_rates.wait(write_key, site.batches_per_second):
            return problem(429, "too many batches", origin=origin, retry_after=seconds, close=True)
        if client.is_robot(agent, headless_too=not self._headless):
            self.metrics.count_events("robot")
            return accepted(origin)
        return await self._store(request, sender, origin)

    async def _store(self, request: Request, sender: Sender, origin: str) -> Response:
        announced = request.headers.get("content-length", "0")
        if not announced.isdecimal() or len(announced) > 9 or int(announced) > MAX_BYTES:
            self._count_rejection("too large", sender)
            return problem(413, "more than 64 KB", origin=origin, close=True)
        held = 0
        try:
            body = bytearray()
            async for piece in request.stream():
                if len(body) + len(piece) > MAX_BYTES:
                    self._count_rejection("too large", sender)
                    return problem(413, "more than 64 KB", origin=origin, close=True)
                if not self.in_flight.take(len(piece)):
                    return _overloaded(origin)
                held += len(piece)
                body += piece
            try:
                batch = read_batch(bytes(body))
            except UnreadableBatchError as error:
                self._count_rejection(error.reason, sender)
                return problem(400, error.reason, origin=origin)
            rows, rejected = payload(batch, sender)
            self.metrics.count_events("rejected", len(rejected))
            # The rows of small events are larger than the body, so they are counted too.
            if not self.in_flight.take(len(rows.text)):
                return _overloaded(origin)
            held += len(rows.text)
            outcome = await asyncio.wait_for(self.writer.submit(rows), COMMIT_SECONDS)
        except TimeoutError:
            return _overloaded(origin)
        finally:
            self.in_flight.give_back(held)
        if outcome in (BatchOutcome.COMMITTED, BatchOutcome.SPOOLED):
            return accepted(origin)
        if outcome is BatchOutcome.FULL:
            return _overloaded(origin)
        return problem(500, "an internal error of the collector", origin=origin)

    def _count_rejection(self, reason: str, sender: Sender) -> None:
        """Counts a refusal; its row is stored only while there is room, without waiting."""
        self.metrics.count_events("rejected")
        if self.writer.connected and self.in_flight.bytes < self.in_flight.most // 2:
            self.writer.note(rejection(reason, sender))

    async def health(self, _: Request) -> Response:
        """200 when batches can be accepted, else 503."""
        spool = self.writer.spool
        able = self.writer.alive and self.write_keys.known
        able = able and (self.writer.connected or spool.has_room)
        body = {
            "status": "ok" if able else "unable",
            "warehouse": self.writer.connected,
            "keys": len(self.write_keys),
            "waiting": self.writer.waiting,
            "spooled_bytes": spool.bytes,
        }
        return JSONResponse(body, 200 if able else 503)

    async def show_metrics(self, _: Request) -> Response:
        """The metrics in Prometheus' text format."""
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Runs the threads while the application runs."""
        self.writer.start(asyncio.get_running_loop())
        self.write_keys.start()
        yield
        stopped = await asyncio.to_thread(self.writer.stop, STOP_SECONDS)
        if not stopped:
            log.error("batches without a response were left behind")
        await asyncio.to_thread(self.write_keys.stop)


def make_app(settings: Settings) -> Starlette:
    """The application. It opens its spool now, and the warehouse when it is started."""
    collector = Collector(settings)
    document = description(settings)

    async def openapi(_: Request) -> Response:
        return JSONResponse(document)

    return Starlette(
        routes=[
            Route("/v1/events/{key}", collector.events, methods=["POST", "OPTIONS"]),
            Route("/health", collector.health, methods=["GET"]),
            Route("/metrics", collector.show_metrics, methods=["GET"]),
            Route("/openapi.json", openapi, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _http_error},
        lifespan=collector.lifespan,
    )


def spool_folder(settings: Settings) -> Path:
    """Where batches wait while the warehouse is away."""
    return settings.home / "onsite-spool"


def _joined(headers: Headers, name: str) -> str | None:
    """A header that may come in several lines: proxies add theirs below the client's."""
    return ",".join(headers.getlist(name)) or None


def _overloaded(origin: str) -> Response:
    return problem(503, "the collector is overloaded", origin=origin, retry_after=5, close=True)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, headers=dict(error.headers or {}), close=True)

"""The collector: an ASGI application that takes what visitors' browsers tell.

One request is looked at in the order of cost: who may speak at all, how often, how much, what it
says; then it waits for its commit. 204 means that the batch is durable. Not here: how it becomes so
(`batching`), HTTP connections (`protocol`), the words of refusals (`answers`).
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
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cscart_pipelines.onsite.collector import client_address, user_agents
from cscart_pipelines.onsite.collector.connections import ConnectionFactory
from cscart_pipelines.onsite.collector.metrics import CONTENT_TYPE, Metrics
from cscart_pipelines.onsite.collector.openapi import description
from cscart_pipelines.onsite.collector.rate_limits import InFlight, Rates
from cscart_pipelines.onsite.collector.responses import preflight, problem, taken
from cscart_pipelines.onsite.collector.rows import Sender, payload, rejection
from cscart_pipelines.onsite.collector.schema import MOST_BYTES, UnreadableBatchError, read_batch
from cscart_pipelines.onsite.collector.spool import Spool
from cscart_pipelines.onsite.collector.write_key_cache import WriteKeyCache
from cscart_pipelines.onsite.collector.writer import BatchOutcome, Writer
from cscart_pipelines.settings import Settings

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
ANSWER_SECONDS = 20.0
"""For a commit; longer than the statements of one may take before it is given up."""
BURST_SECONDS = 4
ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,255}")
MEGABYTE = 1024 * 1024


class Collector:
    """Everything of one process; `make_app` puts it behind its routes."""

    def __init__(self, settings: Settings) -> None:
        told = settings.collector
        gate = ConnectionFactory(settings)
        self.metrics = Metrics()
        self.book = WriteKeyCache(lambda: gate.connect(autocommit=True))
        spool = Spool(spool_folder(settings), told.spool_mb * MEGABYTE)
        self.writer = Writer(gate.connect, spool, self.metrics)
        self.in_flight = InFlight(told.in_flight_mb * MEGABYTE)
        self.networks = Rates(told.address_rate, BURST_SECONDS * told.address_rate)
        self.keys = Rates(1, 2)
        self._trusted = client_address.networks(told.trusted_proxies)
        self._headless = told.headless

    async def events(self, request: Request) -> Response:
        """POST and OPTIONS /v1/events/{write key}."""
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            answer = Response(status_code=400)  # nobody reads it
        except Exception as error:
            # The text of an error may quote the batch.
            log.error("a request failed: %s", type(error).__name__)
            answer = problem(500, "an internal error of the collector")
        if request.method == "POST":
            self.metrics.answered(answer.status_code)
        return answer

    async def _answer(self, request: Request) -> Response:
        headers = request.headers
        peer = request.client.host if request.client else None
        address = client_address.client(peer, _joined(headers, "x-forwarded-for"), self._trusted)
        if seconds := self.networks.wait(address):
            return problem(429, "too many requests", retry_after=seconds, close=True)
        if not self.book.known:
            return problem(503, "not ready", retry_after=5, close=True)
        write_key = request.path_params["key"]
        site = self.book.get(write_key)
        origin = headers.get("origin", "")
        # Whoever is told to stop must be able to read that, also on the pages of a shop that is
        # not known any more: without the header a browser hides the status, and the tag goes on.
        told = origin if ORIGIN.fullmatch(origin) else None
        if site is None:
            return problem(404, "unknown key", origin=told, close=True)
        allowed = origin if origin in site.origins else None
        if not site.is_open:
            return problem(410, "this key is not in use any more", origin=told, close=True)
        agent = headers.get("user-agent", "")
        now = time.time_ns() // 1_000_000
        sender = Sender(write_key, site, now, address, user_agents.device(agent))
        if allowed is None:
            self._count("origin not allowed", sender)
            return problem(403, "this origin is not allowed", close=True)
        if request.method == "OPTIONS":
            return preflight(allowed)
        if seconds := self.keys.wait(write_key, site.batches_per_second):
            return problem(429, "too many batches", origin=allowed, retry_after=seconds, close=True)
        if user_agents.is_robot(agent, headless_too=not self._headless):
            self.metrics.count("robot")
            return taken(allowed)
        return await self._take(request, sender, allowed)

    async def _take(self, request: Request, sender: Sender, origin: str) -> Response:
        announced = request.headers.get("content-length", "0")
        if not announced.isdecimal() or len(announced) > 9 or int(announced) > MOST_BYTES:
            self._count("too large", sender)
            return problem(413, "more than 64 KB", origin=origin, close=True)
        held = 0
        try:
            body = bytearray()
            async for piece in request.stream():
                if len(body) + len(piece) > MOST_BYTES:
                    self._count("too large", sender)
                    return problem(413, "more than 64 KB", origin=origin, close=True)
                if not self.in_flight.take(len(piece)):
                    return _full(origin)
                held += len(piece)
                body += piece
            try:
                batch = read_batch(bytes(body))
            except UnreadableBatchError as error:
                self._count(error.reason, sender)
                return problem(400, error.reason, origin=origin)
            rows, rejected = payload(batch, sender)
            self.metrics.count("rejected", len(rejected))
            # Small events make larger rows: what is held from here on are those.
            if not self.in_flight.take(len(rows.text)):
                return _full(origin)
            held += len(rows.text)
            outcome = await asyncio.wait_for(self.writer.submit(rows), ANSWER_SECONDS)
        except TimeoutError:
            return _full(origin)
        finally:
            self.in_flight.give_back(held)
        if outcome in (BatchOutcome.COMMITTED, BatchOutcome.SPOOLED):
            return taken(origin)
        if outcome is BatchOutcome.FULL:
            return _full(origin)
        return problem(500, "an internal error of the collector", origin=origin)

    def _count(self, reason: str, sender: Sender) -> None:
        """Notes a refusal without waiting for it; when there is much to do, not at all."""
        self.metrics.count("rejected")
        if self.writer.connected and self.in_flight.bytes < self.in_flight.most // 2:
            self.writer.note(rejection(reason, sender))

    async def health(self, _: Request) -> Response:
        """200 when batches can be taken."""
        spool = self.writer.spool
        able = self.writer.alive and self.book.known
        able = able and (self.writer.connected or spool.has_room)
        told = {
            "status": "ok" if able else "unable",
            "warehouse": self.writer.connected,
            "keys": len(self.book),
            "waiting": self.writer.waiting,
            "spooled_bytes": spool.bytes,
        }
        return JSONResponse(told, 200 if able else 503)

    async def show_metrics(self, _: Request) -> Response:
        spool = self.writer.spool
        gauges = {
            "queue_batches": ("Batches that wait for a transaction", float(self.writer.waiting)),
            "in_flight_bytes": ("Bytes of requests being worked on", float(self.in_flight.bytes)),
            "spool_bytes": ("Bytes in the spool", float(spool.bytes)),
            "spool_segments": ("Files in the spool", float(len(spool.segments))),
            "warehouse_up": ("Whether there is a connection", float(self.writer.connected)),
            "keys": ("Write keys known", float(len(self.book))),
        }
        return PlainTextResponse(self.metrics.text(gauges), media_type=CONTENT_TYPE)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self.writer.start(asyncio.get_running_loop())
        self.book.start()
        yield
        stopped = await asyncio.to_thread(self.writer.stop, STOP_SECONDS)
        if not stopped:
            log.error("batches without an answer were left behind")
        await asyncio.to_thread(self.book.stop)


def make_app(settings: Settings) -> Starlette:
    """The application. It opens its spool now, and the warehouse when it is started."""
    collector = Collector(settings)
    described = description(settings)

    async def openapi(_: Request) -> Response:
        return JSONResponse(described)

    return Starlette(
        routes=[
            Route("/v1/events/{key}", collector.events, methods=["POST", "OPTIONS"]),
            Route("/health", collector.health, methods=["GET"]),
            Route("/metrics", collector.show_metrics, methods=["GET"]),
            Route("/openapi.json", openapi, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _refused},
        lifespan=collector.lifespan,
    )


def spool_folder(settings: Settings) -> Path:
    return settings.home / "onsite-spool"


def _joined(headers: Headers, name: str) -> str | None:
    """A header that may come in several lines: proxies add theirs below what the client wrote."""
    return ",".join(headers.getlist(name)) or None


def _full(origin: str) -> Response:
    return problem(503, "the collector is overloaded", origin=origin, retry_after=5, close=True)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, error.detail, headers=dict(error.headers or {}), close=True)

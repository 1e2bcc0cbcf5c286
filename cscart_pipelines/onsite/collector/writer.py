"""The thread that writes: all batches that wait go into the next transaction, or into the spool.

While one group commits the next gathers, so groups grow with the load. A thread with the blocking
driver, because it takes 60 % of the CPU time of the asynchronous one for the same statements. While
the warehouse is away batches go to the spool and are replayed, oldest first, once there is a
connection. Not here: the statements (`store`), files (`spool`).
"""

from __future__ import annotations

import asyncio
import enum
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import psycopg
from psycopg import errors

from cscart_pipelines.onsite.collector import store
from cscart_pipelines.onsite.collector.connections import Reconnector
from cscart_pipelines.onsite.collector.metrics import Metrics
from cscart_pipelines.onsite.collector.rows import Payload
from cscart_pipelines.onsite.collector.spool import Spool, SpoolFullError
from cscart_pipelines.warehouse.driver import Connection

log = logging.getLogger(__name__)

GROUP_BYTES = 2 * 1024 * 1024
TRIES = 3
"""Attempts of a transaction that conflicts with another collector's."""
CONFLICTS = (errors.DeadlockDetected, errors.SerializationFailure)
"""A violated check is one too: a row on its way to the default partition when its day got a
partition of its own. There are no other checks."""
IDLE_SECONDS = 0.5
TAKE_OVER_SECONDS = 60.0


class BatchOutcome(enum.Enum):
    """What became of a batch."""

    COMMITTED = enum.auto()
    SPOOLED = enum.auto()
    FULL = enum.auto()
    """Neither warehouse nor spool could take it."""
    UNFIT = enum.auto()
    """PostgreSQL refuses its rows: a bug of the collector."""


Waiting = tuple[Payload, "asyncio.Future[BatchOutcome] | None"]


class Writer:
    """Accepts payloads from one event loop."""

    def __init__(self, connect: Callable[[], Connection], spool: Spool, metrics: Metrics) -> None:
        self.spool, self._metrics = spool, metrics
        self._queue: deque[Waiting] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._connection: Connection | None = None
        self._reconnector = Reconnector(connect, store.prepare, self._wake_up)
        self._was_away = False
        self._took_over = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the warehouse."""
        return self._connection is not None

    @property
    def alive(self) -> bool:
        """Whether anything is written at all."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Batches that wait for a transaction."""
        return len(self._queue)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts the thread; futures are resolved in `loop`."""
        self._loop = loop
        self._thread.start()

    def note(self, payload: Payload) -> None:
        """Puts rows into the next group without a future."""
        with self._wake:
            self._queue.append((payload, None))
            self._wake.notify()

    def submit(self, payload: Payload) -> asyncio.Future[BatchOutcome]:
        """Puts a batch into the next group; the future resolves once it is durable or refused."""
        assert self._loop is not None
        future: asyncio.Future[BatchOutcome] = self._loop.create_future()
        with self._wake:
            self._queue.append((payload, future))
            self._wake.notify()
        return future

    def stop(self, seconds: float) -> bool:
        """Writes what waits, and ends.

        Args:
            seconds: Time for it.

        Returns:
            False when it took longer.
        """
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # --- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                self._refresh_connection()
            except OSError as error:  # of the spool: too many files, a folder that is gone
                log.error("spools of ended collectors cannot be taken over: %s", error.strerror)
            with self._wake:
                # Skip the idle wait while spooled batches remain.
                if not self._queue and not self._stopping and not self._can_replay():
                    self._wake.wait(IDLE_SECONDS)
                if not self._queue and self._stopping:
                    break
                group = self._next_group()
            if group:
                try:
                    outcomes = self._settle([payload for payload, _ in group])
                except Exception as error:  # a bug must not end the thread
                    log.error("a group of batches failed: %s", type(error).__name__)
                    self._disconnect()
                    outcomes = [BatchOutcome.FULL] * len(group)
                self._resolve(group, outcomes)
            if self._can_replay():
                try:
                    self._replay()
                except Exception as error:  # the segment stays for the next attempt
                    log.error("the spool cannot be replayed: %s", type(error).__name__)
                    self._disconnect()
        self._disconnect()
        self._reconnector.stop()
        self.spool.close()

    def _next_group(self) -> list[Waiting]:
        group: list[Waiting] = []
        size = 0
        while self._queue and size < GROUP_BYTES:
            group.append(self._queue.popleft())
            size += len(group[-1][0].text)
        return group

    def _settle(self, payloads: Sequence[Payload]) -> list[BatchOutcome]:
        if self._connection is not None and (outcomes := self._commit(payloads)) is not None:
            return outcomes
        # What only counts mistakes is not worth the room.
        worthy = [one for one in payloads if one.events]
        try:
            if worthy:
                self.spool.append(worthy)
        except (SpoolFullError, OSError) as error:
            if not isinstance(error, SpoolFullError):
                log.error("the spool cannot be written: %s", error.strerror)
            return [BatchOutcome.FULL if one.events else BatchOutcome.SPOOLED for one in payloads]
        self._metrics.count_events("spooled", sum(one.events for one in worthy))
        return [BatchOutcome.SPOOLED] * len(payloads)

    def _commit(self, payloads: Sequence[Payload]) -> list[BatchOutcome] | None:
        """Commits a group; None when the warehouse does not take it now."""
        for attempt in range(1, TRIES + 1):
            assert self._connection is not None
            started = time.monotonic()
            try:
                fresh = store.commit(self._connection, payloads)
            except (*CONFLICTS, errors.CheckViolation):
                if attempt == TRIES:
                    return None
            except errors.LockNotAvailable:
                return None  # a partition is being made; the connection is good
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                return self._one_by_one(payloads, error)
            except psycopg.Error as error:
                log.warning("the warehouse is away (%s); batches go to the spool", _kind(error))
                self._was_away = True
                self._disconnect()
                return None
            else:
                self._metrics.observe_commit(time.monotonic() - started)
                self._metrics.count_events("stored", fresh)
                self._metrics.count_events("repeated", sum(one.events for one in payloads) - fresh)
                return [BatchOutcome.COMMITTED] * len(payloads)
        return None

    def _one_by_one(self, payloads: Sequence[Payload], error: psycopg.Error) -> list[BatchOutcome]:
        if len(payloads) == 1:
            log.error("a batch does not fit its tables: %s", _kind(error))
            self._metrics.count_events("unfit", payloads[0].events)
            return [BatchOutcome.UNFIT]
        return [self._settle([one])[0] for one in payloads]

    def _can_replay(self) -> bool:
        return self._connection is not None and bool(self.spool.segments)

    def _replay(self) -> None:
        """One segment: committed, then deleted. A kill in between repeats it, to no effect.

        One that the disk does not give or delete keeps neither the others nor visitors waiting.
        """
        path = self.spool.segments[0]
        try:
            found = self.spool.oldest()
            assert found is not None
            _, payloads = found
            outcomes = self._commit(payloads) if payloads else []
            if outcomes is None or BatchOutcome.FULL in outcomes:
                return
            self.spool.remove(path)
        except OSError as error:
            log.error("%s of the spool cannot be replayed: %s", path.name, error.strerror)
            self.spool.pass_over(path)
            return
        self._metrics.count_events("replayed", sum(one.events for one in payloads))
        if not self.spool.segments:
            log.info("the spool is empty again")

    # --- the connection --------------------------------------------------------------------------

    def _refresh_connection(self) -> None:
        if self._connection is None:
            self._connection = self._reconnector.found()
            if self._connection is not None and self._was_away:
                log.info("the warehouse is back")
        elif time.monotonic() - self._took_over > TAKE_OVER_SECONDS:
            self._took_over = time.monotonic()
            self.spool.take_over()

    def _wake_up(self) -> None:
        with self._wake:
            self._wake.notify()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _resolve(self, group: Sequence[Waiting], outcomes: Sequence[BatchOutcome]) -> None:
        def resolve() -> None:
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if future is not None and not future.done():
                    future.set_result(outcome)

        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(resolve)


def _kind(error: psycopg.Error) -> str:
    """What may be said about an error: never its text, which may quote a row."""
    return f"{type(error).__name__} {error.sqlstate or ''}".strip()

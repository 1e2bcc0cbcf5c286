"""Chaos for a shop and its workers: every fault, processes killed, connections to the database cut.

All of it happens between requests that the shop sees, counted and seeded, never by the clock. The
record of writes is kept here too: what was applied, and what was still under way when the next
write to the same target came. Not here: what is pushed (`reference_world`), what must hold
afterwards (`test_push_chaos`).
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking
from cscart_pipelines.sandbox.http.faults import Fault, Faults
from cscart_pipelines.sandbox.http.request_log import RequestLog, RequestRecord
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests import PROJECT_ROOT
from cscart_pipelines_tests.support.fulfilment.shops import Connected
from cscart_pipelines_tests.support.fulfilment.worker import READ_TIMEOUT

ROOT = PROJECT_ROOT
SETTLE = 3.0
"""Seconds; far above the slowest answer, as an operator must choose it."""
SLOW = READ_TIMEOUT * 2
LOSSES: dict[str, tuple[float, Callable[[], Fault]]] = {
    "reset after": (4, lambda: Fault("reset", after=True)),
    "error after": (3, lambda: Fault("server_error", after=True)),
    "truncated": (3, lambda: Fault("truncated")),
    "login page": (2, lambda: Fault("login_page", after=True)),
    "too slow": (4, lambda: Fault("latency", seconds=SLOW)),
    "notices": (2, lambda: Fault("php_notices")),
    "too many": (3, lambda: Fault("too_many_requests", retry_after="0")),
    "reset before": (2, lambda: Fault("reset")),
    "error before": (2, lambda: Fault("server_error")),
}
UNDONE = ("reset before", "error before")
"""The shop does not do the work. At most once for a write: after three attempts a person must look,
and dead workers count as well."""


class Workers:
    """Processes that push to one shop."""

    def __init__(self, at: Connected, *, parallel: int, folder: Path) -> None:
        self._troubles = folder / f"{at.key}-troubles.txt"
        environment = {
            **os.environ,
            **at.database.settings_env,
            "CSCART_PIPELINES_HOME": str(at.settings.home),
        }
        module = "cscart_pipelines_tests.support.fulfilment.worker"
        arguments = [at.key, at.shop.url, str(SETTLE), str(parallel), str(self._troubles)]
        self._forker = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )  # fmt: skip
        self._alive: list[int] = []
        self._lock = threading.Lock()

    def start(self, count: int = 1) -> None:
        with self._lock:
            for _ in range(count):
                self._alive.append(self._fork())

    def kill(self, chance: random.Random) -> None:
        """One of them dies at once, and another takes its place."""
        with self._lock:
            place = chance.randrange(len(self._alive))
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._alive[place], signal.SIGKILL)
            self._alive[place] = self._fork()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            for worker in self._alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            assert self._forker.stdin is not None
            self._forker.stdin.close()
            self._forker.wait(30)
            assert self._forker.stdout is not None
            self._forker.stdout.close()

    @property
    def troubles(self) -> str:
        """Tracebacks of what workers did not expect."""
        return self._troubles.read_text() if self._troubles.exists() else ""

    def _fork(self) -> int:
        assert self._forker.stdin is not None and self._forker.stdout is not None
        self._forker.stdin.write("\n")
        self._forker.stdin.flush()
        return int(self._forker.stdout.readline())


@dataclass
class Write:
    """A write request that the shop saw. `target`: order and parcel, order, or product."""

    target: tuple[Any, ...]
    body: bytes
    applied: bool
    under_way: bool = True


class Chaos(Faults):
    """Takes the place of a shop's faults, and of its record of requests. Quiet at first."""

    def __init__(self, shop: SandboxShop, seed: int) -> None:
        super().__init__(seed)
        self.chance = random.Random(seed)
        self.share = 0.0
        """Of the requests, those that go wrong."""
        self.events: list[tuple[int, Callable[[], object]]] = []
        """What happens every so many requests, more or less."""
        self.writes: list[Write] = []
        self.overtaken: list[Write] = []
        """Writes that came while another one to the same target was under way."""
        self.happened: Counter[str] = Counter()
        self._undone: set[tuple[Any, ...]] = set()
        self._next: dict[int, int] = {}
        self._seen = 0
        self._guard = threading.Lock()
        self._mine = threading.local()
        shop.faults = self
        shop.requests = _Record(self._ended)

    def calm(self) -> None:
        """No more faults, nobody dies."""
        with self._guard:
            self.share = 0.0
            self.events = []

    def applied(self) -> Counter[tuple[Any, ...]]:
        """How often the shop did which write. Where a status is written alone, twice is once."""
        return Counter((*each.target, each.body) for each in self.writes if each.applied)

    # --- called by the shop, in the thread of each request ---------------------------------------

    def pick(self, request: Request) -> Fault | None:
        with self._guard:
            self._seen += 1
            due = [event for place, (often, event) in enumerate(self.events)
                   if self._is_due(place, often)]  # fmt: skip
            name = self._choose(request)
            write = None
            if request.method != "GET" and _complete(request):
                applied = name not in (*UNDONE, "too many")
                write = Write(target_of(request), request.body, applied)
                if any(each.under_way and each.target == write.target for each in self.writes):
                    self.overtaken.append(write)
                self.writes.append(write)
            self._mine.write = write
        for event in due:
            self.happened[event.__name__] += 1
            event()
        return LOSSES[name][1]() if name else None

    def _ended(self) -> None:
        write = getattr(self._mine, "write", None)
        if write is not None:
            write.under_way = False

    def _is_due(self, place: int, often: int) -> bool:
        if self._seen < self._next.setdefault(place, self._seen + often):
            return False
        self._next[place] = self._seen + self.chance.randint(1, 2 * often)
        return True

    def _choose(self, request: Request) -> str | None:
        # There are three times as many amounts as parcels and statuses.
        rare = request.method != "GET" and "/products" not in request.path
        if self.chance.random() >= self.share * (3 if rare else 1):
            return None
        weights = [weight for weight, _ in LOSSES.values()]
        name = self.chance.choices(list(LOSSES), weights)[0]
        if name in UNDONE and request.method != "GET" and _complete(request):
            what = (*target_of(request), request.body)
            if what in self._undone:
                return None
            self._undone.add(what)
        self.happened[f"{request.method} {name}"] += 1
        return name


class _Record(RequestLog):
    def __init__(self, ended: Callable[[], None]) -> None:
        super().__init__()
        self._ended = ended

    def append(self, record: RequestRecord) -> None:
        self._ended()
        super().append(record)


def _complete(request: Request) -> bool:
    """Whoever is killed may have sent half a request, which the shop refuses."""
    try:
        return bool(orjson.loads(request.body))
    except orjson.JSONDecodeError:
        return False


def target_of(request: Request) -> tuple[Any, ...]:
    """What a write is aimed at; a parcel with its SKUs, which may be sent in several shipments."""
    if not request.path.endswith("/shipments"):
        return tuple(request.path.split("/")[-2:])
    body = orjson.loads(request.body)
    pieces = tuple(sorted(body["products"].items()))
    return (body["order_id"], normalise_tracking(body["tracking_number"]), pieces)

"""Workers that 200, 2,000 and 10,000 shops need, and how late the last of them are: a simulation.

An hour is played event by event: integrations become due, runs of some of them wait for a worker,
each shop costs waiting for its answers, CPU of the worker and CPU of PostgreSQL; lists with changed
rows are built by runs of their own, two at a time. What is not modelled: retries, visitors, pushes.
The costs are those of `python -m benchmarks tick` and `build` on two cores; measure yours there.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import statistics
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from benchmarks.support.options import Options
from benchmarks.support.report import Report, Table

SHOPS = (200, 2_000, 10_000)
WORKERS = (1, 2, 4, 8, 16)
SERVER_CORES = (2, 4, 8, 16, 32)
LATEST = 15 * 60
"""Seconds after which 99 of 100 lists should hold what was due."""
COLUMNS = ("shops", "spread min", "workers", "PG cores", "synced p50 s", "synced p99 s",
           "built p50 s", "built p99 s", "worker CPU %", "PG CPU %")  # fmt: skip


@dataclass(frozen=True)
class Costs:
    """Seconds, and what an installation looks like."""

    run_start: float = 3.0
    """CPU until a run reads its first shop."""
    shop_wait: float = 2.5
    """Waiting for answers of one shop: five requests of half a second, the median."""
    shop_cpu: float = 0.1
    shop_server: float = 0.03
    """CPU of PostgreSQL for a shop of which little has changed."""
    build_start: float = 8.0
    """CPU of Dagster and dbt, however many lists they build."""
    build_server: float = 0.1
    build_server_per_order: float = 0.00004
    """CPU of PostgreSQL for a list of which a hundredth has changed, and for each order of it."""
    changed: float = 0.6
    """Share of the shops with changes in an hour."""
    orders: float = 5_000
    """Orders of a shop, the median; one in a hundred has twenty times as many."""
    per_run: int = 20
    """Setting `integrations_per_run`."""
    slots: int = 4
    """Runs that a worker of two cores executes at a time; each reads four shops at a time."""


Wait = tuple["Cores", float] | float
"""What a process waits for: so many seconds on a core, or so many by the clock."""


@dataclass
class Cores:
    """Cores of one or several machines, each taken for some time."""

    number: int
    free: int = 0
    busy_seconds: float = 0.0
    waiting: deque[tuple[float, Callable[[], None]]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.free = self.number


class Simulation:
    """A clock and the events to come."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, moment: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), what))

    def run(self) -> None:
        while self._events:
            self.now, _, what = heapq.heappop(self._events)
            what()

    def start(self, process: Generator[Wait, None, None], done: Callable[[], None]) -> None:
        """Goes through a process, wait by wait."""

        def resume() -> None:
            try:
                wait = next(process)
            except StopIteration:
                done()
                return
            if isinstance(wait, tuple):
                self.use(*wait, resume)
            else:
                self.at(self.now + wait, resume)

        resume()

    def use(self, cores: Cores, seconds: float, then: Callable[[], None]) -> None:
        """Takes a place for so many seconds, when one is free."""

        def begin() -> None:
            cores.free -= 1
            cores.busy_seconds += seconds
            self.at(self.now + seconds, end)

        def end() -> None:
            cores.free += 1
            if cores.waiting:
                cores.waiting.popleft()[1]()
            then()

        if cores.free > 0:
            begin()
        else:
            cores.waiting.append((self.now, begin))


@dataclass
class Hour:
    """One hour of an installation."""

    shops: int
    spread: int
    workers: int
    server_cores: int
    costs: Costs = field(default_factory=Costs)

    def __post_init__(self) -> None:
        self.simulation = Simulation()
        self.cpu = Cores(2 * self.workers)
        self.server = Cores(self.server_cores)
        self.synced: list[float] = []
        self.built: list[float] = []
        self._queue: deque[Callable[[], None]] = deque()
        self._slots = self.costs.slots * self.workers
        self._due_builds: list[tuple[float, float]] = []
        self._builds = 0
        self._random = random.Random(1)

    def play(self) -> None:
        slots = max(1, math.ceil(self.spread / 5))
        groups: list[list[float]] = [[] for _ in range(slots)]
        for _ in range(self.shops):
            orders = self._random.lognormvariate(math.log(self.costs.orders), 1.3)
            groups[self._random.randrange(slots)].append(orders)
        for number, group in enumerate(groups):
            due = 300.0 * number
            for start in range(0, len(group), self.costs.per_run):
                batch = group[start : start + self.costs.per_run]
                self.simulation.at(due, lambda batch=batch, due=due: self._sync(batch, due))
        self.simulation.run()

    def _sync(self, orders: list[float], due: float) -> None:
        """A run over some shops, four at a time."""

        def begin() -> None:
            remaining = deque(orders)
            under_way = 0

            def next_shop() -> None:
                nonlocal under_way
                if remaining:
                    under_way += 1
                    size = remaining.popleft()
                    self.simulation.start(self._shop(), lambda: done(size))
                elif under_way == 0:
                    self._release()

            def done(size: float) -> None:
                nonlocal under_way
                under_way -= 1
                self.synced.append(self.simulation.now - due)
                if self._random.random() < self.costs.changed:
                    self._due_builds.append((due, size))
                    self._build()
                next_shop()

            def read() -> None:
                for _ in range(min(4, len(orders))):
                    next_shop()

            self.simulation.use(self.cpu, self.costs.run_start, read)

        self._request(begin)

    def _shop(self) -> Generator[Wait, None, None]:
        yield self._random.lognormvariate(math.log(self.costs.shop_wait), 0.6)
        yield (self.cpu, self.costs.shop_cpu)
        yield (self.server, self.costs.shop_server)

    def _build(self) -> None:
        """A run over all lists that are due, unless two are running."""
        if self._builds == 2 or not self._due_builds:
            return
        self._builds += 1
        self.simulation.at(self.simulation.now + 10, self._begin_build)  # the sensor's interval

    def _begin_build(self) -> None:
        def begin() -> None:
            lists, self._due_builds = self._due_builds, []

            def done() -> None:
                self.built.extend(self.simulation.now - due for due, _ in lists)
                self._builds -= 1
                self._release()
                self._build()

            seconds = sum(
                self.costs.build_server + size * self.costs.build_server_per_order
                for _, size in lists
            )
            halves = itertools.count(1)

            def half_done() -> None:
                if next(halves) == 2:
                    done()

            def compute() -> None:  # two of the four threads have work, on the average
                for _ in range(2):
                    self.simulation.use(self.server, seconds / 2, half_done)

            self.simulation.use(self.cpu, self.costs.build_start, compute)

        self._request(begin)

    def _request(self, begin: Callable[[], None]) -> None:
        if self._slots:
            self._slots -= 1
            begin()
        else:
            self._queue.append(begin)

    def _release(self) -> None:
        if self._queue:
            self._queue.popleft()()
        else:
            self._slots += 1


def percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1]


def smallest(shops: int, spread: int) -> Hour:
    """The hour of the fewest workers and cores of PostgreSQL with which lists are not late.

    If there is none, that of the most.
    """
    sizes = itertools.product(WORKERS, SERVER_CORES)
    for workers, server_cores in sorted(sizes, key=lambda size: 2 * size[0] + size[1]):
        hour = Hour(shops, spread, workers, server_cores)
        hour.play()
        if percentile(hour.built, 99) <= LATEST:
            break
    return hour


def run(options: Options) -> Report:
    note = f"fewest with which 99 of 100 lists are built within {LATEST // 60} minutes"
    table = Table("An hour of many shops, simulated", COLUMNS, note=note, group=1)
    for shops in SHOPS[:1] if options.quick else SHOPS:
        for spread in (0, 60):
            options.say(f"{shops:,} shops over {spread} minutes")
            hour = smallest(shops, spread)
            length = max(3600.0, hour.simulation.now)
            table.rows.append((
                shops, spread, hour.workers, hour.server_cores,
                round(percentile(hour.synced, 50)), round(percentile(hour.synced, 99)),
                round(percentile(hour.built, 50)), round(percentile(hour.built, 99)),
                round(100 * hour.cpu.busy_seconds / hour.cpu.number / length),
                round(100 * hour.server.busy_seconds / hour.server.number / length),
            ))  # fmt: skip
    return Report("fleet", [table], [])

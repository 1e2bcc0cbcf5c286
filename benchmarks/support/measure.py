"""What a process costs: CPU seconds and peak memory, of this one and of others.

Not here: what is measured and how it is shown.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and on the CPUs: of the process (all threads) and of PostgreSQL."""

    wall: float = 0.0
    cpu: float = 0.0
    server: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu, self.server + other.server)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall - other.wall, self.cpu - other.cpu, self.server - other.server)

    @property
    def all_cpu(self) -> float:
        return self.cpu + self.server

    def numbers(self) -> dict[str, float]:
        return asdict(self)


def now(server: float = 0.0) -> Cost:
    """This process until now; the CPU seconds count from its very start."""
    return Cost(time.monotonic(), time.process_time(), server)


def peak_memory() -> int:
    """Bytes: the most this process ever held.

    From the kernel's own book of this program on Linux: `ru_maxrss` of a child starts there with
    what its parent held when it was started.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def cpu_of(pid: int) -> float:
    """CPU seconds of another process."""
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


def cpu_of_family(pid: int) -> float:
    """CPU seconds of a process and its children; ended ones too, where the system tells (Linux)."""
    parent = psutil.Process(pid)
    used = parent.cpu_times()
    seconds = float(used.user + used.system + used.children_user + used.children_system)
    for child in parent.children():
        with suppress(psutil.NoSuchProcess):
            seconds += cpu_of(child.pid)
    return seconds


def per_row(work: Callable[[], object], rows: int, rounds: int) -> float:
    """Microseconds of CPU per row: of several rounds the best, which others disturbed least."""
    best = float("inf")
    for _ in range(rounds):
        started = time.thread_time()
        work()
        best = min(best, time.thread_time() - started)
    return best / rows * 1e6


def rate(rows: int, seconds: float) -> float | None:
    """Rows per second; None of nothing, and where the clock did not move."""
    return rows / seconds if rows and seconds > 0 else None


def ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def total(costs: Iterable[Cost]) -> Cost:
    return sum(costs, Cost())


def chunks(rows: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))

"""Which benchmarks there are. To add one: a module with `run(options) -> Report`, and a line here.

A benchmark measures processes that do only what is measured, judges aims by `Aim`, and gives
figures that hold on a busy machine too: CPU seconds, counts, and ratios within one run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import build, collector, fleet, load, parse, soak, sync, tick, visit, write_back
from benchmarks.support.options import Options
from benchmarks.support.report import Report


@dataclass(frozen=True)
class Benchmark:
    """One entry of `python -m benchmarks --help`."""

    about: str
    run: Callable[[Options], Report]
    only_by_name: bool = False
    """Not part of a run without names, for it takes long."""


BENCHMARKS = {
    "parse": Benchmark("reading the rows of an answer, per row", parse.run),
    "load": Benchmark("our load beside bare COPY and executemany of the same rows", load.run),
    "tick": Benchmark("one hourly tick over 200 shops, per integration", tick.run),
    "collector": Benchmark("onsite events a second, and how long browsers wait", collector.run),
    "sync": Benchmark("first sync and a resync with 1 % changed, by number of orders", sync.run),
    "visit": Benchmark("from the event to the list, on a running instance", visit.run),
    "build": Benchmark(
        "lists built anew, unchanged, 1 % changed, one of many", build.run, only_by_name=True
    ),
    "fleet": Benchmark("workers for 200, 2,000 and 10,000 shops, simulated", fleet.run),
    "soak": Benchmark("what grows on an instance left alone", soak.run, only_by_name=True),
    "write_back": Benchmark("shipments and stock levels a second, API calls each", write_back.run),
}

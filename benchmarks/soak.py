"""An instance left alone: what grows while sensors tick and shops are synchronised every minute.

On an instance as `make up` runs it. Growth is judged after the warm-up, in which every sensor and
every kind of run has been through once. Not here: how fast anything is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from pydantic import SecretStr

from benchmarks.support import shop
from benchmarks.support.options import Options
from benchmarks.support.report import Aim, Report, Table
from benchmarks.support.running_instance import running_instance
from benchmarks.support.temporary_warehouse import TemporaryWarehouse, temporary_warehouse
from cscart_pipelines.integrations.connection import test_connection
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.integrations.settings import check
from cscart_pipelines.integrations.sync_runs.requested import request_sync

ORDERS = 200
SHOPS = ("one", "two", "three")
SAMPLE_SECONDS = 60.0
"""Between two samples, with a synchronisation of all shops; less in runs of some minutes."""
WARM_UP = 20.0
"""Minutes that are not judged: after some 350 ticks the caches of the code server have filled, by
20 MB. A run of less than 30 minutes judges its last third, and with it the warm-up."""
SERVICES = {
    "code server": ("code-server", "grpc"),
    "daemon": ("dagster-daemon",),
    "UI": ("dagster-webserver",),
    "collector": ("collector",),
}
"""The services of an instance, and words of their command lines; runs have none of them."""
FIGURES = (
    *(f"{name} MB" for name in SERVICES),
    "connections", "runs", "Dagster MB", "logs MB", "database MB",
)  # fmt: skip
AIMS = {"code server MB": 0.2, "daemon MB": 0.2, "connections": 0.2, "logs MB": 0.1}
"""The most by which a figure may grow in a minute; files of runs go with their retention."""
MB = 1e6


def run(options: Options) -> Report:
    minutes = options.minutes
    pause = min(SAMPLE_SECONDS, minutes * 60 / 6)
    samples: list[tuple[float, ...]] = []
    options.say("starting an instance")
    with (
        temporary_warehouse() as place,
        shop.serve(ORDERS) as served,
        running_instance(place) as instance,
        place.warehouse.open_session(autocommit=True) as connection,
    ):
        _connect(place, served)
        began = time.monotonic()
        while (now := time.monotonic() - began) < minutes * 60:
            options.say(f"minute {now / 60:.0f} of {minutes:.0f}")
            if minutes >= 1:  # a shorter one would end before the run
                request_sync(connection, SHOPS, full=False)
            time.sleep(pause)
            samples.append(
                ((time.monotonic() - began) / 60, *_sample(place, connection, instance.pid))
            )
    return _report(samples)


def _connect(place: TemporaryWarehouse, served: shop.ShopProcess) -> None:
    registry = Registry(place.warehouse, place.settings)
    api_key = SecretStr(served.api_key)
    for key in SHOPS:
        settings = check(
            {"integration": key, "list_name": key, "url": served.url, "email": served.email}
        )
        found = test_connection(settings, api_key).model_dump(mode="json")
        registry.add(settings, api_key, found)


def _sample(
    place: TemporaryWarehouse, connection: psycopg.Connection[Any], pid: int
) -> tuple[float, ...]:
    """The figures in the order of FIGURES."""
    row = connection.execute(
        "SELECT count(*) - 1, pg_database_size(current_database())"
        " FROM pg_stat_activity WHERE backend_type = 'client backend'"
    ).fetchone()
    assert row is not None
    home, dagster = place.settings.home, place.settings.dagster_home
    runs = len([*(dagster / "history" / "runs").glob("*-*.db")])
    return (
        *(memory / MB for memory in _memory(pid).values()),
        row[0], runs, _size(dagster) / MB, _size(home / "logs") / MB, row[1] / MB,
    )  # fmt: skip


def _memory(pid: int) -> dict[str, int]:
    """Bytes of each service, without the processes of runs."""
    held = dict.fromkeys(SERVICES, 0)
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            for name, marks in SERVICES.items():
                if any(word.rpartition("/")[2] in marks for word in words):
                    held[name] += process.memory_info().rss
                    break
    return held


def _size(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        with suppress(OSError):  # deleted meanwhile
            total += file.lstat().st_blocks * 512
    return total


def _report(samples: list[tuple[float, ...]]) -> Report:
    table = Table(
        "An instance left alone, three shops synchronised every minute",
        ("minute", *FIGURES),
        [tuple(round(figure, 2) for figure in sample) for sample in samples],
    )
    warm_up = min(WARM_UP, samples[-1][0] * 2 / 3)
    judged = [*(one for one in samples[:-2] if one[0] > warm_up), *samples[-2:]]
    growth = Table(
        "Growth after the warm-up", ("figure", "at the end", "a minute"),
        note="the slope of a straight line through the samples",
    )  # fmt: skip
    aims = []
    for place, name in enumerate(FIGURES, 1):
        slope = _slope((sample[0], sample[place]) for sample in judged)
        growth.rows.append((name, round(judged[-1][place], 1), round(slope, 3)))
        if name in AIMS:
            aims.append(Aim(f"{name} a minute", AIMS[name], round(slope, 3)))
    return Report("soak", [table, growth], aims)


def _slope(points: Iterable[tuple[float, float]]) -> float:
    minutes, figures = zip(*points, strict=True)
    return statistics.linear_regression(minutes, figures).slope

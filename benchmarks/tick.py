"""One hourly tick over many shops: the run as the schedule starts it, per integration.

Measured from outside, Dagster and all, because a run costs seconds before it reads anything: what a
shop costs is what is left when that is shared by many. All integrations point at one small shop.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from benchmarks.support import shop
from benchmarks.support.measure import Cost
from benchmarks.support.options import Options
from benchmarks.support.report import Report, Table
from benchmarks.support.temporary_warehouse import TemporaryWarehouse, temporary_warehouse
from cscart_pipelines.cli.support.environment import dagster_environment
from cscart_pipelines.integrations.connection import test_connection
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.integrations.settings import check

ORDERS = 200
RUNS = ("first sync", "nothing changed")
COLUMNS = ("integrations", "run", "wall s", "CPU s", "CPU s PG", "wall ms each", "CPU ms each",
           "PG ms each", "requests each")  # fmt: skip


def run(options: Options) -> Report:
    shops = 2 if options.quick else 200
    table = Table(
        "One tick over many shops of 200 orders", COLUMNS, note="Dagster's start included"
    )
    with temporary_warehouse() as place, shop.serve(ORDERS) as served:
        keys = _connect(place, served, shops)
        for name in RUNS[:1] if options.quick else RUNS:
            before = served.requests_served()
            cost = _tick(place, keys)
            requests = (served.requests_served() - before) / shops
            table.rows.append(
                (
                    shops, name, round(cost.wall, 1), round(cost.cpu, 1), round(cost.server, 1),
                    round(1000 * cost.wall / shops), round(1000 * cost.cpu / shops),
                    round(1000 * cost.server / shops), round(requests, 1),
                )
            )  # fmt: skip
    return Report("tick", [table], [])


def _connect(place: TemporaryWarehouse, served: shop.ShopProcess, shops: int) -> list[str]:
    registry = Registry(place.warehouse, place.settings)
    api_key = SecretStr(served.api_key)
    keys = [f"shop-{number:03}" for number in range(shops)]
    found = None
    for key in keys:
        settings = check(
            {"integration": key, "list_name": key, "url": served.url, "email": served.email}
        )
        found = found or test_connection(settings, api_key).model_dump(mode="json")
        registry.add(settings, api_key, found)
    return keys


def _tick(place: TemporaryWarehouse, keys: list[str]) -> Cost:
    server = place.server_cpu()
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "cscart_pipelines.defs.launcher", "--resync", *keys],
        env={**os.environ, **dagster_environment(place.settings)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1],
    )
    try:
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"the tick ended with {process.returncode}")
    cost = Cost(wall=wall, cpu=used.ru_utime + used.ru_stime)
    return replace(cost, server=place.server_cpu() - server)

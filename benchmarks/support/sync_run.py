"""Running one synchronisation in a process of its own, and what it cost from outside.

Not here: what that process does (`processes.sync_process`), tables and aims (`sync`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.support.measure import Cost
from benchmarks.support.shop import ShopProcess
from benchmarks.support.temporary_warehouse import TemporaryWarehouse
from cscart_pipelines.integrations import settings as integration_settings
from cscart_pipelines.integrations.connection import test_connection
from cscart_pipelines.integrations.lifecycle import Action
from cscart_pipelines.integrations.registry import Registry

FIRST, RESYNC = "first sync", "resync, 1 %"
ACTS = {FIRST: Action.START, RESYNC: Action.RESYNC}
KEY = "bench"
ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Step:
    """One entity's part."""

    cost: Cost
    rows: int
    requests: int


@dataclass(frozen=True)
class SyncRun:
    """One synchronisation. `whole` is the process from its start to its end, seen from outside,
    with all that the server did meanwhile."""

    orders: int
    kind: str
    changed: int
    """Orders that the shop has new or changed since the run before."""
    whole: Cost
    imports: Cost
    opening: Cost
    """Of the warehouse, whose server runs already."""
    steps: dict[str, Step]
    peak_bytes: int
    requests: int
    """As the shop counts them."""
    shop_cpu: float
    reading: float
    """The yardstick of `parse` beside this run: microseconds of CPU per order."""


def register(place: TemporaryWarehouse, shop: ShopProcess) -> None:
    """The shop becomes an integration of the warehouse, tested as the command line does."""
    settings = integration_settings.check(
        {"integration": KEY, "list_name": KEY, "url": shop.url, "email": shop.email}
    )
    key = SecretStr(shop.api_key)
    found = test_connection(settings, key)
    registry = Registry(place.warehouse, place.settings)
    registry.add(settings, key, found.model_dump(mode="json"))


def run_sync(
    place: TemporaryWarehouse,
    shop: ShopProcess,
    yardstick: Callable[[], float],
    *,
    orders: int,
    kind: str,
    changed: int,
) -> SyncRun:
    """Raises RuntimeError when the synchronisation fails; what it said is on stderr."""
    reading = yardstick()
    served, shop_cpu, server_cpu = shop.requests_served(), shop.cpu(), place.server_cpu()
    told, whole = _process(
        {"home": str(place.settings.home), "integration": KEY, "act": str(ACTS[kind])}
    )
    whole = replace(whole, server=place.server_cpu() - server_cpu)
    entities = told["report"]["entities"]
    return SyncRun(
        orders=orders,
        kind=kind,
        changed=changed,
        whole=whole,
        imports=Cost(**told["imports"]),
        opening=Cost(**told["opening"]),
        steps={
            name: Step(Cost(**cost), entities[name]["rows"], entities[name]["calls"])
            for name, cost in told["steps"].items()
        },
        peak_bytes=told["peak_bytes"],
        requests=shop.requests_served() - served,
        shop_cpu=shop.cpu() - shop_cpu,
        reading=(reading + yardstick()) / 2,
    )


def _process(asked: dict[str, Any]) -> tuple[dict[str, Any], Cost]:
    started = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.processes.sync_process"]
    process = subprocess.Popen(
        [*command, json.dumps(asked | {"started": started})], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            output = process.stdout.read()
    except BaseException:
        process.kill()
        process.wait()
        raise
    # wait4 also tells the CPU seconds, and of this child only.
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"the synchronisation ended with {process.returncode}")
    answer: dict[str, Any] = json.loads(output.splitlines()[-1])
    return answer, Cost(wall, used.ru_utime + used.ru_stime)

"""One synchronisation in a process that does nothing else, as the command line runs it.

Started by `sync` with one JSON argument: home, integration, act, and the moment of starting it (on
the system-wide monotonic clock). Prints one JSON line of what it cost, part by part.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.support.measure import Cost, cpu_of, now, peak_memory
from cscart_pipelines.integrations.connection import open_client
from cscart_pipelines.integrations.lifecycle import Action
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines.settings import read_settings
from cscart_pipelines.sync import run as sync_run
from cscart_pipelines.sync.context import EntityReport, SyncContext
from cscart_pipelines.warehouse.connect import open_warehouse


def _timed(
    name: str, step: Callable[[SyncContext], EntityReport], costs: dict[str, Cost]
) -> Callable[[SyncContext], EntityReport]:
    def timed(context: SyncContext) -> EntityReport:
        session = context.connection.info.backend_pid
        started = now(cpu_of(session))
        report = step(context)
        costs[name] = now(cpu_of(session)) - started
        return report

    return timed


def main() -> None:
    asked: dict[str, Any] = json.loads(sys.argv[1])
    costs: dict[str, Cost] = {}
    for name, step in sync_run.STEPS.items():
        sync_run.STEPS[name] = _timed(name, step, costs)
    settings = read_settings({"CSCART_PIPELINES_HOME": asked["home"]})
    began = Cost(asked["started"], 0.0)
    imported = now() - began
    with open_warehouse(settings) as warehouse:
        ready = now() - began
        registry = Registry(warehouse, settings)
        session = acquire(warehouse, registry, asked["integration"], Action(asked["act"]))
        with open_client(session.integration, registry, settings) as client:
            report = sync_run.synchronise(session, client)
    answer = {
        "imports": imported.numbers(),
        "opening": (ready - imported).numbers(),
        "steps": {name: cost.numbers() for name, cost in costs.items()},
        "peak_bytes": peak_memory(),
        "report": report.numbers(),
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()

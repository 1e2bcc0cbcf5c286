"""The collector under load: events a second and how long a visitor's browser waits for the answer.

Collector, PostgreSQL and the load generator are three processes on this machine. A sustained rate
is offered first (the aim's), then as much as goes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.processes.collector_load import ORIGIN
from benchmarks.support.measure import cpu_of
from benchmarks.support.options import Options
from benchmarks.support.report import Aim, Report, Table
from benchmarks.support.temporary_warehouse import TemporaryWarehouse, temporary_warehouse
from cscart_pipelines.onsite.write_keys import write_key

RATE = 2_000
"""Events a second."""
P99_MS = 250
CLIENTS = 50
COLUMNS = ("load", "connections", "events each", "events/s", "p50 ms", "p99 ms", "max ms",
           "refused", "CPU ms/batch", "PG ms/batch", "MB")  # fmt: skip


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes]
    address: str


def run(options: Options) -> Report:
    seconds = 0.2 if options.quick else 15
    table = Table(
        f"Onsite events, {seconds} s each", COLUMNS, note="204 after the commit in PostgreSQL"
    )
    aims = []
    with temporary_warehouse() as place:
        with place.warehouse.connect(autocommit=True) as connection:
            connection.execute(
                "INSERT INTO registry.integrations (integration, list_name, url, email, status,"
                " first_synced_at) VALUES ('bench', 'bench', %s, 'a@shop.example', 'enabled',"
                " now())",
                [ORIGIN],
            )
            connection.execute(
                "INSERT INTO onsite.sites (integration, batches_per_second)"
                " VALUES ('bench', 1000000)"
            )
            key = write_key(connection, "bench")
        with collector(place) as running:
            for name, events, rate in (
                (f"{RATE:,} events/s offered", 5, RATE / 5),
                ("all that go, small batches", 5, 0.0),
                ("all that go, full batches", 50, 0.0),
            ):
                options.say(name)
                figures = _measure(place, running, key, seconds, events, rate)
                table.rows.append((name, CLIENTS, events, *figures))
                if rate:
                    by_cpu = 1000 * events / (figures[5] + figures[6])
                    aims += [
                        Aim("events/s sustained", RATE * 0.98, figures[0], by_cpu, at_least=True),
                        Aim("p99 in ms at that rate", P99_MS, figures[2]),
                    ]
    return Report("collector", [table], aims)


@contextmanager
def collector(place: TemporaryWarehouse) -> Iterator[Running]:
    process = subprocess.Popen(
        [sys.executable, "-m", "cscart_pipelines.cli.main", "collector", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("CSCART_PIPELINES_")},
            "CSCART_PIPELINES_HOME": str(place.settings.home),
            "CSCART_PIPELINES_COLLECTOR_ADDRESS_RATE": "1000000",
        },
        cwd=Path(__file__).parents[1],
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        if "http://" not in line:
            raise RuntimeError("the collector did not start")
        yield Running(process, line.split("http://")[1].strip())
    finally:
        process.send_signal(signal.SIGTERM)
        with process:
            pass


def _measure(
    place: TemporaryWarehouse, running: Running, key: str, seconds: float, events: int, rate: float
) -> tuple[float, float, float, float, int, float, float, float]:
    # Warm: keys known, connection made, statements prepared.
    _load(running, key, min(seconds, 1), events, rate)
    cpu, server = cpu_of(running.process.pid), place.server_cpu()
    with place.warehouse.connect(autocommit=True) as connection:
        before = _stored(connection)
        found = _load(running, key, seconds, events, rate)
        stored = _stored(connection) - before
    cpu, server = cpu_of(running.process.pid) - cpu, place.server_cpu() - server
    taken = found["statuses"].get("204", 0)
    if stored != taken * events:
        raise RuntimeError(f"{taken * events} events were acknowledged, {stored} are stored")
    waits = found["latencies"]
    memory = psutil.Process(running.process.pid).memory_info().rss
    return (
        round(stored / found["seconds"]),
        round(1000 * waits[len(waits) // 2], 1),
        round(1000 * waits[int(len(waits) * 0.99)], 1),
        round(1000 * waits[-1], 1),
        len(waits) - taken,
        round(1000 * cpu / taken, 2),
        round(1000 * server / taken, 2),
        round(memory / 1e6),
    )


def _load(running: Running, key: str, seconds: float, events: int, rate: float) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.processes.collector_load", running.address,
             f"--key={key}",
             "--seconds", str(seconds), "--events", str(events), "--rate", str(rate),
             "--clients", str(CLIENTS)],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout)
        if found["statuses"].get("204") or time.monotonic() > deadline:
            return found


def _stored(connection: Any) -> int:
    row = connection.execute("SELECT count(*) FROM onsite.events").fetchone()
    return int(row[0])

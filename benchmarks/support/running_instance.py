"""An instance as `make up` runs it, for benchmarks that need all of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.temporary_warehouse import TemporaryWarehouse


@dataclass
class RunningInstance:
    """`cscart-pipelines up`, its services running.

    Attributes:
        ui: address of the UI.
        collector: address of the collector.
        pid: of `up`; the services are its children.
        exit_code: once it has ended.
        said_last: what it has printed since it was up, once it has ended.
    """

    ui: str
    collector: str
    pid: int
    exit_code: int | None = None
    said_last: str = ""


@contextmanager
def running_instance(place: TemporaryWarehouse) -> Iterator[RunningInstance]:
    """`cscart-pipelines up` until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cscart_pipelines.cli.main", "up", "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith("CSCART_PIPELINES_")},
                "CSCART_PIPELINES_HOME": str(place.settings.home),
                "CSCART_PIPELINES_COLLECTOR_PORT": "0",
                "COLUMNS": "200",
            },
            cwd=Path(__file__).parents[2],
        )
        instance = RunningInstance("", "", process.pid)
        try:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if "Ctrl-C stops it all" in line:
                    break
            else:
                log.seek(0)
                raise RuntimeError(f"the instance did not start: {said} {log.read()[-2000:]}")
            instance.ui = _address("Dagster UI at ", said)
            instance.collector = _address("collector at ", said)
            yield instance
        finally:
            process.send_signal(signal.SIGTERM)
            rest, _ = process.communicate()
            log.seek(0)
            instance.exit_code, instance.said_last = process.returncode, rest + log.read()


def _address(what: str, said: list[str]) -> str:
    (found,) = (line for line in said if f"{what}http://" in line)
    return found[found.index("http://") :].split()[0].rstrip(",")

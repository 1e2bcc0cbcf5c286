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


@dataclass(frozen=True)
class RunningInstance:
    """`cscart-pipelines up`, its services running."""

    collector: str
    """The collector's address."""
    pid: int
    """Of `up`; the services are its children."""


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
            (found,) = (line for line in said if "collector at http://" in line)
            yield RunningInstance(found[found.index("http://") :].strip(), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()

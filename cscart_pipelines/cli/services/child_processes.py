"""Processes that a command starts beside itself: waiting for their ports, stopping them in order.

Not here: which processes those are (`up`, `sandbox`, `collector`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping

from cscart_pipelines.cli.support import console, exit_codes

STOP_SECONDS = 20
"""For a process to end by itself, on a busy machine too: a process of Dagster that is killed leaves
a socket in the folder for temporary files. A run may be cut anywhere."""

Process = subprocess.Popen[bytes]


def port_is_taken(port: int) -> bool:
    """Whether a process listens on this port of the machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def await_port(port: int, processes: Mapping[str, Process]) -> None:
    """Waits until a process listens on the port.

    Raises:
        CommandError: one of the processes has ended instead; the others are stopped.
    """
    while not port_is_taken(port):
        for name, process in processes.items():
            if process.poll() is not None:
                stop_all(processes)
                raise exit_codes.CommandError(
                    f"the {name} has ended unexpectedly, code {process.returncode}"
                )
        time.sleep(0.2)


def stop_all(processes: Mapping[str, Process]) -> None:
    """Stops processes at the same time, and prints for which it waits."""
    for process in processes.values():
        if process.poll() is None:
            process.terminate()
    for name, process in reversed(list(processes.items())):
        if process.poll() is None:
            console.note(f"  [dim]waiting for the {name}[/]")
        stop(process)


def stop(process: Process) -> None:
    """Asks the process to end; after `STOP_SECONDS` it is killed with its children."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

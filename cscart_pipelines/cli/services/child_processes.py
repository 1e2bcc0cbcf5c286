"""Processes that a command starts beside itself: waiting for their ports, stopping them in order.

Not here: which processes those are (`up`, `sandbox`, `collector`), what ends them when the command
is killed (`guardian`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

from cscart_pipelines.cli.services.guardian import STOP_SECONDS
from cscart_pipelines.cli.support import console, exit_codes

Process = subprocess.Popen[bytes]

_guardian: Process | None = None
_guarded: set[int] = set()


def guard(process: Process) -> None:
    """Has a process ended when this one is killed, or its terminal closes, before `stop`.

    Args:
        process: Leads a session of its own.
    """
    global _guardian
    if _guardian is None or _guardian.poll() is not None:
        _guardian = subprocess.Popen(
            [sys.executable, "-m", "cscart_pipelines.cli.services.guardian"],
            stdin=subprocess.PIPE,  # closed by the kernel when this process ends
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    _guarded.add(process.pid)
    _tell_guardian()


def _release(process: Process) -> None:
    """The process has ended; after the last one there is nothing to guard."""
    global _guardian
    if process.pid in _guarded:
        _guarded.remove(process.pid)
        _tell_guardian()
        if not _guarded and _guardian is not None:
            _guardian.communicate()  # closes its standard input, and waits for it
            _guardian = None


def _tell_guardian() -> None:
    if _guardian is not None and _guardian.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            _guardian.stdin.write(f"{' '.join(map(str, _guarded))}\n".encode())
            _guardian.stdin.flush()


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
    _release(process)

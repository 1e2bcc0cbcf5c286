"""Machines: network namespaces with a cable each to a switch, on which this machine is 10.77.0.1.

What runs on one of them reaches the others over TCP alone; it has host name, home and Dagster home
of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cscart_pipelines_tests import PROJECT_ROOT

SWITCH = "cscart-switch"
HERE = "10.77.0.1"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass
class Machine:
    """A network namespace. `processes` are those that were started there."""

    name: str
    address: str
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def cable(self) -> str:
        return f"cable-{self.name}"

    def start(self, command: list[str], environment: dict[str, str]) -> None:
        """Starts a program of this environment; it writes to `<name>.log`."""
        inside = ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', self.name]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", self.name, *inside, *command],
                    env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, cwd=PROJECT_ROOT, start_new_session=True,
                )
            )  # fmt: skip

    def kill(self) -> None:
        """Ends all its processes at once, as a power cut does, but for their connections."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.name], check=False, capture_output=True, text=True
        )
        for pid in listed.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for process in self.processes:
            process.wait()
        self.processes.clear()


@contextlib.contextmanager
def machines(folder: Path, *names: str) -> Iterator[list[Machine]]:
    """Machines beside this one, on one network; nothing is left of them afterwards."""
    made = [Machine(name, f"10.77.0.{n}", folder) for n, name in enumerate(names, start=11)]
    _remove(made)  # what a test that was killed has left
    try:
        ip("link", "add", SWITCH, "type", "bridge")
        ip("address", "add", f"{HERE}/24", "dev", SWITCH)
        ip("link", "set", SWITCH, "up")
        for machine in made:
            name = machine.name
            ip("netns", "add", name)
            ip("link", "add", machine.cable, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", machine.cable, "master", SWITCH, "up")
            ip("-n", name, "address", "add", f"{machine.address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield made
    finally:
        _remove(made)


def _remove(made: list[Machine]) -> None:
    for machine in made:
        machine.kill()
        for words in (["link", "delete", machine.cable], ["netns", "delete", machine.name]):
            subprocess.run(["ip", *words], check=False, capture_output=True)
    subprocess.run(["ip", "link", "delete", SWITCH], check=False, capture_output=True)


def program(name: str) -> str:
    """A program of this Python environment."""
    return str(Path(sys.executable).parent / name)

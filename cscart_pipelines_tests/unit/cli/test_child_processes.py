"""The services of a command end with it, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
import pytest

COMMAND = """
import signal, subprocess, sys, time
from cscart_pipelines.cli.services import child_processes

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests run under nohup

def start(program):
    made = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    child_processes.guard(made)
    return made

stopped, left = start("import time; time.sleep(600)"), start(sys.argv[1])
child_processes.stop(stopped)
print(left.pid, child_processes._guardian.pid, flush=True)
time.sleep(600)
"""
SERVICE = "import time; time.sleep(600)"


def ended(number: int) -> bool:
    """Also where no process waits for orphans: they stay as zombies."""
    try:
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGHUP])
def test_services_end_when_the_command_is_killed_or_its_terminal_closes(how: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, SERVICE], stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        service, guardian = map(int, command.stdout.readline().split())
        assert not ended(service) and not ended(guardian)
        command.send_signal(how)
    for number in (service, guardian):
        while not ended(number):
            time.sleep(0.02)

"""What an earlier PostgreSQL may have left on a data folder, and how to make it harmless.

A supervisor that was killed can leave a running server; a server that was killed can leave sessions
busy with their last query, and files that name a process id which another program has by now.
Standard library only, for the supervisor. Not here: the server that is started next (`server`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

SECONDS = 60.0
"""How long each signal is given to end the server."""


def clear(data: Path, socket: Path) -> None:
    """Ends whatever still runs on the data folder and lets the next server start on it."""
    for name in (signal.SIGINT, signal.SIGQUIT):
        pid = postmaster(data)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, name)
            _wait_while(lambda: postmaster(data) is not None)
    for pid in _sessions(data):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait_while(lambda: bool(_sessions(data)))
    _disown(data / "postmaster.pid")
    # The folder is this server's alone, so what lies there is the dead one's.
    for path in socket.glob(".s.PGSQL.*"):
        path.unlink(missing_ok=True)


def postmaster(data: Path) -> int | None:
    """Returns the pid of a live postmaster of this data folder; a recycled pid does not count."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    command = _command_line(pid)
    return pid if b"postgres" in command and os.fsencode(data) in command else None


def _sessions(data: Path) -> list[int]:
    """Linux: processes of this data folder. Elsewhere they end by themselves, a little later."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            program = (entry / "exe").readlink().name.removesuffix(" (deleted)")
            if program == "postgres" and (entry / "cwd").readlink() == data:
                found.append(int(entry.name))
    return found


def _disown(pid_file: Path) -> None:
    """Replaces the pid in a dead server's pid file by that of this process.

    PostgreSQL refuses to start while the process in the file lives, unless that is its parent; by
    now another program may have the pid. The lines below (shared memory) are kept: PostgreSQL
    checks them.
    """
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(pid_file, os.O_RDWR | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "r+") as file:
            rest = file.read().split("\n")[1:]
            file.seek(0)
            file.write("\n".join([str(os.getpid()), *rest]))
            file.truncate()


def _command_line(pid: int) -> bytes:
    if Path("/proc/self").exists():
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        return b""
    asked = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, check=False).stdout


def _wait_while(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while condition() and time.monotonic() < deadline:
        time.sleep(0.02)

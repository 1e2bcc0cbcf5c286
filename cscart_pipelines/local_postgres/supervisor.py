"""The process that owns one embedded PostgreSQL: starts it, and stops it after its last user.

Every process that uses the server holds `users.lock` shared. The supervisor waits for the exclusive
lock: the kernel grants it when the last user has ended, so a crash or kill -9 of a user never
leaves a server behind. If the supervisor itself is killed, the kernel tells PostgreSQL to stop
(Linux), or the next supervisor does.

Started by `client` with its paths as JSON; prints one line, `ready` or `failed: why`. Standard
library only, and run without site-packages: nothing in the starter's environment is imported. Not
here: connecting (`client`), files (`paths`), PostgreSQL itself (`server`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

from cscart_pipelines.local_postgres import file_locks
from cscart_pipelines.local_postgres.server import Server, StartError

LOCK_SECONDS = 10.0
DEATHS, DEATHS_WITHIN = 5, 600.0
"""A server that dies more often than this, in seconds, is not started again."""

_stopping = threading.Lock()


def main() -> None:
    """Runs the supervisor: starts the server, then waits for the end of its last user."""
    paths = json.loads(sys.argv[-1])
    control = Path(paths["control"])
    # SIGTERM is waited for by a thread of its own, from the moment there is something to stop.
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGTERM})
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, lambda *_: None)  # unlike SIG_IGN, not inherited by PostgreSQL
    alive = file_locks.open_lock(control / file_locks.SUPERVISOR)
    server = Server(paths)
    try:
        _hold_for_life(alive)
        server.start()
    except (StartError, OSError, subprocess.SubprocessError) as error:
        _answer(f"failed: {' '.join(str(error).split())}")
        return
    users = file_locks.open_lock(control / file_locks.USERS)
    for work in (_end_with_server, _end_on_request):
        threading.Thread(target=work, args=(server, alive), daemon=True).start()
    _answer("ready")
    # Inherited from the starter: until here no other process connects, even if that was killed.
    os.close(int(paths["start_lock"]))
    fcntl.flock(users, fcntl.LOCK_EX)  # returns when the last user has gone
    _stop(server, alive)


def _hold_for_life(alive: int) -> None:
    """Takes `supervisor.lock`, by which other processes see that a supervisor runs."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StartError("another supervisor holds this home") from None
        time.sleep(0.005)


def _answer(line: str) -> None:
    """Tells the waiting starter, which may have ended already, and closes its pipe."""
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _stop(server: Server, alive: int) -> NoReturn:
    _stopping.acquire()  # never given back: the first one to come ends the process
    server.stop()
    # In this order: a process that waits for users.lock (freed by the exit) finds no supervisor.
    fcntl.flock(alive, fcntl.LOCK_UN)
    os._exit(0)


def _end_on_request(server: Server, alive: int) -> None:
    signal.sigwait({signal.SIGTERM})
    _stop(server, alive)


def _end_with_server(server: Server, alive: int) -> None:
    """Starts a server again that died (out of memory, killed); ends if that fails."""
    deaths: list[float] = []
    while True:
        server.wait()
        if server.stopping:
            return
        now = time.monotonic()
        deaths = [*(then for then in deaths if now - then < DEATHS_WITHIN), now]
        server.log("supervisor: PostgreSQL has ended unexpectedly")
        try:
            if len(deaths) > DEATHS:
                raise StartError("it ended again and again")
            server.start()
        except (StartError, OSError, subprocess.SubprocessError) as error:
            if server.stopping:
                return
            server.log(f"supervisor gives up: {error}")
            _stop(server, alive)


if __name__ == "__main__":
    main()

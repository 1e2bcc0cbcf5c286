"""Connects a process to the embedded PostgreSQL, which is started if need be, and disconnects it.

All processes of the project share one server per home. A process may be killed at any moment,
because the locks are taken in this order:

1. `start.lock`: one process connects at a time. The supervisor that it starts inherits the lock and
   keeps it until the server is ready or has failed; no process sees a half-started server.
2. `users.lock`, shared: held while the server is used. A supervisor that stops the server holds it
   exclusively until its exit; a process that connects then waits, and finds no supervisor.
3. `supervisor.lock`: tested under the other two; if it is free, a supervisor must be started.

Not here: files and accounts (`paths`, `service_account`), the server process (`supervisor`,
`server`), tables and migrations.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from cscart_pipelines.local_postgres import file_locks
from cscart_pipelines.local_postgres.paths import (
    PORT,
    ServerPaths,
    control_folder,
    find_paths,
    resolved,
)
from cscart_pipelines.local_postgres.server import SUPERUSER, open_log

DATABASE = "warehouse"
ANSWER_SECONDS = 30.0
"""How long to wait for a server that its supervisor restarts or stops."""

# The package is put last on the path: nothing of the starter's environment shadows the library.
SUPERVISOR = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from cscart_pipelines.local_postgres import supervisor; supervisor.main()"
)
SUPERVISOR_ENVIRONMENT = ("PATH", "TZDIR", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE")


class EmbeddedServerError(RuntimeError):
    """The embedded server did not start; the message says why and where its log is."""


class Client:
    """One process's use of the embedded server, until `disconnect` or the end of the process.

    A forked child shares it: the server runs until both have disconnected or ended.
    """

    def __init__(self, paths: ServerPaths, lock: int) -> None:
        self._lock: int | None = lock
        self.paths = paths

    def url(self, database: str = DATABASE) -> URL:
        """Returns the address of a database of this server, for SQLAlchemy."""
        # requirepeer: the client refuses a server that another account runs on the socket.
        return URL.create(
            "postgresql+psycopg",
            username=SUPERUSER,
            database=database,
            query={
                "host": str(self.paths.socket),
                "port": str(PORT),
                "requirepeer": self.paths.server_account,
            },
        )

    def disconnect(self) -> None:
        """Ends the use of the server; the last user's exit stops it. May be called again."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        _reap()

    def _renew(self, fresh: Client) -> None:
        old, self._lock, self.paths = self._lock, fresh._lock, fresh.paths
        if old is not None:
            os.close(old)


_clients: dict[Path, Client] = {}
_connecting = threading.Lock()
_supervisors: set[int] = set()


def connect(home: Path) -> Client:
    """Connects to the server of this home: once per process, anew if its supervisor was killed.

    Raises:
        EmbeddedServerError: The server did not start.
        UnusableHomeError: The home, or the account, cannot hold a server.
    """
    with _connecting, resolved(home):
        home = control_folder(home).parent
        known = _clients.get(home)
        if known is None:
            _clients[home] = known = _connect(home)
        elif known._lock is None or not running(home):
            known._renew(_connect(home))
        return known


def running(home: Path) -> bool:
    """Tells whether a supervisor runs for this home; starts nothing."""
    return file_locks.taken(home.resolve() / "postgres" / file_locks.SUPERVISOR)


def wait_until_stopped(home: Path, seconds: float = 30.0) -> bool:
    """Waits until the server that this process disconnected from has stopped.

    Returns:
        False if it still runs after `seconds`, as it does while other processes use it.
    """
    deadline = time.monotonic() + seconds
    users = home.resolve() / "postgres" / file_locks.USERS
    # The second is held for the moment of the supervisor's exit.
    while running(home) or file_locks.taken(users):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    _reap()
    return True


def _connect(home: Path) -> Client:
    _reap()
    while True:
        control = control_folder(home)
        try:
            with file_locks.exclusive(control / file_locks.START) as start_lock:
                return _connect_alone(home, control, start_lock)
        except FileNotFoundError:
            if control.is_dir():
                raise
            # Another process removed the folder between the two lines.


def _connect_alone(home: Path, control: Path, start_lock: int) -> Client:
    users = file_locks.open_lock(control / file_locks.USERS)
    try:
        fcntl.flock(users, fcntl.LOCK_SH)
        paths = find_paths(home)
        client = Client(paths, users)
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            if not file_locks.taken(control / file_locks.SUPERVISOR):
                _start_supervisor(paths, start_lock)
            try:
                _ensure_database(client)
                return client
            except psycopg.Error as error:
                reason = " ".join(str(error).split())
                final = "FATAL" in reason and "the database system is" not in reason
                if final or time.monotonic() > deadline:
                    raise EmbeddedServerError(f"{reason} ({_log_of(paths)})") from None
            time.sleep(0.05)
    except BaseException:
        os.close(users)
        raise


def _start_supervisor(paths: ServerPaths, start_lock: int) -> None:
    values = {
        "control": paths.control, "data": paths.data, "socket": paths.socket,
        "binaries": paths.binaries, "account": paths.account, "owner": paths.owner,
        "start_lock": start_lock,
    }  # fmt: skip
    root = Path(__file__).resolve().parents[2]
    log = open_log(paths.control / "server.log")
    try:
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", SUPERVISOR, str(root),
             json.dumps({k: v and str(v) for k, v in values.items()})],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # a Ctrl-C in the terminal is not meant for the server
            cwd="/",
            env={k: v for k, v in os.environ.items() if k in SUPERVISOR_ENVIRONMENT},
            pass_fds=(start_lock,),
        )  # fmt: skip
    finally:
        os.close(log)
    _supervisors.add(supervisor.pid)
    # It outlives this process, which must neither wait for it nor complain about it; see _reap.
    supervisor.returncode = 0
    assert supervisor.stdout is not None
    with supervisor.stdout:
        answer = supervisor.stdout.readline().decode(errors="replace").strip()
    if answer != "ready":
        reason = answer.removeprefix("failed: ") or "its supervisor process was killed"
        raise EmbeddedServerError(f"{reason} ({_log_of(paths)})")


def _log_of(paths: ServerPaths) -> str:
    return f"log: {paths.control / 'server.log'}"


def _reap() -> None:
    """Collects the exit status of ended supervisors, which would stay zombies of this process."""
    for pid in list(_supervisors):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        _supervisors.discard(pid)


def _after_fork() -> None:
    global _connecting
    _connecting = threading.Lock()  # a thread that does not exist in the child may have held it
    _supervisors.clear()


os.register_at_fork(after_in_child=_after_fork)


def _ensure_database(client: Client) -> None:
    url = client.url("postgres")
    options: dict[str, Any] = {**url.query, "user": url.username, "dbname": url.database}
    with psycopg.connect(**options, connect_timeout=10, autocommit=True) as connection:
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
        if found.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

"""Using the embedded PostgreSQL: join it (which starts it if need be) and leave it.

All processes of the project share one server per home. The order of locks, which makes any moment
safe to be killed in:

1. `start.lock`: one process joins at a time. The keeper it starts inherits the lock and keeps it
   until the server is ready or has failed, so the next one never meets a half-started server.
2. `users.lock`, shared: held while the server is used. While a keeper stops the server it holds
   this one exclusively until its exit; who joins then waits and finds no keeper.
3. `keeper.lock`: looked at under the other two; not taken means that a keeper must be started.

Not here: files and accounts (`place`, `account`), the server process (`keeper`, `server`), tables
and migrations.
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
from cscart_pipelines.local_postgres.paths import PORT, Place, control_folder, find_place, resolved
from cscart_pipelines.local_postgres.server import SUPERUSER, open_log

DATABASE = "warehouse"
ANSWER_SECONDS = 30.0
"""How long a server that its keeper restarts or stops is waited for."""

# The package is put last on the path: nothing of the starter's environment shadows the library.
KEEPER = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from cscart_pipelines.local_postgres import supervisor; supervisor.main()"
)
KEEPER_ENVIRONMENT = ("PATH", "TZDIR", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE")


class EmbeddedServerError(RuntimeError):
    """The embedded server did not start; the message says why and where its log is."""


class Client:
    """One process's use of the embedded server. `leave` ends it; so does the end of the process.

    A forked child shares it: the server stays until both have left or ended.
    """

    def __init__(self, place: Place, lock: int) -> None:
        self._lock: int | None = lock
        self.place = place

    def url(self, database: str = DATABASE) -> URL:
        # requirepeer: the client hangs up on a server that somebody else put in its place.
        return URL.create(
            "postgresql+psycopg",
            username=SUPERUSER,
            database=database,
            query={
                "host": str(self.place.socket),
                "port": str(PORT),
                "requirepeer": self.place.server_account,
            },
        )

    def leave(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        _reap()

    def _renew(self, fresh: Client) -> None:
        old, self._lock, self.place = self._lock, fresh._lock, fresh.place
        if old is not None:
            os.close(old)


_memberships: dict[Path, Client] = {}
_joining = threading.Lock()
_keepers: set[int] = set()


def connect(home: Path) -> Client:
    """Joins the server of this home, once per process; again if its keeper was killed meanwhile.

    Raises EmbeddedServerError, NoPlaceError.
    """
    with _joining, resolved(home):
        home = control_folder(home).parent
        known = _memberships.get(home)
        if known is None:
            _memberships[home] = known = _connect(home)
        elif known._lock is None or not running(home):
            known._renew(_connect(home))
        return known


def running(home: Path) -> bool:
    """Whether a keeper holds the server of this home; starts nothing."""
    return file_locks.taken(home.resolve() / "postgres" / file_locks.KEEPER)


def wait_until_stopped(home: Path, seconds: float = 30.0) -> bool:
    """Waits for a server that this process has left; False while others still use it."""
    deadline = time.monotonic() + seconds
    users = home.resolve() / "postgres" / file_locks.USERS
    while running(home) or file_locks.taken(
        users
    ):  # the latter for the moment of its keeper's exit
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
            # Another process removed the place between the two lines.


def _connect_alone(home: Path, control: Path, start_lock: int) -> Client:
    users = file_locks.open_lock(control / file_locks.USERS)
    try:
        fcntl.flock(users, fcntl.LOCK_SH)
        place = find_place(home)
        membership = Client(place, users)
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            if not file_locks.taken(control / file_locks.KEEPER):
                _start_supervisor(place, start_lock)
            try:
                _ensure_database(membership)
                return membership
            except psycopg.Error as error:
                reason = " ".join(str(error).split())
                final = "FATAL" in reason and "the database system is" not in reason
                if final or time.monotonic() > deadline:
                    raise EmbeddedServerError(f"{reason} ({_log_of(place)})") from None
            time.sleep(0.05)
    except BaseException:
        os.close(users)
        raise


def _start_supervisor(place: Place, start_lock: int) -> None:
    values = {
        "control": place.control, "data": place.data, "socket": place.socket,
        "binaries": place.binaries, "account": place.account, "owner": place.owner,
        "start_lock": start_lock,
    }  # fmt: skip
    root = Path(__file__).resolve().parents[2]
    log = open_log(place.control / "server.log")
    try:
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", KEEPER, str(root),
             json.dumps({k: v and str(v) for k, v in values.items()})],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # a Ctrl-C in the terminal is not meant for the server
            cwd="/",
            env={k: v for k, v in os.environ.items() if k in KEEPER_ENVIRONMENT},
            pass_fds=(start_lock,),
        )  # fmt: skip
    finally:
        os.close(log)
    _keepers.add(keeper.pid)
    # It outlives this process, which must neither wait for it nor complain about it; see _reap.
    keeper.returncode = 0
    assert keeper.stdout is not None
    with keeper.stdout:
        answer = keeper.stdout.readline().decode(errors="replace").strip()
    if answer != "ready":
        reason = answer.removeprefix("failed: ") or "its keeper process was killed"
        raise EmbeddedServerError(f"{reason} ({_log_of(place)})")


def _log_of(place: Place) -> str:
    return f"log: {place.control / 'server.log'}"


def _reap() -> None:
    """Takes note of ended keepers, so that they do not linger as zombies of this process."""
    for pid in list(_keepers):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        _keepers.discard(pid)


def _after_fork() -> None:
    global _joining
    _joining = threading.Lock()  # a thread that does not exist in the child may have held it
    _keepers.clear()


os.register_at_fork(after_in_child=_after_fork)


def _ensure_database(membership: Client) -> None:
    url = membership.url("postgres")
    options: dict[str, Any] = {**url.query, "user": url.username, "dbname": url.database}
    with psycopg.connect(**options, connect_timeout=10, autocommit=True) as connection:
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE])
        if found.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

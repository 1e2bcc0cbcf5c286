"""Using the embedded PostgreSQL: join it (which starts it if need be) and leave it.

All processes of the project share one server per home. Joining takes a shared lock that the kernel
frees when the process ends in whatever way; the last one to go makes the keeper stop the server.
Not here: files and accounts (`place`), the server process (`keeper`), tables and migrations.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from cscart_pipelines.warehouse.keeper import SUPERUSER
from cscart_pipelines.warehouse.place import PORT, Place, find_place

DATABASE = "warehouse"


class EmbeddedServerError(RuntimeError):
    """The embedded server did not start; the message says why and where its log is."""


class Membership:
    """One process's use of the embedded server. `leave` ends it; so does the end of the process."""

    def __init__(self, place: Place, lock: int) -> None:
        self._lock: int | None = lock
        self.place = place

    def url(self, database: str = DATABASE) -> URL:
        return URL.create(
            "postgresql+psycopg",
            username=SUPERUSER,
            database=database,
            query={"host": str(self.place.socket), "port": str(PORT)},
        )

    def leave(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


_memberships: dict[Path, Membership] = {}
_joining = threading.Lock()


def join(home: Path) -> Membership:
    """Joins the server of this home, once per process. Raises EmbeddedServerError, NoPlaceError."""
    with _joining:
        home = home.resolve()
        known = _memberships.get(home)
        if known is None or known._lock is None:
            _memberships[home] = known = _join(home)
        return known


def running(home: Path) -> bool:
    """Whether a keeper holds the server of this home; starts nothing."""
    return _taken(home.resolve() / "postgres" / "keeper.lock")


def _join(home: Path) -> Membership:
    place = find_place(home)
    with _exclusive(place.control / "start.lock"):
        users = _open(place.control / "users.lock")
        # Waits while a keeper is stopping the server: it holds the lock exclusively until it exits.
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            if not _taken(place.control / "keeper.lock"):
                _start_keeper(place)
            membership = Membership(place, users)
            _ensure_database(membership)
        except BaseException:
            os.close(users)
            raise
        return membership


def _start_keeper(place: Place) -> None:
    description = place.control / "place.json"
    values = {
        "control": place.control, "data": place.data, "socket": place.socket,
        "binaries": place.binaries, "account": place.account, "owner": place.owner,
    }  # fmt: skip
    description.write_text(json.dumps({k: v and str(v) for k, v in values.items()}))
    keeper = subprocess.Popen(
        [sys.executable, "-m", "cscart_pipelines.warehouse.keeper", str(description)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C in the terminal is not meant for the server
        cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert keeper.stdout is not None
    with keeper.stdout:
        answer = keeper.stdout.readline().decode().strip()
    if answer != "ready":
        reason = answer.removeprefix("failed: ") or "its keeper ended without a word"
        raise EmbeddedServerError(f"{reason} (log: {place.control / 'server.log'})")
    # The keeper outlives this process; waiting for it in a thread would keep this one alive.
    keeper.returncode = 0


def _ensure_database(membership: Membership) -> None:
    socket = str(membership.place.socket)

    def connect(database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=socket, port=PORT, user=SUPERUSER, dbname=database, connect_timeout=30,
            autocommit=True,
        )  # fmt: skip

    try:
        with connect(DATABASE):
            return
    except psycopg.OperationalError as error:
        if error.sqlstate not in (None, "3D000"):
            raise
    with connect("postgres") as connection, contextlib.suppress(psycopg.errors.DuplicateDatabase):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


# --- locks ---------------------------------------------------------------------------------------


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _taken(path: Path) -> bool:
    if not path.exists():
        return False
    lock = _open(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def wait_until_stopped(home: Path, seconds: float = 30.0) -> bool:
    """Waits for a server that this process has left; False while others still use it."""
    lock = home.resolve() / "postgres" / "keeper.lock"
    deadline = time.monotonic() + seconds
    while _taken(lock):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

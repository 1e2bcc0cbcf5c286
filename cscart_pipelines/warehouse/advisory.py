"""Every advisory lock of the project, and how it is taken, read and released.

PostgreSQL names an advisory lock by a number and frees it with its transaction or its connection,
in whatever way that ends. Not here: what is done under a lock, locks on files (`local_postgres`).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Collection
from enum import StrEnum

import psycopg
from psycopg.rows import tuple_row

from cscart_pipelines.warehouse.driver import Connection

log = logging.getLogger(__name__)
POLL_SECONDS = 0.5
"""How often a wait on the server is interrupted, so that the caller can end it."""

_KEEPALIVES = """
    set_config('tcp_keepalives_idle', '30', false),
    set_config('tcp_keepalives_interval', '10', false),
    set_config('tcp_keepalives_count', '3', false)
"""
"""The server misses a machine that was switched off after a minute, not after two hours, and frees
the locks of its sessions."""


class Lock(StrEnum):
    """The kinds of locks, each held by one session at a time; most are per integration."""

    MIGRATION = "migration"
    LIST_BUILD = "list build"
    """A dbt build of lists and segments: shared, and per integration. An erasure, which must not
    meet one, takes it alone."""
    SYNC = "sync"
    """Per integration: its raw tables are loaded, or an action on it excludes that."""
    SHOP_WRITE = "shop write"
    """Per integration: a push run writes to the shop."""
    ORDER_EXPORT = "order export"
    """Per integration: positions of the export are assigned."""
    FEED = "feed"
    """Per integration and kind of feed."""
    DROP_FOLDER = "drop folder"
    """Per integration."""
    ORDER_PREFIXES = "order prefixes"
    WRITE_KEY = "write key"
    """Per integration."""
    RETENTION = "onsite retention"
    RUN = "run"
    """Per run of Dagster: a process executes it."""

    def number(self, *of: str) -> int:
        """The number of this lock.

        Args:
            of: Distinguishes locks of one kind: the integration, or more.
        """
        name = "\0".join(("cscart-pipelines", self.value, *of))
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def lock(connection: Connection, which: Lock, *of: str) -> None:
    """Waits for a lock, and holds it until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [which.number(*of)])


def try_lock(connection: Connection, which: Lock, *of: str) -> bool:
    """Takes a lock until the transaction ends; false if another session has it."""
    return _ask(connection, "SELECT pg_try_advisory_xact_lock(%s)", which.number(*of))


def try_lock_session(connection: Connection, which: Lock, *of: str, shared: bool = False) -> bool:
    """Takes a lock until `unlock` or the end of the connection; false if another session has it.

    A shared one excludes only those that are not shared.
    """
    function = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
    return _ask(connection, f"SELECT {function}(%s), {_KEEPALIVES}", which.number(*of))


def wait_for_session(
    connection: Connection,
    which: Lock,
    *of: str,
    reason: str,
    shared: bool = False,
    seconds: float | None = None,
    stop: threading.Event | None = None,
) -> bool:
    """Takes a lock of the session, at once or when its holder is done.

    Args:
        connection: In autocommit mode; it holds the lock from then on.
        which: The kind of the lock.
        of: As in `Lock.number`.
        reason: What is waited for, for people. A record of this module's logger has it as `wait`
            when the wait begins, and None when it is over.
        shared: Excludes only those that take the lock for themselves alone.
        seconds: How long at most; None waits for ever, 0 does not wait.
        stop: Ends the wait when it is set.

    Returns:
        Whether the lock was taken.
    """
    if try_lock_session(connection, which, *of, shared=shared):
        return True
    if seconds is not None and seconds <= 0:
        return False
    deadline = None if seconds is None else time.monotonic() + seconds
    limit = "" if seconds is None else f", for at most {seconds / 60:.0f} minutes"
    log.warning("Waiting: %s%s", reason, limit, extra={"wait": reason, "at_most": seconds})
    try:
        while not (stop and stop.is_set()) and (deadline is None or time.monotonic() < deadline):
            if _locked_within(connection, which.number(*of), shared=shared):
                return True
        return False
    finally:
        log.info("The wait is over: %s", reason, extra={"wait": None})


def unlock(connection: Connection, which: Lock, *of: str, shared: bool = False) -> None:
    """Releases a lock of the session; a connection that is lost has released it already."""
    function = "pg_advisory_unlock_shared" if shared else "pg_advisory_unlock"
    with contextlib.suppress(psycopg.Error):
        connection.execute(f"SELECT {function}(%s)".encode(), [which.number(*of)])


def holders(connection: Connection, which: Lock, of: Collection[str]) -> dict[str, int]:
    """Returns which of these have their lock held, with the backend process id of the holder."""
    numbers = {which.number(one): one for one in of}
    rows = connection.cursor(row_factory=tuple_row).execute(
        """
        SELECT (classid::bigint << 32) | objid::bigint, pid FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND (classid::bigint << 32) | objid::bigint = ANY(%s)
        """,
        [list(numbers)],
    )
    return {numbers[number]: pid for number, pid in rows.fetchall()}


def end_holder(connection: Connection, which: Lock, of: str) -> None:
    """Ends the session that holds a lock; its process notices at its next statement."""
    for pid in holders(connection, which, [of]).values():
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])


def _ask(connection: Connection, query: str, number: int) -> bool:
    row = connection.cursor(row_factory=tuple_row).execute(query.encode(), [number]).fetchone()
    return bool(row and row[0])


def _locked_within(connection: Connection, number: int, *, shared: bool) -> bool:
    function = "pg_advisory_lock_shared" if shared else "pg_advisory_lock"
    try:
        with connection.transaction():
            milliseconds = f"{POLL_SECONDS * 1000:.0f}"
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [milliseconds])
            connection.execute(f"SELECT {function}(%s)".encode(), [number])
    except psycopg.errors.LockNotAvailable:
        return False
    return True

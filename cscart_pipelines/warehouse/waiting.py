"""Advisory locks of the database that are waited for: the wait is told, and it can be ended.

Not here: which lock means what (the module that takes it), locks on files (`locks`).
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import psycopg

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.5
"""The server does the waiting; so often it is asked again, and the caller may end the wait."""


def wait_for_lock(
    connection: psycopg.Connection[Any],
    number: str,
    arguments: list[Any],
    *,
    reason: str,
    seconds: float | None = None,
    stop: threading.Event | None = None,
) -> bool:
    """Takes an advisory lock of the session, at once or when its holder is done.

    Args:
        connection: in autocommit mode; it holds the lock from then on.
        number: SQL for the number of the lock, with placeholders for `arguments`.
        reason: what is waited for, as a person would say it. A record of this module's logger
            carries it as `wait` when the wait begins, and None when it is over.
        seconds: how long at most; None waits for ever, 0 does not wait.
        stop: ends the wait when it is set.

    Returns:
        Whether the lock was taken.
    """
    query = f"SELECT pg_try_advisory_lock({number})"
    row = connection.execute(query.encode(), arguments).fetchone()
    if row and row[0]:
        return True
    if seconds is not None and seconds <= 0:
        return False
    deadline = None if seconds is None else time.monotonic() + seconds
    limit = "" if seconds is None else f", for at most {seconds / 60:.0f} minutes"
    log.warning("Waiting: %s%s", reason, limit, extra={"wait": reason, "at_most": seconds})
    try:
        while not (stop and stop.is_set()) and (deadline is None or time.monotonic() < deadline):
            if _locked_within(connection, number, arguments):
                return True
        return False
    finally:
        log.info("The wait is over: %s", reason, extra={"wait": None})


def _locked_within(connection: psycopg.Connection[Any], number: str, arguments: list[Any]) -> bool:
    try:
        with connection.transaction():
            milliseconds = f"{LOOK_SECONDS * 1000:.0f}"
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [milliseconds])
            connection.execute(f"SELECT pg_advisory_lock({number})".encode(), arguments)
    except psycopg.errors.LockNotAvailable:
        return False
    return True

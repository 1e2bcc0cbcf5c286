"""Locks that the kernel frees when their holder ends, in whatever way it ends.

All of them are `flock` on files in one folder per home; `client` tells in which order they are
taken. Not here: what is done under a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

START = "start.lock"
"""Held exclusively by the one process that connects to, starts or removes a server."""
USERS = "users.lock"
"""Held shared by every user, exclusively by a supervisor that is stopping the server."""
SUPERVISOR = "supervisor.lock"
"""Held exclusively by the supervisor, from before the server starts until after it has stopped."""


def open_lock(path: Path) -> int:
    """Opens a lock file. The descriptor is not inherited by programs that this process starts."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """Waits for the lock and holds it.

    Yields:
        The descriptor of the lock, which may be handed to a child: the child then holds it too.

    Raises:
        FileNotFoundError: The folder was removed during the wait.
    """
    while True:
        lock = open_lock(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _still_there(lock, path):
                yield lock
                return
        finally:
            os.close(lock)  # not unlocked: a child that was handed the descriptor keeps the lock


def _still_there(lock: int, path: Path) -> bool:
    """False if the folder was removed and made again: then the lock excludes no process."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False


def taken(path: Path) -> bool:
    """Tells whether a process holds the lock exclusively.

    The test takes the lock shared for a moment: that passes other tests, and a supervisor waits
    until it is over.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False

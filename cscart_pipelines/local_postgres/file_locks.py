"""Locks that the kernel frees when their holder ends, in whatever way it ends.

All of them are `flock` on files in one folder per home; who holds which is told in `embedded`. Not
here: what is done under a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

START = "start.lock"
"""Held exclusively by whoever joins, starts or removes a server, one at a time."""
USERS = "users.lock"
"""Held shared by every user, exclusively by a keeper that is stopping the server."""
KEEPER = "keeper.lock"
"""Held exclusively by the keeper, from before the server starts until after it has stopped."""


def open_lock(path: Path) -> int:
    """A descriptor that is not inherited by programs this process starts."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """Waits for the lock and holds it; gives its descriptor, which may be handed to a child.

    Raises FileNotFoundError when the folder went away while waiting.
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
    """The folder may have been removed and made again: then the lock we waited for is nobody's."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False


def taken(path: Path) -> bool:
    """Whether somebody holds the lock exclusively. Probing never looks like holding.

    A shared probe passes other probes, and the keeper waits the moment until it is gone.
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

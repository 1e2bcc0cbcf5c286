"""Ends the services of a command that could not do so itself: `python -m …guardian`.

A command that is killed, or whose terminal closes, would leave them behind, with their ports and
the embedded server. Each line of standard input has the numbers of the processes that run now; it
is closed when the command ends, in whatever way. Not here: how a command stops them itself
(`child_processes`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

STOP_SECONDS = 20
"""For a process to end by itself, on a busy machine too: a process of Dagster that is killed leaves
a socket in the folder for temporary files. A run may be cut anywhere."""


def main() -> None:
    """Waits for the end of the command, then ends what it has left."""
    left: set[int] = set()
    for line in sys.stdin:
        left = set(map(int, line.split()))
    for number in left:
        _send(number, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while any(_is_alive(number) for number in left):
        if time.monotonic() > deadline:
            for number in left:
                _send(number, signal.SIGKILL, group=True)
            return
        time.sleep(0.1)


def _is_alive(number: int) -> bool:
    """Tells whether a process of this number leads a group, as services do."""
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(number) == number
    return False


def _send(number: int, what: signal.Signals, *, group: bool = False) -> None:
    if _is_alive(number):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            (os.killpg if group else os.kill)(number, what)


if __name__ == "__main__":
    main()

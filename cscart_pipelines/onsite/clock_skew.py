"""When an event really happened: the browser's stamp, less the error of the browser's clock. Pure.

A batch says when it was sent by the same clock that stamped its events; what that differs from the
moment of arrival is the clock's error (the way takes far less than the tolerance). Milliseconds
since 1970 everywhere.
"""

from __future__ import annotations

TOLERANCE = 2_000
"""A smaller difference may be the way of the request: the stamp is believed."""
OLDEST = 7 * 86_400_000
"""Events that waited in a browser for longer are no news."""
AHEAD = 60_000

TOO_OLD = "too old"
IN_THE_FUTURE = "in the future"


def occurred(at: int, sent_at: int, received: int) -> int | str:
    """When an event stamped `at` happened by our clock, or why it cannot have (the reason)."""
    error = received - sent_at
    moment = at + error if abs(error) > TOLERANCE else at
    if moment < received - OLDEST:
        return TOO_OLD
    if moment > received + AHEAD:
        return IN_THE_FUTURE
    return moment

"""When an event happened: the browser's time stamp, less the error of the browser's clock. Pure.

A batch carries the time of sending by the clock that stamped its events; the difference to the time
of arrival is the clock's error (the transfer takes far less than the tolerance). Milliseconds since
1970 everywhere.
"""

from __future__ import annotations

TOLERANCE = 2_000
"""A smaller difference may be the transfer: the time stamp is taken as it is."""
OLDEST = 7 * 86_400_000
"""Events that waited in a browser for longer are refused."""
AHEAD = 60_000

TOO_OLD = "too old"
IN_THE_FUTURE = "in the future"


def occurred(at: int, sent_at: int, received: int) -> int | str:
    """When an event happened, by the collector's clock.

    Args:
        at: The event's time by the browser's clock.
        sent_at: The batch's time of sending by the browser's clock.
        received: Its arrival by the collector's clock.

    Returns:
        The time, or the reason why the event is refused.
    """
    error = received - sent_at
    moment = at + error if abs(error) > TOLERANCE else at
    if moment < received - OLDEST:
        return TOO_OLD
    if moment > received + AHEAD:
        return IN_THE_FUTURE
    return moment

"""The time on the shop's clock, and the bounds of it where the shop does not tell.

Windows and watermarks are on the shop's clock, because it stamps the changes (reference 14). Not
here: which windows (`orders.windows`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

UNCERTAIN = timedelta(days=1)
"""How far off the clock of a shop that sends no Date header may be: more than any time zone."""


@dataclass(frozen=True)
class ShopTime:
    """What is known about one moment on the shop's clock."""

    earliest: datetime
    """The shop's time is not before this: a watermark can stand here."""
    latest: datetime
    """The shop's time is not after this: a window that ends here leaves nothing out."""


class ShopClock:
    """The shop's time, from the Date header of its answers.

    The header is cut to the second, so the computed time is never ahead of the shop.

    Args:
        ask: Fetches a Date header, for when the time is wanted before any answer came.
        now: Our clock, in UTC.
    """

    def __init__(
        self,
        ask: Callable[[], datetime | None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ask = ask
        self._now = now
        self._asked = False
        self._ahead: timedelta | None = None

    def observe(self, date: datetime | None) -> None:
        """Takes the Date header of an answer that has just come. Safe from any thread."""
        if date is not None:
            self._ahead = date - self._now()

    def now(self) -> ShopTime:
        """Returns the shop's present time: UTC, whole seconds. Asks the shop once if need be."""
        if self._ahead is None and not self._asked:
            self._asked = True
            self.observe(self._ask())
        return self.at(self._now())

    def at(self, ours: datetime) -> ShopTime:
        """Returns what the shop's clock showed when ours showed `ours`."""
        if self._ahead is None:
            ours = ours.replace(microsecond=0)
            return ShopTime(ours - UNCERTAIN, ours + UNCERTAIN)
        theirs = (ours + self._ahead).replace(microsecond=0)
        return ShopTime(theirs, theirs)

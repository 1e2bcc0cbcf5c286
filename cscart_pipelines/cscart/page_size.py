"""The number of rows per page: smaller after failures, larger again after good pages.

Not here: which page comes next (`paginator`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_MOST_GOOD_PAGES = 64


class AdaptivePageSize:
    """The current page size, from a chain in which each size divides the one before.

    Because of the chain a position that is a multiple of a size is one of every smaller size too:
    the size can shrink at any position, and grow at one that is a multiple of the larger size. It
    grows at once if one broken row explained the failures. After unexplained failures (a slow shop)
    1, 2, 4 … good pages, up to 64, must come before the larger size is tried again.
    """

    def __init__(self, size: int, sizes: Sequence[int]) -> None:
        chain = sorted({size, *(s for s in sizes if s < size), 1}, reverse=True)
        for larger, smaller in pairwise(chain):
            if smaller < 1 or larger % smaller:
                raise ValueError(f"page sizes must divide each other: {larger}, {smaller}")
        self._chain = chain
        self._at = 0
        self._patience = 0
        self._good = 0

    @property
    def size(self) -> int:
        """Rows of the next page."""
        return self._chain[self._at]

    def shrink(self) -> bool:
        """Takes the next smaller size; returns False if there is none."""
        self._good = 0
        if self._at == len(self._chain) - 1:
            return False
        self._at += 1
        self._patience = min(max(1, 2 * self._patience), _MOST_GOOD_PAGES)
        return True

    def passed(self, size: int, remaining: int) -> None:
        """Counts a page of `size` that was read, with `remaining` positions left; may grow."""
        if size == self._chain[0]:
            self._patience = 0
        self._good += 1
        if self._good >= self._patience:
            self._grow(remaining)

    def passed_unreadable(self, remaining: int) -> None:
        """Ends the effect of failures whose cause was one broken row, which is skipped now."""
        self._patience = 0
        self._grow(remaining)

    def _grow(self, remaining: int) -> None:
        while self._at > 0 and remaining % self._chain[self._at - 1] == 0:
            self._at -= 1
            if self._patience:
                self._good = 0
                return

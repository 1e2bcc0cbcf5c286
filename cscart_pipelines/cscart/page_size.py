"""How many rows a page may have: smaller after failures, larger again when that is sensible.

Only the choice of a size; which page comes next is the walk's business (`paginator`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_LONGEST_PATIENCE = 64


class AdaptivePageSize:
    """The current page size, from a chain in which each size divides the one before.

    Because of the chain a position that is a multiple of a size is one of every smaller size too:
    the walk shrinks where it stands, and grows when its position fits. After a failure that one
    broken row explains, it grows as soon as it fits. After one that nothing explains (a slow
    shop), it waits for 1, 2, 4 … good pages, up to 64, before it tries the larger size again.
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
        """Rows per page now."""
        return self._chain[self._at]

    def shrink(self) -> bool:
        """Take the next smaller size; False if there is none."""
        self._good = 0
        if self._at == len(self._chain) - 1:
            return False
        self._at += 1
        self._patience = min(max(1, 2 * self._patience), _LONGEST_PATIENCE)
        return True

    def passed(self, size: int, remaining: int) -> None:
        """A page of `size` was read, and `remaining` positions are left."""
        if size == self._chain[0]:
            self._patience = 0
        self._good += 1
        if self._good >= self._patience:
            self._grow(remaining)

    def passed_unreadable(self, remaining: int) -> None:
        """The failures had one broken row as their cause, and it lies behind."""
        self._patience = 0
        self._grow(remaining)

    def _grow(self, remaining: int) -> None:
        while self._at > 0 and remaining % self._chain[self._at - 1] == 0:
            self._at -= 1
            if self._patience:
                self._good = 0
                return

"""Reads all pages of a list from the last to the first, so that no row is lost while it changes.

Here belongs the order in which pages are read and what counts as read. Not here: requests (`lists`
makes the `fetch`), what rows mean, and keys: a row may come twice, and the merge by key makes that
harmless. Nothing of the rows is kept, so memory does not grow with the shop.

A list is OFFSET/LIMIT over rows sorted by id ascending, counted anew for every page (reference
6.5). Its rows may leave at any time, which pulls all later rows down. Read from the first page to
the last, a row would slip into a page already read, and be missed. So the pages are read from the
last to the first: what slips, slips into pages still to be read. The whole state is `remaining`,
the number of positions not yet read: every row that was there at the start and still is has either
been yielded or stands below that position. A paginator that continues from it loses nothing.

Two kinds of list:

- A window that can only shrink (orders whose `updated_at` lies in a span that is over). If its
  total grows all the same, as many positions are read again.
- A list whose tail grows (users, shipments, products: there is no filter by time). New rows have
  larger ids and are appended, so they move no other row, and the rows that were there are read as
  above. At the end the pages from the smallest total on are read again, once: that shows what was
  appended. Rows missed even then (some left and some came within one request, or after the last
  one) are new since the start, and the next reading finds them.

The first answer has the total. If it came from page 1 of several, its rows are yielded, but the
page was read before the others: it is read again at the end if the total has changed since, and
always where the tail grows, since there a departure may hide behind an arrival. One answer is
taken for one moment: the shop counts and reads in two queries milliseconds apart.

It ends by construction, since `remaining` only falls (it rises only with a new highest
total), whatever a shop answers for a page past the end: nothing, or its last page again
(reference 6.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from cscart_pipelines.cscart.errors import TransientShopError
from cscart_pipelines.cscart.page_size import AdaptivePageSize

R = TypeVar("R")


@dataclass(frozen=True)
class ListAnswer(Generic[R]):
    """One page as the shop sent it.

    `total`: the shop's total_items. `page`: its own number of the page, None if not sent; less than
    the page requested if the last page is repeated (reference 6.3). `date`: the shop's clock.
    `cut`: it has fewer rows than it should.
    """

    rows: list[R]
    total: int
    page: int | None = None
    date: datetime | None = None
    cut: bool = False


@dataclass(frozen=True)
class Page(Generic[R]):
    """Rows to store, and the position from which to continue once they are stored.

    `remaining`: positions still unread; store it with the rows, in one transaction. `number`,
    `size`: the page asked for. `total`: the list's length as of this page, `date`: the shop's
    clock then. `rows` may be empty.
    """

    rows: list[R]
    remaining: int
    total: int
    number: int
    size: int
    date: datetime | None = None


Fetch = Callable[[int, int], ListAnswer[R]]
"""Asks for (page, size); raises TransientShopError after its own retries."""
_Request = tuple[int, int]
_Outcome = ListAnswer[R] | TransientShopError
_Pending = Callable[[], list[_Outcome[R]]]

PAST_THE_END = 100_000_000
"""A page that no list has. There the order list is empty, so that no row can break the answer."""
MAX_UNREADABLE_IN_A_ROW = 10
"""After so many unreadable rows in a row the shop counts as broken, and the error is raised."""


class ReverseOffsetPaginator(Generic[R]):
    """Yields Pages until every position has been read; to be iterated once.

    A row that fails alone is skipped: `identify` reads its id, `on_unreadable` is called and an
    empty Page follows. If `identify` fails as well, another page is requested: if that comes, the
    row has no id for us, else the shop is down, and the error is raised.

    Args:
        fetch: Reads a page: (page, size) to ListAnswer.
        size: Rows per page to start with.
        sizes: Those it may shrink to, each a divisor of the one before.
        remaining: Where to continue; None from the end of the list.
        expected_total: The first request is for the page that would then be the last.
        growing_tail: New rows may be appended meanwhile.
        max_parallel: Pages requested at once (1: no threads); of a growing list one at a time, but
            ahead of the consumer.
        identify: Reads the id at a position (from 0) of the list without details; None if no row
            is there any more.
        on_unreadable: Is called with (id, position, reason); the id is None if it cannot be read.

    Raises:
        ShopError: As `fetch` raises.
    """

    def __init__(
        self,
        fetch: Fetch[R],
        *,
        size: int = 50,
        sizes: Sequence[int] = (50, 25, 5, 1),
        remaining: int | None = None,
        expected_total: int | None = None,
        growing_tail: bool = False,
        max_parallel: int = 1,
        identify: Callable[[int], int | str | None] | None = None,
        on_unreadable: Callable[[int | str | None, int, str], object] | None = None,
    ) -> None:
        self._fetch = fetch
        self._sizes = AdaptivePageSize(size, sizes)
        self.remaining = remaining
        self._expected_total = expected_total
        self._growing = growing_tail
        self._width = max(1, max_parallel)
        self._identify = identify
        self._on_unreadable = on_unreadable
        self._threads: ThreadPoolExecutor | None = None
        self.total: int | None = None  # of the latest answer
        self._highest = 0
        self._lowest = 0
        self._head = 0  # positions below this were read first, by the opening request
        self._head_is_stale = growing_tail
        self._sequential_down_to: int | None = None  # pages above it are read one by one
        self._unreadable_in_a_row = 0

    def __iter__(self) -> Iterator[Page[R]]:
        with ExitStack() as stack:
            if self._width > 1:
                self._threads = ThreadPoolExecutor(self._width, "pages")
                stack.callback(self._threads.shutdown, wait=False, cancel_futures=True)
            if self.remaining is None:
                yield from self._open()
            yield from self._descend()
            if self._growing:
                yield from self._read_tail()

    # --- the first request ------------------------------------------------------------------------

    def _open(self) -> Iterator[Page[R]]:
        """Reads the total, with page 1 or the page expected to be the last."""
        while True:
            size = self._sizes.size
            number = max(1, -(-(self._expected_total or 0) // size))
            try:
                answer = self._fetch(number, size)
                if not (answer.cut and self._sizes.shrink()):
                    break
            except TransientShopError as error:
                if not error.lighter_may_help:
                    raise
                if not self._sizes.shrink():
                    answer = self._ask_elsewhere(number, error)
                    number = 0
                    break
        self._note_total(answer)
        total = self.remaining = answer.total
        last = -(-total // size)
        if number and number >= last:
            yield self._accept(answer, number, size)
        elif number == 1:
            self._head = size
            yield Page(answer.rows, total, total, 1, size, answer.date)
        # Otherwise the list is longer than expected: that page comes again in its turn.

    def _ask_elsewhere(self, number: int, error: TransientShopError) -> ListAnswer[R]:
        """Reads the total past the end, or on another page, if the one requested is broken.

        Past the end an order list is empty, so that no row can break it; other lists repeat their
        last row, which may be as broken.
        """
        for page in (PAST_THE_END, 2 if number == 1 else 1):
            try:
                return self._fetch(page, 1)
            except TransientShopError:
                continue
        raise error

    # --- from the last page to the first ----------------------------------------------------------

    def _descend(self) -> Iterator[Page[R]]:
        asked = self._next()
        pending = self._submit(asked)
        while asked:
            pages = self._digest(asked, pending())
            asked = self._next()
            pending = self._submit(asked)  # requested while the consumer stores these rows
            yield from pages

    def _next(self) -> list[_Request]:
        """Returns the pages to request at once, from the highest down; none if all is read."""
        remaining = self.remaining or 0
        if remaining <= 0:
            return []
        size = self._sizes.size
        last = -(-remaining // size)
        width = self._width
        if self._growing or self.total is None or size == 1:
            width = 1
        elif self._sequential_down_to is not None:
            if remaining > self._sequential_down_to:
                width = 1
            else:
                self._sequential_down_to = None
        first = max(1, last - width + 1)
        if self._head and not self._head_is_stale:
            first = max(first, min(last, self._head // size + 1))
        return [(number, size) for number in range(last, first - 1, -1)]

    def _digest(self, asked: list[_Request], outcomes: list[_Outcome[R]]) -> list[Page[R]]:
        """Returns the pages that count as read; `_next` requests the others again."""
        if len(asked) == 1:
            (number, size), outcome = asked[0], outcomes[0]
            if isinstance(outcome, TransientShopError):
                return self._retry_smaller(number, size, outcome)
            if outcome.cut and self._sizes.shrink():
                return []
            return [self._accept(outcome, number, size)]
        # Pages read at the same time count only if no row left meanwhile. Otherwise a row may have
        # slipped from a page not yet read into one already read: read them again, one by one.
        for outcome in outcomes:
            if isinstance(outcome, TransientShopError) and not outcome.lighter_may_help:
                raise outcome
        answers = [o for o in outcomes if not isinstance(o, TransientShopError)]
        if any(answer.cut for answer in answers) and self._sizes.shrink():
            return []
        if len(answers) < len(asked) or any(a.total != self.total for a in answers):
            self._sequential_down_to = (asked[-1][0] - 1) * asked[-1][1]
            return []
        return [self._accept(answer, *page) for page, answer in zip(asked, answers, strict=True)]

    def _accept(self, answer: ListAnswer[R], number: int, size: int) -> Page[R]:
        """Counts a page as read."""
        before = self.remaining or 0
        grown = 0 if self._growing or self.total is None else answer.total - self._highest
        self._note_total(answer)
        self._unreadable_in_a_row = 0
        really = number
        if answer.page is not None and 1 <= answer.page < number:
            really = answer.page
        remaining = (really - 1) * size
        if not answer.rows or remaining >= answer.total:
            remaining = min(remaining, answer.total)  # asked past the end: the list got shorter
        if grown > 0:
            # No window should grow; if it does, unread rows moved up by as many positions.
            remaining = min(max(before, remaining) + grown, answer.total)
        remaining = self._settle(remaining)
        self._sizes.passed(size, remaining)
        return Page(answer.rows, remaining, answer.total, number, size, answer.date)

    def _settle(self, remaining: int) -> int:
        """Sets the state; the pages of the first request are done unless the list has changed."""
        if remaining <= self._head and not self._head_is_stale:
            remaining = 0
        self.remaining = remaining
        return remaining

    def _note_total(self, answer: ListAnswer[R]) -> None:
        if self.total is None:
            self._highest = self._lowest = answer.total
        elif answer.total != self.total:
            self._head_is_stale = True
        self.total = answer.total
        self._highest = max(self._highest, answer.total)
        self._lowest = min(self._lowest, answer.total)

    # --- pages that fail --------------------------------------------------------------------------

    def _retry_smaller(self, number: int, size: int, error: TransientShopError) -> list[Page[R]]:
        """After a failure takes a smaller page, or skips the one broken row (reference 15)."""
        if not error.lighter_may_help:
            raise error
        if self._sizes.shrink():
            return []
        position = number - 1
        found = self._name(number)
        try:
            return [self._accept(self._fetch(number, size), number, size)]
        except TransientShopError as again:
            self._unreadable_in_a_row += 1
            if not again.lighter_may_help or self._unreadable_in_a_row >= MAX_UNREADABLE_IN_A_ROW:
                raise
            reason = again.message
        if self._on_unreadable is not None:
            self._on_unreadable(found, position, reason)
        self._sizes.passed_unreadable(position)
        return [Page([], self._settle(position), self.total or 0, number, size)]

    def _name(self, number: int) -> int | str | None:
        """Returns the id of a row that fails; None if it fails without its details too."""
        if self._identify is None:
            return None
        try:
            return self._identify(number - 1)
        except TransientShopError as error:
            if not error.lighter_may_help:
                raise
            self._ask_elsewhere(number, error)
            return None

    # --- what was appended ------------------------------------------------------------------------

    def _read_tail(self) -> Iterator[Page[R]]:
        """Reads again from the smallest total to the latest, if the list has grown."""
        if self.total is None or self.total <= self._lowest:
            return
        position = self._lowest
        while position < self.total:
            size = self._sizes.size
            number = position // size + 1
            try:
                answer = self._fetch(number, size)
            except TransientShopError as error:
                if error.lighter_may_help:
                    return  # only rows that are new since the start: the next reading finds them
                raise
            if answer.cut and self._sizes.shrink():
                continue
            position = number * size
            yield Page(answer.rows, 0, answer.total, number, size, answer.date)

    # --- sending ----------------------------------------------------------------------------------

    def _submit(self, asked: list[_Request]) -> _Pending[R]:
        """Requests pages; a call of the result waits for their outcomes."""
        threads = self._threads
        if threads is None:
            return lambda: [self._try(*page) for page in asked]
        futures = [threads.submit(self._try, *page) for page in asked]
        return lambda: [future.result() for future in futures]

    def _try(self, number: int, size: int) -> _Outcome[R]:
        try:
            return self._fetch(number, size)
        except TransientShopError as error:
            return error

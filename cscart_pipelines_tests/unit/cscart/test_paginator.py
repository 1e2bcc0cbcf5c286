"""The paginator: whatever a shop does between two page reads, no row that stays is missed."""

from __future__ import annotations

import random
import threading
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.cscart.errors import (
    CredentialsRefusedError,
    TransientShopError,
    UnreachableError,
)
from cscart_pipelines.cscart.paginator import (
    MAX_UNREADABLE_IN_A_ROW,
    ListAnswer,
    Page,
    ReverseOffsetPaginator,
)
from cscart_pipelines_tests.support.examples import examples

SIZES = (10, 5, 1)


class ModelShop:
    """A list of ids in ascending order; before every read, rows may leave or be appended."""

    def __init__(self, count, *, script=(), past_end="empty", poison=(), seed=0):
        self.rows = list(range(1, count + 1))
        self.next_id = count + 1
        self.script = list(script)
        self.past_end = past_end
        self.poison = set(poison)
        self.chance = random.Random(seed)
        self.reads = []
        self.failing = lambda page, size: False
        self.lock = threading.Lock()

    def live(self):
        for kind, where in self.script.pop(0) if self.script else ():
            if kind == "leave" and self.rows:
                del self.rows[where % len(self.rows)]
            elif kind == "append":
                self.rows.append(self.next_id)
                self.next_id += 1

    def fetch(self, page, size):
        with self.lock:
            self.live()
            self.reads.append((page, size))
            assert len(self.reads) < 5000, "the paginator does not end"
            if self.failing(page, size):
                raise TransientShopError("crash page", cause="server")
            total = len(self.rows)
            last = max(1, -(-total // size))
            told = page
            if page > last and self.past_end != "empty":
                page = last
                told = last if self.past_end == "repeat" else None
            found = self.rows[(page - 1) * size : page * size]
            if self.poison & set(found):
                raise TransientShopError("crash page", cause="server")
            return ListAnswer(found, total, told)

    def identify(self, position):
        return self.rows[position] if position < len(self.rows) else None


class ShuffledPaginator(ReverseOffsetPaginator):
    """Reads a batch's pages in any order, as threads would, but the same way every time."""

    chance = random.Random(0)

    def _submit(self, asked):
        order = list(range(len(asked)))
        self.chance.shuffle(order)
        if self.chance.random() < 0.5:  # now, or when the consumer is done with the page before
            outcomes = {i: self._try(*asked[i]) for i in order}
            return lambda: [outcomes[i] for i in range(len(asked))]

        def later():
            outcomes = {i: self._try(*asked[i]) for i in order}
            return [outcomes[i] for i in range(len(asked))]

        return later


def paginate(shop, cls=ReverseOffsetPaginator, **options):
    options = {"size": 10, "sizes": SIZES, **options}
    return cls(shop.fetch, **options)


def read(pages):
    return [row for page in pages for row in page.rows]


leaving = st.tuples(st.just("leave"), st.integers(0, 99))
appending = st.tuples(st.just("append"), st.just(0))


def scripts(op):
    return st.lists(st.lists(op, max_size=4), max_size=30)


past_ends = st.sampled_from(["empty", "repeat", "repeat silently"])
expectations = st.none() | st.integers(0, 90)


# --- what is read, when nothing happens ----------------------------------------------------------


def test_a_list_that_fits_into_a_page_is_one_request():
    shop = ModelShop(10)
    pages = list(paginate(shop))
    assert shop.reads == [(1, 10)]
    assert pages == [Page(list(range(1, 11)), remaining=0, total=10, number=1, size=10)]


def test_an_empty_list_is_one_request():
    shop = ModelShop(0)
    assert read(paginate(shop)) == []
    assert len(shop.reads) == 1


def test_page_1_then_last_to_first_and_page_1_not_again_when_nothing_changed():
    shop = ModelShop(35)
    pages = list(paginate(shop))
    assert [number for number, _ in shop.reads] == [1, 4, 3, 2]
    assert [page.remaining for page in pages] == [35, 30, 20, 0]
    assert sorted(read(pages)) == shop.rows


def test_page_1_is_read_again_when_the_total_shrank():
    shop = ModelShop(35, script=[[], [], [("leave", 0)]])
    pages = list(paginate(shop))
    assert [number for number, _ in shop.reads] == [1, 4, 3, 2, 1]
    assert set(shop.rows) <= set(read(pages))


def test_a_growing_list_reads_page_1_again_and_what_was_appended():
    shop = ModelShop(35, script=[[], [], [("append", 0)] * 7])
    pages = list(paginate(shop, growing_tail=True))
    assert [number for number, _ in shop.reads] == [1, 4, 3, 2, 1, 4, 5]
    assert set(shop.rows) == set(read(pages))


def test_a_right_expectation_saves_the_first_page():
    shop = ModelShop(35)
    pages = list(paginate(shop, expected_total=33))
    assert [number for number, _ in shop.reads] == [4, 3, 2, 1]
    assert sorted(read(pages)) == shop.rows


@pytest.mark.parametrize("past_end", ["empty", "repeat", "repeat silently"])
@pytest.mark.parametrize("expected", [0, 5, 20, 60])
def test_a_wrong_expectation_costs_requests_but_no_rows(past_end, expected):
    shop = ModelShop(35, past_end=past_end)
    assert set(read(paginate(shop, expected_total=expected))) == set(shop.rows)
    assert len(shop.reads) <= 6


def test_going_on_starts_at_the_page_of_the_highest_unread_position():
    shop = ModelShop(35)
    pages = list(paginate(shop, remaining=17))
    assert [number for number, _ in shop.reads] == [2, 1]
    assert pages[-1].remaining == 0
    assert set(range(1, 18)) <= set(read(pages))


def test_a_finished_paginator_that_goes_on_asks_nothing():
    shop = ModelShop(35)
    assert list(paginate(shop, remaining=0, growing_tail=True)) == []
    assert shop.reads == []


def test_page_sizes_must_divide_each_other():
    with pytest.raises(ValueError, match="divide"):
        ReverseOffsetPaginator(ModelShop(1).fetch, size=50, sizes=(50, 20, 1))


# --- properties ----------------------------------------------------------------------------------


@given(st.integers(0, 80), scripts(leaving), past_ends, expectations)
def test_a_shrinking_window_loses_nothing(count, script, past_end, expected):
    shop = ModelShop(count, script=script, past_end=past_end)
    pages = list(paginate(shop, expected_total=expected))
    assert set(shop.rows) <= set(read(pages))
    assert pages[-1].remaining == 0
    assert [p.remaining for p in pages] == sorted((p.remaining for p in pages), reverse=True)


@given(st.integers(0, 80), scripts(leaving | appending), past_ends, expectations)
def test_a_growing_list_loses_nothing_that_was_there_at_the_start(
    count, script, past_end, expected
):
    shop = ModelShop(count, script=script, past_end=past_end)
    pages = list(paginate(shop, growing_tail=True, expected_total=expected))
    stayed = {row for row in shop.rows if row <= count}
    assert stayed <= set(read(pages))


@given(st.integers(0, 200), scripts(leaving), st.integers(2, 5), st.integers(0, 999))
def test_reading_pages_at_once_loses_nothing(count, script, width, seed):
    shop = ModelShop(count, script=script)
    shuffled = paginate(shop, ShuffledPaginator, max_parallel=width)
    shuffled.chance = random.Random(seed)
    rows = set(read(shuffled))
    assert set(shop.rows) <= rows


@given(
    st.integers(0, 80),
    scripts(leaving),
    past_ends,
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=4),
    st.sampled_from([(10, 5, 1), (20, 10, 5, 1), (4, 2, 1), (7, 1)]),
)
def test_going_on_after_crashes_anywhere_loses_nothing(count, script, past_end, crashes, sizes):
    shop = ModelShop(count, script=script, past_end=past_end)
    stored, remaining = set(), None
    for pages_until, stored_the_last in crashes:
        run = iter(paginate(shop, size=sizes[0], sizes=sizes, remaining=remaining))
        pages = list(islice(run, pages_until))
        run.close()
        for page in pages if stored_the_last else pages[:-1]:
            stored |= set(page.rows)
            remaining = page.remaining
    stored |= set(read(paginate(shop, remaining=remaining)))
    assert set(shop.rows) <= stored


@given(st.integers(0, 80), scripts(leaving), st.integers(0, 999), st.floats(0, 0.9))
def test_failing_pages_lose_nothing(count, script, seed, often):
    shop = ModelShop(count, script=script)
    chance = random.Random(seed)
    shop.failing = lambda page, size: size > 1 and chance.random() < often
    rows = set(read(paginate(shop, max_parallel=1)))
    assert set(shop.rows) <= rows
    shop = ModelShop(count, script=script)
    rows = set(read(paginate(shop, ShuffledPaginator, max_parallel=3)))
    assert set(shop.rows) <= rows


@given(st.integers(1, 80), st.data(), scripts(leaving), expectations)
@examples(200)
def test_broken_rows_are_set_aside_and_nothing_else(count, data, script, expected):
    # Fewer than would be taken for a broken shop, wherever they stand.
    poison = data.draw(st.sets(st.integers(1, count), max_size=MAX_UNREADABLE_IN_A_ROW - 2))
    shop = ModelShop(count, script=script, poison=poison)
    aside = []
    pages = paginate(
        shop,
        expected_total=expected,
        identify=shop.identify,
        on_unreadable=lambda id, position, reason: aside.append((id, position, reason)),
    )
    rows = set(read(pages))
    assert set(shop.rows) - poison <= rows
    assert not poison & rows
    if not script:
        assert {id for id, _, _ in aside} == poison
        assert all(position == id - 1 for id, position, _ in aside)


# --- sizes ---------------------------------------------------------------------------------------


def test_one_broken_row_costs_few_requests_and_the_size_recovers():
    shop = ModelShop(2000, poison={1003})
    aside = []
    pages = list(
        ReverseOffsetPaginator(
            shop.fetch,
            size=50,
            identify=shop.identify,
            on_unreadable=lambda *told: aside.append(told),
        )
    )
    assert [told[0] for told in aside] == [1003]
    assert len(shop.reads) < 40 + 20
    assert pages[-1].size == 50
    empty = [page for page in pages if not page.rows]
    assert [page.remaining for page in empty] == [1002]


def test_a_list_of_nothing_but_broken_rows_is_read_all_the_same():
    shop = ModelShop(2, poison={1, 2})
    aside = []
    pages = paginate(
        shop, identify=shop.identify, on_unreadable=lambda *told: aside.append(told[0])
    )
    assert read(pages) == []
    assert aside == [2, 1]


def test_a_slow_shop_is_not_asked_for_large_pages_all_the_time():
    shop = ModelShop(4000)
    shop.failing = lambda page, size: size == 50
    assert set(read(ReverseOffsetPaginator(shop.fetch, size=50))) == set(shop.rows)
    assert sum(size == 50 for _, size in shop.reads) <= 8


@pytest.mark.parametrize("cause", ["network", "busy", "blocked"])
def test_a_failure_that_a_smaller_page_cannot_cure_ends_the_reading(cause):
    def fetch(page, size):
        raise TransientShopError("no", cause=cause)

    with pytest.raises(TransientShopError):
        list(ReverseOffsetPaginator(fetch))


def test_a_shop_that_goes_down_is_no_broken_row():
    shop = ModelShop(100)
    seen = []

    def identify(position):
        raise UnreachableError("the shop is down")

    run = paginate(shop, identify=identify, on_unreadable=lambda *told: seen.append(told))
    pages = []
    with pytest.raises(UnreachableError):
        for page in run:
            pages.append(page)
            if len(pages) == 3:
                shop.failing = lambda page, size: True
    assert seen == []
    assert pages[-1].remaining == 80


def test_a_shop_in_which_every_row_is_broken_is_broken():
    shop = ModelShop(100, poison=range(1, 101))
    seen = []
    with pytest.raises(TransientShopError):
        list(paginate(shop, identify=shop.identify, on_unreadable=lambda *told: seen.append(told)))
    assert len(seen) < MAX_UNREADABLE_IN_A_ROW


def test_permanent_errors_pass_through_from_threads():
    shop = ModelShop(100)

    def fetch(page, size):
        if page == 8:
            raise CredentialsRefusedError("no", status=401)
        return shop.fetch(page, size)

    with pytest.raises(CredentialsRefusedError):
        list(ReverseOffsetPaginator(fetch, size=10, sizes=SIZES, max_parallel=4))


# --- threads -------------------------------------------------------------------------------------


def test_pages_of_a_window_are_on_their_way_at_once():
    shop = ModelShop(400)
    together = threading.Barrier(4, timeout=30)

    def fetch(page, size):
        # Pages 2 to 37 come in nine batches of four; page 1 is first, and alone.
        if 1 < page < 38:
            together.wait()
        return shop.fetch(page, size)

    # 37 pages are left after the first, minus page 1 which is not read again.
    shop.rows = shop.rows[:370]
    assert set(read(ReverseOffsetPaginator(fetch, size=10, sizes=SIZES, max_parallel=4))) == set(
        shop.rows
    )


def test_a_growing_list_is_never_read_at_once():
    shop = ModelShop(200)
    inside = threading.Semaphore(1)

    def fetch(page, size):
        assert inside.acquire(blocking=False)
        try:
            return shop.fetch(page, size)
        finally:
            inside.release()

    pages = list(
        ReverseOffsetPaginator(fetch, size=10, sizes=SIZES, max_parallel=4, growing_tail=True)
    )
    assert set(read(pages)) == set(shop.rows)


def test_memory_does_not_grow_with_the_list():
    class Counted(list):
        alive = 0

        def __init__(self, rows):
            super().__init__(rows)
            Counted.alive += 1

        def __del__(self):
            Counted.alive -= 1

    shop = ModelShop(5000)

    def fetch(page, size):
        answer = shop.fetch(page, size)
        return ListAnswer(Counted(answer.rows), answer.total, answer.page)

    most = 0
    for _ in ReverseOffsetPaginator(fetch, size=10, sizes=SIZES, max_parallel=4):
        most = max(most, Counted.alive)
    assert most <= 3 * 4

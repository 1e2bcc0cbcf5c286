"""Page sizes: down at once, up with patience."""

from __future__ import annotations

import pytest

from cscart_pipelines.cscart.page_size import AdaptivePageSize


def test_sizes_shrink_along_the_chain_to_one():
    pace = AdaptivePageSize(50, (50, 25, 5, 1))
    sizes = [pace.size]
    while pace.shrink():
        sizes.append(pace.size)
    assert sizes == [50, 25, 5, 1]


@pytest.mark.parametrize("sizes", [(50, 20, 1), (50, 3), (50, 0)])
def test_a_chain_that_does_not_divide_is_refused(sizes):
    with pytest.raises(ValueError, match="divide"):
        AdaptivePageSize(50, sizes)


def test_a_size_beyond_the_start_is_not_used():
    assert AdaptivePageSize(10, (50, 25, 5, 1)).size == 10


def test_after_a_broken_row_the_size_grows_as_soon_as_it_fits():
    pace = AdaptivePageSize(50, (50, 25, 5, 1))
    while pace.shrink():
        pass
    pace.passed_unreadable(103)
    assert pace.size == 1
    for remaining, size in [(102, 1), (100, 50)]:
        pace.passed(1, remaining)
        assert pace.size == size


def test_after_unexplained_failures_each_try_waits_twice_as_long():
    pace = AdaptivePageSize(10, (10, 1))
    waits = []
    for _ in range(8):
        pace.shrink()
        good = 0
        while pace.size == 1:
            pace.passed(1, 0)
            good += 1
        waits.append(good)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 64]


def test_a_good_page_of_full_size_forgets_the_past():
    pace = AdaptivePageSize(10, (10, 1))
    pace.shrink()
    pace.passed(1, 0)
    pace.passed(10, 0)
    pace.shrink()
    pace.passed(1, 0)
    assert pace.size == 10


def test_it_never_grows_where_the_position_does_not_fit():
    pace = AdaptivePageSize(10, (10, 5, 1))
    pace.shrink()
    pace.passed(5, 15)
    assert pace.size == 5
    pace.passed(5, 10)
    assert pace.size == 10

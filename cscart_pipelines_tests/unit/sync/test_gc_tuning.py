"""The collector is relaxed while shops are read, and only then."""

from __future__ import annotations

import gc

from cscart_pipelines.sync.gc_tuning import RELAXED, relaxed_gc


def test_thresholds_come_back_when_the_last_shop_is_done() -> None:
    before = gc.get_threshold()
    with relaxed_gc():
        with relaxed_gc():
            assert gc.get_threshold() == RELAXED
        assert gc.get_threshold() == RELAXED
    assert gc.get_threshold() == before


def test_thresholds_come_back_after_a_failure() -> None:
    before = gc.get_threshold()
    try:
        with relaxed_gc():
            raise RuntimeError
    except RuntimeError:
        assert gc.get_threshold() == before

"""The collector is relaxed while shops are read, and only then."""

from __future__ import annotations

import gc

from cscart_pipelines.sync.garbage import RELAXED, few_collections


def test_thresholds_come_back_when_the_last_shop_is_done() -> None:
    before = gc.get_threshold()
    with few_collections():
        with few_collections():
            assert gc.get_threshold() == RELAXED
        assert gc.get_threshold() == RELAXED
    assert gc.get_threshold() == before


def test_thresholds_come_back_after_a_failure() -> None:
    before = gc.get_threshold()
    try:
        with few_collections():
            raise RuntimeError
    except RuntimeError:
        assert gc.get_threshold() == before

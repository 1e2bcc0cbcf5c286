"""Taking back what one run wrote: once, whole, and without taking back what was sold."""

from __future__ import annotations

import pytest

from cscart_pipelines_tests.support.fulfilment.shops import Connect, Connected, connect
from cscart_pipelines_tests.support.fulfilment.stock import (
    amounts,
    levels,
    many,
    push,
    requests,
    states,
    undo_run,
    written,
)
from cscart_pipelines_tests.support.shop.sandboxes import VERSIONS

__all__ = ["connect"]

RUN = "0f3a9c7e-first"


def pushed(connect: Connect, version: str = "4.20", **options: object) -> Connected:
    """A shop in which the run has set products 1 to 3 from 100 to 5, 6 and 120."""
    shop = connect(version, **options)
    levels(shop, SKU_0001=5, SKU_0002=6, SKU_0003=120)
    push(shop, run_id=RUN)
    assert amounts(shop, 1, 2, 3) == [5, 6, 120]
    shop.shop.requests.clear()
    return shop


@pytest.mark.parametrize("version", VERSIONS)
def test_a_run_is_taken_back_once_in_every_version(connect: Connect, version: str) -> None:
    shop = pushed(connect, version)
    report = undo_run(shop, RUN, run_id="undo-1")
    assert amounts(shop) == [100] * 6
    assert report.counts == {"verified": 3, "refused": 0, "unchanged": 0}
    assert (report.changes[0].before, report.changes[0].after) == ({"amount": 5}, {"amount": 100})
    assert requests(shop) == {"PUT products": 3, "GET products": 2}
    again = undo_run(shop, RUN, run_id="undo-2")
    assert again.changes == [] and sum(written(shop).values()) == 3
    assert set(states(shop).values()) == {"done"}  # the levels do not come back by themselves
    assert push(shop).changes == []
    assert shop.rows(
        "SELECT undo.target, undo.run_id FROM fulfilment.journal AS undo"
        " JOIN fulfilment.journal AS it ON (undo.plan ->> 'undo_of')::bigint = it.id"
        " WHERE it.run_id = %s ORDER BY 1",
        RUN,
    ) == [("SKU-0001", "undo-1"), ("SKU-0002", "undo-1"), ("SKU-0003", "undo-1")]


def test_what_was_sold_since_stays_sold_and_nothing_is_negative(connect: Connect) -> None:
    shop = pushed(connect)
    shop.order((1, 2))  # 5 -> 3
    shop.order((3, 110))  # 120 -> 10: more than there was before
    report = undo_run(shop, RUN)
    assert amounts(shop, 1, 2, 3) == [98, 100, 0]
    notes = {change.target: change.note for change in report.changes}
    assert notes == {
        "SKU-0001": "the shop has 3 and not 5 any more: -2 since",
        "SKU-0002": None,
        "SKU-0003": "the shop has 10 and not 120 any more: -110 since, not below 0",
    }


def test_a_product_that_a_later_run_wrote_is_left_to_that_run(connect: Connect) -> None:
    shop = pushed(connect)
    levels(shop, SKU_0001=50)
    push(shop, run_id="later-run")
    report = undo_run(shop, RUN)
    assert amounts(shop, 1, 2, 3) == [50, 100, 100]
    assert [(r.target, "later-run" in r.reason) for r in report.refusals] == [("SKU-0001", True)]
    undo_run(shop, "later-run")
    assert amounts(shop, 1) == [5]
    undo_run(shop, RUN)
    assert amounts(shop, 1, 2, 3) == [100, 100, 100]


def test_an_undo_can_be_undone(connect: Connect) -> None:
    shop = pushed(connect)
    undo_run(shop, RUN, run_id="undo-first")
    undo_run(shop, "undo-first", run_id="undo-second")
    assert amounts(shop, 1, 2, 3) == [5, 6, 120]


def test_a_dry_run_only_shows(connect: Connect) -> None:
    shop = pushed(connect)
    before = shop.rows("SELECT * FROM fulfilment.journal ORDER BY id")
    report = undo_run(shop, RUN, dry_run=True)
    assert report.counts == {"planned": 3, "refused": 0, "unchanged": 0}
    assert shop.rows("SELECT * FROM fulfilment.journal ORDER BY id") == before
    assert written(shop) == {}


def test_a_run_is_named_by_a_beginning_that_only_it_has(connect: Connect) -> None:
    shop = pushed(connect)
    levels(shop, SKU_0004=9)
    push(shop, run_id="0f3a9c7e-second")
    for name, words in {
        "0f3a9": "too short",
        "0f3a9c": "2 runs of shop begin",
        "ffffff": "no run of shop that wrote stock begins",
        "%_%_%_": "no run",
    }.items():
        with pytest.raises(LookupError, match=words):
            undo_run(shop, name)
    undo_run(shop, "0f3a9c7e-f")
    assert amounts(shop, 1, 2, 3, 4) == [100, 100, 100, 9]


def test_the_runs_of_another_shop_are_not_found(connect: Connect) -> None:
    shop = pushed(connect)
    other = connect(key="other")
    with pytest.raises(LookupError):
        undo_run(other, RUN)
    assert amounts(shop, 1) == [5]


def test_lost_answers_do_not_make_an_undo_twice(connect: Connect) -> None:
    shop = pushed(connect)
    shop.shop.faults.add("reset", method="PUT", path="/products/1", count=1, after=True)
    shop.shop.faults.add("server_error", method="PUT", path="/products/2", count=1)
    report = undo_run(shop, RUN)
    assert report.counts["verified"] == 3 and amounts(shop) == [100] * 6
    assert written(shop) == {"1": 1, "2": 2, "3": 1}


def test_an_undo_that_failed_is_done_by_the_next(connect: Connect) -> None:
    shop = pushed(connect)
    fault = shop.shop.faults.add("reset", method="PUT", path="/products/1")
    assert undo_run(shop, RUN).problems
    assert amounts(shop, 1, 2, 3) == [5, 100, 100]
    shop.shop.faults.rules.remove(fault)
    shop.shop.requests.clear()
    undo_run(shop, RUN)
    assert amounts(shop) == [100] * 6 and written(shop) == {"1": 1}


def test_a_large_run_is_taken_back_in_chunks(connect: Connect) -> None:
    shop = connect(catalogue=many(110))
    levels(shop, **{f"SKU_{number:04d}": 20 for number in range(1, 111)})
    push(shop, run_id=RUN)
    shop.shop.requests.clear()
    first = undo_run(shop, RUN, limit=60)
    assert (first.counts["verified"], first.waiting) == (60, 50)
    undo_run(shop, RUN)
    assert amounts(shop) == [10] * 110
    assert sum(written(shop).values()) == 110

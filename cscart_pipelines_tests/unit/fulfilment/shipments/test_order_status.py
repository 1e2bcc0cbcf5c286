"""Shipped, partially shipped or left alone: the status an order gets once tracking is in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.shipments.order_status import target_status
from cscart_pipelines.integrations.settings import IntegrationSettings, check

SHOP: dict[str, tuple[str | None, str | None]] = {
    "P": ("Paid", "D"),
    "C": ("Complete", "D"),
    "O": ("Open", "D"),
    "F": ("Failed", "I"),
    "D": ("Declined", "I"),
    "B": ("Backordered", "I"),
    "I": ("Canceled", "I"),
    "S": ("Sent", "D"),
    "X": ("Returned", "I"),
}


def settings(shipped: str | None = "C", partially: str | None = "S") -> IntegrationSettings:
    return check({
        "integration": "shop", "list_name": "shop", "url": "https://shop.example",
        "email": "a@shop.example", "shipped_status": shipped,
        "partially_shipped_status": partially,
    })  # fmt: skip


def test_all_shipped_gets_the_shipped_status() -> None:
    wish = target_status("P", 0, settings(), SHOP)
    assert wish.letter == "C" and "C (Complete)" in wish.reason


def test_something_left_gets_the_partially_shipped_status() -> None:
    wish = target_status("P", 3, settings(), SHOP)
    assert wish.letter == "S" and "3 pieces are still to ship" in wish.reason


@pytest.mark.parametrize(
    ("left", "missing"), [(0, "no shipped status"), (1, "no partially shipped status")]
)
def test_what_is_not_configured_is_not_written(left: int, missing: str) -> None:
    wish = target_status("P", left, settings(None, None), SHOP)
    assert wish.letter is None and missing in wish.reason


def test_each_of_the_two_stands_alone() -> None:
    assert target_status("P", 0, settings("C", None), SHOP).letter == "C"
    assert target_status("P", 1, settings("C", None), SHOP).letter is None
    assert target_status("P", 0, settings(None, "S"), SHOP).letter is None
    assert target_status("P", 1, settings(None, "S"), SHOP).letter == "S"


@pytest.mark.parametrize("now", ["I", "F", "D", "X", "N", "T"])
@pytest.mark.parametrize("left", [0, 2])
def test_cancelled_orders_are_left_alone(now: str, left: int) -> None:
    wish = target_status(now, left, settings(), SHOP)
    assert wish.letter is None and f"left at {now}" in wish.reason


@pytest.mark.parametrize("now", ["I", "F", "D", "N", "T"])
def test_also_where_the_shops_list_does_not_know_the_status(now: str) -> None:
    shop = {letter: SHOP[letter] for letter in "PCS"}
    assert target_status(now, 0, settings(), shop).letter is None


def test_back_ordered_is_not_cancelled() -> None:
    assert target_status("B", 0, settings(), SHOP).letter == "C"


def test_nothing_is_written_that_is_there_already() -> None:
    wish = target_status("C", 0, settings(), SHOP)
    assert wish.letter is None and "already" in wish.reason


@pytest.mark.parametrize("letter", ["Z", "N"])
def test_a_status_that_the_shop_does_not_have_is_never_written(letter: str) -> None:
    wish = target_status("P", 0, settings(shipped=letter), SHOP)
    assert wish.letter is None
    assert f"no status '{letter}'" in wish.reason and "C (Complete)" in wish.reason
    assert target_status("P", 0, settings(), {}).letter is None


def test_a_status_may_be_named() -> None:
    named = settings().model_copy(
        update={"shipped_status": "complete", "partially_shipped_status": "SENT "}
    )
    assert target_status("P", 0, named, SHOP).letter == "C"
    assert target_status("P", 1, named, SHOP).letter == "S"
    twice = {**SHOP, "Y": ("Complete", "D")}
    assert target_status("P", 0, named, twice).letter is None


@given(
    st.sampled_from([*SHOP, "N", "T", "Q"]),
    st.integers(0, 5),
    st.sampled_from([None, *SHOP, "Z"]),
    st.sampled_from([None, *SHOP, "Z"]),
)
def test_only_the_shops_own_statuses_are_written_and_only_where_they_differ(
    now: str, left: int, shipped: str | None, partially: str | None
) -> None:
    wish = target_status(now, left, settings(shipped, partially), SHOP)
    assert wish.reason
    if wish.letter is not None:
        assert wish.letter in SHOP
        assert wish.letter == (partially if left else shipped) != now
        assert wish.letter and now not in "IFDXNT"
    again = target_status(wish.letter or now, left, settings(shipped, partially), SHOP)
    assert again.letter is None

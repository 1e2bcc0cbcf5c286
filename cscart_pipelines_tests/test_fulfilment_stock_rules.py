"""The pure rules of stock: amounts, matching, the circuit breaker, what orders explain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.open_orders import OpenOrders
from cscart_pipelines.fulfilment.stock_breaker import judge
from cscart_pipelines.fulfilment.stock_matching import UNKNOWN, Catalogue, NoMatchError, Product
from cscart_pipelines.fulfilment.stock_rules import (
    MOST,
    RefusedLevelError,
    StockRules,
    amount_for,
    orders_explain,
)
from cscart_pipelines.fulfilment.undo import restored

pieces = st.integers(0, 5000)
rules = st.builds(
    StockRules,
    buffer=st.integers(0, 50),
    floor=st.integers(0, 50),
    cap=st.none() | st.integers(0, 500),
)


# --- amounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "rule", "ordered", "amount"),
    [
        (10, StockRules(), 0, 10),
        (10, StockRules(buffer=3), 2, 5),
        (10, StockRules(buffer=11), 0, 0),
        (10, StockRules(), 12, 0),
        (10, StockRules(cap=7), 0, 7),
        (0, StockRules(floor=2), 0, 2),
        (1, StockRules(floor=-5, buffer=3), 0, 0),
        (50, StockRules(floor=20, cap=10), 0, 10),
        (5, StockRules(cap=-1), 0, 0),
    ],
)
def test_amounts(quantity: int, rule: StockRules, ordered: int, amount: int) -> None:
    assert amount_for(Decimal(quantity), rule, ordered) == amount


@pytest.mark.parametrize(
    ("quantity", "reason"),
    [
        (None, "no quantity"),
        ("NaN", "no quantity"),
        ("Infinity", "no quantity"),
        ("1.5", "fractional quantity 1.5"),
        ("9000000", "more than a shop can hold"),
    ],
)
def test_levels_that_nobody_can_have_are_refused(quantity: str | None, reason: str) -> None:
    with pytest.raises(RefusedLevelError, match=reason):
        amount_for(None if quantity is None else Decimal(quantity), StockRules())


def test_what_was_sold_before_it_came_in_is_none() -> None:
    for quantity in ("-1", "-0.5", "-9000000"):
        assert amount_for(Decimal(quantity), StockRules()) == 0


def test_zeros_after_the_point_are_no_fraction() -> None:
    assert amount_for(Decimal("12.00"), StockRules()) == 12
    assert amount_for(Decimal("1E+3"), StockRules()) == 1000


@given(pieces, rules, pieces)
def test_an_amount_is_within_the_rules(quantity: int, rule: StockRules, ordered: int) -> None:
    amount = amount_for(Decimal(quantity), rule, ordered)
    assert 0 <= amount <= (MOST if rule.cap is None else rule.cap)
    assert amount >= (rule.floor if rule.cap is None else min(rule.floor, rule.cap))
    # Never more than is there, but for what the floor promises.
    assert amount <= max(quantity - ordered - rule.buffer, rule.floor, 0)


@given(pieces, rules, pieces, st.integers(0, 20))
def test_more_on_hand_never_shows_less_and_more_orders_never_more(
    quantity: int, rule: StockRules, ordered: int, more: int
) -> None:
    amount = amount_for(Decimal(quantity), rule, ordered)
    assert amount_for(Decimal(quantity + more), rule, ordered) >= amount
    assert amount_for(Decimal(quantity), rule, ordered + more) <= amount


@given(pieces, pieces, st.integers(0, 30))
def test_orders_explain_only_a_write_that_was_applied(before: int, planned: int, sold: int) -> None:
    """Without the write, orders of few pieces never look like a write with orders after it."""
    assert not orders_explain(before, planned, planned)
    if sold < abs(planned - before):
        assert not orders_explain(before, planned, before - sold)
        assert orders_explain(before, planned, planned - sold) == (sold > 0)


@given(pieces, pieces, pieces)
def test_what_is_restored_is_never_negative_and_keeps_what_moved(
    before: int, written: int, now: int
) -> None:
    amount = restored(before, written)(now)
    assert amount == max(before + (now - written), 0)
    assert restored(before, written)(written) == before
    assert restored(-2, written)(written) == -2


# --- open orders ---------------------------------------------------------------------------------


def test_orders_in_the_very_second_of_the_count_are_taken_off() -> None:
    counted = datetime(2026, 3, 1, 12, 0, 0, 700_000, tzinfo=UTC)
    second = counted.replace(microsecond=0)
    orders = OpenOrders({1: [(second, 2), (second - timedelta(seconds=1), 4), (counted, 1)]})
    assert orders.pieces(1, counted) == 3
    assert orders.pieces(2, counted) == 0


# --- matching ------------------------------------------------------------------------------------


def catalogue(*codes: str, sku_map: dict[str, str] | None = None) -> Catalogue:
    return Catalogue([Product(n, code, 5, "B", "P") for n, code in enumerate(codes, 1)], sku_map)


def test_a_sku_is_the_product_code_as_written_before_any_other_case() -> None:
    found = catalogue("abc", "ABC", "Def", "")
    assert found.match("ABC").product_id == 2
    assert found.match(" abc ").product_id == 1
    assert found.match("DEF").product_id == 3


def test_the_mapping_table_goes_first() -> None:
    found = catalogue("A", "B", sku_map={"A": "b", "X": "gone"})
    assert found.match("A").product_id == 2
    with pytest.raises(NoMatchError, match=f"^{UNKNOWN}: no product .* product code 'gone'"):
        found.match("X")


@pytest.mark.parametrize("sku", ["nothing", "", " "])
def test_an_unknown_sku_is_no_product(sku: str) -> None:
    with pytest.raises(NoMatchError, match=f"^{UNKNOWN}"):
        catalogue("A", "").match(sku)


def test_several_products_with_one_code_are_refused_with_their_ids() -> None:
    with pytest.raises(NoMatchError, match="2 products have this product code: 1, 3"):
        catalogue("A", "B", "A").match("A")
    with pytest.raises(NoMatchError, match="2 products"):
        catalogue("abc", "Abc").match("ABC")


@pytest.mark.parametrize(
    ("tracking", "kind", "reason"),
    [
        ("D", "P", "does not track"),
        ("O", "P", "by options"),
        ("B", "C", "configurable"),
    ],
)
def test_products_without_a_stock_of_their_own_are_refused(
    tracking: str, kind: str, reason: str
) -> None:
    found = Catalogue([Product(1, "A", 5, tracking, kind)])
    with pytest.raises(NoMatchError, match=reason):
        found.match("A")


@given(st.lists(st.text("aAbB", max_size=3), max_size=8), st.text("aAbB", min_size=1, max_size=3))
def test_a_match_is_the_only_one_there_is(codes: list[str], sku: str) -> None:
    exact = [n for n, code in enumerate(codes, 1) if code == sku]
    folded = [n for n, code in enumerate(codes, 1) if code.casefold() == sku.casefold()]
    expected = exact or folded
    try:
        product_id = catalogue(*codes).match(sku).product_id
    except NoMatchError:
        assert len(expected) != 1
    else:
        assert expected == [product_id]


# --- the circuit breaker -------------------------------------------------------------------------


def test_a_push_that_empties_too_much_is_held_and_says_of_how_many() -> None:
    shop = dict.fromkeys(range(10), 4) | {10: 0, 11: -3, 12: None}
    half = judge(shop, dict.fromkeys(range(5), 0), Decimal("0.5"))
    more = judge(shop, dict.fromkeys(range(6), 0), Decimal("0.5"))
    assert half.held is None
    assert more.held == (
        "held: 6 of the 10 products with stock would be set to zero, more than 50 %"
    )


def test_products_without_stock_and_unknown_ones_do_not_count() -> None:
    shop: dict[int, int | None] = {1: 5, 2: 0, 3: -1}
    assert judge(shop, {2: 0, 3: 0, 9: 0, 1: 3}, Decimal(0)).held is None
    assert judge(shop, {1: 0}, Decimal(1)).held is None
    assert judge(shop, {1: 0}, Decimal("0.99")).held is not None


@given(
    st.dictionaries(st.integers(0, 30), st.integers(-2, 3), max_size=20),
    st.dictionaries(st.integers(0, 30), st.integers(0, 2), max_size=20),
    st.decimals(0, 1, places=2),
)
def test_what_a_killed_push_leaves_is_held_only_if_the_whole_was(
    shop: dict[int, int], wanted: dict[int, int], most: Decimal
) -> None:
    """A run that is killed half-way must not turn a good feed into a suspicious one."""
    whole = judge(shop, wanted, most)
    half = dict(list(wanted.items())[: len(wanted) // 2])
    rest = {key: amount for key, amount in wanted.items() if key not in half}
    written = {key: half.get(key, amount) for key, amount in shop.items()}
    if whole.held is None:
        assert judge(written, rest, most).held is None

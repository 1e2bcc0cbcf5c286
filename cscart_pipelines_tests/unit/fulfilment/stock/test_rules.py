"""The pure rules of stock: amounts, matching, the circuit breaker, what orders explain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.stock.circuit_breaker import evaluate
from cscart_pipelines.fulfilment.stock.open_orders import OpenOrders
from cscart_pipelines.fulfilment.stock.rules import (
    NO_CAP,
    Buffer,
    RefusedLevelError,
    RuleBook,
    SkuRules,
    StockRules,
    amount_for,
    explained_by_orders,
    read_buffer,
    read_cap,
    read_number,
)
from cscart_pipelines.fulfilment.stock.sku_matching import (
    UNKNOWN,
    Catalogue,
    CatalogueProduct,
    NoMatchError,
)
from cscart_pipelines.fulfilment.stock.undo import restored

pieces = st.integers(0, 5000)
hand = st.integers(-50, 5000) | st.integers(-50, 5000_000).map(lambda n: Decimal(n) / 1000)
buffers = st.builds(Buffer, st.integers(0, 50).map(Decimal)) | st.builds(
    Buffer, st.integers(0, 1000).map(lambda n: Decimal(n) / 10), st.just(True)
)
few = st.integers(0, 50).map(Decimal) | st.integers(0, 5000).map(lambda n: Decimal(n) / 100)
rules = st.builds(
    StockRules, buffer=buffers, safety_quantity=few, cap=st.none() | few.map(lambda n: n * 10)
)
own_rules = st.builds(
    SkuRules,
    buffer=st.none() | buffers,
    safety_quantity=st.none() | few,
    cap=st.none() | few | st.just(NO_CAP),
)


def percent(share: str) -> Buffer:
    return Buffer(Decimal(share), percent=True)


def shown(quantity: Decimal | int, rule: StockRules, ordered: Decimal | int = 0) -> Decimal:
    """The amount, of a shop that sells by weight where the quantity asks for one."""
    level = Decimal(quantity)
    return amount_for(level, rule, Decimal(ordered), fractions=level != int(level)).value


# --- amounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "rule", "ordered", "amount", "note"),
    [
        (10, StockRules(), 0, 10, None),
        (
            10,
            StockRules(buffer=Buffer(Decimal(3))),
            2,
            5,
            "2 ordered since it was counted; buffer 3",
        ),
        (10, StockRules(buffer=Buffer(Decimal(11))), 0, 0, "buffer 11"),
        (10, StockRules(buffer=percent("15")), 0, 8, "buffer 15%"),
        (10, StockRules(buffer=percent("100")), 0, 0, "buffer 100%"),
        (10, StockRules(), 12, 0, "12 ordered since it was counted"),
        (10, StockRules(cap=Decimal(7)), 0, 7, "cap 7"),
        (10, StockRules(cap=Decimal("2.5")), 0, 2, "cap 2.5"),
        (10, StockRules(cap=Decimal(0)), 0, 0, "cap 0"),
        (2, StockRules(safety_quantity=Decimal(2)), 0, 0, "safety quantity 2"),
        (3, StockRules(safety_quantity=Decimal(2)), 0, 3, None),
        (
            0,
            StockRules(safety_quantity=Decimal(2), buffer=percent("10"), cap=Decimal(1)),
            0,
            0,
            None,
        ),
        # Each step on what the one before has left.
        (
            5,
            StockRules(buffer=Buffer(Decimal(3)), safety_quantity=Decimal(2)),
            0,
            0,
            "buffer 3; safety quantity 2",
        ),
        (9, StockRules(cap=Decimal(2), safety_quantity=Decimal(3)), 0, 2, "cap 2"),
        (
            -4,
            StockRules(buffer=Buffer(Decimal(1))),
            0,
            0,
            "the feed says -4: sold before it came in, so none",
        ),
    ],
)
def test_amounts(
    quantity: int, rule: StockRules, ordered: int, amount: int, note: str | None
) -> None:
    found = amount_for(Decimal(quantity), rule, Decimal(ordered))
    assert (found.value, found.note) == (amount, note)


@pytest.mark.parametrize(
    ("quantity", "reason"),
    [
        (None, "no quantity"),
        ("NaN", "no quantity"),
        ("Infinity", "no quantity"),
        ("1.5", "quantity 1.5 has a fraction"),
        ("9000000", "more than a shop can hold"),
        ("1E+999999", "quantity 1E\\+999999 is more"),
        ("-1E+999999", "less than any shop"),
        ("1E-999999", "quantity 1E-999999 has a fraction"),
    ],
)
def test_levels_that_nobody_can_have_are_refused(quantity: str | None, reason: str) -> None:
    with pytest.raises(RefusedLevelError, match=reason):
        amount_for(None if quantity is None else Decimal(quantity), StockRules())


def test_what_was_sold_before_it_came_in_is_none() -> None:
    for quantity in ("-1", "-0.5", "-9000000"):
        assert amount_for(Decimal(quantity), StockRules()).value == 0


def test_zeros_after_the_point_are_no_fraction() -> None:
    assert str(amount_for(Decimal("12.00"), StockRules()).value) == "12"
    assert str(amount_for(Decimal("1E+3"), StockRules()).value) == "1000"
    by_weight = amount_for(Decimal("2.50"), StockRules(buffer=percent("33.3")), fractions=True)
    assert str(by_weight.value) == "1.667"


@given(hand, rules, pieces)
def test_an_amount_is_never_more_than_the_feed_says_nor_negative(
    quantity: Decimal | int, rule: StockRules, ordered: int
) -> None:
    amount = shown(quantity, rule, ordered)
    assert 0 <= amount <= max(quantity - ordered, 0)
    assert rule.cap is None or amount <= rule.cap
    assert amount == 0 or rule.cap is not None or amount > rule.safety_quantity
    # What one push has written, the same feed finds as it is.
    assert shown(quantity, rule, ordered) == amount


@given(hand, rules, pieces, st.integers(0, 20))
def test_more_on_hand_never_shows_less_and_more_orders_never_more(
    quantity: Decimal | int, rule: StockRules, ordered: int, more: int
) -> None:
    amount = shown(quantity, rule, ordered)
    assert shown(quantity + more, rule, ordered) >= amount
    assert shown(quantity, rule, ordered + more) <= amount


@given(hand, rules, own_rules)
def test_rules_of_a_sku_take_the_place_of_the_integrations(
    quantity: Decimal | int, general: StockRules, own: SkuRules
) -> None:
    book = RuleBook(general, {"A": own})
    for name in ("buffer", "safety_quantity"):
        wanted = getattr(own, name)
        wanted = getattr(general, name) if wanted is None else wanted
        assert getattr(book.of("A"), name) == wanted
    cap = general.cap if own.cap is None else None if own.cap == NO_CAP else own.cap
    assert book.of("x", "A").cap == cap
    assert book.of("B") == general
    assert 0 <= shown(quantity, book.of("A")) <= max(quantity, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2", "2"),
        ("10%", "10%"),
        (" 2.50 ", "2.5"),
        ("12.5 %", "12.5%"),
        ("0", "0"),
        ("100%", "100%"),
    ],
)
def test_a_buffer_is_pieces_or_percent(text: str, said: str) -> None:
    assert str(read_buffer(text)) == said
    assert read_buffer(said) == read_buffer(text)


@pytest.mark.parametrize(
    "text", ["", "%", "-1", "101%", "10%%", "1e3", "NaN", "٣", "1,5", "10% x", "99999999", "1.2345"]
)
def test_what_is_no_buffer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"buffer|more than 100%"):
        read_buffer(text)


@pytest.mark.parametrize("read", [read_buffer, read_cap, read_number])
def test_a_thousand_with_a_point_is_not_taken_for_one(read: Callable[[str], Any]) -> None:
    for text in ("1.000", "2.500", " 12.000 "):
        with pytest.raises(ValueError, match="is ambiguous"):
            read(text)
    assert [str(read(text)) for text in ("1000", "1.5", "0.500", "1.125")] == [
        "1000", "1.5", "0.5", "1.125",
    ]  # fmt: skip


@given(pieces, pieces, st.integers(0, 30))
def test_orders_explain_only_a_write_that_was_applied(before: int, planned: int, sold: int) -> None:
    """Without the write, orders of few pieces never look like a write with orders after it."""
    assert not explained_by_orders(before, planned, planned)
    if sold < abs(planned - before):
        assert not explained_by_orders(before, planned, before - sold)
        assert explained_by_orders(before, planned, planned - sold) == (sold > 0)


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
    return Catalogue(
        [CatalogueProduct(n, code, 5, "B", "P") for n, code in enumerate(codes, 1)], sku_map
    )


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


def test_a_mapped_sku_in_other_letters_is_not_taken_for_a_product_code() -> None:
    found = catalogue("OUR-1", "SHOP-1", sku_map={"OUR-1": "SHOP-1"})
    assert found.match("our-1").product_id == 2
    unclear = catalogue("OUR-1", "A", "B", sku_map={"Our-1": "A", "our-1": "B"})
    assert [unclear.match(sku).product_id for sku in ("Our-1", "our-1", "OUR-1")] == [2, 3, 1]


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
    found = Catalogue([CatalogueProduct(1, "A", 5, tracking, kind)])
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
    half = evaluate(shop, dict.fromkeys(range(5), 0), Decimal("0.5"))
    more = evaluate(shop, dict.fromkeys(range(6), 0), Decimal("0.5"))
    assert half.held is None
    assert more.held == (
        "held: 6 of the 10 products with stock would be set to zero, more than 50 %"
    )


def test_products_without_stock_and_unknown_ones_do_not_count() -> None:
    shop: dict[int, int | None] = {1: 5, 2: 0, 3: -1}
    assert evaluate(shop, {2: 0, 3: 0, 9: 0, 1: 3}, Decimal(0)).held is None
    assert evaluate(shop, {1: 0}, Decimal(1)).held is None
    assert evaluate(shop, {1: 0}, Decimal("0.99")).held is not None


@given(
    st.dictionaries(st.integers(0, 30), st.integers(-2, 3), max_size=20),
    st.dictionaries(st.integers(0, 30), st.integers(0, 2), max_size=20),
    st.decimals(0, 1, places=2),
)
def test_what_a_killed_push_leaves_is_held_only_if_the_whole_was(
    shop: dict[int, int], wanted: dict[int, int], most: Decimal
) -> None:
    """A run that is killed half-way must not turn a good feed into a suspicious one."""
    whole = evaluate(shop, wanted, most)
    half = dict(list(wanted.items())[: len(wanted) // 2])
    rest = {key: amount for key, amount in wanted.items() if key not in half}
    written = {key: half.get(key, amount) for key, amount in shop.items()}
    if whole.held is None:
        assert evaluate(written, rest, most).held is None

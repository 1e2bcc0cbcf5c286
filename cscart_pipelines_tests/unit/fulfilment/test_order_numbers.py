"""Order numbers: prefix and order id, there and back, and whose they are."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cscart_pipelines.integrations.order_numbers import ambiguous, strip

PREFIXES = st.from_regex(r"[A-Ca-c01_-]{0,6}", fullmatch=True)
LONG = st.from_regex(r"[A-Za-z]{0,1}[0-9]{0,19}", fullmatch=True)
IDS = st.integers(1, 10**18 - 1)


def test_the_example_of_the_client() -> None:
    assert strip("CS", "CS1000012") == 1000012
    assert strip("CS", " cs1000012 ") == 1000012


@pytest.mark.parametrize(
    "number",
    ["", "CS", "1000012", "XS1000012", "CS0", "CS012", "CS1.5", "CS-1", "CS1 2", "CS１２", "CS1x",
     "CS" + "9" * 19, "CSCS1"],
)  # fmt: skip
def test_what_is_no_number_of_the_prefix_has_no_id(number: str) -> None:
    assert strip("CS", number) is None


@given(PREFIXES | LONG, IDS)
def test_a_number_gives_its_order_back(prefix: str, order_id: int) -> None:
    number = f"{prefix}{order_id}"
    assert strip(prefix, number) == strip(prefix, number.swapcase()) == order_id


@given(PREFIXES | LONG, PREFIXES | LONG, IDS)
@example("", "1" * 18, 1)
@example("a", "A2", 1)
def test_prefixes_that_are_not_ambiguous_share_no_number(one: str, other: str, order: int) -> None:
    number = f"{one}{order}"
    if strip(other, number) is not None:
        assert ambiguous(one, other)


@given(PREFIXES | LONG, PREFIXES | LONG)
@example("", "1" * 17)
@example("", "1" * 18)
@example("A", "a")
def test_ambiguous_prefixes_do_share_one(one: str, other: str) -> None:
    assert ambiguous(one, other) == ambiguous(other, one)
    if ambiguous(one, other):
        number = max(one, other, key=len) + "1"
        assert strip(one, number) is not None
        assert strip(other, number) is not None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("CS", "CS", True), ("CS", "cs", True), ("", "1", True), ("", "01", False), ("", "CS", False),
     ("A", "A2", True), ("A", "A0", False), ("A", "AB", False), ("CS-", "CS", False)],
)  # fmt: skip
def test_which_prefixes_are_ambiguous(one: str, other: str, expected: bool) -> None:
    assert ambiguous(one, other) is expected


def test_a_few_prefixes_exhaustively() -> None:
    numbers = [f"{a}{b}{c}" for a, b, c in itertools.product(["", "a", "1", "0"], repeat=3)]
    for one, other in itertools.product(["", "a", "1", "a1", "a0", "10", "01"], repeat=2):
        shared = any(strip(one, n) and strip(other, n) for n in numbers)
        assert shared == ambiguous(one, other), (one, other)

"""PHP's habits: query strings, casts, truth, numbers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.sandbox.http import php
from cscart_pipelines_tests.support.shop.sandboxes import Api, small_shop


def test_query_strings() -> None:
    read = php.parse_query("a=1&a=2&b[]=x&b[]=y&c[k]=v&c[l]=w&empty=&bare")
    assert read == {
        "a": "2",
        "b": ["x", "y"],
        "c": {"k": "v", "l": "w"},
        "empty": "",
        "bare": "",
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12), ("12abc", 12), ("abc", 0), ("", 0), ("-3", -3), (" 7", 7), (["1"], 0), (True, 1)],
)
def test_integer_casts(text: Any, value: int) -> None:
    assert php.intval(text) == value


def test_truth_and_numbers() -> None:
    assert php.truthy("N") and php.truthy("false") and not php.truthy("0") and not php.truthy("")
    assert php.encode({"a": "x/y", "b": php.number(Decimal("5.00"))}) == b'{"a":"x\\/y","b":5}'
    assert php.number(Decimal("5.50")) == 5.5 and php.money(Decimal("5"), 6) == "5.000000"
    assert php.either({}) == [] and php.listed({"0": 1, "1": 2}) == [1, 2]
    assert php.listed({"1": 2}) == {"1": 2}
    assert php.decimal("9" * 40) == Decimal("999999999.99") and php.decimal("NaN") == 0


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
_NAMES = """
status products total user_id user_data payment_id shipping_id order_id carrier timestamp
amount price product category_ids email user_type company_id notes
"""
_FIELDS = st.sampled_from(_NAMES.split())


@given(
    entity=st.sampled_from(
        ["orders", "orders/1001", "shipments", "products/1", "users", "users/1"]
    ),
    method=st.sampled_from(["POST", "PUT"]),
    body=st.dictionaries(_FIELDS, _JSON, max_size=5),
)
def test_any_json_body_is_answered_in_json(entity: str, method: str, body: dict[str, Any]) -> None:
    # The shop raises on leaving the block if the sandbox itself went wrong.
    with small_shop(orders=1) as shop:
        complete = {"order_id": 1001, "shipping_id": 1, "carrier": "ups"} | body
        response = Api(shop).call(method, f"api/stores/1/{entity}", json=complete)
        assert response.headers["Content-Type"] == "application/json"

"""The sandbox's answers have the keys and JSON types of the reference's samples, by version."""

from __future__ import annotations

from typing import Any

import pytest

from cscart_pipelines.sandbox.api.render_leaks import LEAK
from cscart_pipelines.sandbox.shop.profiles import PROFILES, profile_named
from cscart_pipelines_tests.support.shop.sandboxes import NOW, VERSIONS, Api, sample, small_shop


def kinds(body: dict[str, Any]) -> dict[str, str]:
    """Key to JSON type; whole and broken numbers are one type, null stays apart."""
    names = {"float": "int", "NoneType": "null"}
    return {key: names.get(type(v).__name__, type(v).__name__) for key, v in body.items()}


def agrees(answer: dict[str, Any], expected: dict[str, Any], *free: str) -> None:
    """Same keys, and the same types where neither is null; `free` keys are only to exist."""
    assert set(answer) == set(expected)
    got, want = kinds(answer), kinds(expected)
    for key in set(want) - set(free):
        if "null" not in (got[key], want[key]):
            assert got[key] == want[key], key


def test_every_version_of_the_checklist_has_a_profile() -> None:
    assert tuple(PROFILES) == VERSIONS
    with pytest.raises(ValueError, match=r"known: 4\.7"):
        profile_named("3.0")


def test_order_rows_of_4_20_are_those_of_the_sample() -> None:
    with small_shop("4.20") as shop:
        answer = Api(shop).get("orders", items_per_page=2)
    expected = sample("orders-list-4.20.synthetic")
    agrees(answer["orders"][0], expected["orders"][0])
    agrees(answer["params"], expected["params"])
    assert answer["params"] == expected["params"]


@pytest.mark.parametrize("version", ["4.12", "4.13", "4.16"])
def test_order_rows_before_4_20_lack_the_storefront(version: str) -> None:
    with small_shop(version) as shop:
        row = Api(shop).get("orders")["orders"][0]
    expected = sample("orders-list-4.20.synthetic")["orders"][0]
    assert set(row) == set(expected) - {"storefront_id"}


def test_orders_of_4_7_past_the_end_are_the_last_page_again() -> None:
    with small_shop("4.7") as shop:
        answer = Api(shop).get("orders", page=9, items_per_page=2)
    expected = sample("orders-list-past-end-4.7.synthetic")
    assert set(answer["orders"][0]) == set(expected["orders"][0]) | {"company"}
    assert [row["order_id"] for row in answer["orders"]] == ["1001"]
    for key, value in expected["params"].items():
        assert answer["params"][key] == value


def test_orders_since_4_11_past_the_end_are_empty() -> None:
    with small_shop("4.12") as shop:
        answer = Api(shop).get("orders", page=9, items_per_page=2)
    assert answer == sample("orders-list-past-end-4.11.synthetic")


def test_order_detail_of_4_20_is_that_of_the_sample() -> None:
    with small_shop("4.20") as shop:
        order = shop.store.place_order(
            email="guest@example.com",
            lines=[
                {"product_id": 1, "amount": 2},
                {"product_id": 2, "amount": 1, "discount": "5.00"},
            ],
            promotion_ids="3",
            shipping_cost=shop.store.products[1].price,
            invoice_id=17,
        )
        first = order.lines[0].item_id
        shop.store.create_shipment(order.order_id, products={first: 1}, carrier="ups")
        answer = Api(shop).get(f"orders/{order.order_id}")
    expected = sample("order-detail-guest-4.20.synthetic")
    assert set(answer) == set(expected)
    # The sandbox leaks payment data on purpose where the sample is clean.
    agrees(answer, expected, "payment_info")
    lines = {line["product_id"]: line for line in answer["products"].values()}
    partly, untouched = expected["products"]["2430973345"], expected["products"]["805204117"]
    agrees(lines["1"], partly)
    agrees(lines["2"], untouched)
    agrees(lines["1"]["extra"], partly["extra"])
    assert lines["1"]["shipped_amount"] == "1" and lines["1"]["shipment_amount"] == 1
    assert lines["2"]["shipped_amount"] == 0 and lines["2"]["shipment_amount"] == "1"
    assert answer["use_discount"] is True and answer["discount"] == 5
    assert answer["doc_ids"] == {"I": "17"} and answer["taxes"] == []
    agrees(answer["shipping"][0], expected["shipping"][0])


def test_old_details_carry_neither_change_date_nor_storefront() -> None:
    with small_shop("4.7") as shop:
        old = Api(shop).get("orders/1001")
    with small_shop("4.12") as shop:
        middle = Api(shop).get("orders/1001")
    assert not {"updated_at", "storefront_id", "user_type"} & set(old)
    assert "storefront_id" in middle and "updated_at" not in middle


def test_details_leak_payment_data_and_carrier_credentials() -> None:
    with small_shop("4.20") as shop:
        shop.store.set_order_status(1001, "P")
        order = Api(shop).get("orders/1001")
    for key in ("payment_info", "payment_method", "product_groups"):
        assert LEAK in str(order[key]), key
    assert order["product_groups"][0]["shippings"]["3"]["service_params"]["user_key"] == LEAK


def test_a_cart_of_two_vendors_is_a_hidden_parent_and_listed_children() -> None:
    with small_shop("4.20", orders=0, multivendor=True) as shop:
        parent = shop.store.place_order(email="a@example.com", lines=[(1, 1), (6, 2)])
        api = Api(shop)
        listed = api.get("orders", sort_by="order_id", sort_order="asc")["orders"]
        detail = api.get(f"orders/{parent.order_id}")
        api.put(f"orders/{parent.order_id}", {"status": "C"})
        after = api.get("orders")["orders"]
        children = api.get("orders", parent_order_id=parent.order_id)["orders"]
    assert (detail["status"], detail["is_parent_order"], detail["company_id"]) == ("T", "Y", "0")
    assert [row["parent_order_id"] for row in listed] == [str(parent.order_id)] * 2
    assert [row["company_id"] for row in listed] == ["1", "2"]
    assert sum(float(row["total"]) for row in listed) == float(detail["total"])
    assert {row["status"] for row in after} == {"C"} and len(children) == 2
    assert set(detail) - set(sample("order-detail-parent-mv.synthetic")) == set()


def test_users_and_their_last_page_are_those_of_the_samples() -> None:
    with small_shop("4.20", orders=0) as shop:
        for number in range(3):
            shop.store.add_customer(f"u{number}@example.com")
        api = Api(shop)
        query = {"user_type": "C", "sort_by": "id", "sort_order": "desc", "items_per_page": 2}
        first = api.get("users", **query)
        past = api.get("users", **query, page=9)
        missing = api.call("GET", "api/2.0/users/99999")
    expected = sample("users-list-4.20.synthetic")
    agrees(first["users"][0], expected["users"][0])
    assert first["params"] == expected["params"]
    assert past["params"] == sample("users-list-past-end.synthetic")["params"]
    assert [row["user_id"] for row in past["users"]] == ["2"]
    assert missing.status_code == 200
    assert missing.json() == sample("user-missing-4.16.synthetic") or (
        missing.json()["users"] == [] and missing.json()["params"]["user_id"] == "99999"
    )


@pytest.mark.parametrize("version", ["4.7", "4.12", "4.13"])
def test_an_unknown_user_was_a_404_before_4_16(version: str) -> None:
    with small_shop(version, orders=0) as shop:
        assert Api(shop).call("GET", "api/users/99999").status_code == 404
        assert Api(shop).call("GET", "api/users").status_code == 200


def test_statuses_are_the_installers_and_never_n_or_t() -> None:
    with small_shop("4.20", orders=0) as shop:
        answer = Api(shop).get("statuses")
        kept = Api(shop).get("statuses", type="S")["statuses"]
    expected = sample("statuses-list-4.20.synthetic")
    assert [row["status"] for row in answer["statuses"]] == [
        row["status"] for row in expected["statuses"]
    ]
    agrees(answer["statuses"][0], expected["statuses"][0])
    assert answer["statuses"][0]["params"] == expected["statuses"][0]["params"]
    assert answer["params"] == expected["params"]
    assert [row["status"] for row in kept] == ["P", "A", "S"]


@pytest.mark.parametrize(("version", "told"), [("4.7", False), ("4.13", False), ("4.16", True)])
def test_only_newer_shops_say_which_statuses_are_paid(version: str, told: bool) -> None:
    with small_shop(version, orders=0) as shop:
        rows = Api(shop).get("statuses")["statuses"]
    assert any("payment_received" in row["params"] for row in rows) is told


def test_shipments_are_those_of_the_sample() -> None:
    with small_shop("4.20") as shop:
        cases = (("ups", "1Z0000000000000000"), ("my_courier", "A1"), ("fedex", ""), ("", "N1"))
        for order_id, (carrier, number) in enumerate(cases, 1001):
            shop.store.create_shipment(order_id, carrier=carrier, tracking_number=number)
        rows = Api(shop).get("shipments", sort_by="id", sort_order="asc")["shipments"]
        none = Api(shop).get("shipments", order_id="1005")
    expected = {row["carrier"]: row for row in sample("shipments-list-4.20.synthetic")["shipments"]}
    for row in rows:
        agrees(row, expected[row["carrier"]])
        assert row.get("carrier_info") == expected[row["carrier"]].get("carrier_info")
    assert none["params"] == sample("shipments-list-order-none.synthetic")["params"] | {
        "order_id": "1005"
    }


@pytest.mark.parametrize(
    ("version", "price"), [("4.7", "9.950000"), ("4.13", "9.950000"), ("4.16", "9.95")]
)
def test_product_prices_have_six_decimals_before_4_15(version: str, price: str) -> None:
    with small_shop(version, orders=0) as shop:
        row = Api(shop).get("products", pid="1")["products"][0]
        detail = Api(shop).get("products/1")
    assert (row["price"], detail["price"]) == (price, price)
    assert row["product_id"] == "1" and detail["product_id"] == 1


def test_product_rows_have_the_samples_keys_and_types() -> None:
    with small_shop("4.20", orders=0) as shop:
        row = Api(shop).get("products")["products"][0]
    with small_shop("4.7", orders=0) as shop:
        old = Api(shop).get("products")["products"][0]
    new_sample = sample("products-list")["products"][0]
    old_sample = sample("products-list-legacy")[0]
    assert set(row) - set(new_sample) == set()
    assert set(old) == set(old_sample)
    got, want = kinds(row), kinds(new_sample)
    # An empty map is a list, so these two may differ by the data.
    differing = {k for k in got if got[k] != want[k] and "null" not in (got[k], want[k])}
    assert differing <= {"product_features"}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_unversioned_url_is_the_newest_api(version: str) -> None:
    with small_shop(version, orders=2) as shop:
        api = Api(shop)
        assert api.call("GET", "api/version").json() == {
            "Version": "2.0" if version == "4.7" else "2.1"
        }
        bare = api.call("GET", "api/1.0/orders").json()
        assert isinstance(bare, list) and len(bare) == 2
        assert "params" in api.call("GET", "api/orders").json()
        assert api.call("GET", "api/2/orders").status_code == 404
        newer = api.call("GET", "api/2.1/orders").status_code
    assert newer == (404 if version == "4.7" else 200)


def test_default_page_sizes() -> None:
    for version, size in (("4.7", 10), ("4.16", 10), ("4.20", 50)):
        with small_shop(version, orders=60) as shop:
            assert len(Api(shop).get("orders")["orders"]) == size
    with small_shop("4.20", orders=10, page_size=7) as shop:
        assert len(Api(shop).get("orders")["orders"]) == 7


def test_the_date_header_is_the_shops_clock() -> None:
    with small_shop(orders=0) as shop:
        response = Api(shop).call("GET", "api/version")
    assert response.headers["Date"] == "Sun, 15 Jun 2025 15:06:40 GMT"
    assert NOW == 1_750_000_000

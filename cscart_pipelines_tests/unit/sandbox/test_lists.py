"""Filters, sorting and paging of lists, with the shop's silent traps."""

from __future__ import annotations

from typing import Any

import pytest

from cscart_pipelines_tests.support.shop.sandboxes import NOW, VERSIONS, Api, Clock, small_shop


def ids(answer: dict[str, Any]) -> list[int]:
    rows = answer["orders"] if "orders" in answer else answer["users"]
    return [int(row.get("order_id") or row["user_id"]) for row in rows]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_row_is_on_exactly_one_page(version: str) -> None:
    with small_shop(version, orders=23) as shop:
        api = Api(shop)
        seen: list[int] = []
        for page in range(1, 6):
            query = {"sort_by": "order_id", "sort_order": "asc", "items_per_page": 5}
            answer = api.get("orders", page=page, **query)
            seen += ids(answer)
            assert answer["params"]["total_items"] == "23"
    assert seen == list(range(1001, 1024))


def test_page_and_size_oddities() -> None:
    with small_shop() as shop:
        api = Api(shop)
        everything = api.get("orders", items_per_page=0)
        assert len(everything["orders"]) == 5 and "total_items" not in everything["params"]
        assert len(api.get("orders", items_per_page=-3)["orders"]) == 5
        assert api.get("orders", page="x", items_per_page=2)["params"]["page"] == 1
        assert api.get("orders", page=-4, items_per_page=2)["params"]["page"] == 1
        assert api.get("orders", items_per_page=1_000_000)["params"]["items_per_page"] == 1_000_000
    with small_shop("4.7") as shop:
        assert Api(shop).get("orders", items_per_page=2)["params"]["items_per_page"] == "2"


def test_users_repeat_their_last_page_for_ever_and_statuses_do_not() -> None:
    with small_shop(orders=0) as shop:
        for number in range(5):
            shop.store.add_customer(f"c{number}@example.com")
        api = Api(shop)
        query = {"user_type": "C", "sort_by": "id", "items_per_page": 2}
        assert ids(api.get("users", **query, page=3)) == ids(api.get("users", **query, page=77))
        past = api.get("statuses", page=9, items_per_page=5)
        assert past["statuses"] == [] and past["params"]["total_items"] == 8
        assert api.get("products", page=9)["products"] == []
    with small_shop("4.7", orders=0) as shop:
        assert Api(shop).get("statuses", page=9)["params"]["total_items"] == 0


def test_a_misspelt_filter_returns_everything_and_is_echoed() -> None:
    with small_shop() as shop:
        answer = Api(shop).get("orders", updated_at_form="9999999999", sort_by="updated_at")
    assert len(answer["orders"]) == 5
    assert answer["params"]["updated_at_form"] == "9999999999"
    assert answer["params"]["sort_by"] == "date"


def test_parents_never_and_incomplete_orders_only_when_asked() -> None:
    with small_shop() as shop:
        shop.store.edit_order(1001, status="N")
        shop.store.edit_order(1002, is_parent_order="Y", status="T")
        api = Api(shop)
        assert ids(api.get("orders")) == [1005, 1004, 1003]
        asked = api.get("orders", include_incompleted=1)
        assert ids(asked) == [1005, 1004, 1003, 1001]
        assert asked["params"]["include_incompleted"] is True
        assert ids(api.get("orders", status="N")) == [1001]
        assert ids(api.get("orders", **{"status[]": ["N", "O"]}))[-1] == 1001
        assert ids(api.get("orders", status="T")) == []
        assert api.get("orders/1001")["status"] == "N"


def test_order_filters() -> None:
    with small_shop() as shop:
        store = shop.store
        store.add_customer("known@example.com", user_id=7)
        store.place_order(user_id=7, lines=[(3, 1)], order_id=1010)
        store.set_order_status(1002, "C")
        api = Api(shop)
        assert ids(api.get("orders", status="C")) == [1002]
        assert ids(api.get("orders", status="C,O")) == []  # a comma list is not split
        assert ids(api.get("orders", user_id=7)) == [1010]
        assert len(api.get("orders", user_id=0)["orders"]) == 6  # guests cannot be asked for
        assert ids(api.get("orders", order_id="1003,1001")) == [1003, 1001]
        assert ids(api.get("orders", **{"order_id[]": ["1003"]})) == [1003]
        assert ids(api.get("orders", email="BUYER3")) == [1004]
        assert ids(api.get("orders", p_ids="3")) == [1010]
        assert ids(api.get("orders", total_from="29.95", total_to="29.95")) == [1010]
        assert ids(api.get("orders", email="buyer3", cname="Buyer1", compact="Y")) == [1004, 1002]


@pytest.mark.parametrize("version", VERSIONS)
def test_updated_at_filters_work_from_4_13_and_do_nothing_before(version: str) -> None:
    clock = Clock()
    with small_shop(version, clock=clock) as shop:
        clock.now += 500
        shop.store.set_order_status(1002, "C")
        api = Api(shop)
        since = api.get("orders", updated_at_from=NOW + 500)
        future = api.get("orders", updated_at_from=NOW + 501)
        empty = api.get("orders", updated_at_to="")
        cast = api.get("orders", updated_at_from="2025-06-15")
    if version in ("4.7", "4.12"):
        assert len(since["orders"]) == len(future["orders"]) == len(empty["orders"]) == 5
    else:
        assert ids(since) == [1002] and ids(future) == [] and ids(empty) == []
        assert len(cast["orders"]) == 5  # "2025-06-15" is the number 2025


def test_time_filters_need_a_period_and_epochs() -> None:
    with small_shop() as shop:
        api = Api(shop)
        start = NOW - 2 * 3600
        assert len(api.get("orders", time_from=start)["orders"]) == 5
        assert ids(api.get("orders", period="C", time_from=start)) == [1005, 1004]
        assert ids(api.get("orders", period="C", time_to=NOW - 4 * 3600)) == [1002, 1001]
        assert ids(api.get("orders", period="C", time_from="2025-06-01")) == []  # that is "now"
        assert len(api.get("orders", period="C", time_from="06/15/2025")["orders"]) == 5
        assert len(api.get("orders", period="A", time_from=NOW)["orders"]) == 5
        assert len(api.get("orders", period="HH")["orders"]) == 5
        assert ids(api.get("orders", period="LD")) == []
        assert ids(api.get("orders", period="nonsense", time_from=start)) == [1005, 1004]


def test_days_are_the_shops_own() -> None:
    with small_shop(timezone="America/Los_Angeles", day_first=True) as shop:
        # NOW is 08:06 in Los Angeles; its 15th of June began at 07:00 UTC.
        assert len(Api(shop).get("orders", period="C", time_from="15/06/2025")["orders"]) == 5
        assert ids(Api(shop).get("orders", period="C", time_from="16/06/2025")) == []


def test_orders_with_details_in_the_list_since_4_11() -> None:
    for version in VERSIONS:
        with small_shop(version) as shop:
            rows = Api(shop).get("orders", get_orders_data=1)["orders"]
            single = Api(shop).get(f"orders/{rows[0]['order_id']}")
        assert ("products" in rows[0]) is (version != "4.7")
        if version != "4.7":
            assert rows[0] == single


def test_user_filters() -> None:
    with small_shop(orders=0) as shop:
        shop.store.add_customer("b@example.com", firstname="Bo", status="D")
        shop.store.add_customer("c@example.com", firstname="Cy", user_type="V")
        api = Api(shop)
        assert ids(api.get("users", user_type="C")) == [2]
        assert ids(api.get("users", user_type="A")) == [1]
        assert ids(api.get("users", user_type="C", status="A")) == []
        assert ids(api.get("users", **{"user_type": "V", "user_ids[]": ["3"]})) == [3]
        assert ids(api.get("users", user_type="C", registered_from=NOW)) == [2]


def test_product_filters_and_slim_rows() -> None:
    clock = Clock()
    with small_shop(orders=1, clock=clock) as shop:
        store = shop.store
        clock.now += 10 * 3600
        store.set_stock(4, 3)
        store.add_product("Homeless", 1)
        api = Api(shop)

        def products(**query: Any) -> list[int]:
            return [int(row["product_id"]) for row in api.get("products", **query)["products"]]

        assert products(pid="3,5", sort_by="timestamp") == [3, 5]
        assert products(updated_in_hours=2) == [4]  # the order took stock, but touched nothing
        assert products(cid=1, sort_by="price", sort_order="desc") == [3, 2, 1]
        assert products(amount_to=3) == [4]
        assert 7 not in products() and api.get("products/7")["product"] == "Homeless"
        assert len(products(product_type="X")) == 6  # documented, but not read
        slim = api.get("products", only_short_fields=1)["products"][0]
        assert "amount" in slim and "updated_timestamp" not in slim
        assert store.products[1].amount == 98


def test_categories_have_names_and_parents() -> None:
    with small_shop(orders=0) as shop:
        shop.store.add_category("Sandals", parent_id=2)
        answer = Api(shop).get("categories")
    rows = {row["category_id"]: row for row in answer["categories"]}
    assert rows["3"]["id_path"] == "2/3" and rows["1"]["category"] == "Bags"
    assert rows["1"]["product_count"] == "3" and answer["params"]["total_items"] == "3"


def test_what_a_hook_raises_comes_out_of_the_with_block() -> None:
    def fails(request: Any) -> None:
        raise LookupError(request.path)

    with pytest.raises(LookupError, match="version"), small_shop() as shop:
        shop.before_request(fails)
        Api(shop).get("version")


def test_a_number_given_again_is_another_order() -> None:
    with small_shop() as shop:
        api = Api(shop)
        api.get("orders", get_orders_data=1)
        api.get("orders")
        shop.store.delete_order(1003)
        shop.store.place_order(order_id=1003, email="new@example.com")
        assert api.get("orders/1003")["email"] == "new@example.com"
        assert api.get("orders", order_id=1003)["orders"][0]["email"] == "new@example.com"


def test_a_renamed_product_is_renamed_in_old_orders_but_not_in_their_extra() -> None:
    with small_shop() as shop:
        api = Api(shop)
        api.get("orders/1001")
        shop.store.edit_product(1, product="Renamed")
        lines = {row["product_id"]: row for row in api.get("orders/1001")["products"].values()}
        shop.store.delete_product(2)
        gone = {row["product_id"]: row for row in api.get("orders/1001")["products"].values()}["2"]
    assert (lines["1"]["product"], lines["1"]["extra"]["product"]) == ("Renamed", "Tote bag")
    assert gone["deleted_product"] is True and gone["product_status"] is None
    assert gone["product"] == "Backpack"


def test_edits_between_two_pages_happen_where_a_test_wants_them() -> None:
    with small_shop(orders=4) as shop:
        asked: list[str] = []

        @shop.before_request
        def place(request: Any) -> None:
            asked.append(request.query)
            if request.query.startswith("page=2"):
                shop.store.delete_order(1001)

        api = Api(shop)
        query = {"sort_by": "order_id", "sort_order": "asc", "items_per_page": 2}
        assert ids(api.get("orders", page=1, **query)) == [1001, 1002]
        assert ids(api.get("orders", page=2, **query)) == [1004]  # 1003 slipped to page 1
        assert len(asked) == 2

"""Orders and shipments as somebody reads them who is about to ship: all versions, odd bodies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.cscart import order_fulfilment
from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import UnreadableRowError
from cscart_pipelines.cscart.errors import NotFoundError, TransientShopError
from cscart_pipelines.cscart.order_fulfilment import (
    ShippableOrder,
    parse_shipment_seen,
    parse_shippable,
    read_order,
    read_shipments,
)
from cscart_pipelines.cscart.records.orders import OrderLineRow, OrderRow, parse_order
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.shop.sandboxes import NOW, VERSIONS, sample, small_shop


def client_of(shop: SandboxShop) -> ShopClient:
    return ShopClient(shop.url, shop.email, shop.api_key, retries=1, sleep=lambda seconds: None)


@pytest.fixture(params=VERSIONS)
def shop(request: pytest.FixtureRequest) -> Iterator[SandboxShop]:
    with small_shop(request.param, orders=2) as made:
        yield made


@pytest.fixture
def client(shop: SandboxShop) -> Iterator[ShopClient]:
    with client_of(shop) as made:
        yield made


def left(order: ShippableOrder) -> dict[str, int]:
    return {line.item_id: line.left for line in order.lines}


def test_an_order_before_anything_was_shipped(shop: SandboxShop, client: ShopClient) -> None:
    order = read_order(client, 1001)
    placed = shop.store.orders[1001]
    assert (order.order_id, order.status, order.is_parent) == (1001, "O", False)
    assert order.ordered_at == datetime.fromtimestamp(placed.timestamp, UTC)
    assert order.total == placed.total and order.total.as_tuple().exponent == -2
    assert order.shipping_id == placed.shipping_id == 1
    assert order.shipment_ids == () and order.left == 3
    assert [(x.item_id, x.product_id, x.product_code, x.ordered, x.left) for x in order.lines] == [
        (x.item_id, x.product_id, x.product_code, x.amount, x.amount)
        for x in sorted(placed.lines, key=lambda x: x.item_id)
    ]


def test_what_is_left_gets_less_with_each_shipment(shop: SandboxShop, client: ShopClient) -> None:
    first, second = (line.item_id for line in shop.store.orders[1001].lines)
    shop.store.create_shipment(1001, products={first: 1})
    order = read_order(client, 1001)
    assert left(order) == {first: 1, second: 1} and order.shipment_ids == (301,)
    shop.store.create_shipment(1001)
    order = read_order(client, 1001)
    assert order.left == 0 and order.shipment_ids == (301, 302)
    assert [line.ordered for line in read_order(client, 1002).lines] == [
        line.ordered for line in order.lines
    ]


def test_the_shipments_of_one_order_and_of_no_other(shop: SandboxShop, client: ShopClient) -> None:
    item = shop.store.orders[1001].lines[0].item_id
    shop.store.create_shipment(
        1001, products={item: 1}, carrier="ups", tracking_number="1Z 1", comments="hello"
    )
    shop.store.create_shipment(1002, tracking_number="X")
    shop.store.create_shipment(1001)
    one, two = read_shipments(client, 1001)
    assert (one.shipment_id, one.order_id, two.shipment_id) == (301, 1001, 303)
    assert (one.tracking_number, one.carrier, one.comments) == ("1Z 1", "ups", "hello")
    assert one.tracking_url.endswith("tracknum=1Z 1")
    assert one.quantities == {item: 1} and sum(two.quantities.values()) == 2
    assert one.shipped_at == datetime.fromtimestamp(NOW, UTC)
    assert (two.tracking_number, two.carrier, two.tracking_url, two.comments) == ("", "", "", "")
    assert read_shipments(client, 999) == []


def test_a_filter_that_the_shop_ignores_brings_no_other_orders_shipments(
    shop: SandboxShop, client: ShopClient
) -> None:
    shop.store.create_shipment(1001)
    assert client.get("shipments", params={"order_id": 0}).body["shipments"]  # ignored by the shop
    assert read_shipments(client, 0) == []


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_all_pages_are_read_and_none_twice(
    shop: SandboxShop, client: ShopClient, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_fulfilment, "_PAGE", 2)
    order = shop.store.place_order(lines=[(1, 9)])
    item = order.lines[0].item_id
    for _ in range(count):
        shop.store.create_shipment(order.order_id, products={item: 1})
    shop.requests.clear()
    found = read_shipments(client, order.order_id)
    assert [each.shipment_id for each in found] == list(range(301, 301 + count))
    assert shop.requests.count(path="shipments") <= count // 2 + 1


def test_a_list_that_does_not_end_is_an_error(
    shop: SandboxShop, client: ShopClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_fulfilment, "_PAGE", 1)
    monkeypatch.setattr(order_fulfilment, "_MOST_PAGES", 2)
    order = shop.store.place_order(lines=[(1, 9)])
    for _ in range(3):
        shop.store.create_shipment(order.order_id, products={order.lines[0].item_id: 1})
    with pytest.raises(TransientShopError, match="does not end"):
        read_shipments(client, order.order_id)


def test_an_unknown_order_is_not_found(client: ShopClient) -> None:
    with pytest.raises(NotFoundError):
        read_order(client, 99999)


def test_orders_that_are_not_listed_are_read_all_the_same() -> None:
    with small_shop(orders=0, multivendor=True) as shop:
        shop.store.edit_product(2, company_id=2)
        parent = shop.store.place_order(lines=[(1, 1), (2, 1)])
        draft = shop.store.place_order(status="N")
        with client_of(shop) as client:
            split = read_order(client, parent.order_id)
            child = read_order(client, parent.order_id + 1)
            assert read_order(client, draft.order_id).status == "N"
    assert split.is_parent and split.status == "T" and split.parent_order_id is None
    assert (child.is_parent, child.parent_order_id, child.left) == (False, parent.order_id, 1)


# --- bodies --------------------------------------------------------------------------------------

DETAIL: dict[str, Any] = {
    "order_id": "7", "status": "P", "timestamp": "1700000000", "total": "12.5",
    "products": {
        "222": {"item_id": "222", "amount": "3", "shipment_amount": 1, "product_code": "B"},
        "111": {"cart_id": 111, "amount": 2, "shipped_amount": "1", "product_id": "5"},
    },
}  # fmt: skip


def test_the_sample_of_a_guests_order_is_read() -> None:
    raw = sample("order-detail-guest-4.20.synthetic")
    order = parse_shippable(raw)
    assert str(order.order_id) == raw["order_id"] and not order.is_parent
    assert {line.item_id for line in order.lines} == set(raw["products"])


def test_a_parent_of_the_samples_is_one() -> None:
    assert parse_shippable(sample("order-detail-parent-mv.synthetic")).is_parent


def test_lines_are_sorted_and_what_is_left_is_computed_where_it_is_not_sent() -> None:
    order = parse_shippable(DETAIL)
    assert [(x.item_id, x.ordered, x.left) for x in order.lines] == [("111", 2, 1), ("222", 3, 1)]
    assert (order.lines[0].product_id, order.lines[0].product_code) == (5, None)
    assert order.total == Decimal("12.50") and order.updated_at is None
    assert order.shipping_id is None and order.shipment_ids == ()


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"is_edp": "Y", "edp_shipping": "N"}, 0),  # downloaded, never shipped
        ({"is_edp": "Y", "edp_shipping": "Y"}, 1),
        ({"is_edp": "N"}, 1),
        ([], 1),
    ],
)
def test_only_what_is_sent_by_post_is_left(extra: Any, expected: int) -> None:
    line = {"amount": "1", "shipment_amount": "1", "extra": extra}
    assert parse_shippable(DETAIL | {"products": {"1": line}}).left == expected


def test_more_shipped_than_ordered_leaves_nothing_and_not_less() -> None:
    line = {"amount": "1", "shipment_amount": "-2"}
    assert parse_shippable(DETAIL | {"products": {"1": line}}).left == 0


@pytest.mark.parametrize(
    ("values", "ids", "shipping"),
    [
        ({"shipment_ids": ["12", "3"]}, (3, 12), None),
        ({"shipment_ids": "12,3"}, (3, 12), None),
        ({"shipment_ids": "", "shipping_ids": "0,4"}, (), 4),
        ({"shipment_ids": {"1": "9"}, "shipping": [{"shipping_id": "2"}]}, (9,), 2),
        ({"shipping": {"5": {"shipping_id": 6}}, "shipping_ids": ""}, (), 6),
        ({"shipment_ids": None, "shipping": "x", "shipping_ids": None}, (), None),
    ],
)
def test_ids_come_in_every_shape(
    values: dict[str, Any], ids: tuple[int, ...], shipping: int | None
) -> None:
    order = parse_shippable(DETAIL | values)
    assert (order.shipment_ids, order.shipping_id) == (ids, shipping)


@pytest.mark.parametrize("missing", ["order_id", "status", "timestamp", "total", "products"])
def test_an_order_without_what_is_needed_is_unreadable(missing: str) -> None:
    with pytest.raises(UnreadableRowError, match=missing):
        parse_shippable({name: value for name, value in DETAIL.items() if name != missing})


@pytest.mark.parametrize("body", [[], "x", None, DETAIL | {"products": {"1": "x"}},
                                  DETAIL | {"products": {"1": {"amount": "many"}}}])  # fmt: skip
def test_what_is_no_order_is_unreadable(body: Any) -> None:
    with pytest.raises(UnreadableRowError):
        parse_shippable(body)


def test_an_order_without_lines_has_nothing_left() -> None:
    assert parse_shippable(DETAIL | {"products": []}).left == 0


def test_carrier_credentials_do_not_come_along() -> None:
    leaking = {"shipping": [{"shipping_id": 1, "service_params": {"password": "hush"}}],
               "payment_info": {"card": "4111"}}  # fmt: skip
    order = parse_shippable(DETAIL | leaking)
    assert "hush" not in repr(order) and "4111" not in repr(order)


def test_a_bare_shipment_is_read_and_one_without_id_is_not() -> None:
    seen = parse_shipment_seen({"shipment_id": "5", "order_id": None, "comments": None})
    assert (seen.shipment_id, seen.order_id, seen.comments) == (5, None, "")
    assert seen.quantities == {} and seen.shipped_at is None
    odd = parse_shipment_seen({"shipment_id": 5, "products": {"1": "2", "3": "x"}})
    assert odd.quantities == {"1": 2}
    with pytest.raises(UnreadableRowError):
        parse_shipment_seen({"shipment_id": "0"})


# --- shipping groups (reference 8.3, 23) ---------------------------------------------------------

ORDER_25 = {
    "order_id": "25", "status": "O", "timestamp": "1328790596", "total": "360.99",
    "shipping_ids": "", "shipping": {"1": {"shipping": "Custom", "rates": [28]}},
    "need_shipment": True,
    "products": {"27": {"item_id": "27", "product_id": "27", "amount": "1", "price": "55.00",
                        "company_id": 0}},
}  # fmt: skip


def shipped(**values: Any) -> tuple[ShippableOrder, OrderRow, list[OrderLineRow]]:
    raw = ORDER_25 | values
    return parse_shippable(raw), *parse_order(raw)


def two_groups(*groups: Any) -> dict[str, Any]:
    """Lines 1, 2, … of these groups; None: of no group."""
    return {
        str(place): {"item_id": str(place), "product_id": "1", "amount": "1", "price": "1.00",
                     "extra": [] if group is None else {"group_key": group}}
        for place, group in enumerate(groups, 1)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shipping", "ids", "shipping_id", "name"),
    [
        (ORDER_25["shipping"], "", 1, "Custom"),
        (ORDER_25["shipping"], None, 1, "Custom"),
        (ORDER_25["shipping"], "1", 1, "Custom"),
        ({"1": {"shipping": "Custom"}}, "7", 7, "Custom"),  # 1 is the group then
        ({"1": {"shipping": "Custom", "group_key": 1}}, "7", 7, "Custom"),
        ({"1": {"shipping": "Custom", "group_key": 1}}, "", None, "Custom"),
        ({"1": {"shipping_id": "3", "shipping": "Custom"}}, "", 3, "Custom"),
        ({"name": "Courier"}, "", None, "Courier"),
        ({"name": "Courier"}, 4, 4, "Courier"),
        ({"name": "Courier", "shipping_id": 4, "rates": [1]}, "", 4, "Courier"),
        ({"shipping_id": "4"}, "", 4, None),
        ({"shipping": "Courier", "name": "other"}, "", None, "Courier"),
        ([{"shipping": "Post"}], "5", 5, "Post"),
        ([{"shipping": "Post"}, {"shipping": "Post", "shipping_id": 5}], "5,6", 6, "Post"),
        ([{"shipping_id": "1", "shipping": ""}], "2", 1, None),
        ([None, [], 7, {"shipping": "Post"}], "", None, "Post"),
        ([["nested", {"shipping": "x"}]], "2", 2, None),
        ({"1": {"shipping": {"name": "x"}, "rates": []}}, "", 1, None),
        ({"rates": {"1": {"shipping": "x"}}}, "", None, None),
        ({"2": "Courier"}, "", 2, "Courier"),
        ("Courier", "1", 1, "Courier"),
        ("5.00", "1", 1, None),  # the cost
        ("", "1,2", 1, None),
        ([], "0,4", 4, None),
        ({}, [3, "4"], 3, None),
        (None, "x", None, None),
        (False, None, None, None),
        (12.5, {"0": "9"}, 9, None),
        ([{"shipping": "DHL &amp; <b>Co</b>&nbsp;"}], "", None, "DHL & Co"),
    ],
)
def test_the_method_of_an_order_in_every_shape(
    shipping: Any, ids: Any, shipping_id: int | None, name: str | None
) -> None:
    order, row, lines = shipped(shipping=shipping, shipping_ids=ids)
    assert (order.shipping_id, row.shipping_method) == (shipping_id, name)
    assert lines[0].shipping_method == name
    told = ids if isinstance(ids, str) and ids else None
    assert told or row.shipping_ids is None or shipping_id == int(row.shipping_ids.split(",")[0])
    assert order.lines[0].left == 1


@pytest.mark.parametrize(
    ("shipping", "groups", "ids"),
    [
        ([{"shipping_id": "1", "shipping": "A", "group_key": 0},
          {"shipping_id": "2", "shipping": "B", "group_key": 1}], (1, "0", None), (2, 1, 1)),
        ([{"shipping_id": "2", "shipping": "B", "group_key": "1"},
          {"shipping_id": "1", "shipping": "A", "group_key": "0"}], (0, 1, 5), (1, 2, 2)),
        ([{"shipping_id": "1", "shipping": "A"}, {"shipping_id": "2", "shipping": "B"}],
         (0, 1, "x"), (1, 2, 1)),
        ({"1": {"shipping_id": "7", "shipping": "A"}, "2": {"shipping_id": 8, "shipping": "B"}},
         ("1", 2, 0), (7, 8, 7)),
        ({"3": {"shipping": "A"}, "5": {"shipping": "B"}}, (0, 1, None), (3, 5, 3)),
        ({"3": {"shipping_id": 3, "shipping": "A"}, "5": {"shipping_id": 5, "shipping": "B"}},
         (1, 0, []), (5, 3, 3)),
        # Several vendors: the child has one method, whatever group the cart had.
        ([{"shipping_id": "4", "shipping": "A", "group_key": 0}], (0, 3, None), (4, 4, 4)),
    ],
)  # fmt: skip
def test_a_line_has_the_method_of_its_group(
    shipping: Any, groups: tuple[Any, ...], ids: tuple[int, ...]
) -> None:
    order, row, lines = shipped(shipping=shipping, products=two_groups(*groups), shipping_ids="")
    assert tuple(line.method and line.method.shipping_id for line in order.lines) == ids
    assert [line.shipping_method for line in lines] == [
        line.method and line.method.name for line in order.lines
    ]
    assert set((row.shipping_method or "").split(", ")) >= {each.shipping_method for each in lines}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4)
    | st.sampled_from(["1", "1,2", "0", "Courier"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["0", "1", "2", "shipping", "name", "shipping_id", "group_key", "x"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, JSON, JSON)
def test_no_shape_of_shipping_makes_an_order_unreadable(
    shipping: Any, ids: Any, extra: Any
) -> None:
    products = {"1": {"product_id": "1", "amount": "1", "price": "1.00", "extra": extra}}
    order, row, lines = shipped(shipping=shipping, shipping_ids=ids, products=products)
    assert order.shipping_id is None or order.shipping_id > 0
    assert (row.shipping_method is None) == (not row.shipping_method)
    assert lines[0].shipping_method is None or lines[0].shipping_method in row.shipping_method


def test_the_own_id_is_no_parent() -> None:
    order, row, _ = shipped(parent_order_id=25)
    assert (order.parent_order_id, row.parent_order_id) == (None, None)
    listed, _ = parse_order({k: v for k, v in ORDER_25.items() if k != "products"} | {
        "parent_order_id": "25"})  # fmt: skip
    assert listed.parent_order_id is None
    assert shipped(parent_order_id="24")[1].parent_order_id == 24


@pytest.mark.parametrize(
    ("product", "extra", "name"),
    [
        ("Doll (Single, New)", {"product": "Doll"}, "Doll (Single, New)"),
        ("Tote bag, large", {"product": "Tote bag"}, "Tote bag"),  # renamed since
        ("Puppet (Set, Used)", {"product": "Doll"}, "Puppet (Set, Used)"),
        ("Doll", {"product": "Doll (Set)"}, "Doll (Set)"),
        (None, {"product": "Doll"}, "Doll"),
        ("  ", {"product": "Doll"}, "Doll"),
        ("Doll", [], "Doll"),
        ("Doll", {"product": ""}, "Doll"),
        (None, None, None),
        ("Rock &amp; Roll&#039;s <br/>100 &lt;m&gt;", {}, "Rock & Roll's 100 <m>"),
        ("Cable <2m> R&B &copy", {}, "Cable <2m> R&B &copy"),
    ],
)
def test_the_name_of_a_line_says_which_variation(product: Any, extra: Any, name: str) -> None:
    products = {"1": {"product_id": "1", "amount": "1", "price": "1.00", "product": product,
                      "extra": extra}}  # fmt: skip
    order, _, lines = shipped(products=products)
    assert order.lines[0].product == lines[0].product == name

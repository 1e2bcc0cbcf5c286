"""Lists: the envelope in its shapes, and short lists whose total is wrong."""

from __future__ import annotations

import orjson
import pytest

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import PermanentShopError, ShopTooOldError, TransientShopError
from cscart_pipelines.cscart.lists import fetcher, identifier, read_page, read_short_list
from cscart_pipelines.cscart.paginator import ReverseOffsetPaginator
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.shop.raw_server import canned_server


def page_of(body, entity="orders", page=1, size=2):
    content = orjson.dumps(body)
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)
    with canned_server(reply) as url, ShopClient(url, "a@b.example", "k") as client:
        return read_page(client, entity, page, size)


ROWS = [{"order_id": "1"}, {"order_id": "2"}]


@pytest.mark.parametrize("total", ["7", 7])
@pytest.mark.parametrize("rows", [ROWS, {"1": ROWS[0], "2": ROWS[1]}, [*ROWS, False, None]])
def test_the_envelope_in_its_shapes(total, rows):
    answer = page_of({"orders": rows, "params": {"total_items": total, "page": "1"}})
    assert (answer.rows, answer.total, answer.page) == (ROWS, 7, 1)


def test_without_a_total_a_page_that_is_not_full_tells_it():
    assert page_of({"orders": ROWS, "params": [0]}, page=3, size=5).total == 12
    with pytest.raises(PermanentShopError, match="how many"):
        page_of({"orders": ROWS, "params": [0]})


@pytest.mark.parametrize("body", [{"error": "x"}, {"orders": None}, 5, None])
def test_what_is_no_list_is_a_page_gone_wrong(body):
    with pytest.raises(TransientShopError) as caught:
        page_of(body)
    assert caught.value.cause == "page"


@pytest.mark.parametrize("body", [ROWS, [], [1]])
@pytest.mark.parametrize("read", [read_page, read_short_list], ids=["page", "short list"])
def test_a_bare_list_is_api_1_0_and_is_not_asked_for_again(body, read):
    content, asked = orjson.dumps(body), []
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)
    with (
        canned_server(reply, asked) as url,
        ShopClient(url, "a@b.example", "k") as client,
        pytest.raises(ShopTooOldError, match=r"bare list of users, as API 1\.0 .*Upgrade the shop"),
    ):
        read(client, "users", *((3, 50) if read is read_page else ()))
    assert len(asked) == 1


@pytest.mark.parametrize("tells", [True, False], ids=["told", "silent"])
def test_a_shop_may_allow_fewer_rows_per_page_than_asked(tells, monkeypatch):
    """Told or not, for every kind of list and each length around the limit, no row is lost."""

    def filled(store):
        for number in range(1, 14):
            store.add_product(
                f"P{number}", 1, main_category=store.add_category(f"C{number}").category_id
            )

    monkeypatch.setattr("cscart_pipelines.cscart.lists._SHORT_LIST_PAGE", 10)
    with (
        SandboxShop("4.20", filled) as shop,
        ShopClient(shop.url, shop.email, shop.api_key) as client,
    ):
        shop.state.tells_page_limit = tells
        for count, limit in [(0, 4), (1, 4), (3, 4), (4, 4), (5, 4), (13, 4), (21, 9), (26, 10)]:
            shop.state.page_limit = limit
            while len(shop.store.orders) < count:
                shop.store.place_order()
                shop.store.add_customer(f"c{len(shop.store.orders)}@b.example")
            for entity, params, key in (
                ("orders", {}, "order_id"),
                ("users", {"user_type": "C"}, "user_id"),
                ("products", {}, "product_id"),
            ):
                for expected, growing in ((None, False), (None, True), (count, True)):
                    pages = ReverseOffsetPaginator(
                        fetcher(client, entity, params), size=20, sizes=(20, 10, 5, 1),
                        expected_total=expected, growing_tail=growing, max_parallel=2,
                    )  # fmt: skip
                    seen = {row[key] for page in pages for row in page.rows}
                    assert len(seen) == (13 if entity == "products" else count)
            categories = read_short_list(client, "categories")
            assert len({row["category_id"] for row in categories}) == 13


def test_a_nested_list_is_named_by_its_last_part():
    assert page_of({"users": [], "params": {"total_items": "0"}}, "stores/1/users").total == 0


@pytest.mark.parametrize("version", ["4.7", "4.20"])
def test_a_short_list_is_read_to_its_end_whatever_total_it_tells(version, monkeypatch):
    monkeypatch.setattr("cscart_pipelines.cscart.lists._SHORT_LIST_PAGE", 3)
    with (
        SandboxShop(version, "small") as shop,
        ShopClient(shop.url, shop.email, shop.api_key) as client,
    ):
        letters = [row["status"] for row in read_short_list(client, "statuses", {"type": "O"})]
        wanted = [status.status for status in shop.store.statuses if status.type == "O"]
    assert sorted(letters) == sorted(wanted)


def test_a_position_is_identified_in_the_slim_list():
    def filled(store):
        store.add_product("Bag", "10.00")
        for number in (5, 9, 12):
            store.place_order(order_id=number)

    with (
        SandboxShop("4.20", filled) as shop,
        ShopClient(shop.url, shop.email, shop.api_key) as client,
    ):
        identify = identifier(client, "orders", "order_id")
        assert [identify(position) for position in range(4)] == [5, 9, 12, None]

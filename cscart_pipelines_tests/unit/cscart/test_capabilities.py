"""The connection test: what it finds in every version, and what it says when it finds nothing."""

from __future__ import annotations

import dataclasses
import socketserver

import pytest

from cscart_pipelines.cscart.capabilities import Capabilities, probe
from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import (
    ApiNotFoundError,
    CredentialsRefusedError,
    ShopTooOldError,
    TransientShopError,
    UnreachableError,
)
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.shop.raw_server import canned_server, served

FOUND = {
    # version: details in the list, updated_at filter, user_type required, family
    "4.7": (False, False, False, "4.10 or older"),
    "4.12": (True, False, False, "4.11 or 4.12"),
    "4.13": (True, True, False, "4.13 to 4.15"),
    "4.16": (True, True, True, "4.16 or newer"),
    "4.20": (True, True, True, "4.16 or newer"),
}


def with_orders(store):
    store.add_product("Bag", "10.00")
    for number in range(1, 4):
        store.place_order(order_id=number)


def quick(*details, **options):
    return ShopClient(*details, **options, retries=1, sleep=lambda seconds: None)


def ask(shop, **changes):
    details = {"base_url": shop.url, "email": shop.email, "api_key": shop.api_key, **changes}
    return probe(*details.values(), connect=quick)


@pytest.mark.parametrize("version", FOUND)
@pytest.mark.parametrize("catalogue", [with_orders, "small"], ids=["orders", "no orders"])
def test_what_a_version_can_do_is_found_with_and_without_orders(version, catalogue):
    with SandboxShop(version, catalogue) as shop:
        found = ask(shop)
        assert len(shop.requests) <= 10
    details, by_change, user_type, family = FOUND[version]
    assert found.orders_with_details is details
    assert found.updated_at_filter is by_change
    assert found.user_type_required is user_type
    assert found.family == family
    assert found.orders_seen is (catalogue is with_orders)
    assert found.orders_total == (3 if catalogue is with_orders else 0)
    assert all(found.readable.model_dump().values())
    assert abs(found.clock_skew) < 60


def test_an_entirely_empty_shop_can_be_connected():
    with SandboxShop("4.20", "empty") as shop:
        assert ask(shop).updated_at_filter
    with SandboxShop("4.7", "empty") as shop:
        assert not ask(shop).updated_at_filter


def test_the_outcome_survives_json():
    with SandboxShop("4.13", with_orders) as shop:
        found = ask(shop)
    assert Capabilities.model_validate_json(found.model_dump_json()) == found


def test_a_server_without_rewriting_is_used_by_the_other_style():
    with SandboxShop("4.20", with_orders, rewrite="api.php", path="/store") as shop:
        assert ask(shop).style == "api.php"


def test_the_shops_clock_is_compared_with_ours():
    with SandboxShop("4.20", with_orders, clock=lambda: __import__("time").time() + 7200) as shop:
        assert 7100 < ask(shop).clock_skew < 7300


def test_missing_privileges_are_seen_entity_by_entity():
    with SandboxShop("4.16", with_orders, privileges={"view_orders", "view_users"}) as shop:
        found = ask(shop)
    assert found.readable.model_dump() == {
        "orders": True,
        "users": True,
        "products": False,
        "statuses": False,
        "shipments": True,
        "categories": False,
    }
    with SandboxShop("4.16", with_orders, privileges={"view_catalog"}) as shop:
        found = ask(shop)
    assert (found.readable.orders, found.readable.users) == (False, False)
    assert (found.orders_total, found.user_type_required) == (None, True)


def test_a_broken_newest_order_does_not_hide_what_the_shop_can_do():
    with SandboxShop("4.20", with_orders) as shop:
        shop.faults.poison(3)
        assert ask(shop).orders_with_details


def test_wrong_credentials_and_closed_doors_have_their_own_errors():
    with SandboxShop("4.20", with_orders) as shop:
        with pytest.raises(CredentialsRefusedError):
            ask(shop, api_key="wrong")
        closed = shop.url
        with pytest.raises(ApiNotFoundError, match=r"api\.php"):
            ask(shop, base_url=shop.url + "/elsewhere")
        shop.faults.add("server_error")
        with pytest.raises(TransientShopError):
            ask(shop)
    with pytest.raises(UnreachableError):
        probe(closed, "a@b.example", "k", connect=quick)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<!DOCTYPE html><html>Hello</html>", ApiNotFoundError),
        (b'{"hello":"world"}', ApiNotFoundError),
        (b"[]", ApiNotFoundError),
        (b'{"Version":"1.0"}', ShopTooOldError),
    ],
)
def test_what_is_no_shop_or_too_old_is_named(body, error):
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with canned_server(reply) as url, pytest.raises(error):
        probe(url, "a@b.example", "k", connect=quick)


def test_a_shop_without_this_version_of_the_api_is_too_old():
    body = b'{"message":"Not Found","status":404}'
    reply = b"HTTP/1.1 404 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with canned_server(reply) as url, pytest.raises(ShopTooOldError):
        probe(url, "a@b.example", "k", connect=quick)


@pytest.mark.parametrize("page", [False, True], ids=["the shop's 404", "the web server's 404"])
def test_a_shop_that_hides_its_version_is_known_by_its_lists(page):
    with SandboxShop("4.20", with_orders) as shop:
        answer = shop.respond

        def hide(request):
            if request.path.endswith("/version"):
                nowhere = "/no/such/page" if page else request.path + "s_of_nothing"
                request = dataclasses.replace(request, path=nowhere)
            return answer(request)

        shop._wire.respond = hide
        found = ask(shop)
    assert found.orders_with_details and found.updated_at_filter


def test_a_wrong_key_is_named_even_where_the_version_is_hidden():
    with SandboxShop("4.20", with_orders) as shop:
        answer = shop.respond

        def hide(request):
            if request.path.endswith("/version"):
                request = dataclasses.replace(request, path="/no/such/page")
            return answer(request)

        shop._wire.respond = hide
        with pytest.raises(CredentialsRefusedError):
            ask(shop, api_key="wrong")


@pytest.mark.parametrize("body", [b"[]", b'[{"order_id":"1"}]'])
@pytest.mark.parametrize("version", [b'{"Version":"2.0"}', None])
def test_a_bare_list_is_named_as_api_1_0(body, version):
    """Also where the shop hides its version."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            if self.rfile.peek(1)[:1] == b"\x16":  # TLS says hello, and waits for an answer
                return
            asked = self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            status, content = b"200 OK", body
            if b"/version" in asked:
                status = b"200 OK" if version else b"404 Not Found"
                content = version or b'{"message":"Not Found","status":404}'
            head = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            self.wfile.write(head % (status, len(content)) + content)

    with served(Handler) as url, pytest.raises(ShopTooOldError, match=r"API 1\.0"):
        probe(url, "a@b.example", "k", connect=quick)

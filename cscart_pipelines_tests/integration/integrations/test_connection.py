"""The connection test names what is wrong, against real servers, and never says the key."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from cscart_pipelines.cscart.errors import (
    AccessDeniedError,
    ApiNotFoundError,
    CredentialsRefusedError,
    PermanentShopError,
    RedirectRefusedError,
    ShopError,
    ShopTooOldError,
    TlsError,
    TransientShopError,
    UnreachableError,
)
from cscart_pipelines.integrations import connection as connections
from cscart_pipelines.integrations.settings import check
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.shop.commands import KEY, Installation
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.raw_server import canned_server

EMAIL = "admin@shop.example"


@pytest.fixture
def shop() -> Iterator[SandboxShop]:
    with SandboxShop("4.20", "small") as made:
        yield made


def ask(url: str, key: str = KEY, email: str = EMAIL) -> Any:
    settings = check({"integration": "shop", "list_name": "shop", "url": url, "email": email})
    return connections.test_connection(settings, SecretStr(key))


def refused(url: str, kind: type[ShopError], *said: str, **details: str) -> str:
    with pytest.raises(ShopError) as caught:
        ask(url, **details)
    assert type(caught.value) is kind, caught.value
    for words in said:
        assert words in caught.value.message
    assert KEY not in str(caught.value) and details.get("key", KEY) not in repr(caught.value)
    return caught.value.message


def closed_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def page(status: str, body: str = "<html><body>Log in</body></html>", *headers: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in headers)
    length = len(body.encode())
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n{head}\r\n"
        f"{body}"
    ).encode()


def api(status: str, body: str) -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


# --- not reached ---------------------------------------------------------------------------------


def test_a_name_that_does_not_resolve() -> None:
    refused("https://shop.invalid", UnreachableError, "shop.invalid is unknown", "spelling")


def test_a_refused_connection() -> None:
    refused(f"http://127.0.0.1:{closed_port()}", UnreachableError, "refuses connections", "port")


def test_a_certificate_that_nobody_vouches_for() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with SandboxShop("4.20", "small", tls=context) as shop:
        refused(shop.url, TlsError, "certificate of 127.0.0.1", "is not trusted")
        assert len(shop.requests) == 0  # the key did not travel


def test_https_where_only_http_is_spoken() -> None:
    with canned_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        refused(url.replace("http:", "https:"), TlsError, "may speak http instead of https")


@pytest.mark.parametrize("path", ["", "/shop"])
def test_https_on_a_port_of_http_says_which_address_to_use(path: str) -> None:
    with SandboxShop("4.20", "small", path=path) as shop:
        right = shop.url
        refused(
            right.replace("http:", "https:"), ApiNotFoundError, "plain HTTP on port", f"use {right}"
        )
        assert not [each for each in shop.requests if each.path.startswith(path + "/api")]


def test_http_on_a_port_of_https_says_which_address_to_use() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with SandboxShop("4.20", "small", tls=context) as shop:
        right = shop.url.replace("http:", "https:")
        refused(right.replace("https:", "http:"), ApiNotFoundError, "speaks https", f"use {right}")


# --- reached, but not let in ---------------------------------------------------------------------


@pytest.mark.parametrize("details", [{"key": "replaced" * 4}, {"email": "nobody@shop.example"}])
def test_a_wrong_or_replaced_key_and_a_wrong_email_are_401(
    shop: SandboxShop, details: dict[str, str]
) -> None:
    right = {"key": shop.api_key, "email": shop.email}
    refused(
        shop.url,
        CredentialsRefusedError,
        "(401)",
        "check the e-mail and the API key",
        "API access",
        **{**right, **details},
    )


def test_a_web_server_that_asks_for_a_password_of_its_own() -> None:
    with canned_server(page("401 Unauthorized")) as url:
        refused(url, CredentialsRefusedError, "before the shop saw it", "password of its own")


@pytest.mark.parametrize(
    ("privileges", "missing", "needed"),
    [
        ({"view_users"}, "orders", "view_orders"),
        ({"view_orders"}, "users", "view_users"),
        (set(), "orders and users", "view_orders and view_users"),
    ],
)
def test_a_missing_privilege_that_is_needed_is_named(
    privileges: set[str], missing: str, needed: str
) -> None:
    with SandboxShop("4.20", "small", privileges=privileges) as shop:
        refused(
            shop.url, AccessDeniedError, f"may not read {missing}:", f"privilege {needed}.",
            key=shop.api_key, email=shop.email,
        )  # fmt: skip


def test_a_missing_privilege_that_is_useful_is_only_said() -> None:
    with SandboxShop("4.20", "small", privileges={"view_orders", "view_users"}) as shop:
        lines = connections.shortcomings(ask(shop.url, shop.api_key, shop.email))
    assert lines == [
        "products cannot be read: the privilege view_catalog is missing, or the shop has none",
        "categories cannot be read: the privilege view_catalog is missing, or the shop has none",
        "statuses cannot be read: the privilege manage_order_statuses is missing, or the shop has"
        " none",
    ]


def test_a_403_of_the_shop_for_everything() -> None:
    with canned_server(api("403 Forbidden", '{"message":"Forbidden","status":403}')) as url:
        refused(url, AccessDeniedError, "(403)", "https:// only")


def test_a_firewall_that_answers_403_with_a_page() -> None:
    with canned_server(page("403 Forbidden", "<html>blocked</html>")) as url:
        refused(url, TransientShopError, "403", "a firewall may stand in front of it")


# --- reached, but something else -----------------------------------------------------------------


def test_a_login_or_challenge_page_in_front_of_the_api() -> None:
    with canned_server(page("200 OK")) as url:
        refused(url, ApiNotFoundError, "No CS-Cart API was found", "neither under /api nor under")


def test_an_address_that_is_no_shop() -> None:
    with canned_server(page("404 Not Found")) as url:
        refused(url, ApiNotFoundError, "check the address and the shop's sub-directory")


def test_rewriting_that_is_off_is_found_out_and_remembered(installation: Installation) -> None:
    with SandboxShop("4.20", "small", rewrite="api.php") as shop:
        found = ask(shop.url, shop.api_key, shop.email)
        assert found.style == "api.php"
        installation.save_shop(shop)
        installation.registry.record_test("shop", found.model_dump(mode="json"))
        integration = installation.registry.get("shop")
        shop.requests.clear()
        with connections.open_client(
            integration, installation.registry, installation.settings
        ) as client:
            client.get("users", params={"user_type": "C"})
            assert client.address.style == "api.php"


@pytest.mark.parametrize("target", ["https://other.example/api/version", "/login.php"])
def test_a_redirect_is_not_followed_and_says_where_to(target: str) -> None:
    seen: list[bytes] = []
    with canned_server(page("302 Found", "", f"Location: {target}"), seen) as url:
        said = refused(url, RedirectRefusedError, "redirects")
    assert ("use https://other.example" in said) == target.startswith("https")
    assert len(seen) == 1


def test_a_shop_that_is_too_old() -> None:
    with canned_server(api("200 OK", '{"Version":"1.0"}')) as url:
        refused(url, ShopTooOldError, "only API 1.0", "4.7 or newer is needed")
    with canned_server(api("404 Not Found", '{"message":"Not found","status":404}')) as url:
        refused(url, ShopTooOldError, "has no API 2.0", "4.7 or newer is needed")


def test_a_shop_that_fails_is_a_trouble_that_may_pass(shop: SandboxShop) -> None:
    shop.faults.add("server_error")
    message = refused(
        shop.url, TransientShopError, "failed with 5", key=shop.api_key, email=shop.email
    )
    assert "127.0.0.1" in message


def test_the_shops_clock_is_told() -> None:
    with SandboxShop("4.20", "small", clock=lambda: time.time() - 7200) as shop:
        assert -7300 < ask(shop.url, shop.api_key, shop.email).clock_skew < -7100


def test_a_good_shop_is_asked_about_ten_times_and_written_to_never(shop: SandboxShop) -> None:
    found = ask(shop.url, shop.api_key, shop.email)
    assert all(found.readable.model_dump().values())
    assert connections.shortcomings(found) == []
    assert len(shop.requests) <= 12
    assert {request.method for request in shop.requests} == {"GET"}


# --- opening a client ----------------------------------------------------------------------------


def test_a_shop_that_was_empty_when_tested_is_probed_again(installation: Installation) -> None:
    with SandboxShop("4.20", "small") as shop:
        installation.save_shop(shop)
        installation.registry.record_test(
            "shop", ask(shop.url, shop.api_key, shop.email).model_dump(mode="json")
        )
        shop.store.place_order()
        integration = installation.registry.get("shop")
        assert not (integration.capabilities or {})["orders_seen"]
        with connections.open_client(integration, installation.registry, installation.settings):
            pass
        assert (installation.registry.get("shop").capabilities or {})["orders_seen"]


def test_a_replaced_key_is_a_permanent_error_of_the_client(
    installation: Installation, shop: SandboxShop
) -> None:
    installation.save_shop(shop)
    shop.api_user.api_key = "replaced"
    with (
        connections.open_client(
            installation.registry.get("shop"), installation.registry, installation.settings
        ) as client,
        pytest.raises(CredentialsRefusedError) as caught,
    ):
        client.get("version")
    assert isinstance(caught.value, PermanentShopError)
    assert len(shop.requests) == 1  # no storm of retries

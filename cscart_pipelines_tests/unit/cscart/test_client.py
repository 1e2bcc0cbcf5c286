"""The client against the sandbox: every version, every fault, and what must never be shown."""

from __future__ import annotations

import logging
import random
import socket
import socketserver
import ssl
import struct
import threading
import time
import traceback
from contextlib import contextmanager, suppress

import pytest
import requests
import trustme
from pydantic import SecretStr

from cscart_pipelines.cscart.client import MAX_WAIT, ShopClient
from cscart_pipelines.cscart.errors import (
    AccessDeniedError,
    AmbiguousWriteError,
    ApiNotFoundError,
    CredentialsRefusedError,
    NotFoundError,
    PermanentShopError,
    RedirectRefusedError,
    RejectedWriteError,
    ShopError,
    TlsError,
    TransientShopError,
    UnreachableError,
)
from cscart_pipelines.cscart.lists import fetcher, identifier, read_short_list
from cscart_pipelines.cscart.paginator import ReverseOffsetPaginator
from cscart_pipelines.cscart.records.orders import parse_order
from cscart_pipelines.sandbox.api.render_leaks import LEAK
from cscart_pipelines.sandbox.http.faults import KINDS
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.shop.raw_server import canned_server, served

VERSIONS = ["4.7", "4.12", "4.13", "4.16", "4.20"]


def filled(store):
    store.add_product("Bag", "10.00")
    for number in range(1, 24):
        store.add_customer(f"c{number}@example.com")
        store.place_order(order_id=number, user_id=number % 3, lines=[(1, 1)])


def connect(shop, **options):
    sleeps = options.pop("sleeps", [])
    options = {"sleep": sleeps.append, "rng": random.Random(1), **options}
    return ShopClient(
        options.pop("url", shop.url), shop.email, options.pop("key", shop.api_key), **options
    )


@pytest.fixture(scope="module")
def calm():
    """A shop that is only read."""
    with SandboxShop("4.20", filled) as shop:
        yield shop


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("style", ["rewrite", "api.php"])
def test_every_version_is_read_in_both_styles(version, style):
    with SandboxShop(version, filled, path="/store") as shop, connect(shop, style=style) as client:
        version_answer = client.get("version")
        orders = client.get("orders", params={"items_per_page": 5, "page": 2})
        order = client.get("orders", id=7)
    assert "Version" in version_answer.body
    assert len(orders.body["orders"]) == 5
    assert order.body["order_id"] == "7"
    assert abs((orders.date.timestamp()) - time.time()) < 3600
    assert orders.bytes > 100
    assert "set-cookie" not in orders.headers


@pytest.mark.parametrize("version", VERSIONS)
def test_every_list_of_every_version_is_read_completely(version):
    with SandboxShop(version, filled) as shop, connect(shop) as client:
        for entity, params, key in [
            ("orders", {}, "order_id"),
            ("users", {"user_type": "C"}, "user_id"),
            ("products", {}, "product_id"),
            ("shipments", {}, "shipment_id"),
        ]:
            pages = list(
                ReverseOffsetPaginator(fetcher(client, entity, params), size=10, sizes=(10, 5, 1))
            )
            ids = sorted(int(row[key]) for page in pages for row in page.rows)
            assert len(ids) == len(set(ids)) == pages[-1].total
        assert {row["status"] for row in read_short_list(client, "statuses")} >= {"P", "C", "O"}
        assert len(read_short_list(client, "categories")) == len(shop.store.categories)


def test_connections_are_kept(calm):
    with connect(calm) as client:
        for _ in range(5):
            client.get("version")
        pools = client._session.get_adapter(calm.url).poolmanager.pools
        (pool,) = [pools[key] for key in pools.keys()]  # noqa: SIM118 (no mapping)
        assert (pool.num_connections, pool.num_requests) == (1, 5)


def test_no_more_requests_at_once_than_allowed():
    with SandboxShop("4.20", filled) as shop:
        inside, most, lock = 0, 0, threading.Lock()
        two_came = threading.Event()

        @shop.before_request
        def count(request):
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
                if inside == 2:
                    two_came.set()
            two_came.wait(30)
            with lock:
                inside -= 1

        with connect(shop, max_parallel=2) as client:
            threads = [threading.Thread(target=client.get, args=("version",)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert most == 2
        assert client.stats.snapshot()["calls"] == 8


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("latency", "slow_drip")])
def test_a_fault_that_passes_is_not_noticed_by_the_caller(version, kind):
    with SandboxShop(version, filled) as shop, connect(shop) as client:
        clean = client.get("orders", params={"items_per_page": 5})
        shop.faults.add(kind, count=2)
        answer = client.get("orders", params={"items_per_page": 5})
    assert answer.body == clean.body
    if kind == "php_notices":
        assert client.stats.snapshot()["notices"] == 1
        assert client.stats.retries == 0
    else:
        assert client.stats.retries == 2


@pytest.mark.parametrize(
    ("kind", "cause", "lighter"),
    [
        ("too_many_requests", "busy", False),
        ("server_error", "server", True),
        ("truncated", "page", True),
        ("reset", "cut", True),
        ("login_page", "page", True),
    ],
)
def test_a_fault_that_stays_becomes_a_transient_error_after_the_retries(kind, cause, lighter):
    sleeps = []
    with SandboxShop("4.20", filled) as shop, connect(shop, sleeps=sleeps) as client:
        shop.faults.add(kind)
        with pytest.raises(TransientShopError) as caught:
            client.get("orders")
        assert len(shop.requests) == 6
        assert len(sleeps) == 5
        assert (caught.value.cause, caught.value.lighter_may_help) == (cause, lighter)
        shop.requests.clear()
        with pytest.raises(TransientShopError):
            client.get("orders", heavy_retries=1)
        assert len(shop.requests) == (2 if lighter else 6)


def test_retries_wait_longer_and_longer_with_full_jitter():
    class Highest(random.Random):
        def uniform(self, a, b):
            assert a == 0
            return b

    sleeps = []
    with (
        SandboxShop("4.20", filled) as shop,
        connect(shop, sleeps=sleeps, rng=Highest(), backoff=(0.5, 3.0), retries=4) as client,
    ):
        shop.faults.add("server_error")
        with pytest.raises(TransientShopError):
            client.get("orders")
    assert sleeps == [0.5, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("7", 7, 7), ("999999", MAX_WAIT, MAX_WAIT), ("nonsense", 0, 1), (None, 0, 1)],
)
def test_retry_after_of_429_is_honoured_and_capped(header, least, most):
    sleeps = []
    with SandboxShop("4.20", filled) as shop, connect(shop, sleeps=sleeps) as client:
        shop.faults.add("too_many_requests", retry_after=header, count=1)
        client.get("orders")
    assert least <= sleeps[0] <= most


def test_retry_after_as_a_date_counts_on_the_servers_clock():
    reply = (
        b"HTTP/1.1 429 Busy\r\nDate: Wed, 01 Jan 2020 00:00:00 GMT\r\n"
        b"Retry-After: Wed, 01 Jan 2020 00:00:40 GMT\r\nContent-Length: 0\r\n\r\n"
    )
    sleeps = []
    with (
        canned_server(reply) as url,
        ShopClient(url, "a@example.com", "k", retries=1, sleep=sleeps.append) as client,
        pytest.raises(TransientShopError) as caught,
    ):
        client.get("orders")
    assert sleeps == [40.0]
    assert caught.value.retry_after == 40.0


def test_the_crash_page_of_old_shops_does_not_make_us_wait_for_minutes():
    sleeps = []
    with SandboxShop("4.7", filled) as shop, connect(shop, sleeps=sleeps) as client:
        shop.faults.add("server_error", count=1)
        client.get("orders")
    assert max(sleeps) < 1


def test_a_slow_answer_is_given_up():
    with SandboxShop("4.20", filled) as shop:
        released = threading.Event()
        shop.before_request(lambda request: released.wait(30))
        with (
            connect(shop, read_timeout=0.2, retries=0) as client,
            pytest.raises(TransientShopError) as caught,
        ):
            client.get("orders")
        released.set()
    assert caught.value.cause == "timeout"


def test_an_answer_that_drips_is_given_up_too():
    with SandboxShop("4.20", filled) as shop:
        shop.faults.add("slow_drip", seconds=0.1)
        with (
            connect(shop, read_timeout=0.2, retries=0) as client,
            pytest.raises(TransientShopError) as caught,
        ):
            client.get("orders", params={"items_per_page": 20})
    assert caught.value.cause == "timeout"


@pytest.mark.parametrize(
    "reply",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"orders":[]}',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n{"orders":[]}\r\n',
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\nhello",
        b"nonsense",
        b"",
    ],
)
def test_half_an_answer_is_no_answer(reply):
    with canned_server(reply) as url, ShopClient(url, "a@b.example", "k", retries=1) as client:
        client._sleep = lambda seconds: None
        with pytest.raises(TransientShopError):
            client.get("orders")
        assert client.stats.calls == 2


def test_one_broken_order_is_found_among_the_others():
    aside = []
    with SandboxShop("4.20", filled) as shop, connect(shop, retries=1) as client:
        shop.faults.poison(13)
        paginator = ReverseOffsetPaginator(
            fetcher(client, "orders", {"get_orders_data": 1}),
            size=10,
            sizes=(10, 5, 1),
            identify=identifier(client, "orders", "order_id"),
            on_unreadable=lambda id, position, reason: aside.append((id, position)),
        )
        ids = {parse_order(row)[0].order_id for page in paginator for row in page.rows}
    assert aside == [(13, 12)]
    assert ids == set(range(1, 24)) - {13}


# --- refusals ------------------------------------------------------------------------------------


def test_a_wrong_key_is_refused_at_once(calm):
    with connect(calm, key="wrong") as client:
        with pytest.raises(CredentialsRefusedError, match="API key"):
            client.get("orders")
        assert client.stats.calls == 1


def test_a_missing_privilege_is_named():
    with SandboxShop("4.20", filled, privileges={"view_users"}) as shop, connect(shop) as client:
        with pytest.raises(AccessDeniedError, match="view_orders"):
            client.get("orders")
        assert client.stats.calls == 1


def test_a_shop_that_wants_https_says_so():
    with (
        SandboxShop("4.20", filled, api_https_only=True) as shop,
        connect(shop) as client,
        pytest.raises(AccessDeniedError, match="https://"),
    ):
        client.get("version")


def test_a_row_that_is_not_there_is_not_found(calm):
    with connect(calm) as client:
        with pytest.raises(NotFoundError):
            client.get("orders", id=999)
        with pytest.raises(NotFoundError):
            client.get("countries")
        assert client.stats.calls == 2


def test_what_the_shop_says_about_a_bad_request_is_kept(calm):
    with connect(calm) as client, pytest.raises(PermanentShopError) as caught:
        client.get("users")
    assert caught.value.status == 400
    assert "user_type" in caught.value.messages[0]


def test_a_web_server_without_rewriting_is_no_api():
    with SandboxShop("4.20", filled, rewrite="api.php") as shop, connect(shop) as client:
        with pytest.raises(ApiNotFoundError):
            client.get("version")
        assert client.stats.calls == 1


@pytest.mark.parametrize(
    ("reply", "error", "cause"),
    [
        (b"HTTP/1.1 403 No\r\nContent-Length: 6\r\n\r\n<html>", TransientShopError, "blocked"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 6\r\n\r\n<html>", CredentialsRefusedError, None),
        (b"HTTP/1.1 404 No\r\nContent-Length: 6\r\n\r\n<html>", ApiNotFoundError, None),
        (b"HTTP/1.1 405 No\r\nContent-Length: 2\r\n\r\n{}", PermanentShopError, None),
        (b"HTTP/1.1 502 No\r\nContent-Length: 2\r\n\r\n{}", TransientShopError, "server"),
    ],
)
def test_what_stands_in_front_of_a_shop_is_told_apart(reply, error, cause):
    with (
        canned_server(reply) as url,
        ShopClient(url, "a@b.example", "k", retries=1, sleep=lambda s: None) as client,
        pytest.raises(error) as caught,
    ):
        client.get("orders")
    assert getattr(caught.value, "cause", None) == cause
    assert client.stats.calls == (2 if cause else 1)


@pytest.mark.parametrize("verb", ["get", "put"])
def test_a_redirect_is_not_followed_and_names_the_address_to_use(verb):
    seen = []
    with canned_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", seen) as other:
        reply = f"HTTP/1.1 301 Moved\r\nLocation: {other}/api/2.0/orders/5?k=v\r\n"
        with (
            canned_server((reply + "Content-Length: 0\r\n\r\n").encode()) as url,
            ShopClient(url, "a@b.example", "k") as client,
            pytest.raises(RedirectRefusedError) as caught,
        ):
            client.get("orders", id=5) if verb == "get" else client.put("orders", 5, {})
    assert caught.value.suggested_base == other
    assert other in str(caught.value)
    assert "k=v" not in str(caught.value)
    assert seen == []


def test_an_unknown_name_and_a_closed_port_are_unreachable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        sleeps = []
        with (
            ShopClient(closed, "a@b.example", "k", retries=2, sleep=sleeps.append) as client,
            pytest.raises(UnreachableError, match="refuses"),
        ):
            client.get("version")
        assert len(sleeps) == 2
    with (
        ShopClient("http://shop.invalid", "a@b.example", "k", retries=0) as client,
        pytest.raises(UnreachableError, match=r"shop\.invalid"),
    ):
        client.get("version")


# --- TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def secure_shop(authority, name="127.0.0.1"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return SandboxShop("4.20", filled, tls=context)


def test_a_certificate_nobody_vouches_for_is_trouble_and_no_key_is_sent(authority):
    with secure_shop(authority) as shop, connect(shop) as client:
        with pytest.raises(TlsError, match="certificate"):
            client.get("version")
        assert len(shop.requests) == 0
        assert client.stats.calls == 1


def test_the_certificate_bundle_of_the_environment_counts(authority, monkeypatch, tmp_path):
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    with secure_shop(authority) as shop, connect(shop) as client:
        assert "Version" in client.get("version").body
    with (
        secure_shop(authority, "shop.example") as shop,
        connect(shop) as client,
        pytest.raises(TlsError, match="match"),
    ):
        client.get("version")


def test_https_to_a_port_that_speaks_http_is_trouble():
    with (
        canned_server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as url,
        ShopClient(url.replace("http://", "https://"), "a@b.example", "k") as client,
        pytest.raises(TlsError, match="https"),
    ):
        client.get("version")
    assert client.stats.calls == 1


def test_a_netrc_does_not_replace_the_key(calm, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login wrong password wrong\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with connect(calm) as client:
        assert "Version" in client.get("version").body


def test_cookies_are_not_kept():
    seen = []
    reply = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=1\r\nContent-Length: 2\r\n\r\n{}"
    with canned_server(reply, seen) as url, ShopClient(url, "a@b.example", "k") as client:
        client.get("version")
        client.get("version")
    assert len(seen) == 2
    assert b"cookie" not in b"".join(seen).lower()


def test_caches_on_the_way_are_asked_for_a_fresh_answer():
    seen = []
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with canned_server(reply, seen) as url, ShopClient(url, "a@b.example", "k") as client:
        client.get("orders")
    assert b"cache-control: no-cache\r\n" in seen[0].lower()


def test_names_and_keys_beyond_ascii_travel_as_utf_8():
    seen = []
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with canned_server(reply, seen) as url, ShopClient(url, "ä@b.example", "λ") as client:
        client.get("version")
    assert b"Basic w6RAYi5leGFtcGxlOs67" in seen[0]


# --- writing -------------------------------------------------------------------------------------


def test_a_write_is_done_once_and_answers():
    with SandboxShop("4.20", filled) as shop, connect(shop) as client:
        client.put("orders", 5, {"status": "C"})
        assert client.get("orders", id=5).body["status"] == "C"
        assert client.delete("orders", 6).status == 204
        with pytest.raises(NotFoundError):
            client.delete("orders", 6)
        with pytest.raises(RejectedWriteError) as caught:
            client.post("shipments", {"order_id": 5})
    assert caught.value.status == 400


@pytest.mark.parametrize("kind", ["server_error", "truncated", "reset", "login_page"])
@pytest.mark.parametrize("after", [True, False])
def test_a_write_whose_outcome_is_unknown_is_not_repeated(kind, after):
    with SandboxShop("4.20", filled) as shop, connect(shop) as client:
        shop.faults.add(kind, method="PUT", after=after)
        with pytest.raises(AmbiguousWriteError):
            client.put("orders", 5, {"status": "C"})
        assert shop.requests.count(method="PUT") == 1


def test_a_write_that_ends_in_tls_trouble_is_in_doubt_unless_it_was_the_certificate(authority):
    with (
        canned_server(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as url,
        ShopClient(url.replace("http://", "https://"), "a@b.example", "k") as client,
        pytest.raises(AmbiguousWriteError),
    ):
        client.put("orders", 5, {"status": "C"})
    with (
        secure_shop(authority) as shop,
        connect(shop) as client,
        pytest.raises(TlsError, match="certificate"),
    ):
        client.put("orders", 5, {"status": "C"})


def test_a_write_that_was_turned_away_by_429_is_repeated():
    with SandboxShop("4.20", filled) as shop, connect(shop) as client:
        shop.faults.add("too_many_requests", method="PUT", count=2)
        client.put("orders", 5, {"status": "C"})
        assert shop.requests.count(method="PUT") == 3


# --- behind a proxy ------------------------------------------------------------------------------


@contextmanager
def proxy(shop, asked, *, tunnel="200 Connection established", forward=True):
    """A proxy that hands requests on to the shop, and then resets instead of answering.

    `asked`: the first line of every request; `forward`: False resets before handing on.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while True:
                first, head = self.rfile.readline(), {}
                while (line := self.rfile.readline().strip()) != b"":
                    name, _, value = line.decode("latin-1").partition(": ")
                    head[name.lower()] = value
                asked.append(first.decode().partition(" ")[0])
                if not first.startswith(b"CONNECT"):
                    break
                self.wfile.write(f"HTTP/1.1 {tunnel}\r\n\r\n".encode())
                if not tunnel.startswith("200"):
                    return
                # What is in the tunnel is TLS: nothing of it is understood here.
                self.rfile.read1()
                self._reset()
                return
            body = self.rfile.read(int(head.get("content-length", 0)))
            if forward:
                verb, url, _ = first.decode().split()
                keep = {name: head[name] for name in ("authorization", "content-type")}
                with requests.Session() as line:
                    line.trust_env = False  # or it would come back to this proxy
                    line.request(verb, url, data=body, headers=keep, timeout=10)
            self._reset()

        def _reset(self):
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()

        def finish(self):
            with suppress(OSError):
                super().finish()

    with served(Handler) as url:
        yield url


@pytest.fixture
def behind(monkeypatch):
    """Sets the proxy of the environment."""

    def use(address):
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, address)

    return use


@pytest.mark.parametrize("forward", [True, False])
def test_a_write_whose_answer_is_lost_in_a_proxy_is_not_repeated(behind, forward):
    asked = []
    with SandboxShop("4.20", filled) as shop, proxy(shop, asked, forward=forward) as address:
        behind(address)
        with connect(shop) as client, pytest.raises(AmbiguousWriteError):
            client.post("shipments", {"order_id": 5, "shipping_id": 1, "products": {"1": 1}})
        assert asked == ["POST"]
        assert shop.requests.count(method="POST") == forward


def test_a_write_that_breaks_within_a_proxys_tunnel_is_not_repeated(behind):
    asked = []
    with proxy(None, asked) as address:
        behind(address)
        with (
            ShopClient("https://shop.example", "a@b.example", "k", sleep=asked.append) as client,
            pytest.raises(AmbiguousWriteError),
        ):
            client.post("shipments", {"order_id": 5})
    assert asked == ["CONNECT"]


def test_a_proxy_that_opens_no_tunnel_has_sent_nothing(behind):
    asked, sleeps = [], []
    with proxy(None, asked, tunnel="503 Service Unavailable") as address:
        behind(address)
        with (
            ShopClient(
                "https://shop.example", "a@b.example", "k", retries=2, sleep=sleeps.append
            ) as client,
            pytest.raises(UnreachableError, match="proxy"),
        ):
            client.post("shipments", {"order_id": 5})
    assert asked == ["CONNECT"] * 3 and len(sleeps) == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_has_sent_nothing(behind, scheme):
    sleeps = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        behind(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with (
            ShopClient(
                f"{scheme}://shop.example", "a@b.example", "k", retries=2, sleep=sleeps.append
            ) as client,
            pytest.raises(UnreachableError, match="proxy"),
        ):
            client.post("shipments", {"order_id": 5})
    assert len(sleeps) == 2


# --- what must not be shown ----------------------------------------------------------------------


@pytest.mark.parametrize("version", ["4.7", "4.20"])
def test_neither_the_key_nor_payment_data_is_ever_shown(version, caplog):
    caplog.set_level(logging.DEBUG)
    shown, told = [], []
    with SandboxShop(version, filled) as shop:
        secrets = [shop.api_key, LEAK]
        assert LEAK in str(ShopClient(shop.url, shop.email, shop.api_key).get("orders", id=1).body)
        for kind in KINDS:
            shop.faults.clear()
            shop.faults.add(kind, seconds=0.0)
            client = connect(shop, retries=1, key=SecretStr(shop.api_key), on_call=told.append)
            with client:
                for call in (
                    lambda c=client: c.get("orders", id=1, params={"email": shop.api_key}),
                    lambda c=client: c.get("orders", params={"get_orders_data": 1}),
                    lambda c=client: c.put("orders", 2, {"status": "C", "details": LEAK}),
                    lambda c=client: c.post("shipments", {"comments": LEAK}),
                    lambda c=client: c.get("nothing"),
                ):
                    try:
                        shown.append(repr(call()))
                    except ShopError as error:
                        assert error.__cause__ is None and error.__context__ is None
                        shown += [
                            str(error),
                            repr(vars(error)),
                            "".join(traceback.format_exception(error)),
                        ]
                shown += [repr(client), repr(client._session.auth), repr(vars(client.stats))]
    shown += [record.getMessage() for record in caplog.records if record.name.startswith("cscart")]
    shown += [repr(call) for call in told]
    assert len(shown) > 100
    for secret in secrets:
        assert not [text for text in shown if secret in text]


def test_threads_that_wait_for_a_retry_give_up_when_the_client_closes():
    with SandboxShop("4.20", filled) as shop:
        shop.faults.add("server_error")
        client = ShopClient(shop.url, shop.email, shop.api_key, backoff=(1000, 1000))
        waiting = threading.Event()
        client._sleep = lambda seconds: (waiting.set(), client._closed.wait(60))
        errors = []

        def ask():
            try:
                client.get("orders")
            except TransientShopError as error:
                errors.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert waiting.wait(30)
        client.close()
        thread.join(30)
        assert len(errors) == 1

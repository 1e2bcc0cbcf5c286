"""Faults on demand: each kind looks as in real life, and lost answers may have done their work."""

from __future__ import annotations

import json
import threading

import pytest
import requests

from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.shop.sandboxes import VERSIONS, Api, small_shop


def test_too_many_requests_carries_retry_after_and_ends_after_its_count() -> None:
    with small_shop() as shop:
        shop.faults.add("too_many_requests", path="/orders", count=2, retry_after="7")
        api = Api(shop)
        codes = [api.call("GET", "api/orders").status_code for _ in range(3)]
        shop.faults.add("too_many_requests", retry_after=None)
        without = api.call("GET", "api/version")
    assert codes == [429, 429, 200]
    assert "Retry-After" not in without.headers and "html" in without.headers["Content-Type"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_crash_is_html_503_on_old_and_500_on_new_shops(version: str) -> None:
    with small_shop(version) as shop:
        shop.faults.add("server_error", count=1)
        response = Api(shop).call("GET", "api/orders")
    assert response.status_code == (503 if version == "4.7" else 500)
    assert ("Retry-After" in response.headers) is (version == "4.7")
    assert "html" in response.headers["Content-Type"]


def test_server_errors_of_a_proxy() -> None:
    with small_shop() as shop:
        shop.faults.add("server_error", status=504)
        assert Api(shop).call("GET", "api/orders").status_code == 504


def test_truncated_json_notices_and_login_page_are_all_200() -> None:
    with small_shop() as shop:
        for kind in ("truncated", "php_notices", "login_page"):
            shop.faults.add(kind, count=1)
            response = Api(shop).call("GET", "api/orders")
            assert response.status_code == 200
            with pytest.raises(json.JSONDecodeError):
                json.loads(response.text)
        shop.faults.add("php_notices", count=1)
        text = Api(shop).call("GET", "api/orders").text
        assert text.startswith("<br />") and json.loads(text[text.index("{") :])["orders"]
    with small_shop(notices=True) as shop:
        assert Api(shop).call("GET", "api/orders").text.startswith("<br />")


def test_a_reset_before_and_after_a_write_differ_in_what_was_written() -> None:
    with small_shop() as shop:
        api = Api(shop)
        for after, status in ((False, "O"), (True, "C")):
            shop.faults.add("reset", method="PUT", count=1, after=after)
            with pytest.raises(requests.ConnectionError):
                api.put("orders/1001", {"status": "C"})
            assert shop.store.orders[1001].status == status
        assert [each.status for each in shop.requests] == [0, 0]
        assert api.call("GET", "api/orders").status_code == 200


def test_an_error_after_a_shipment_leaves_the_shipment() -> None:
    with small_shop() as shop:
        shop.faults.add("server_error", method="POST", path="shipments", after=True, count=1)
        body = {"order_id": 1001, "shipping_id": 1, "carrier": "ups"}
        assert Api(shop).post("shipments", body).status_code == 500
        assert len(shop.store.shipments) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_poison_order_breaks_every_page_with_its_details(version: str) -> None:
    with small_shop(version) as shop:
        shop.faults.poison(1003)
        api = Api(shop)
        query = "sort_by=order_id&sort_order=asc&items_per_page=2"
        codes = [
            api.call("GET", f"api/orders?get_orders_data=1&{query}&page={page}").status_code
            for page in (1, 2, 3)
        ]
        broken = 503 if version == "4.7" else 500
        assert api.call("GET", "api/orders/1003").status_code == broken
        assert api.call("GET", "api/orders/1004").status_code == 200
        assert api.call("GET", f"api/orders?{query}&page=2").status_code == 200
    assert codes == ([200] * 3 if version == "4.7" else [200, 500, 200])


def test_matchers_skip_and_probability_are_repeatable() -> None:
    def codes(seed: int) -> list[int]:
        with small_shop(seed=seed) as shop:
            shop.faults.add("server_error", query="page=", probability=0.5)
            api = Api(shop)
            assert api.call("GET", "api/orders").status_code == 200
            return [api.call("GET", f"api/orders?page={n}").status_code for n in range(12)]

    assert codes(1) == codes(1) and {200, 500} == set(codes(1))
    with small_shop() as shop:
        shop.faults.add("server_error", skip=2, count=1)
        seen = [Api(shop).call("GET", "api/version").status_code for _ in range(4)]
        shop.faults.add("server_error")
        shop.faults.clear()
        assert Api(shop).call("GET", "api/version").status_code == 200
    assert seen == [200, 200, 500, 200]


def test_latency_lets_a_short_read_timeout_fire() -> None:
    with small_shop() as shop:
        shop.faults.add("latency", seconds=5, count=1)
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{shop.url}/api/version", auth=(shop.email, shop.api_key), timeout=0.2)


def test_a_slow_drip_arrives_whole() -> None:
    with small_shop() as shop:
        shop.faults.add("slow_drip", seconds=0.005)
        assert len(Api(shop).call("GET", "api/orders").json()["orders"]) == 5


def test_unknown_fault_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="known: latency"):
        small_shop().faults.add("earthquake")  # type: ignore[arg-type]


def test_edits_while_many_clients_read_never_break_an_answer() -> None:
    with small_shop(orders=40) as shop:
        failures: list[object] = []

        def read() -> None:
            api = Api(shop)
            for _ in range(15):
                response = api.call("GET", "api/orders?get_orders_data=1")
                if response.status_code != 200 or not response.json()["orders"]:
                    failures.append(response.status_code)

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        while any(reader.is_alive() for reader in readers):
            order = shop.store.place_order(email="x@example.com")
            shop.store.set_order_status(order.order_id, "C")
            shop.store.delete_order(order.order_id)
        assert failures == []


def test_a_stopped_shop_hangs_up_and_frees_its_port() -> None:
    shop = SandboxShop()
    with shop:
        api = Api(shop)
        url, port = shop.url, int(shop.url.rsplit(":", 1)[1])
        assert api.call("GET", "api/version").status_code == 200
    with pytest.raises(requests.ConnectionError):
        api.session.get(f"{url}/api/version", timeout=5)
    with SandboxShop(port=port) as again:
        assert again.url == url

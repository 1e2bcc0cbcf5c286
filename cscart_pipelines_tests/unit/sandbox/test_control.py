"""The control API and the entry point of the command line: a shop edited from outside."""

from __future__ import annotations

import threading

import pytest
import requests

from cscart_pipelines.sandbox.server import SandboxShop, serve
from cscart_pipelines_tests.support.shop.sandboxes import NOW, Api, small_shop


def test_orders_are_placed_edited_and_deleted_over_http() -> None:
    with small_shop(orders=0) as shop:
        api = Api(shop)
        user = api.call("POST", "_sandbox/users", json={"email": "h@example.com"}).json()
        placed = api.call(
            "POST",
            "_sandbox/orders",
            json={"user_id": user["user_id"], "lines": [[1, 2]], "country": "IE", "status": "P"},
        ).json()
        assert (placed["email"], placed["total"]) == ("h@example.com", "19.90")
        path = f"_sandbox/orders/{placed['order_id']}"
        edited = api.call("PUT", path, json={"total": "5.00", "status": "C"}).json()
        assert (edited["total"], edited["status"]) == ("5.00", "C")
        assert api.call("GET", path).json()["ship_to"]["country"] == "IE"
        state = api.call("GET", "_sandbox/state").json()
        assert (state["orders"], state["purchases"], state["revenue"]) == (1, 1, "5.00")
        assert state["now"] == NOW
        assert api.call("DELETE", path).json() == {"deleted": placed["order_id"]}
        assert api.call("GET", path).status_code == 404
        assert api.call("DELETE", f"_sandbox/users/{user['user_id']}").status_code == 200
        assert user["user_id"] not in shop.store.customers


def test_stock_and_shipments_over_http() -> None:
    with small_shop() as shop:
        api = Api(shop)
        api.call("PUT", "_sandbox/products/2", json={"amount": 4, "price": "1.25"})
        assert (shop.store.products[2].amount, str(shop.store.products[2].price)) == (4, "1.25")
        body = {"order_id": 1001, "carrier": "dhl", "tracking_number": "T"}
        made = api.call("POST", "_sandbox/shipments", json=body).json()
        assert made["tracking_number"] == "T" and made["shipment_id"] in shop.store.shipments
        assert api.call("POST", "_sandbox/shipments", json=body).status_code == 400
        new = api.call("POST", "_sandbox/products", json={"product": "Hat", "price": 3}).json()
        assert api.call("DELETE", f"_sandbox/products/{new['product_id']}").status_code == 200


def test_faults_and_records_over_http() -> None:
    with small_shop() as shop:
        api = Api(shop)
        api.call("POST", "_sandbox/faults", json={"kind": "server_error", "count": 1})
        api.call("POST", "_sandbox/faults", json={"poison": [1002]})
        assert api.call("GET", "api/version").status_code == 500
        assert api.call("GET", "api/orders/1002").status_code == 500
        listed = api.call("GET", "_sandbox/faults").json()
        assert (listed["faults"][0]["fired"], listed["poison"]) == (1, [1002])
        api.call("DELETE", "_sandbox/faults")
        assert api.call("GET", "api/orders/1002").status_code == 200
        seen = api.call("GET", "_sandbox/requests").json()["requests"]
        assert [each["status"] for each in seen] == [500, 500, 200]
        api.call("PUT", "api/orders/1001", json={"status": "C", "notify_user": "Y"})
        assert len(api.call("GET", "_sandbox/mails").json()["mails"]) == 1
        assert api.call("DELETE", "_sandbox/mails").json() == {"mails": []}


def test_the_control_api_wants_the_key_and_says_what_is_wrong() -> None:
    with small_shop() as shop:
        api = Api(shop)
        assert requests.get(f"{shop.url}/_sandbox/state", timeout=5).status_code == 401
        assert "known" in api.call("GET", "_sandbox/nothing").json()["error"]
        wrong = api.call("POST", "_sandbox/orders", json={"colour": "red"})
        assert wrong.status_code == 400 and "colour" in wrong.json()["error"]
        bad = api.call("POST", "_sandbox/faults", json={"kind": "server_error", "often": 1})
        assert "often" in bad.json()["error"]
        assert api.call("PATCH", "_sandbox/orders/1001").status_code == 405


def test_serve_tells_when_it_is_ready_and_stops_on_request() -> None:
    stop, answers = threading.Event(), []

    def ready(shop: SandboxShop) -> None:
        answers.append(Api(shop).call("GET", "api/version").status_code)
        stop.set()

    serve("4.16", 0, "small", ready, stop=stop)
    assert answers == [200]


def test_a_wrong_catalogue_or_path_is_named() -> None:
    with pytest.raises(ValueError, match="known: empty, small, cdnow"):
        SandboxShop(catalogue="big")
    with pytest.raises(ValueError, match="path"):
        SandboxShop(path="shop")

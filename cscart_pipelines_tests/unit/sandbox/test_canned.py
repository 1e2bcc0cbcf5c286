"""Prepared pages: the same shape as the real sandbox's, any number of orders, one change."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from typing import Any

import orjson
import pytest

from cscart_pipelines.sandbox.benchmark_server import DAY, NOW, CannedShop
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines.sandbox.server import API_KEY, EMAIL
from cscart_pipelines_tests.support.shop.sandboxes import Api, small_shop

AUTH = {"authorization": "Basic " + b64encode(f"{EMAIL}:{API_KEY}".encode()).decode()}


def ask(shop: CannedShop, path: str, query: str = "", method: str = "GET") -> Any:
    answer = shop.respond(Request(method, f"/api/{path}", query, AUTH)).answer
    assert answer.status == 200
    return orjson.loads(answer.body)


@pytest.mark.parametrize("details", ["", "&get_orders_data=1"])
def test_pages_hold_every_order_once(details: str) -> None:
    shop = CannedShop(1234)
    query = "sort_by=order_id&sort_order=asc&items_per_page=100" + details
    rows = [
        row
        for page in range(1, 15)
        for row in ask(shop, "2.0/orders", f"{query}&page={page}")["orders"]
    ]
    assert [int(row["order_id"]) for row in rows] == list(range(1, 1235))
    assert ask(shop, "orders", query)["params"]["total_items"] == "1234"
    newest = ask(shop, "orders", "items_per_page=1")["orders"]
    assert newest[0]["order_id"] == "1234"


def test_rows_have_the_keys_of_the_real_sandbox() -> None:
    canned = CannedShop(10)
    with small_shop("4.20") as shop:
        row, detail = Api(shop).get("orders")["orders"][0], Api(shop).get("orders/1001")
        shop.store.add_customer("a@example.com")
        user = Api(shop).get("users", user_type="C")["users"][0]
    assert set(ask(canned, "orders")["orders"][0]) == set(row)
    assert set(ask(canned, "orders/3")) == set(detail)
    made = ask(canned, "orders/3")
    assert {line["order_id"] for line in made["products"].values()} == {"3"}
    assert set(ask(canned, "users", "user_type=C")["users"][0]) == set(user)
    assert len(ask(canned, "products", "items_per_page=200")["products"]) == 120
    assert ask(canned, "version") == {"Version": "2.1"}


def test_one_per_cent_changes_on_demand_and_is_found_by_updated_at() -> None:
    shop = CannedShop(1000)
    since = f"updated_at_from={NOW}&sort_order=asc&sort_by=order_id"
    assert ask(shop, "orders", since)["orders"] == []
    before = ask(shop, "orders/100")
    ask(shop, "_sandbox/change", method="POST")
    rows = ask(shop, "orders", since)["orders"]
    after = ask(shop, "orders/100")
    assert [int(row["order_id"]) for row in rows] == list(range(100, 1001, 100))
    assert int(after["updated_at"]) > NOW > int(before["updated_at"])
    assert shop.clock() == NOW + DAY
    assert len(ask(shop, "orders", "order_id=5,7,5000")["orders"]) == 2
    half = ask(shop, "orders", f"updated_at_from=0&updated_at_to={NOW - 250 * DAY}")
    assert 400 < int(half["params"]["total_items"]) < 600


def test_users_repeat_the_last_page() -> None:
    shop = CannedShop(300)
    last = ask(shop, "users", "user_type=C&items_per_page=30&page=4")
    past = ask(shop, "users", "user_type=C&items_per_page=30&page=9")
    assert last["users"] == past["users"] and past["params"]["page"] == 4
    assert last["params"]["total_items"] == "100"


def test_wrong_keys_are_refused() -> None:
    answer = CannedShop(5).respond(Request("GET", "/api/orders")).answer
    assert answer.status == 401


def test_it_runs_as_a_process_and_ends_with_its_parents_pipe() -> None:
    command = [sys.executable, "-m", "cscart_pipelines.sandbox.benchmark_server", "--orders", "50"]
    with subprocess.Popen(
        [*command, "--until-stdin-closes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert set(ready) == {"url", "email", "api_key"}
        process.stdin.close()
        assert process.wait(20) == 0

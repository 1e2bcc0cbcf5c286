"""What a run costs the shop, how it goes on after an interruption, and shops that lie."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.http.responses import ApiResponse
from cscart_pipelines.integrations import settings as integration_settings
from cscart_pipelines.integrations.connection import open_client
from cscart_pipelines.integrations.connection import test_connection as probe_connection
from cscart_pipelines.integrations.lifecycle import Action
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines.settings import Settings
from cscart_pipelines.sync.batch_sizes import BatchSizes
from cscart_pipelines.sync.run import SyncFailedError, synchronise
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.shop.sandboxes import NOW
from cscart_pipelines_tests.support.shop.syncs import SMALL, Connected, connected, fill_shop

pytestmark = pytest.mark.begun_first

ONCE_A_DAY = ("products.amount", "statuses", "categories")


class AlteringClient(ShopClient):
    """The shop's answers pass through `alter`, as if a proxy stood in front of it."""

    alter: Callable[[str, ApiResponse], ApiResponse]

    def get(self, entity: str, **arguments: Any) -> ApiResponse:
        return self.alter(entity, super().get(entity, **arguments))


def sync_through(made: Connected, alter: Callable[[str, ApiResponse], ApiResponse]) -> Any:
    made.shop.requests.clear()
    with (
        made.session() as session,
        AlteringClient(
            made.shop.url, made.shop.email, made.shop.api_key, sleep=lambda seconds: None
        ) as client,
    ):
        client.alter = alter
        return synchronise(session, client, sizes=SMALL)


def whole_pages(made: Connected) -> int:
    """Requests for pages of the list of all orders with details."""
    return sum(
        "period=C" in each.query and "get_orders_data" in each.query for each in made.shop.requests
    )


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["4.13", "4.16", "4.20"])
@pytest.mark.parametrize("changed", [1, 4, 9])
def test_a_resync_asks_for_what_changed_the_users_and_three_pages_more(
    warehouse_database: Database, settings: Settings, profile: str, changed: int
) -> None:
    with connected(warehouse_database, settings, profile) as made:
        fill_shop(made.store, customers=9, orders=30)
        made.sync()
        made.later()
        for order in sorted(made.store.orders)[5 : 5 + changed]:
            made.store.set_order_status(order, "C")
        made.sync()
        assert made.differences(without=ONCE_A_DAY) == {}
        sweep, needed = -(-9 // 4), -(-changed // 4)
        assert len(made.shop.requests) <= needed + sweep + 3
        assert made.shop.requests.count(path="/users") == sweep


def test_orders_alone_are_synchronised_on_the_clock_of_the_shop(
    warehouse_database: Database, settings: Settings
) -> None:
    """The shop of these tests is more than a year behind."""
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        report = made.sync(entities={"orders"})
        told = report.entities["orders"].watermark_to
        assert told is not None
        assert abs(told.timestamp() - NOW) < 100
        made.later()
        made.store.place_order(lines=[(1, 1)])
        made.later(0.1)
        made.sync(entities={"orders"})
        assert not [key for key in made.differences() if key.startswith("order")]


@pytest.mark.parametrize("offset", [-3600, 3600])
def test_a_shop_without_date_header_loses_nothing_though_its_clock_is_an_hour_off(
    warehouse_database: Database, settings: Settings, offset: int
) -> None:
    def without_date(entity: str, answer: ApiResponse) -> ApiResponse:
        return replace(answer, date=None)

    with connected(warehouse_database, settings, "4.20") as made:
        made.clock.now = time.time() + offset
        fill_shop(made.store)
        for order in made.store.orders.values():
            order.timestamp = order.updated_at = int(made.clock.now) - 60
        sync_through(made, without_date)
        assert made.differences() == {}
        made.later(0.5)
        made.store.place_order(lines=[(1, 1)])
        made.store.set_order_status(min(made.store.orders), "C")
        sync_through(made, without_date)
        assert made.differences(without=ONCE_A_DAY) == {}


# --- interruptions -------------------------------------------------------------------------------


def _cut(made: Connected, path: str, number: int, query: str = "") -> Callable[[], None]:
    """The shop goes down with that request, for good; the function brings it back."""
    seen = [0]

    @made.shop.before_request
    def count(request: Any) -> None:
        if path in request.path and query in request.query:
            seen[0] += 1
            if seen[0] == number:
                made.shop.faults.add("too_many_requests")

    def mend() -> None:
        seen[0] = -(10**9)
        made.shop.faults.clear()

    return mend


def test_a_resync_finishes_the_interrupted_list_and_what_changed_since(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings, parallel=1) as made:
        fill_shop(made.store, orders=40)
        mend = _cut(made, "/orders", 8)
        with pytest.raises(SyncFailedError):
            made.sync()
        loaded = made.live("orders")
        assert 0 < len(loaded) < 40
        mend()
        made.later()
        made.store.set_order_status(max(made.store.orders), "C")  # in the part already read
        made.sync()
        assert whole_pages(made) < 10
        assert made.differences(without=ONCE_A_DAY) == {}


def test_a_first_run_that_fails_after_the_orders_does_not_read_them_again(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        mend = _cut(made, "/shipments", 1)
        with pytest.raises(SyncFailedError):
            made.sync()
        mend()
        made.later()
        made.sync()
        assert whole_pages(made) == 0
        assert made.differences(without=ONCE_A_DAY) == {}


def test_an_interrupted_full_sync_goes_on_in_the_next_resync_and_finds_deletions(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings, parallel=1) as made:
        fill_shop(made.store, orders=40)
        made.sync()
        made.later()
        orders = sorted(made.store.orders)
        made.store.delete_order(orders[2])
        made.store.delete_order(orders[-2])
        mend = _cut(made, "/orders", 6)
        with pytest.raises(SyncFailedError):
            made.sync(full=True)
        mend()
        made.store.delete_order(orders[-4])  # in the part already read
        made.later()
        report = made.sync()
        assert report.kind == "resync"
        assert whole_pages(made) < 10
        assert report.entities["orders"].deleted == 3
        assert made.differences(without=ONCE_A_DAY) == {}


@pytest.mark.parametrize("days", [1, 3])
def test_a_list_interrupted_for_days_starts_anew(
    warehouse_database: Database, settings: Settings, days: int
) -> None:
    with connected(warehouse_database, settings, parallel=1) as made:
        fill_shop(made.store, orders=40)
        mend = _cut(made, "/orders", 8)
        with pytest.raises(SyncFailedError):
            made.sync()
        mend()
        with made.warehouse.connect(autocommit=True) as connection:
            began = (datetime.now(UTC) - timedelta(days=days)).isoformat()
            connection.execute(
                "UPDATE registry.sync_state SET page_cursor = page_cursor ||"
                " jsonb_build_object('began', %s::text) WHERE page_cursor IS NOT NULL",
                [began],
            )
        gone = max(made.store.orders)
        made.store.delete_order(gone)
        made.later(24 * days)
        made.sync()
        assert (whole_pages(made) >= 10) == (days > 2)
        assert made.differences(without=ONCE_A_DAY) == {}


# --- shops that lie ------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["4.7", "4.20"])
def test_products_that_an_import_dates_back_amid_a_sweep_push_no_other_out_of_it(
    warehouse_database: Database, settings: Settings, profile: str
) -> None:
    with connected(warehouse_database, settings, profile, parallel=1) as made:
        fill_shop(made.store)
        for number in range(12):
            made.store.add_product(f"Tea {number}", 5, main_category=1, timestamp=NOW + number)
        made.sync()
        made.store.delete_product(5)
        before = made.live("products")
        imported = iter(range(3))

        @made.shop.before_request
        def put_in(request: Any) -> None:
            if "/products" in request.path and "page=" in request.query:
                for number in imported:
                    old = NOW - 10_000_000
                    made.store.add_product(f"Cup {number}", 2, main_category=1, timestamp=old)
                    break

        made.later(30)
        report = made.sync(full=True)
        assert before.keys() - made.live("products").keys() == {(5,)}
        assert report.entities["products"].deleted == 1
        made.later(30)
        made.sync(full=True)
        assert made.differences() == {}


def test_an_empty_list_of_statuses_is_not_believed(
    warehouse_database: Database, settings: Settings
) -> None:
    """All lists would fall back to the default statuses of purchases."""

    def without_statuses(entity: str, answer: ApiResponse) -> ApiResponse:
        empty = {"statuses": [], "params": {"total_items": 0}}
        return replace(answer, body=empty) if entity == "statuses" else answer

    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        made.sync()
        made.store.edit_order(min(made.store.orders), status="q")  # has them read again
        made.later()
        report = sync_through(made, without_statuses)
        assert report.entities["statuses"].pages == 1
        assert made.differences(without=ONCE_A_DAY[:1]) == {}


def test_categories_that_crash_the_shop_keep_nothing_else_from_being_read(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings, retries=0) as made:
        fill_shop(made.store)
        made.shop.faults.add("server_error", path="/categories")
        made.sync()
        assert made.differences(without=("categories",)) == {}
        assert made.live("categories") == {}


@pytest.mark.parametrize("profile", ["4.7", "4.20"])
@pytest.mark.parametrize("by", [9, 1])
def test_a_total_that_is_too_high_ends_and_is_explained_once(
    warehouse_database: Database, settings: Settings, profile: str, by: int
) -> None:
    def too_high(entity: str, answer: ApiResponse) -> ApiResponse:
        told = answer.body.get("params") if isinstance(answer.body, dict) else None
        if isinstance(told, dict) and "total_items" in told and entity in ("orders", "users"):
            told["total_items"] = str(int(told["total_items"]) + by)
        return answer

    with connected(warehouse_database, settings, profile) as made:
        fill_shop(made.store)
        sync_through(made, too_high)
        assert made.differences() == {}
        made.later()
        report = sync_through(made, too_high)
        assert made.differences(without=ONCE_A_DAY) == {}
        orders = report.entities["orders"]
        assert orders.shop_total == orders.warehouse_total + by
        if profile == "4.20":
            assert orders.pages <= 1 + -(-by // 4)  # no sweep
        made.later()
        made.store.delete_order(min(made.store.orders))
        sync_through(made, too_high)
        assert made.differences(without=ONCE_A_DAY) == {}


@pytest.mark.parametrize("profile", ["4.7", "4.20"])
def test_a_total_that_is_too_low_or_wavers_ends(
    warehouse_database: Database, settings: Settings, profile: str
) -> None:
    calls = [0]

    def wavers(entity: str, answer: ApiResponse) -> ApiResponse:
        told = answer.body.get("params") if isinstance(answer.body, dict) else None
        if isinstance(told, dict) and "total_items" in told:
            calls[0] += 1
            told["total_items"] = (0, 3, 10, 40, 7)[calls[0] % 5]
        return answer

    with connected(warehouse_database, settings, profile) as made:
        fill_shop(made.store)
        for _ in range(3):
            sync_through(made, wavers)
            assert len(made.shop.requests) < 400
            made.later()
        made.sync()
        made.sync(full=True)
        assert made.differences() == {}


# --- memory --------------------------------------------------------------------------------------


def _peak(database: Database, settings: Settings, orders: int) -> int:
    """The most Python memory that a first sync of so many orders needs, in bytes."""
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "cscart_pipelines.sandbox.benchmark_server",
            "--orders",
            str(orders),
            "--until-stdin-closes",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdin and server.stdout
    try:
        told = json.loads(server.stdout.readline())
        key = f"canned-{orders}"
        values = {"integration": key, "list_name": key, "url": told["url"], "email": told["email"]}
        checked = integration_settings.check(values)
        secret = SecretStr(told["api_key"])
        registry = Registry(database.warehouse, settings)
        registry.add(checked, secret, probe_connection(checked, secret).model_dump(mode="json"))
        session = acquire(database.warehouse, registry, key, Action.START)
        with open_client(session.integration, registry, settings) as client:
            tracemalloc.start()
            report = synchronise(session, client, sizes=BatchSizes(chunk_rows=400))
            peak = tracemalloc.get_traced_memory()[1]
        assert report.entities["orders"].changes.inserted == orders
        assert report.entities["orders"].shop_total == orders
        return peak
    finally:
        tracemalloc.stop()
        server.stdin.close()
        server.wait()
        server.stdout.close()


def test_memory_does_not_grow_with_the_number_of_orders(
    warehouse_database: Database, settings: Settings
) -> None:
    _peak(warehouse_database, settings, 100)  # imports and caches
    few = _peak(warehouse_database, settings, 2_000)
    many = _peak(warehouse_database, settings, 6_000)
    assert many < 1.3 * few
    assert many < 100_000_000

"""Rows that cannot be read, rows that are gone, and what must never be read at all."""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import sql

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import TransientShopError
from cscart_pipelines.cscart.http.responses import ApiResponse
from cscart_pipelines.integrations import list_builds
from cscart_pipelines.integrations.connection import open_client
from cscart_pipelines.sandbox.api.render_leaks import LEAK
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines.sandbox.shop.model import ShopStatus
from cscart_pipelines.settings import Settings
from cscart_pipelines.sync.run import SyncFailedError, SyncReport, synchronise
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.shop.sandboxes import VERSIONS
from cscart_pipelines_tests.support.shop.syncs import (
    SMALL,
    Connected,
    connected,
    expectation,
    fill_shop,
)

ONCE_A_DAY = ("products.amount", "statuses", "categories")


# --- broken orders -------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["4.7", "4.12", "4.20"])
def test_a_broken_order_comes_as_list_row_and_in_full_once_it_is_mended(
    warehouse_database: Database, settings: Settings, profile: str
) -> None:
    with connected(warehouse_database, settings, profile, retries=1) as made:
        fill_shop(made.store, orders=20)
        broken = sorted(made.store.orders)[7]
        made.shop.faults.poison(broken)
        report = made.sync()
        assert list(made.rejects()) == [f"orders {broken}"]
        row = made.live("orders")[(broken,)]
        assert (row["has_details"], row["total"]) == (False, made.store.orders[broken].total)
        places = {key.split(" ")[1].strip("(),") for key in made.differences()}
        assert places == {str(broken)}
        orders = report.entities["orders"]
        assert orders.shop_total == orders.warehouse_total == 20
        made.later()
        made.store.edit_order(broken, status="C")
        made.sync()
        assert made.live("orders")[(broken,)]["status"] == "C"
        assert list(made.rejects()) == [f"orders {broken}"]
        made.shop.faults.clear()
        made.later()
        made.sync()
        assert made.rejects() == {}
        assert list(made.rejects(resolved=True)) == [f"orders {broken}"]
        assert made.differences(without=ONCE_A_DAY) == {}


@pytest.mark.parametrize("profile", ["4.7", "4.20"])
def test_an_order_that_breaks_later_is_not_taken_for_deleted(
    warehouse_database: Database, settings: Settings, profile: str
) -> None:
    with connected(warehouse_database, settings, profile, retries=1) as made:
        fill_shop(made.store, orders=20)
        made.sync()
        broken = sorted(made.store.orders)[7]
        made.shop.faults.poison(broken)
        made.later()
        report = made.sync(full=True)
        assert report.entities["orders"].deleted == 0
        assert made.live("orders")[(broken,)]["has_details"]
        assert list(made.rejects()) == [f"orders {broken}"]
        made.store.delete_order(broken)
        made.later()
        made.sync()
        assert made.rejects() == {}
        assert made.differences(without=ONCE_A_DAY) == {}


@pytest.mark.parametrize("touch", [True, False])
@pytest.mark.parametrize("profile", ["4.7", "4.20"])
def test_an_unreadable_order_is_set_aside_until_it_can_be_read(
    warehouse_database: Database, settings: Settings, profile: str, touch: bool
) -> None:
    with connected(warehouse_database, settings, profile) as made:
        fill_shop(made.store)
        bad = sorted(made.store.orders)[4]
        made.store.edit_order(bad, status="")
        first = made.sync()
        assert made.rejects() == {f"orders {bad}": "status: expected a text that is not empty"}
        assert set(made.live("orders")) == {(key,) for key in made.store.orders if key != bad}
        orders = first.entities["orders"]
        assert orders.warehouse_total is not None
        assert orders.shop_total == orders.warehouse_total + 1
        made.later()
        made.sync()
        # Explained by the reject: the orders are counted, and no sweep looks for the difference.
        assert made.shop.requests.count(path="/orders", query="time_from=0") == 1
        made.store.edit_order(bad, status="P", touch=touch)
        made.later()
        made.sync()
        assert made.rejects() == {}
        assert made.differences(without=ONCE_A_DAY) == {}


def test_an_unreadable_customer_keeps_the_last_row_and_is_closed_when_it_is_as_before(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        made.sync()
        user = made.store.customers.pop(3)
        made.store.add_customer("x@example.com", user_id=-3)  # a key that no row may have
        made.store.customers[3] = user
        made.later()
        made.sync()
        assert list(made.rejects()) == ["customers -3"]
        del made.store.customers[-3]
        made.later()
        made.sync()
        assert made.rejects() == {}
        assert made.differences(without=ONCE_A_DAY) == {}


# --- rows that break every page they are on ------------------------------------------------------


BREAKING = {
    "users": ("user_id", "customers"),
    "orders": ("order_id", "orders"),
    "products": ("product_id", "products"),
    "shipments": ("shipment_id", "shipments"),
}


class BreakingClient(ShopClient):
    """A row of the shop, if any, empties each page of lists that holds it, details asked or not."""

    breaking: tuple[str, int] | None = None

    def get(self, entity: str, *, id: Any = None, **arguments: Any) -> ApiResponse:
        answer = super().get(entity, id=id, **arguments)
        if self.breaking and entity == self.breaking[0] and id is None:
            key = BREAKING[entity][0]
            if str(self.breaking[1]) in {row[key] for row in answer.body[entity]}:
                raise TransientShopError("an empty page", cause="page")
        return answer


def _sync_breaking(made: Connected, breaking: tuple[str, int] | None, *, full: bool) -> SyncReport:
    made.shop.requests.clear()
    with (
        made.session(full=full) as session,
        BreakingClient(
            made.shop.url, made.shop.email, made.shop.api_key, sleep=lambda seconds: None
        ) as client,
    ):
        client.breaking = breaking
        return synchronise(session, client, sizes=SMALL)


@pytest.mark.parametrize("place", [0, 2, -1])
@pytest.mark.parametrize("entity", BREAKING)
def test_a_row_that_breaks_its_list_stops_no_run_and_is_not_taken_for_deleted(
    warehouse_database: Database, settings: Settings, entity: str, place: int
) -> None:
    table = BREAKING[entity][1]
    with connected(warehouse_database, settings, "4.20") as made:
        fill_shop(made.store)
        made.sync()
        present = {name: made.live(name) for name in ("customers", "orders", "products", table)}
        breaking = (entity, sorted(present[table])[place][0])
        made.later(30)
        _sync_breaking(made, breaking, full=True)
        assert {name: made.live(name) for name in present} == present
        assert [key.partition(":")[0] for key in made.rejects()] == [f"{table} position"]
        made.later(30)
        made.sync(full=True)
        assert made.rejects() == {}
        assert made.differences() == {}


def test_an_order_that_is_looked_for_and_breaks_its_list_is_not_taken_for_deleted(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings, retries=0) as made:
        fill_shop(made.store)
        broken, gone = sorted(made.store.orders)[3:5]
        made.shop.faults.poison(broken, gone)
        made.sync()
        assert sorted(made.rejects()) == [f"orders {broken}", f"orders {gone}"]
        made.store.delete_order(gone)
        made.later()
        _sync_breaking(made, ("orders", broken), full=False)
        assert (broken,) in made.live("orders")
        made.shop.faults.clear()
        made.later()
        made.sync(full=True)
        assert made.differences() == {}
        assert made.rejects() == {}


@pytest.mark.parametrize("entity", BREAKING)
def test_a_first_run_reads_what_stands_beside_a_row_that_breaks_its_list(
    warehouse_database: Database, settings: Settings, entity: str
) -> None:
    table = BREAKING[entity][1]
    with connected(warehouse_database, settings, "4.20") as made:
        fill_shop(made.store)
        numbers = sorted(key[0] for key in expectation(made.store)[table])
        _sync_breaking(made, (entity, numbers[2]), full=False)
        assert set(made.live(table)) == {(key,) for key in numbers if key != numbers[2]}
        # Orders: although the count of the shop has not changed, the row is found in a day.
        made.later(30)
        with made.warehouse.connect(autocommit=True) as connection:
            connection.execute(
                "UPDATE registry.sync_state SET swept_at = swept_at - interval '30 hours'"
            )
        made.sync()
        assert made.differences(without=("shipments",)) == {}
        assert made.rejects() == {} or entity == "shipments"


def test_texts_too_long_for_an_index_stop_no_run(
    warehouse_database: Database, settings: Settings
) -> None:
    draw = random.Random(1)
    long = "".join(chr(draw.randrange(0x4E00, 0x9FFF)) for _ in range(9000))
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        bad = sorted(made.store.orders)[4]
        line = made.store.orders[bad].lines[0]
        made.store.edit_order(bad, lines=[replace(line, item_id=long)])
        made.store.statuses.append(ShopStatus(30, long, "Long"))
        made.store.categories[1].category = long
        made.sync()
        expected = "products.item_id: expected a text of at most 255 characters"
        assert made.rejects()[f"orders {bad}"] == expected
        assert made.live("categories")[(1,)]["category"] == long[:255]
        places = {key.split(" (")[0] for key in made.differences()}
        assert places == {"orders", "order_lines", "statuses", "categories"}


def test_an_order_without_a_number_is_not_looked_for_among_all_orders(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        order = made.store.orders.pop(max(made.store.orders))
        made.store.orders[0] = replace(order, order_id=0)
        made.sync()
        assert list(made.rejects()) == ["orders 0"]
        made.later()
        report = made.sync()
        # A shop takes `order_id=0` for no filter, and would send every order.
        assert report.entities["orders"].rows <= 2
        assert not made.shop.requests.count(path="/orders", query="order_id=0")


# --- rows that are gone --------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["4.7", "4.13"])
def test_a_deleted_customer_leaves_a_tombstone_and_orders_of_a_guest_and_may_come_back(
    warehouse_database: Database, settings: Settings, profile: str
) -> None:
    with connected(warehouse_database, settings, profile) as made:
        fill_shop(made.store)
        made.sync()
        user = next(o.user_id for o in made.store.orders.values() if o.user_id)
        theirs = [o.order_id for o in made.store.orders.values() if o.user_id == user]
        saved = made.store.customers[user]
        made.later()
        made.store.delete_customer(user)
        made.sync()
        assert (user,) not in made.live("customers")
        assert {made.live("orders")[(order,)]["user_id"] for order in theirs} == {None}
        assert made.differences(without=ONCE_A_DAY) == {}
        # Restored from a backup of the shop's database, which touches no time of change.
        made.store.customers[user] = saved
        for order in theirs:
            made.store.edit_order(order, user_id=user, touch=False)
        made.later()
        made.sync()
        assert made.differences(without=ONCE_A_DAY) == {}


@pytest.mark.parametrize("entity", ["orders", "customers", "categories"])
def test_a_run_that_only_finds_deletions_makes_the_lists_due(
    warehouse_database: Database, settings: Settings, entity: str
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        made.sync()

        assert _due(made)
        made.later()
        made.sync(full=True)
        assert not _due(made)
        if entity == "orders":
            made.store.delete_order(sorted(made.store.orders)[7])
        elif entity == "customers":
            made.store.delete_customer(max(made.store.customers))
        else:
            del made.store.categories[1]
        made.later()
        made.sync(full=entity == "categories")
        assert made.differences(without=("products.amount", "products")) == {}
        assert _due(made)


def test_a_run_that_fails_after_it_changed_rows_makes_the_lists_due(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings, retries=0) as made:
        fill_shop(made.store)
        made.sync()
        assert _due(made)
        made.store.customers[max(made.store.customers)].firstname = "Ada"
        made.later()
        made.shop.faults.add("too_many_requests", path="/shipments")
        with pytest.raises(SyncFailedError):
            made.sync()  # no order has changed: the last that it tells of is 0 of 0 rows
        assert _due(made)


def _due(made: Connected) -> bool:
    """Tells whether rows have changed since it was asked last, after which the lists are built."""
    with made.warehouse.connect(autocommit=True) as connection:
        (state,) = list_builds.states(connection, [made.key])
        building = list_builds.begin(connection, [made.key])
        list_builds.finish(connection, building, "build", datetime.now(UTC))
    return state.newest_change is not None


@pytest.mark.parametrize("profile", VERSIONS)
def test_an_account_that_becomes_one_of_staff_keeps_its_orders(
    warehouse_database: Database, settings: Settings, profile: str
) -> None:
    with connected(warehouse_database, settings, profile) as made:
        fill_shop(made.store)
        made.sync()
        buyers = sorted({order.user_id for order in made.store.orders.values() if order.user_id})
        made.store.customers[buyers[0]].user_type = "A"
        made.store.delete_customer(buyers[1])
        made.later()
        made.sync()
        assert made.differences(without=ONCE_A_DAY) == {}
        made.store.customers[buyers[0]].user_type = "C"
        made.later()
        made.sync()
        assert made.differences(without=ONCE_A_DAY) == {}


@pytest.mark.parametrize("profile", VERSIONS)
def test_orders_deleted_while_they_are_read_are_gone_one_resync_later(
    warehouse_database: Database, settings: Settings, profile: str
) -> None:
    with connected(warehouse_database, settings, profile) as made:
        fill_shop(made.store, orders=24)
        seen = [0]
        lively = [True]

        @made.shop.before_request
        def delete(request: Request) -> None:
            with made.store.lock:
                orders = sorted(made.store.orders)
                if lively[0] and "/orders" in request.path and orders:
                    seen[0] += 1
                    if seen[0] % 2:
                        made.store.delete_order(orders[seen[0] % len(orders)])

        made.sync()
        lively[0] = False
        assert len(made.store.orders) < 24
        made.later()
        made.sync()
        assert made.differences(without=ONCE_A_DAY) == {}


def test_orders_that_go_and_come_in_equal_number_are_told_apart(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        made.sync()
        made.later()
        for order in sorted(made.store.orders)[:3]:
            made.store.delete_order(order)
            made.store.place_order(lines=[(1, 1)])
        made.sync()
        assert made.differences(without=ONCE_A_DAY) == {}


# --- what must never be read ---------------------------------------------------------------------


def everything(made: Connected) -> str:
    """Every value of every table of the database, as text."""
    texts = []
    with made.warehouse.connect(autocommit=True) as connection:
        found = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert len(found) > 10
        for schema, table in found:
            rows = connection.execute(
                sql.SQL("SELECT each::text FROM {} AS each").format(sql.Identifier(schema, table))
            )
            texts += [row[0] for row in rows]
    return "\n".join(texts)


@pytest.mark.parametrize("profile", VERSIONS)
def test_no_secret_of_the_shop_or_ours_is_kept_or_said(
    warehouse_database: Database,
    settings: Settings,
    profile: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with connected(warehouse_database, settings, profile, retries=1) as made:
        fill_shop(made.store, orders=20)
        orders = sorted(made.store.orders)
        for number, order in enumerate(orders):
            made.store.edit_order(order, status="PCF"[number % 3], shipping_id=2)
        made.store.edit_order(orders[3], status="")
        made.shop.faults.poison(orders[5])
        made.shop.faults.add("truncated", path="/orders", query="get_orders_data", count=2)
        made.shop.faults.add("php_notices", path="/orders", count=2)
        made.sync()
        made.later()
        made.shop.faults.clear()
        made.shop.faults.add("truncated", path="/orders")
        with pytest.raises(SyncFailedError) as caught:
            made.sync()
        told: BaseException | None = caught.value
        said = []
        while told is not None:
            said += [str(told), repr(told)]
            told = told.__cause__ or told.__context__
        text = "\n".join([*said, caplog.text, everything(made)])
        assert len(made.live("orders")) >= 19
        assert "example.com" in text  # the search would find what is there
        for secret in (LEAK, made.shop.api_key, "card_number"):
            assert secret not in text


# --- shops that were empty when they were connected ----------------------------------------------


@pytest.mark.parametrize("profile", VERSIONS)
def test_a_shop_that_was_empty_is_probed_again_until_it_has_orders(
    warehouse_database: Database, settings: Settings, profile: str
) -> None:
    with connected(warehouse_database, settings, profile, "empty") as made:

        def run() -> None:
            session = made.session()
            with session, open_client(session.integration, made.registry, settings) as client:
                synchronise(session, client, sizes=SMALL)

        def capabilities() -> dict[str, object]:
            return dict(made.registry.get(made.key).capabilities or {})

        assert not capabilities()["orders_seen"]
        run()
        assert not capabilities()["orders_seen"]
        made.later()
        made.store.add_category("Bags")
        made.store.add_product("Bag", "10.00", main_category=1)
        for _ in range(6):
            made.store.place_order(lines=[(1, 1)])
        run()
        assert capabilities()["orders_seen"]
        assert capabilities()["updated_at_filter"] == made.shop.profile.updated_at
        assert capabilities()["orders_with_details"] == made.shop.profile.orders_data
        assert made.differences(without=ONCE_A_DAY) == {}
        made.shop.requests.clear()
        made.later()
        run()
        assert made.shop.requests.count(path="/version") == 0

"""One synchronisation after another, in every kind of shop: the tables end as the shop is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cscart_pipelines.sandbox.shop.model import PostalAddress, ShopStatus
from cscart_pipelines.settings import Settings
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.shop.sandboxes import NOW, VERSIONS
from cscart_pipelines_tests.support.shop.syncs import SMALL, Connected, connected, fill_shop

ONCE_A_DAY = ("products.amount", "statuses", "categories")
"""What a resync need not show before a day is over."""


def _edit_everything(made: Connected) -> None:
    store = made.store
    orders = sorted(o.order_id for o in store.orders.values() if o.is_parent_order == "N")
    users = sorted(c.user_id for c in store.customers.values() if c.user_type == "C")
    store.place_order(user_id=users[2], lines=[(1, 2), (5, 1)])
    store.place_order(email="new.guest@example.com", lines=[(3, 1)], country="DE")
    store.edit_order(orders[1], lines=[(2, 7), (6, 1)], total="123.45", notes="changed by staff")
    moved = replace(store.orders[orders[2]].ship_to, city="Θεσσαλονίκη", country="CY")
    store.edit_order(orders[2], ship_to=moved, bill_to=PostalAddress(country="FR"))
    store.set_order_status(orders[3], "C")
    store.edit_order(orders[4], status="N")
    store.delete_order(orders[6])
    store.delete_order(orders[-1])
    store.add_customer("fresh@example.com", firstname="Fresh")
    store.edit_customer(users[0], firstname="Renamed", phone="")
    store.edit_customer(users[1], status="D", last_login=NOW + 5)
    store.delete_customer(users[3])
    store.delete_customer(users[-1])
    store.edit_product(1, product="Tote bag, large", price=store.products[1].price * 2)
    store.add_product("Hat", "15.00", main_category=1)
    store.create_shipment(orders[1], carrier="dhl", tracking_number="NEW-1")
    store.edit_shipment(max(store.shipments), comments="left at the door")


@pytest.mark.parametrize("multivendor", [False, True], ids=["", "multi-vendor"])
@pytest.mark.parametrize("profile", VERSIONS)
def test_first_sync_and_resync_end_equal_to_the_shop(
    warehouse_database: Database, settings: Settings, profile: str, multivendor: bool
) -> None:
    with connected(
        warehouse_database, settings, profile, page_size=3, multivendor=multivendor
    ) as made:
        fill_shop(made.store)
        first = made.sync()
        assert first.kind == "first"
        assert made.differences() == {}
        for entity in ("customers", "orders"):
            done = first.entities[entity]
            assert done.shop_total == done.warehouse_total == len(made.live(entity))
        made.later()
        _edit_everything(made)
        second = made.sync()
        assert second.kind == "resync"
        assert made.differences(without=ONCE_A_DAY) == {}
        assert second.entities["orders"].deleted == 2
        assert second.entities["customers"].deleted == 2
        assert made.rejects() == {}
        status = made.registry.get(made.key)
        assert (status.status, status.attempts) == ("enabled", 0)


@pytest.mark.parametrize("profile", ["4.7", "4.20"])
def test_what_did_not_change_is_not_written(
    warehouse_database: Database, settings: Settings, profile: str
) -> None:
    with connected(warehouse_database, settings, profile) as made:
        fill_shop(made.store)
        made.sync()
        names = ("customers", "orders", "order_lines", "products", "statuses", "shipments")
        before = {name: made.versions(name) for name in names}
        made.later()
        user = min(c.user_id for c in made.store.customers.values() if c.user_type == "C")
        made.store.edit_customer(user, lastname="Other")
        changed = min(made.store.orders)
        made.store.set_order_status(changed, "P")
        for full in (False, True):
            report = made.sync(full=full)
            assert made.differences(without=("products.amount",) if not full else ()) == {}
            written = {
                name: {k for k, v in made.versions(name).items() if before[name].get(k) != v}
                for name in names
            }
            assert written["customers"] == {(user,)}
            assert written["orders"] == {(changed,)}
            assert {key[0] for key in written["order_lines"]} == {changed}
            assert not written["products"] | written["statuses"] | written["shipments"]
        assert report.kind == "full"
        assert report.entities["orders"].changes.written == 0


def test_statuses_are_read_again_when_an_order_carries_a_new_letter(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        made.sync()
        made.later()
        made.store.statuses.append(ShopStatus(30, "H", "On hold", inventory="D"))
        made.store.set_order_status(min(made.store.orders), "H")
        made.sync()
        assert made.live("statuses")[("O", "H")]["description"] == "On hold"
        assert made.differences() == {}
        # A letter that the shop itself does not know is asked about once.
        made.store.edit_order(min(made.store.orders), status="q")
        made.later()
        assert made.sync().entities["statuses"].pages == 1
        made.later()
        assert made.sync().entities["statuses"].pages == 0


def test_a_full_sync_shows_what_is_otherwise_read_once_a_day(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        made.sync()
        made.later()
        made.store.statuses[0].description = "Paid and packed"
        made.store.statuses.pop(6)
        made.store.delete_product(4)
        made.store.add_category("Hats")
        del made.store.categories[1]
        made.store.edit_shipment(min(made.store.shipments), tracking_number="CHANGED")
        made.store.edit_order(min(made.store.orders), touch=False, promotion_ids="3,4")
        report = made.sync(full=True)
        assert report.kind == "full"
        assert made.differences() == {}


@pytest.mark.parametrize("profile", ["4.7", "4.20"])
@pytest.mark.parametrize(
    "change", [{"company_id": 7}, {"storefront_id": 7}, {"issuer_id": 1}, {"parent_order_id": 3}]
)
def test_a_sweep_sees_whose_order_it_is_now(
    warehouse_database: Database, settings: Settings, profile: str, change: dict[str, int]
) -> None:
    with connected(warehouse_database, settings, profile) as made:
        fill_shop(made.store)
        made.sync()
        moved = min(made.store.orders)
        made.store.edit_order(moved, touch=False, **change)
        made.later()
        with made.warehouse.connect(autocommit=True) as connection:
            connection.execute("UPDATE registry.sync_state SET swept_at = NULL")
        report = made.sync(entities=("orders",))
        assert not [key for key in made.differences() if key.startswith("order")]
        assert report.entities["orders"].changes.updated <= 1


@pytest.mark.parametrize("profile", ["4.7", "4.12"])
def test_old_orders_that_leave_or_enter_an_open_status_are_seen_without_a_filter_on_changes(
    warehouse_database: Database, settings: Settings, profile: str
) -> None:
    def old(store) -> None:  # type: ignore[no-untyped-def]
        store.add_product("Bag", "10.00")
        for number in range(12):
            days = 60 if number < 9 else 1
            store.place_order(status="O", timestamp=NOW - 86_400 * days + number)

    with connected(warehouse_database, settings, profile, old) as made:
        made.sync()
        orders = sorted(made.store.orders)
        made.later()
        made.store.set_order_status(orders[0], "C")  # leaves the list of open ones
        made.store.set_order_status(orders[1], "P")
        made.store.delete_order(orders[2])
        made.sync()
        assert made.differences(without=ONCE_A_DAY) == {}


@pytest.mark.parametrize("profile", ["4.7", "4.13"])
def test_an_empty_shop_and_one_that_empties(
    warehouse_database: Database, settings: Settings, profile: str
) -> None:
    with connected(warehouse_database, settings, profile, "empty") as made:
        report = made.sync()
        assert {name: done.rows for name, done in report.entities.items() if done.rows} == {
            "statuses": len(made.live("statuses"))
        }
        assert made.differences() == {}
        assert made.registry.get(made.key).status == "enabled"
        made.later()
        made.sync()
        assert made.differences() == {}
    with connected(warehouse_database, settings, profile) as made:
        fill_shop(made.store)
        made.sync()
        made.later()
        for order in list(made.store.orders):
            made.store.delete_order(order)
        for user in list(made.store.customers):
            made.store.delete_customer(user)
        report = made.sync()
        assert made.live("orders") == made.live("customers") == {}
        assert made.differences(without=ONCE_A_DAY) == {}
        assert report.entities["orders"].shop_total == 0


def test_ids_beyond_32_bits_nul_characters_and_any_script(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        big = 2**40
        made.store.add_customer(
            "a@example.com", user_id=big, firstname="N\x00UL", lastname="🙂" * 9
        )
        made.store.place_order(order_id=big + 1, user_id=big, lines=[(1, 1)])
        made.sync(sizes=replace(SMALL, chunk_rows=1))
        assert made.live("customers")[(big,)]["firstname"] == "NUL"
        assert made.live("orders")[(big + 1,)]["lastname"] == "🙂" * 9
        assert made.live("orders")[(big + 1,)]["user_id"] == big


def test_a_missing_privilege_for_products_leaves_them_out_and_nothing_else(
    warehouse_database: Database, settings: Settings
) -> None:
    privileges = {"view_orders", "view_users", "view_catalog"}
    with connected(warehouse_database, settings, privileges=privileges) as made:
        fill_shop(made.store)
        made.sync()  # statuses were found unreadable by the test of the connection
        privileges.discard("view_catalog")
        made.shop.api_user.privileges.discard("view_catalog")  # type: ignore[union-attr]
        made.later()
        report = made.sync()
        assert set(report.entities) == {"customers", "orders", "shipments"}
        assert made.registry.get(made.key).status == "enabled"
        assert made.differences(without=ONCE_A_DAY) == {}


@pytest.mark.parametrize("tells", [True, False], ids=["told", "silent"])
def test_a_shop_that_allows_few_rows_per_page_is_read_whole(
    warehouse_database: Database, settings: Settings, tells: bool
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        made.shop.state.page_limit, made.shop.state.tells_page_limit = 4, tells
        made.sync()
        assert made.differences() == {}
        made.later()
        _edit_everything(made)
        made.sync()
        assert made.differences(without=ONCE_A_DAY) == {}
        assert made.rejects() == {}

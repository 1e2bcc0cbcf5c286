"""An integration that takes some companies or storefronts of an installation, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from cscart_pipelines.fulfilment.orders.pull import pull
from cscart_pipelines.integrations.service import IntegrationService
from cscart_pipelines.sandbox.api.order_filters import _exact as order_filters_exact
from cscart_pipelines.settings import Settings
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.shop.syncs import Connected, connected, fill_shop

LIMITS: list[dict[str, Any]] = [
    {"companies": "2"},
    {"companies": "1,2"},
    {"storefronts": "2"},
    {"storefronts": [2, 3]},
    {"companies": "2", "storefronts": "2"},
]


def _installation(made: Connected) -> None:
    """Three companies with a storefront each; company 3 sells in storefront 2 as well."""
    fill_shop(made.store, customers=12, orders=18)
    store = made.store
    for number, order in enumerate(sorted(store.orders)):
        company = number % 3 + 1
        store.edit_order(order, company_id=company, storefront_id=min(company, 2 + number % 2))
    for number, user in enumerate(sorted(store.customers)[1:]):
        store.edit_customer(user, company_id=number % 4)
    for number, product in enumerate(sorted(store.products)):
        store.edit_product(product, company_id=number % 3 + 1)


def _limit(made: Connected, **values: Any) -> None:
    IntegrationService(made.warehouse, made.registry, made.settings).edit(
        made.key, {"companies": (), "storefronts": (), **values}
    )


def _inside(made: Connected) -> dict[str, set[int]]:
    """What the integration takes, by the shop's own records."""
    settings, store = made.registry.get(made.key).settings, made.store
    companies, storefronts = set(settings.companies), set(settings.storefronts)
    orders = {
        o.order_id: o
        for o in store.orders.values()
        if (not companies or o.company_id in companies)
        and (not storefronts or o.storefront_id in storefronts)
    }
    buyers = {o.user_id for o in orders.values()}
    limited = bool(companies or storefronts)
    return {
        "orders": set(orders),
        "order_lines": set(orders),
        "customers": {
            c.user_id
            for c in store.customers.values()
            if c.user_type == "C"
            and (not limited or c.company_id in companies or c.user_id in buyers)
        },
        "products": {
            p.product_id
            for p in store.products.values()
            if not companies or p.company_id in companies
        },
        "shipments": {s.shipment_id for s in store.shipments.values() if s.order_id in orders},
    }


def _live(made: Connected) -> dict[str, set[int]]:
    names = ("orders", "order_lines", "customers", "products", "shipments")
    return {name: {key[0] for key in made.live(name)} for name in names}


def _deleted(made: Connected) -> int:
    query = "SELECT count(*) FROM cscart.orders WHERE integration = %s AND deleted_at IS NOT NULL"
    return int(made.query(query)[0][0])


@pytest.mark.parametrize("values", LIMITS, ids=str)
@pytest.mark.parametrize("profile", ["4.7", "4.12", "4.20"])
def test_only_what_is_inside_is_loaded_counted_and_missed(
    warehouse_database: Database, settings: Settings, profile: str, values: dict[str, Any]
) -> None:
    if profile == "4.7" and "storefronts" in values:
        pytest.skip("told when it is set, see the next test")
    with connected(warehouse_database, settings, profile, page_size=3) as made:
        _installation(made)
        _limit(made, **values)
        first = made.sync()
        assert _live(made) == _inside(made)
        for entity in ("customers", "orders", "products", "shipments"):
            report = first.entities[entity]
            assert report.shop_total == report.warehouse_total, entity
        made.later()
        mine, others = _inside(made)["orders"], set(made.store.orders) - _inside(made)["orders"]
        made.store.place_order(lines=[(1, 1)], company_id=3, storefront_id=1)
        made.store.place_order(lines=[(1, 1)], company_id=2, storefront_id=2)
        made.store.create_shipment(max(others), carrier="ups", tracking_number="THEIRS")
        made.store.create_shipment(max(mine), carrier="ups", tracking_number="OURS")
        made.store.set_order_status(min(others), "P")
        made.store.set_order_status(min(mine), "P")
        made.store.delete_order(sorted(others)[1])
        made.store.delete_order(sorted(mine)[1])
        made.store.add_customer("theirs@example.com", company_id=9)
        second = made.sync()
        assert _live(made) == _inside(made)
        assert second.entities["orders"].deleted == 1
        for entity in ("customers", "orders", "shipments"):
            report = second.entities[entity]
            assert report.shop_total == report.warehouse_total, entity
        made.later()
        third = made.sync()
        assert third.written() == 0
        assert third.entities["shipments"].pages == 1  # what is outside calls for no sweep


def test_a_changed_limit_lets_rows_leave_and_come_and_none_is_deleted_in_the_shop(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        _installation(made)

        def told() -> set[Any]:
            with made.warehouse.connect(autocommit=True) as connection:
                pull(connection, made.registry.get(made.key))
            query = "SELECT changes FROM fulfilment.orders WHERE integration = %s"
            return {str(row[0]) for row in made.query(query)}

        made.sync()
        everything = _live(made)
        assert told() == {"None"}
        for values in [*LIMITS, {"companies": "9"}]:
            _limit(made, **values)
            # At once: nothing that is outside is handed out or listed until the next run.
            assert all(_live(made)[name] <= _inside(made)[name] for name in everything)
            assert told() == {"None"}
            made.sync()
            assert (_live(made), _deleted(made)) == (_inside(made), 0), values
            assert told() == {"None"}
        _limit(made)
        made.sync()
        assert (_live(made), told()) == (everything, {"None"})


@pytest.mark.parametrize("profile", ["4.12", "4.20"])
def test_a_shop_that_ignores_the_filters_is_limited_all_the_same(
    warehouse_database: Database,
    settings: Settings,
    profile: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cscart_pipelines.sandbox.api.order_filters._exact", _ignoring)
    with connected(warehouse_database, settings, profile) as made:
        _installation(made)
        _limit(made, companies="2", storefronts="2")
        for _ in range(2):
            report = made.sync().entities["orders"]
            assert _live(made) == _inside(made)
            assert report.shop_total == report.warehouse_total
            made.later()
            made.store.place_order(lines=[(1, 1)], company_id=3, storefront_id=1)


def _ignoring(params: dict[str, Any], *, newer: bool) -> list[Any]:
    names = ("company_id", "company_ids", "storefront_id")
    return order_filters_exact({k: v for k, v in params.items() if k not in names}, newer=newer)

"""What an integration does not take is neither handed out nor written to, whoever asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from cscart_pipelines.fulfilment.orders.pull import PullReport, pull
from cscart_pipelines.fulfilment.push_session import open_push
from cscart_pipelines.fulfilment.shipments.push import push_shipments
from cscart_pipelines.fulfilment.stock.push import push_stock
from cscart_pipelines.integrations import settings as integration_settings
from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError
from cscart_pipelines.integrations.service import IntegrationService
from cscart_pipelines_tests.support.fulfilment.shops import Connect, Connected, connect
from cscart_pipelines_tests.support.fulfilment.stock import levels

__all__ = ["connect"]


def second(at: Connected, key: str, **values: Any) -> Connected:
    """Another integration of the same shop."""
    known = integration_settings.check(
        {"integration": key, "list_name": key, "url": at.shop.url, "email": at.shop.email, **values}
    )
    capabilities = at.registry.get(at.key).capabilities or {}
    at.registry.add(known, SecretStr(at.shop.api_key), capabilities)
    made = replace(at, key=key)
    made.sync(Action.START)
    return made


def edit(at: Connected, **values: Any) -> None:
    IntegrationService(at.database.warehouse, at.registry, at.settings).edit(at.key, values)


def pulled(at: Connected) -> PullReport:
    with at.database.connect() as connection:
        return pull(connection, at.registry.get(at.key))


@pytest.mark.parametrize("limit", [("companies", "4.7"), ("storefronts", "4.12")])
def test_each_order_is_handed_out_once(connect: Connect, limit: tuple[str, str]) -> None:
    name, profile = limit
    one = connect(profile, "one", order_prefix="A", **{name: "1"})
    two = second(one, "two", order_prefix="B", **{name: "2"})
    for number in (1, 2, 1, 2, 3):
        one.order(company_id=number, storefront_id=number)
    for at in (one, two):
        at.sync()
        assert (pulled(at).pulled, pulled(at).pulled) == (2, 0)
    numbers = one.rows("SELECT order_id FROM fulfilment.orders")
    assert len(numbers) == len(set(numbers)) == 4


def test_an_order_that_changes_hands_is_not_handed_out_again(connect: Connect) -> None:
    one = connect(key="one", order_prefix="A")
    one.order(company_id=2)
    one.sync()
    assert pulled(one).pulled == 1
    edit(one, companies="1")
    two = second(one, "two", order_prefix="B", companies="2")
    assert pulled(two).skipped == {"handed out by another integration of the shop": 1}
    assert pulled(one).changed == 0


def test_what_overlaps_is_handed_out_by_one_only(connect: Connect) -> None:
    one = connect(key="one")
    two = second(one, "two")
    with pytest.raises(NotAllowedError, match="'one' reads the same shop"):
        pulled(two)
    pulled(one)  # whose settings are of fulfilment
    one.execute("UPDATE registry.integrations SET update_stock = true, order_prefix = 'B'")
    with (
        pytest.raises(NotAllowedError, match="would be handed out twice"),
        open_push("stock", one.database.warehouse, one.registry, one.settings, "one"),
    ):
        raise AssertionError


def test_stock_of_a_shop_is_written_by_one_of_its_storefronts(connect: Connect) -> None:
    one = connect(key="one", storefronts="1")
    two = second(one, "two", storefronts="2", update_tracking_number=True)
    levels(one, SKU_0001=41)
    one.push("stock")
    one.execute("UPDATE registry.integrations SET update_stock = true")
    levels(two, SKU_0001=42)
    for at in (one, two):
        at.push("shipments")
        with pytest.raises(NotAllowedError, match="replace the other's amounts"):
            at.push("stock")
    assert one.shop.store.products[1].amount == 41


@pytest.mark.parametrize("profile", ["4.7", "4.20"])
def test_an_order_outside_is_not_written_to(connect: Connect, profile: str) -> None:
    at = connect(profile, companies="1")
    theirs, ours = at.order(company_id=2), at.order(company_id=1)
    at.ship(str(theirs.order_id), "T-1", carrier="GLS")
    at.ship(str(ours.order_id), "T-2", carrier="GLS")
    with (
        at.client() as line,
        open_push(
            "shipments", at.database.warehouse, at.registry, at.settings, at.key,
            client=line, dry_run=True,
        ) as context,
    ):  # fmt: skip
        preview = push_shipments(context)
    report = at.push()
    for told in (preview, report):
        (refusal,) = told.refusals
        assert "belongs to company 2, and this integration takes only company 1" in refusal.reason
    assert not at.shop.store.shipments_of(theirs.order_id)
    assert at.shop.store.orders[theirs.order_id].status == "O"
    assert at.shop.store.orders[ours.order_id].status == "C"
    at.push()
    assert at.settled()


def test_what_is_in_doubt_when_the_limit_comes_is_read_and_not_sent_again(
    connect: Connect,
) -> None:
    at = connect()
    order = at.order(storefront_id=2)
    at.shop.faults.add("reset", method="POST", path="/shipments", count=1)
    at.ship(str(order.order_id), "T-1", carrier="GLS")
    at.push(settle=600, client={"hurried": True})
    assert at.journal()[("shipment", "ambiguous")] == 1
    edit(at, storefronts="1")
    at.push()
    assert not at.shop.store.shipments_of(order.order_id)
    ((state, reason),) = at.inbox()
    assert (state, "belongs to storefront 2" in str(reason)) == ("refused", True)
    assert at.shop.store.orders[order.order_id].status == "O"
    assert at.settled()


def test_a_product_outside_is_not_written_to(connect: Connect) -> None:
    at = connect(companies="1")
    store = at.shop.store
    store.edit_product(2, company_id=2)
    at.sync(Action.RESYNC)
    levels(at, SKU_0001=41, SKU_0002=42, SKU_0003=43)
    store.edit_product(3, company_id=2)  # since it was synchronised
    with (
        at.client() as line,
        open_push(
            "stock", at.database.warehouse, at.registry, at.settings, at.key,
            client=line, dry_run=True,
        ) as context,
    ):  # fmt: skip
        preview = push_stock(context)
    report = at.push("stock")
    for told in (preview, report):
        assert sorted(refusal.target for refusal in told.refusals) == ["SKU-0002", "SKU-0003"]
    assert [store.products[key].amount for key in (1, 2, 3)] == [41, 100, 100]

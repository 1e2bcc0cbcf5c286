"""The three writes, against every version: what they send, what they tell, what they spare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import (
    AmbiguousWriteError,
    NotFoundError,
    RejectedWriteError,
    TransientShopError,
)
from cscart_pipelines.cscart.order_fulfilment import read_order, read_shipments
from cscart_pipelines.cscart.writes import create_shipment, set_amount, set_order_status
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.shop.sandboxes import VERSIONS, small_shop


@pytest.fixture(params=VERSIONS)
def shop(request: pytest.FixtureRequest) -> Iterator[SandboxShop]:
    with small_shop(request.param, orders=2) as made:
        yield made


@pytest.fixture
def client(shop: SandboxShop) -> Iterator[ShopClient]:
    with ShopClient(
        shop.url, shop.email, shop.api_key, retries=1, sleep=lambda seconds: None
    ) as made:
        yield made


@pytest.fixture
def bodies(shop: SandboxShop) -> list[Any]:
    """What the shop was sent, in the order it came."""
    seen: list[Any] = []

    @shop.before_request
    def keep(request: Request) -> None:
        if request.method in ("POST", "PUT"):
            seen.append(json.loads(request.body))

    return seen


def items(shop: SandboxShop) -> list[str]:
    return [line.item_id for line in shop.store.orders[1001].lines]


def ship(client: ShopClient, shop: SandboxShop, **values: Any) -> int | None:
    given = {"order_id": 1001, "shipping_id": 1, "quantities": {items(shop)[0]: 1},
             "tracking_number": "1Z1", "carrier": "ups", **values}  # fmt: skip
    return create_shipment(client, **given)


def test_a_shipment_is_made_as_it_was_asked_for(shop: SandboxShop, client: ShopClient) -> None:
    first, second = items(shop)
    sent = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    made = ship(
        client, shop, quantities={first: 1, second: 1}, comments="Tracking: x", shipped_at=sent
    )
    assert made == 301
    (seen,) = read_shipments(client, 1001)
    assert (seen.shipment_id, seen.tracking_number, seen.carrier) == (301, "1Z1", "ups")
    assert (seen.comments, seen.shipped_at) == ("Tracking: x", sent)
    assert seen.quantities == {first: 1, second: 1}
    order = read_order(client, 1001)
    assert order.left == 1 and order.status == "O"


def test_nothing_is_sent_that_was_not_asked_for(
    shop: SandboxShop, client: ShopClient, bodies: list[Any]
) -> None:
    ship(client, shop, carrier="")
    ship(client, shop, tracking_number="", order_id=1002)
    base = {"shipping_id": 1, "products": {items(shop)[0]: 1}}
    assert bodies == [
        base | {"order_id": 1001, "tracking_number": "1Z1"},
        base | {"order_id": 1002, "carrier": "ups"},
    ]


def test_customers_are_mailed_as_the_version_does(shop: SandboxShop, client: ShopClient) -> None:
    always = shop.profile.name in ("4.12", "4.13", "4.16")
    ship(client, shop)
    assert len(shop.mails) == always
    ship(client, shop, notify_customer=True)
    assert len(shop.mails) - always == (shop.profile.name != "4.7")


def test_a_status_may_travel_with_the_shipment(shop: SandboxShop, client: ShopClient) -> None:
    before = shop.store.orders[1001].total
    shop.store.edit_product(1, price=Decimal("100.00"))
    ship(client, shop, order_status="C")
    order = shop.store.orders[1001]
    assert (order.status, order.total) == ("C", before)  # not re-priced, on any version


def test_a_shipment_of_what_has_shipped_is_rejected(shop: SandboxShop, client: ShopClient) -> None:
    shop.store.create_shipment(1001)
    with pytest.raises(RejectedWriteError):
        ship(client, shop)
    with pytest.raises(RejectedWriteError):
        ship(client, shop, order_id=1002, tracking_number="", carrier="")
    assert len(shop.store.shipments) == 1


@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_answer_is_ambiguous_and_is_not_sent_again(
    shop: SandboxShop, client: ShopClient, *, applied: bool
) -> None:
    shop.faults.add("reset", method="POST", path="shipments", after=applied)
    shop.faults.add("reset", method="PUT", after=applied)
    shop.requests.clear()
    with pytest.raises(AmbiguousWriteError):
        ship(client, shop)
    with pytest.raises(AmbiguousWriteError):
        set_order_status(client, 1001, "P")
    with pytest.raises(AmbiguousWriteError):
        set_amount(client, 1, 7)
    assert len(shop.store.shipments) == applied
    assert (shop.store.orders[1001].status == "P", shop.store.products[1].amount == 7) == (
        applied,
        applied,
    )
    assert shop.requests.count(method="POST") == 1 and shop.requests.count(method="PUT") == 2


def test_an_answer_that_cannot_be_read_is_ambiguous(shop: SandboxShop, client: ShopClient) -> None:
    for kind in ("truncated", "server_error"):
        shop.faults.clear()
        shop.faults.add(kind, method="POST", after=True)
        with pytest.raises(AmbiguousWriteError):
            ship(client, shop)
    assert len(shop.store.shipments) == 2  # both were done


def test_notices_around_the_answer_do_not_hide_the_id(
    shop: SandboxShop, client: ShopClient
) -> None:
    shop.faults.add("php_notices", method="POST")
    assert ship(client, shop) == 301


def test_a_busy_shop_was_surely_not_written_to(shop: SandboxShop, client: ShopClient) -> None:
    shop.faults.add("too_many_requests", count=1)
    assert ship(client, shop) == 301
    shop.faults.add("too_many_requests")
    with pytest.raises(TransientShopError):
        ship(client, shop)
    assert len(shop.store.shipments) == 1


def test_a_status_is_written_alone(
    shop: SandboxShop, client: ShopClient, bodies: list[Any]
) -> None:
    set_order_status(client, 1001, "P")
    assert bodies == [{"status": "P"}] and shop.mails == []
    set_order_status(client, 1001, "C", notify_customer=True)
    assert bodies[1:] == [{"status": "C", "notify_user": "Y"}]
    assert shop.store.orders[1001].status == "C"
    assert [mail.kind for mail in shop.mails] == ["order_status"]


def test_a_status_alone_spares_the_prices_where_the_shop_can(
    shop: SandboxShop, client: ShopClient
) -> None:
    before = shop.store.orders[1001].total
    shop.store.edit_product(1, price=Decimal("100.00"))
    set_order_status(client, 1001, "P")
    repriced = shop.store.orders[1001].total != before
    assert repriced == (shop.profile.name == "4.7")  # why the caller must not, there


def test_an_unknown_order_is_told_by_the_oldest_version_only(
    shop: SandboxShop, client: ShopClient
) -> None:
    if shop.profile.name == "4.7":
        with pytest.raises(RejectedWriteError):
            set_order_status(client, 99999, "P")
    else:
        set_order_status(client, 99999, "P")  # 200: whoever writes must read back
    assert 99999 not in shop.store.orders


def test_an_amount_is_written_and_nothing_else(
    shop: SandboxShop, client: ShopClient, bodies: list[Any]
) -> None:
    price = shop.store.products[1].price
    set_amount(client, 1, 0)
    set_amount(client, 1, 15)
    assert bodies == [{"amount": 0}, {"amount": 15}]
    product = shop.store.products[1]
    assert (product.amount, product.price) == (15, price)
    with pytest.raises(NotFoundError):
        set_amount(client, 999, 1)

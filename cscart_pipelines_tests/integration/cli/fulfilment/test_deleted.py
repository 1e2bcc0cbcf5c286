"""`fulfilment deleted`: what it shows, its JSON and its exit codes."""

from __future__ import annotations

import json

import pytest

from cscart_pipelines_tests.support.fulfilment.shops import Connect, Connected
from cscart_pipelines_tests.support.fulfilment.shops import connect as connect
from cscart_pipelines_tests.support.shop.commands import Run
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.commands import run as run


@pytest.fixture
def shop(connect: Connect) -> Connected:
    """Two orders with a parcel each, pushed and synchronised."""
    at = connect(order_prefix="CS")
    for name in ("A1", "B1"):
        at.ship(f"CS{at.order().order_id}", name, carrier="UPS")
    at.push()
    at.sync()
    return at


def delete_first(shop: Connected) -> str:
    """Deletes the first parcel; returns its order's number."""
    (first,) = [s for s in shop.shop.store.shipments.values() if s.tracking_number == "A1"]
    shop.shop.store.delete_shipment(first.shipment_id)
    return f"CS{first.order_id}"


def test_nothing_is_missing(run: Run, shop: Connected) -> None:
    assert "Nothing that was shipped is missing in shop" in run("fulfilment", "deleted", "shop").out
    assert json.loads(run("fulfilment", "deleted", "shop", "--json").out) == []
    done = run("fulfilment", "deleted", "shop", "--accept", "--yes")
    assert (done.code, done.out) == (1, "Nothing was shipped that matches.\n")


def test_shown_then_shipped_again(run: Run, shop: Connected) -> None:
    number = delete_first(shop)
    shop.sync()
    shown = run("fulfilment", "deleted", "shop")
    assert shown.code == 0
    for words in (f"{number} A1", "fulfilment deleted shop --accept", "--again"):
        assert words in shown.out
    assert "B1" not in shown.out
    (one,) = json.loads(run("fulfilment", "deleted", "shop", "--json").out)
    assert one["target"] == f"{number} A1"
    done = run("fulfilment", "deleted", "shop", "--again", "--yes")
    assert done.code == 0
    assert f"{number} A1  waits in the inbox again" in done.out
    assert "fulfilment ship shop" in done.out
    shop.push()
    assert sorted(s.tracking_number for s in shop.shop.store.shipments.values()) == ["A1", "B1"]


def test_an_order_by_its_number_needs_no_synchronisation(run: Run, shop: Connected) -> None:
    number = delete_first(shop)
    assert "missing in shop" in run("fulfilment", "deleted", "shop").out, "the warehouse is older"
    done = run("fulfilment", "deleted", "shop", "--order", number, "--accept", "--json", "--yes")
    assert done.code == 0
    ((target, outcome),) = [(one["target"], one["outcome"]) for one in json.loads(done.out)]
    assert (target, outcome) == (f"{number} A1", "accepted")
    there = {f"CS{order_id}" for order_id in shop.shop.store.orders} - {number}
    left = run("fulfilment", "deleted", "shop", "--order", there.pop(), "--accept", "--yes")
    assert (left.code, "still in the shop; nothing to do" in left.out) == (1, True)


def test_what_cannot_be_meant(run: Run, shop: Connected) -> None:
    both = run("fulfilment", "deleted", "shop", "--accept", "--again")
    assert (both.code, "exclude each other" in both.err) == (2, True)
    foreign = run("fulfilment", "deleted", "shop", "--order", "X1")
    assert (foreign.code, "'X1' is no order number" in foreign.err) == (2, True)
    assert run("fulfilment", "deleted", "nobody").code == 2


def test_a_shop_that_is_away(run: Run, shop: Connected) -> None:
    number = delete_first(shop)
    shop.shop.api_user.api_key = "another"
    done = run("fulfilment", "deleted", "shop", "--order", number, "--again", "--yes")
    assert done.code == 3
    assert shop.rows("SELECT DISTINCT state FROM fulfilment.journal WHERE kind = 'shipment'") == [
        ("verified",)
    ]

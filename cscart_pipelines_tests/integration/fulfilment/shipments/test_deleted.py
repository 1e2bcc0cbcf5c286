"""Parcels that somebody deleted in the shop: accepted, or shipped again, and nothing else is."""

from __future__ import annotations

from collections import Counter

import pytest

from cscart_pipelines.cscart.errors import TransientShopError
from cscart_pipelines.fulfilment.push_session import open_push
from cscart_pipelines.fulfilment.shipments.deleted import (
    DeletedShipment,
    find_deleted,
    resolve_deleted,
    shipments_of_order,
)
from cscart_pipelines_tests.support.fulfilment.shops import Connect, Connected, connect

__all__ = ["connect"]


def delete(at: Connected, *trackings: str) -> None:
    """As a person does in the admin panel."""
    for shipment_id, shipment in list(at.shop.store.shipments.items()):
        if shipment.tracking_number in trackings:
            at.shop.store.delete_shipment(shipment_id)


def in_shop(at: Connected) -> Counter[str]:
    return Counter(one.tracking_number for one in at.shop.store.shipments.values())


def found(at: Connected) -> list[DeletedShipment]:
    with at.database.connect() as connection:
        return find_deleted(connection, [at.key])


def settle(at: Connected, parcels: list[DeletedShipment], *, again: bool) -> list[str]:
    with (
        at.client() as client,
        open_push(
            "shipments", at.database.warehouse, at.registry, at.settings, at.key, client=client
        ) as context,
    ):
        return [verdict for _, verdict in resolve_deleted(context, parcels, again=again)]


@pytest.fixture
def shipped(connect: Connect) -> Connected:
    """Two orders with a parcel each; the first one's was deleted, and the warehouse knows."""
    at = connect()
    for name in ("A1", "B1"):
        at.ship(str(at.order().order_id), name, carrier="UPS")
    at.push()
    at.sync()
    assert found(at) == []
    delete(at, "A1")
    at.sync()
    return at


@pytest.mark.parametrize("profile", ["4.7", "4.12", "4.16", "4.20"])
def test_what_was_deleted_is_found_and_shipped_again_once(profile: str, connect: Connect) -> None:
    at = connect(profile)
    order = at.order().order_id
    at.ship(str(order), "A1", carrier="UPS")
    at.push()
    delete(at, "A1")
    at.sync()
    (one,) = found(at)
    assert (one.target, one.order_id) == (f"{order} A1", order)
    assert settle(at, [one], again=True) == ["waits again"]
    assert at.inbox() == [("waiting", None)]
    assert in_shop(at) == Counter()
    at.push()
    at.push()
    assert in_shop(at) == Counter(["A1"])
    assert at.inbox()[0][0] == "done"
    at.sync()
    assert found(at) == []


def test_what_is_accepted_stays_away_and_is_told_no_more(shipped: Connected) -> None:
    (one,) = found(shipped)
    assert settle(shipped, [one], again=False) == ["accepted"]
    assert found(shipped) == []
    assert [state for state, _ in shipped.inbox()] == ["done", "done"]
    shipped.push()
    assert in_shop(shipped) == Counter(["B1"])
    ((state, reason),) = shipped.rows(
        "SELECT state, reason FROM fulfilment.journal WHERE id = %s", one.id
    )
    assert state == "skipped" and f"was shipment {one.shipment_id}; accepted" in reason
    # For good: neither by the same command, nor by the same file.
    with shipped.database.connect() as connection:
        assert shipments_of_order(connection, shipped.key, one.order_id) == []
    assert settle(shipped, [one], again=True) == []
    shipped.push()
    assert in_shop(shipped) == Counter(["B1"])


def test_another_parcel_of_the_order_does_not_bring_it_back(shipped: Connected) -> None:
    """One was deleted on purpose, the other by mistake."""
    (one,) = found(shipped)
    settle(shipped, [one], again=False)
    shipped.shop.store.add_product("Cup", "2.00")
    order = shipped.order((1, 4)).order_id
    for name in ("C1", "D1"):
        shipped.ship(str(order), name, "SKU-0001", quantity=2, carrier="UPS")
    shipped.push()
    assert in_shop(shipped) == Counter(["B1", "C1", "D1"])
    delete(shipped, "C1", "D1")
    with shipped.database.connect() as connection:
        first, second = shipments_of_order(connection, shipped.key, order)
    assert settle(shipped, [first], again=False) == ["accepted"]
    with shipped.database.connect() as connection:
        assert shipments_of_order(connection, shipped.key, order) == [second]
    assert settle(shipped, [second], again=True) == ["waits again"]
    with shipped.database.connect() as connection:
        assert shipments_of_order(connection, shipped.key, order) == [], (
            "it waits; it is not accepted too"
        )
    shipped.push()
    assert in_shop(shipped) == Counter(["B1", second.target.split()[1]])


def test_a_parcel_of_ours_that_came_late_is_sent_again_too(shipped: Connected) -> None:
    """Its rows were adopted, not carried out by the entry that the journal calls verified."""
    (one,) = found(shipped)
    shipped.execute("UPDATE fulfilment.shipments SET journal_id = NULL")
    assert settle(shipped, [one], again=True) == ["waits again"]
    shipped.push()
    assert in_shop(shipped) == Counter(["A1", "B1"])


def test_without_its_rows_nothing_is_promised(shipped: Connected) -> None:
    (one,) = found(shipped)
    shipped.execute("DELETE FROM fulfilment.shipments")
    assert settle(shipped, [one], again=True) == ["no rows"]
    assert found(shipped) == [one]
    assert settle(shipped, [one], again=False) == ["accepted"]
    assert found(shipped) == []


@pytest.mark.parametrize("again", [True, False])
def test_what_the_shop_still_has_is_left_alone(again: bool, shipped: Connected) -> None:
    """The warehouse may be wrong or late; only the shop knows."""
    orders = list(shipped.shop.store.orders)
    with shipped.database.connect() as connection:
        parcels = [
            one for order in orders for one in shipments_of_order(connection, shipped.key, order)
        ]
    verdicts = settle(shipped, parcels, again=again)
    assert verdicts == ["waits again" if again else "accepted", "there"]
    shipped.push()
    assert in_shop(shipped) == Counter(["A1", "B1"] if again else ["B1"])


def test_nothing_is_settled_when_the_shop_cannot_be_asked(shipped: Connected) -> None:
    parcels = found(shipped)
    shipped.shop.faults.add("server_error")
    with pytest.raises(TransientShopError):
        settle(shipped, parcels, again=True)
    assert found(shipped) == parcels
    assert [state for state, _ in shipped.inbox()] == ["done", "done"]


def test_a_parcel_somebody_has_made_anew_by_hand_is_adopted_and_not_doubled(
    shipped: Connected,
) -> None:
    (one,) = found(shipped)
    shipped.shop.store.create_shipment(one.order_id, tracking_number="A1", carrier="ups")
    assert settle(shipped, [one], again=True) == ["waits again"]
    shipped.push()
    assert in_shop(shipped) == Counter(["A1", "B1"])
    assert [state for state, _ in shipped.inbox()] == ["done", "done"]

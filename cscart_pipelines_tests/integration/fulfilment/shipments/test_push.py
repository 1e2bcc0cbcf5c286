"""Tracking numbers reach the shop once, in every version, whatever is lost on the way."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from cscart_pipelines.cscart.errors import CredentialsRefusedError, ShopError
from cscart_pipelines.fulfilment.orders.export import export, to_json, write_csv
from cscart_pipelines.fulfilment.orders.pull import pull
from cscart_pipelines.fulfilment.push_session import PushFailedError, open_push
from cscart_pipelines.fulfilment.shipments.push import MAX_FAILED_IN_A_ROW, push_shipments
from cscart_pipelines.fulfilment.shop_write_lock import ShopWriteLockedError, acquire
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.sandbox.http.responses import SandboxResponse
from cscart_pipelines.sandbox.shop.profiles import PROFILES
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.support.database.locks import ADVISORY
from cscart_pipelines_tests.support.fulfilment.shops import Connect, Connected, connect

pytestmark = pytest.mark.begun_first

__all__ = ["connect"]

UPS = "1Z 999 AA1 01 2345 6784"


def shipments(at: Connected, order_id: int) -> list[tuple[str, str, int]]:
    """What the shop has: tracking number, carrier, pieces."""
    found = at.shop.store.shipments_of(order_id)
    return [(s.tracking_number, s.carrier, sum(s.products.values())) for s in found]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_parcel_ships_the_order_and_sets_its_status(connect: Connect, profile: str) -> None:
    at = connect(profile, order_prefix="CS")
    order = at.order()
    total = order.total
    at.ship(f"CS{order.order_id}", UPS, carrier="UPS")
    report = at.push()
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]
    assert at.shop.store.orders[order.order_id].status == "C"
    assert at.shop.store.orders[order.order_id].total == total
    assert report.counts == {"verified": 2, "refused": 0, "unchanged": 0}
    assert at.inbox() == [("done", None)]
    at.push()
    assert at.shop.requests.count(method="POST") == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_an_order_keeps_its_prices_when_its_status_changes(connect: Connect, profile: str) -> None:
    """Up to 4.7 a PUT of the status would take today's prices and drop the discount."""
    at = connect(profile)
    order = at.order(subtotal_discount=1, total="12.34")
    at.shop.store.edit_product(1, price=99)
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.push()
    after = at.shop.store.orders[order.order_id]
    assert (after.status, str(after.total)) == ("C", "12.34")


@pytest.mark.parametrize("profile", PROFILES)
def test_the_feed_of_orders_does_not_tell_our_own_status(connect: Connect, profile: str) -> None:
    at = connect(profile)
    order = at.order()

    def changes() -> Any:
        at.sync()
        with at.database.warehouse.connect() as connection:
            pull(connection, at.registry.get(at.key))
        return at.rows(
            "SELECT change_position, changes -> 'status' FROM fulfilment.orders"
            " WHERE order_id = %s",
            order.order_id,
        )

    assert changes() == [(None, None)]
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.push()
    assert changes() == [(None, None)]
    at.shop.store.set_order_status(order.order_id, "I")
    ((position, status),) = changes()
    assert (position is not None, status) == (True, ["C", "I"])


def test_several_parcels_and_a_back_order(connect: Connect) -> None:
    at = connect(shipped_status="C", partially_shipped_status="Backordered")
    order = at.order((1, 2), (2, 3))
    codes = {line.product_id: line.product_code for line in order.lines}
    at.ship(str(order.order_id), "A-1", codes[1], quantity=2, carrier="GLS")
    at.ship(str(order.order_id), "A-2", codes[2], quantity=1, carrier="GLS")
    at.push()
    assert sorted(shipments(at, order.order_id)) == [("A-1", "GLS", 2), ("A-2", "GLS", 1)]
    assert at.shop.store.orders[order.order_id].status == "B"
    at.ship(str(order.order_id), "A-3", carrier="GLS")
    at.push()
    assert ("A-3", "GLS", 2) in shipments(at, order.order_id)
    assert at.shop.store.orders[order.order_id].status == "C"


def test_an_order_by_weight_is_handed_out_and_shipped_as_far_as_the_shop_can(
    connect: Connect,
) -> None:
    at = connect(shipped_status="C", partially_shipped_status="Backordered")
    order = at.order((1, Decimal("1.50")), (2, 2), (3, Decimal("0.000001")))
    number = str(order.order_id)
    at.sync()
    assert at.rows("SELECT reason FROM cscart.rejects") == []
    with at.database.warehouse.connect() as connection:
        pull(connection, at.registry.get(at.key))
        page = export(connection, at.key)
    lines = {each["sku"]: each["quantity"] for each in to_json(page)["orders"][0]["lines"]}
    assert json.dumps(lines, sort_keys=True) == (
        '{"SKU-0001": 1.5, "SKU-0002": 2, "SKU-0003": 1e-06}'
    )
    write_csv(text := io.StringIO(newline=""), page)
    told = csv.DictReader(io.StringIO(text.getvalue(), newline=""))
    assert {row["sku"]: row["quantity"] for row in told} == {
        "SKU-0001": "1.5", "SKU-0002": "2", "SKU-0003": "0.000001",
    }  # fmt: skip
    # A shipment of whole pieces would cut the weight without a word.
    at.ship(number, "T-1", carrier="GLS")
    at.ship(number, "T-2", "SKU-0002", carrier="GLS")
    report = at.push()
    assert [refusal.target for refusal in report.refusals] == [f"{number} T-1"]
    assert "1.5 of SKU SKU-0001" in report.refusals[0].reason
    assert "whole pieces" in report.refusals[0].reason
    assert shipments(at, order.order_id) == [("T-2", "GLS", 2)]
    assert at.shop.store.orders[order.order_id].status == "B"
    # A shop whose shipments have fractions gets the rest, and the order is shipped in full.
    at.shop.store.weighed |= {"shipments"}
    other = at.order((1, Decimal("2.5")))
    at.shop.store.create_shipment(other.order_id, products={other.lines[0].item_id: Decimal("0.5")})
    at.sync()
    order.lines[-1].amount = 1  # three decimals are what the shop's columns hold
    at.shop.store.touch_answers(order)
    at.execute("UPDATE fulfilment.shipments SET state = 'waiting' WHERE state = 'refused'")
    report = at.push()
    assert [change.note for change in report.changes if change.kind == "shipment"] == [None]
    assert shipments(at, order.order_id)[1:] == [("T-1", "GLS", Decimal("2.5"))]
    assert at.shop.store.orders[order.order_id].status == "C"
    assert at.shop.requests.count(method="POST") == 2


def test_the_url_goes_where_it_can_be_found(connect: Connect) -> None:
    at = connect()
    known, other = at.order(), at.order()
    url = "https://track.example/XY1"
    at.ship(str(known.order_id), "K-1", carrier="DHL", tracking_url=url)
    at.ship(str(other.order_id), "O-1", carrier="GLS", tracking_url=url)
    at.push()
    assert at.shop.store.shipments_of(known.order_id)[0].comments == ""
    assert url in at.shop.store.shipments_of(other.order_id)[0].comments


def test_the_url_without_the_number_is_written_once_too(connect: Connect) -> None:
    at = connect(update_tracking_number=False)
    order = at.order()
    at.ship(str(order.order_id), "N-1", carrier="UPS", tracking_url="https://track.example/N1")
    at.shop.faults.add("reset", method="POST", path="/shipments", after=True, count=1)
    at.push()
    assert shipments(at, order.order_id) == [("", "ups", 2)]
    assert "https://track.example/N1" in at.shop.store.shipments_of(order.order_id)[0].comments


def test_nothing_is_configured_so_the_status_stays(connect: Connect) -> None:
    at = connect(shipped_status=None)
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.push()
    assert at.shop.store.orders[order.order_id].status == "O"
    assert at.shop.requests.count(method="PUT") == 0
    assert len(at.shop.requests) == 3  # read, post, read back


def test_a_cancelled_order_keeps_its_status(connect: Connect) -> None:
    at = connect()
    order = at.order(status="I")
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.push()
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]
    assert at.shop.store.orders[order.order_id].status == "I"


def test_an_order_cancelled_between_parcel_and_status_keeps_it(connect: Connect) -> None:
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")

    @at.shop.before_request
    def cancel(request: Any) -> None:
        if at.shop.store.shipments_of(order.order_id):
            at.shop.store.set_order_status(order.order_id, "I")

    at.push()
    assert at.shop.store.orders[order.order_id].status == "I"


@pytest.mark.parametrize("answer", ["refused", "never carried out", "rows deleted"])
def test_an_order_of_which_nothing_has_shipped_keeps_its_status(
    connect: Connect, answer: str
) -> None:
    """Back-ordered would give its stock back, and tell the customer of a parcel."""
    at = connect(partially_shipped_status="B")
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.shop.faults.add("server_error", method="POST")
    if answer == "refused":
        work = at.shop.router.answer

        def refuse(request: Any) -> SandboxResponse:
            refusal = SandboxResponse(400, b'{"message":"Bad Request","status":400}')
            return refusal if request.method == "POST" else work(request)

        at.shop.router.answer = refuse  # type: ignore[method-assign]
        at.shop.faults.clear()
    if answer == "rows deleted":
        at.push(settle=3600, client={"hurried": True})
        at.execute("DELETE FROM fulfilment.shipments")
        at.execute("UPDATE fulfilment.journal SET sent_at = sent_at - interval '2 hours'")
    at.push()
    assert at.shop.store.orders[order.order_id].status == "O"
    assert at.shop.requests.count(method="PUT") == 0
    assert at.settled()
    assert at.rows("SELECT state, reason FROM fulfilment.journal WHERE kind = 'order_status'") == [
        ("skipped", "order status left as it is: nothing of the order has shipped")
    ]


def test_a_status_the_shop_does_not_have_is_never_written(connect: Connect) -> None:
    at = connect(shipped_status="Delivered")
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    report = at.push()
    assert at.shop.store.orders[order.order_id].status == "O"
    assert at.shop.requests.count(method="PUT") == 0
    assert any("Delivered" in (change.note or "") for change in report.changes)


def test_a_status_the_shop_vetoes_is_told(connect: Connect) -> None:
    at = connect()
    order = at.order((1, 2), status="B")
    at.shop.store.set_stock(1, 0)
    at.ship(str(order.order_id), UPS, carrier="UPS")
    report = at.push()
    assert at.journal()["order_status", "failed"] == 1
    assert any("too little stock" in trouble for trouble in report.problems)


def test_mails_follow_the_setting_where_the_version_lets_it(connect: Connect) -> None:
    at = connect("4.20", notify_customer=True)
    quiet, order = connect("4.20", "quiet"), at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.push()
    assert sorted(mail.kind for mail in at.shop.mails) == ["order_status", "shipment"]
    other = quiet.order()
    quiet.ship(str(other.order_id), UPS, carrier="UPS")
    quiet.push()
    assert quiet.shop.mails == []


# --- what is lost on the way --------------------------------------------------------------------

LOST: list[tuple[str, dict[str, Any]]] = [
    ("reset", {}),
    ("reset", {"after": True}),
    ("server_error", {}),
    ("server_error", {"after": True}),
    ("truncated", {}),
    ("login_page", {"after": True}),
]


@pytest.mark.parametrize("profile", ["4.7", "4.16", "4.20"])
@pytest.mark.parametrize("verb", ["POST", "PUT"])
@pytest.mark.parametrize(("fault", "options"), LOST, ids=lambda v: str(v))
def test_a_lost_answer_is_resolved_by_reading(
    connect: Connect, profile: str, verb: str, fault: Any, options: dict[str, Any]
) -> None:
    at = connect(profile, notify_customer=True)
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.shop.faults.add(fault, method=verb, count=1, **options)
    at.push()
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]
    assert at.shop.store.orders[order.order_id].status == "C"
    kinds = sorted(mail.kind for mail in at.shop.mails)
    assert kinds == (["order_status"] if profile == "4.7" else ["order_status", "shipment"])
    assert at.settled()
    assert at.inbox() == [("done", None)]


def test_what_is_in_doubt_is_left_alone_until_it_is_settled(connect: Connect) -> None:
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.shop.faults.add("reset", method="POST", count=1)
    report = at.push(settle=3600, client={"hurried": True})
    assert [change.state for change in report.changes] == ["ambiguous"]
    assert at.inbox()[0][0] == "taken"
    at.push(settle=3600, client={"hurried": True})
    assert at.shop.requests.count(method="POST") == 1
    at.execute("UPDATE fulfilment.journal SET sent_at = sent_at - interval '2 hours'")
    at.push(settle=3600)
    assert at.shop.requests.count(method="POST") == 2
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]
    assert at.settled()


AGE = "UPDATE fulfilment.journal SET sent_at = sent_at - interval '2 hours' WHERE state = %s"


@pytest.mark.parametrize("verb", ["POST", "PUT"])
def test_a_proxy_that_gives_up_after_the_settling_time_does_not_have_it_sent_twice(
    connect: Connect, verb: str
) -> None:
    """The shop still works on it: the settling time begins with the 504, not with the sending."""
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.shop.faults.add("server_error", method=verb, count=1, status=504)

    @at.shop.before_request
    def take_long(request: Any) -> None:
        if request.method == verb:
            at.execute(AGE, "applying")

    for _ in range(2):
        at.push(settle=3600, client={"hurried": True})
        assert at.shop.requests.count(method=verb) == 1
        assert sum(n for (_, state), n in at.journal().items() if state == "ambiguous") == 1
    if verb == "POST":
        at.shop.store.create_shipment(order.order_id, tracking_number=UPS, carrier="ups")
    else:
        at.shop.store.set_order_status(order.order_id, "C")
    at.push(settle=3600)
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]
    assert at.shop.requests.count(method=verb) == 1
    assert at.settled()


@pytest.mark.parametrize("verb", ["POST", "PUT"])
def test_what_a_dead_worker_has_sent_settles_from_when_it_is_found(
    connect: Connect, verb: str
) -> None:
    """When the worker died is unknown: perhaps just now, with a request sent long ago."""
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.shop.faults.add("reset", method=verb, count=1)
    at.push(settle=3600, client={"hurried": True})
    at.execute(
        "UPDATE fulfilment.journal SET state = 'applying', reason = NULL,"
        " sent_at = now() - interval '1 day' WHERE state = 'ambiguous'"
    )
    found = "SELECT state, sent_at FROM fulfilment.journal WHERE state IN ('applying', 'ambiguous')"
    at.push(settle=3600, client={"hurried": True})
    [(state, since)] = at.rows(found)
    assert state == "ambiguous"
    at.push(settle=3600, client={"hurried": True})
    assert at.rows(found) == [(state, since)]  # the clock begins once
    assert at.shop.requests.count(method=verb) == 1
    at.execute(AGE, "ambiguous")
    at.push(settle=3600)
    assert at.shop.requests.count(method=verb) == 2
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]
    assert at.shop.store.orders[order.order_id].status == "C"
    assert at.settled()


def test_an_attempt_that_arrives_late_is_not_doubled(connect: Connect) -> None:
    """The shop carries out the lost request after we have looked: the next push finds it."""
    at = connect()
    order = at.order((1, 5))
    code = order.lines[0].product_code
    at.ship(str(order.order_id), UPS, code, quantity=2, carrier="UPS")
    at.shop.faults.add("reset", method="POST", count=1)
    at.push(settle=3600, client={"hurried": True})
    at.shop.store.create_shipment(
        order.order_id, products={order.lines[0].item_id: 2}, tracking_number=UPS, carrier="ups"
    )
    at.push(settle=3600)
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]
    assert at.journal()["shipment", "verified"] == 1


@pytest.mark.parametrize("verb", ["POST", "PUT"])
def test_a_second_attempt_that_gets_no_answer_settles_from_its_own_time(
    connect: Connect, verb: str
) -> None:
    """Not from that of the first one, which has settled long ago: the shop may still do it."""
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    for attempt in (1, 2):
        at.shop.faults.add("reset", method=verb, count=1)
        at.push(settle=3600, client={"hurried": True})
        assert at.shop.requests.count(method=verb) == attempt
        assert sum(n for (_, state), n in at.journal().items() if state == "ambiguous") == 1
        at.execute(AGE, "ambiguous")
    at.push(settle=3600)
    assert at.shop.requests.count(method=verb) == 3
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]
    assert at.settled()


def test_an_attempt_that_arrives_after_it_was_given_up_is_ours_and_the_last(
    connect: Connect,
) -> None:
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.shop.faults.add("reset", method="POST", count=1)

    @at.shop.before_request
    def arrive(request: Any) -> None:
        given_up = at.rows(
            "SELECT FROM fulfilment.journal WHERE state = 'planned' AND attempts = 1"
        )
        if given_up and not at.shop.store.shipments_of(order.order_id):
            at.shop.store.create_shipment(order.order_id, tracking_number=UPS, carrier="ups")

    at.push()
    assert at.shop.requests.count(method="POST") == 1
    assert at.journal() == {("shipment", "verified"): 1, ("order_status", "verified"): 1}
    assert at.inbox()[0][0] == "done"


def test_a_shop_that_never_carries_it_out_is_given_up_on(connect: Connect) -> None:
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.shop.faults.add("server_error", method="POST")
    at.push()
    assert at.shop.requests.count(method="POST") == 3
    assert at.journal()["shipment", "failed"] == 1
    state, reason = at.inbox()[0]
    assert state == "refused"
    assert reason is not None and "3 attempts" in reason


def test_a_shop_that_refuses_the_credentials_ends_the_push(connect: Connect) -> None:
    at = connect()
    at.ship(str(at.order().order_id), UPS, carrier="UPS")
    at.shop.api_user.api_key = "another"
    with pytest.raises(CredentialsRefusedError):
        at.push()
    assert at.inbox() == [("waiting", None)]
    failures = at.rows("SELECT failures, not_before > now() FROM fulfilment.last_push_runs")
    assert failures == [(1, True)]


def test_one_broken_order_does_not_keep_the_others(connect: Connect) -> None:
    at = connect()
    broken, good = at.order(), at.order()
    at.shop.faults.poison(broken.order_id)
    at.ship(str(broken.order_id), "B-1", carrier="UPS")
    at.ship(str(good.order_id), "G-1", carrier="UPS")
    report = at.push()
    assert shipments(at, good.order_id) == [("G-1", "ups", 2)]
    assert any(str(broken.order_id) in text for text in report.postponed)
    assert at.inbox() == [("waiting", None), ("done", None)]


def poisoned(at: Connected, number: int) -> list[int]:
    """So many orders with a parcel each, on which the shop breaks."""
    orders = [at.order().order_id for _ in range(number)]
    at.shop.faults.poison(*orders)
    for order_id in orders:
        at.ship(str(order_id), f"B-{order_id}", carrier="UPS")
    return orders


def test_a_shop_that_breaks_on_everything_is_left_alone(connect: Connect) -> None:
    at = connect()
    poisoned(at, 12)
    at.shop.faults.add("server_error")
    with pytest.raises(ShopError):
        at.push(client={"retries": 0})
    assert len(at.shop.requests) < 12
    assert at.rows("SELECT failures FROM fulfilment.last_push_runs") == [(1,)]


def test_orders_that_break_one_after_the_other_keep_nobody_waiting_for_long(
    connect: Connect,
) -> None:
    at = connect()
    broken = poisoned(at, 20)
    good = at.order().order_id
    at.ship(str(good), "G-1", carrier="UPS")
    first = at.push(client={"retries": 0}, automatic=True)
    assert MAX_FAILED_IN_A_ROW <= len(first.postponed) < 12
    assert any("though the shop answers" in note for note in first.notes)
    assert len(at.shop.requests) < 12
    pushes = 1
    while not shipments(at, good):
        at.push(client={"retries": 0}, automatic=True)
        pushes += 1
    assert pushes <= 1 + len(broken) // MAX_FAILED_IN_A_ROW
    assert shipments(at, good) == [("G-1", "ups", 2)]
    # Whoever fails comes last the next time, so that what is new is not behind it.
    at.execute("UPDATE fulfilment.deferred_orders SET not_before = now()")
    newer = at.order().order_id
    at.ship(str(newer), "N-1", carrier="UPS")
    at.shop.requests.clear()
    at.push(client={"retries": 0, "max_parallel": 1}, automatic=True)
    assert at.shop.requests[0].path.endswith(f"/orders/{newer}")
    assert shipments(at, newer) == [("N-1", "ups", 2)]


def test_an_order_that_is_put_off_waits_for_its_time_or_for_a_person(connect: Connect) -> None:
    at = connect()
    (broken,) = poisoned(at, 1)
    at.push(automatic=True)
    at.shop.requests.clear()
    report = at.push(automatic=True)
    assert (report.waiting, report.problems) == (1, [])
    assert not at.shop.requests
    assert at.push().postponed, "asked for by name"
    assert at.shop.requests
    at.execute("UPDATE fulfilment.deferred_orders SET not_before = now()")
    at.shop.faults.clear()
    at.push(automatic=True)
    assert at.inbox() == [("done", None)]
    assert at.rows("SELECT FROM fulfilment.deferred_orders") == []
    assert at.shop.requests.count(method="POST") == 1
    assert shipments(at, broken) == [(f"B-{broken}", "ups", 2)]


@pytest.mark.parametrize("orders", [1, 3, 9])
def test_an_outage_of_the_shop_puts_no_order_off(orders: int, connect: Connect) -> None:
    at = connect()
    for _ in range(orders):
        order = at.order().order_id
        at.ship(str(order), f"T{order}", carrier="UPS")
    at.shop.faults.add("server_error", status=503)
    for _ in range(3):
        with pytest.raises(ShopError):
            at.push(client={"retries": 0}, automatic=True)
    assert at.rows("SELECT FROM fulfilment.deferred_orders") == []
    assert at.rows("SELECT failures FROM fulfilment.last_push_runs") == [(3,)]
    at.shop.faults.clear()
    at.push(automatic=True)
    assert len(at.shop.store.shipments) == orders


def test_a_shop_that_hides_its_version_is_not_in_trouble(connect: Connect) -> None:
    at = connect()
    poisoned(at, 6)
    at.shop.faults.add("login_page", path="/version")
    report = at.push(client={"retries": 0})
    assert len(report.postponed) >= MAX_FAILED_IN_A_ROW


def test_an_order_put_off_in_doubt_does_not_slow_the_shop(connect: Connect) -> None:
    at = connect()
    order = at.order().order_id
    at.ship(str(order), "A1", carrier="UPS")
    at.shop.faults.add("reset", method="POST", count=1)
    hurried: dict[str, Any] = {"settle": 3600, "client": {"retries": 0, "hurried": True}}
    at.push(**hurried)
    assert at.journal()["shipment", "ambiguous"] == 1
    at.shop.faults.poison(order)
    assert at.push(**hurried, automatic=True).postponed
    for _ in range(2):
        good = at.order().order_id
        at.ship(str(good), f"G{good}", carrier="UPS")
        report = at.push(**hurried, automatic=True)
        assert report.problems == []
        assert shipments(at, good) == [(f"G{good}", "ups", 2)]
    at.shop.faults.clear()
    at.push()
    assert at.journal()["shipment", "verified"] == 3
    assert shipments(at, order) == [("A1", "ups", 2)]


def test_an_order_in_doubt_is_not_one_that_is_put_off(connect: Connect) -> None:
    """It could be worked on, and is looked at when the settling time is over, not hours later."""
    at = connect()
    (order,) = poisoned(at, 1)
    at.push(client={"retries": 0})
    assert at.rows("SELECT order_id FROM fulfilment.deferred_orders") == [(order,)]
    at.shop.faults.clear()
    at.shop.faults.add("reset", method="POST", count=1)
    at.push(settle=3600, client={"retries": 0, "hurried": True})
    assert at.journal()["shipment", "ambiguous"] == 1
    assert at.rows("SELECT FROM fulfilment.deferred_orders") == []


def test_a_row_that_spells_its_number_otherwise_waits_with_the_others(connect: Connect) -> None:
    at = connect(order_prefix="CS")
    order = at.order().order_id
    at.shop.faults.poison(order)
    at.ship(f"CS{order}", "A1", carrier="UPS")
    at.push(client={"retries": 0})
    at.ship(f" cs{order}", "B1", carrier="UPS")
    at.push(automatic=True)
    waiting = "SELECT order_number FROM fulfilment.shipments WHERE state = 'waiting'"
    ((numbers,),) = at.rows("SELECT order_numbers FROM fulfilment.deferred_orders")
    assert sorted(numbers) == sorted(number for (number,) in at.rows(waiting))


def test_by_name_all_have_their_turn(connect: Connect) -> None:
    """The first five that break for ever do not keep the others from being tried again."""
    at = connect()
    broken = poisoned(at, 9)
    options: dict[str, Any] = {"client": {"retries": 0, "max_parallel": 1}}
    at.push(**options)
    at.push(**options)
    at.shop.faults.clear()
    mended = broken[-1]
    at.shop.faults.poison(*broken[:-1])
    at.push(**options)
    at.push(**options)
    assert shipments(at, mended) == [(f"B-{mended}", "ups", 2)]


def test_an_order_cut_short_by_the_end_of_a_push_is_not_put_off(connect: Connect) -> None:
    at = connect()
    poisoned(at, 1)
    with (
        at.client(sleep=lambda _: client.close()) as client,
        open_push(
            "shipments", at.database.warehouse, at.registry, at.settings, at.key, client=client
        ) as context,
        contextlib.suppress(PushFailedError),
    ):
        push_shipments(context)
    assert at.rows("SELECT FROM fulfilment.deferred_orders") == []
    assert at.inbox() == [("waiting", None)]


def test_two_workers_share_no_shop(connect: Connect) -> None:
    at = connect()
    at.ship(str(at.order().order_id), UPS, carrier="UPS")
    with acquire(at.database.warehouse, at.key), pytest.raises(ShopWriteLockedError):
        at.push()
    at.push()
    assert at.shop.requests.count(method="POST") == 1


def test_who_has_lost_the_turn_while_he_waited_sends_nothing_more(connect: Connect) -> None:
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.shop.faults.add("too_many_requests", method="POST", count=1)

    def lose_the_turn(_: float) -> None:
        at.execute(
            f"SELECT pg_terminate_backend(pid) FROM {ADVISORY} WHERE granted AND number = %s",
            Lock.SHOP_WRITE.number(at.key),
        )

    with pytest.raises(psycopg.OperationalError):
        at.push(client={"sleep": lose_the_turn})
    assert at.shop.requests.count(method="POST") == 1
    at.push()
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]


def test_a_write_counts_as_young_by_the_time_when_it_was_sent_last(connect: Connect) -> None:
    at = connect()
    at.ship(str(at.order().order_id), UPS, carrier="UPS")
    at.shop.faults.add("too_many_requests", method="POST", count=1)
    at.shop.faults.add("reset", method="POST", count=1)

    def wait_long(_: float) -> None:
        at.execute("UPDATE fulfilment.journal SET sent_at = sent_at - interval '1 hour'")

    at.push(settle=600, client={"hurried": True, "sleep": wait_long})
    assert at.journal()["shipment", "ambiguous"] == 1
    assert at.shop.requests.count(method="POST") == 2


def test_a_write_that_comes_while_the_shop_is_read_is_not_taken_for_lost(connect: Connect) -> None:
    """The list was read before it came, the order long after: it must not seem old then."""
    at = connect()
    order = at.order((1, 5))
    code = order.lines[0].product_code
    at.ship(str(order.order_id), UPS, code, quantity=2, carrier="UPS")
    at.shop.faults.add("reset", method="POST", count=1)
    at.push(settle=3600, client={"hurried": True})
    reading = [0]

    @at.shop.before_request
    def come_late(request: Any) -> None:
        if request.method == "GET":
            reading[0] += 1
        if reading[0] == 2 and not at.shop.store.shipments_of(order.order_id):
            at.shop.store.create_shipment(
                order.order_id, products={order.lines[0].item_id: 2}, tracking_number=UPS
            )
            at.execute("UPDATE fulfilment.journal SET sent_at = sent_at - interval '2 hours'")

    at.push(settle=3600, client={"hurried": True})
    at.push(settle=3600)
    assert shipments(at, order.order_id) == [(UPS, "", 2)]
    assert at.journal()["shipment", "verified"] == 1
    assert at.shop.requests.count(method="POST") == 1


@pytest.mark.parametrize("profile", ["4.7", "4.20"])
def test_a_parcel_that_shows_while_the_order_is_read_counts_in_both(
    connect: Connect, profile: str
) -> None:
    """Staff ship a part between our two requests: what is left and the status follow."""
    at = connect(profile, partially_shipped_status="B")
    order = at.order((1, 3), (2, 2))
    codes = {line.product_id: line.product_code for line in order.lines}
    items = {line.product_id: line.item_id for line in order.lines}
    at.shop.store.create_shipment(order.order_id, products={items[1]: 1}, tracking_number="S-1")
    at.ship(str(order.order_id), "A-1", codes[1], quantity=2, carrier="GLS")

    @at.shop.before_request
    def ship_by_hand(request: Any) -> None:
        if "/shipments" in request.path and len(at.shop.store.shipments_of(order.order_id)) == 1:
            at.shop.store.create_shipment(order.order_id, products={items[2]: 2}, carrier="ups")

    at.push()
    assert at.shop.store.orders[order.order_id].status == "C"


def test_a_status_in_doubt_is_settled_before_more_is_shipped(connect: Connect) -> None:
    """Seen at last, it must not pass for the status that the next parcel owes."""
    at = connect(partially_shipped_status="B")
    order = at.order((1, 1), (2, 1))
    codes = [line.product_code for line in order.lines]
    at.ship(str(order.order_id), "A-1", codes[0], carrier="UPS")
    at.shop.faults.add("reset", method="PUT", count=1)
    at.push(settle=3600, client={"hurried": True})
    at.ship(str(order.order_id), "A-2", carrier="UPS")
    at.push(settle=3600, client={"hurried": True})
    assert len(at.shop.store.shipments_of(order.order_id)) == 1
    at.shop.store.set_order_status(order.order_id, "B")  # it comes late
    at.push(settle=3600)
    assert len(at.shop.store.shipments_of(order.order_id)) == 2
    assert at.shop.store.orders[order.order_id].status == "C"


def test_a_row_that_comes_again_in_another_spelling_sets_no_status_again(connect: Connect) -> None:
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.push()
    at.shop.store.set_order_status(order.order_id, "P")
    at.ship(str(order.order_id), UPS.lower(), carrier="UPS")
    at.push()
    assert at.inbox() == [("done", None), ("done", at.inbox()[1][1])]
    assert at.shop.store.orders[order.order_id].status == "P"


@pytest.mark.parametrize("told", [b'{"shipment_id": 1}', b'{"shipment_id": "x"}', b"[]", b"true"])
def test_an_answer_with_a_wrong_id_is_no_proof_and_no_harm(connect: Connect, told: bytes) -> None:
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    answer = at.shop.router.answer

    def lie(request: Any) -> SandboxResponse:
        made = answer(request)
        return SandboxResponse(201, told) if request.method == "POST" else made

    at.shop.router.answer = lie  # type: ignore[method-assign]
    at.push()
    assert at.journal()["shipment", "verified"] == 1
    assert at.inbox() == [("done", None)]
    assert at.shop.store.orders[order.order_id].status == "C"


@pytest.mark.parametrize("profile", ["4.7", "4.20"])
def test_what_was_done_before_it_was_refused_counts_as_done(connect: Connect, profile: str) -> None:
    """An add-on's error, after the shop has worked."""
    at = connect(profile)
    order = at.order((1, 2))
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.execute(
        "INSERT INTO fulfilment.stock_levels (integration, sku, quantity) VALUES (%s, %s, 3)",
        at.key, "SKU-0002",
    )  # fmt: skip
    work = at.shop.router.answer

    def refuse(request: Any) -> SandboxResponse:
        answer = work(request)
        refusal = SandboxResponse(400, b'{"message":"Bad Request: hook","status":400}')
        return answer if request.method == "GET" else refusal

    at.shop.router.answer = refuse  # type: ignore[method-assign]
    assert at.push().problems == at.push("stock").problems == []
    assert set(at.rows("SELECT kind, state FROM fulfilment.journal")) == {
        ("shipment", "verified"), ("order_status", "verified"), ("stock", "verified"),
    }  # fmt: skip
    assert at.inbox() == [("done", None)]
    assert at.shop.store.orders[order.order_id].status == "C"
    assert at.rows("SELECT state FROM fulfilment.stock_levels") == [("done",)]
    said = at.rows("SELECT reason FROM fulfilment.journal WHERE kind = 'stock'")
    assert said[0][0].endswith("Bad Request: hook; the product has it all the same")


def test_the_status_does_not_travel_with_a_parcel_after_one_was_refused(connect: Connect) -> None:
    at = connect("4.7", partially_shipped_status="B")
    order = at.order((1, 1), (2, 1))
    for line in order.lines:
        at.ship(str(order.order_id), f"A-{line.product_id}", line.product_code, carrier="UPS")
    answer = at.shop.router.answer
    refused: list[Any] = []

    def refuse(request: Any) -> SandboxResponse:
        if request.method == "POST" and not refused:
            refused.append(request)
            return SandboxResponse(400, b'{"message":"Bad Request","status":400}')
        return answer(request)

    at.shop.router.answer = refuse  # type: ignore[method-assign]
    at.push()
    assert len(at.shop.store.shipments_of(order.order_id)) == 1
    assert at.shop.store.orders[order.order_id].status == "B"


def test_a_connection_lost_between_journal_and_request_sends_no_other_parcel(
    connect: Connect,
) -> None:
    """The one on its way arrives; what was not journalled before is not sent."""
    at = connect()
    orders = [at.order() for _ in range(12)]
    for order in orders:
        at.ship(str(order.order_id), f"T-{order.order_id}", carrier="UPS")
    sent = [0]

    @at.shop.before_request
    def cut(request: Any) -> None:
        if request.method == "POST":
            sent[0] += 1
        if sent[0] == 3:
            at.execute(
                f"SELECT pg_terminate_backend(pid, 10000) FROM {ADVISORY}"
                " WHERE granted AND number = %s",
                Lock.SHOP_WRITE.number(at.key),
            )

    with pytest.raises(psycopg.OperationalError):
        at.push(settle=3600)
    applied = {(entry[0], entry[1]) for entry in at.rows(
        "SELECT order_id, state FROM fulfilment.journal WHERE kind = 'shipment' AND attempts > 0"
    )}  # fmt: skip
    posted = {order.order_id for order in orders if shipments(at, order.order_id)}
    assert posted <= {order_id for order_id, _ in applied}
    assert 3 <= len(posted) < 12
    sent[0] = 100
    at.push(settle=3600)
    assert [len(shipments(at, order.order_id)) for order in orders] == [1] * 12
    assert at.shop.requests.count(method="POST") == 12
    assert at.settled()


def test_rows_that_somebody_deleted_meanwhile_are_not_sent_again(connect: Connect) -> None:
    at = connect()
    gone, there = at.order(), at.order()
    for order in (gone, there):
        at.ship(str(order.order_id), f"T-{order.order_id}", carrier="UPS")
    at.shop.faults.add("reset", method="POST", count=2)
    at.push(settle=3600, client={"hurried": True})
    at.execute("DELETE FROM fulfilment.shipments")
    at.shop.store.create_shipment(there.order_id, tracking_number=f"T-{there.order_id}")
    at.execute("UPDATE fulfilment.journal SET sent_at = sent_at - interval '2 hours'")
    at.push(settle=3600)
    assert shipments(at, gone.order_id) == []
    assert at.shop.store.orders[there.order_id].status == "C"
    assert at.settled()
    assert at.shop.requests.count(method="POST") == 2


def test_one_order_in_two_spellings_is_one_order(connect: Connect) -> None:
    at = connect(order_prefix="CS")
    order = at.order((1, 2), (2, 2))
    codes = [line.product_code for line in order.lines]
    at.ship(f"CS{order.order_id}", "T-1", codes[0], quantity=2, carrier="UPS")
    at.ship(f"cs{order.order_id}", "t1", codes[0], quantity=2, carrier="UPS")
    at.ship(f"cs{order.order_id}", "t1", codes[1], quantity=2, carrier="UPS")
    at.push()
    assert len(shipments(at, order.order_id)) == 1
    assert at.shop.store.shipped(order.order_id) == {line.item_id: 2 for line in order.lines}
    assert sorted(state for state, _ in at.inbox()) == ["done", "done", "refused"]


def test_an_integration_removed_under_way_is_not_written_to_any_more(connect: Connect) -> None:
    at = connect()
    for _ in range(6):
        order = at.order()
        at.ship(str(order.order_id), f"T-{order.order_id}", carrier="UPS")

    @at.shop.before_request
    def forget(request: Any) -> None:
        if request.method == "POST":
            at.execute("DELETE FROM fulfilment.journal")
            at.execute("DELETE FROM fulfilment.shipments")

    with pytest.raises(LookupError, match="deleted"):
        at.push(client={"max_parallel": 1})
    assert at.shop.requests.count(method="POST") == 1


def test_shipments_that_cannot_be_listed_after_the_write_are_looked_for_later(
    connect: Connect,
) -> None:
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.shop.faults.add("server_error", method="GET", path="/shipments", count=3)
    report = at.push(settle=3600)
    assert len(report.postponed) == 1
    assert at.inbox()[0][0] == "taken"
    at.push(settle=3600)
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]
    assert at.shop.store.orders[order.order_id].status == "C"
    assert at.shop.requests.count(method="POST") == 1


def test_a_list_of_other_orders_shipments_proves_nothing(connect: Connect) -> None:
    """An old shop may not know the filter; another order may have the same number."""
    at = connect()
    other, order = at.order(), at.order()
    at.shop.store.create_shipment(other.order_id, tracking_number=UPS, carrier="ups")
    answer = at.shop.router.answer

    def list_all(request: Any) -> SandboxResponse:
        if request.method == "GET" and request.path.endswith("/shipments"):
            request.query = "page=1&items_per_page=250"
        return answer(request)

    at.shop.router.answer = list_all  # type: ignore[method-assign]
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.shop.faults.add("reset", method="POST", count=1)
    at.push()
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]
    assert at.journal()["shipment", "verified"] == 1


# --- what others did, and bad rows ----------------------------------------------------------------


def test_what_staff_have_entered_is_not_entered_again(connect: Connect) -> None:
    at = connect()
    order = at.order()
    at.shop.store.create_shipment(order.order_id, tracking_number="1z999aa10123456784")
    at.ship(str(order.order_id), UPS, carrier="UPS")
    at.push()
    assert at.shop.requests.count(method="POST") == 0
    assert at.inbox()[0][0] == "done"
    assert at.shop.store.orders[order.order_id].status == "C"
    (theirs,) = at.shop.store.shipments_of(order.order_id)
    query = "SELECT state, after FROM fulfilment.journal WHERE kind = 'shipment'"
    assert at.rows(query) == [("skipped", {"shipment_id": theirs.shipment_id})]


def test_bad_rows_are_refused_with_reasons_and_good_ones_go_through(connect: Connect) -> None:
    at = connect(order_prefix="CS", start_date="01/01/2020")
    connect("4.20", "other", order_prefix="AB")
    order, old = at.order((1, 3)), at.order(timestamp=1_500_000_000)
    code = order.lines[0].product_code
    number = f"CS{order.order_id}"
    bad = [
        ("CS999999", "T-1", code, 1, "no order 999999"),
        (str(order.order_id), "T-2", code, 1, "expected CS"),
        (f"AB{order.order_id}", "T-3", code, 1, "order of other"),
        (f"CS{old.order_id}", "T-4", code, 1, "start date"),
        (number, " ", code, 1, "tracking_number is empty"),
        (number, "T-6", code, 7, "left"),
        (number, "T-7", code, -1, "-1"),
        (number, "T-8", code, "1.5", "1.5"),
        (number, "T-9", "NO-SUCH", 1, "NO-SUCH"),
    ]
    for to, tracking, sku, quantity, _ in bad:
        at.ship(to, tracking, sku, quantity=quantity, carrier="UPS")
    at.ship(number, "GOOD", code, quantity=2, carrier="UPS")
    report = at.push()
    assert shipments(at, order.order_id) == [("GOOD", "ups", 2)]
    assert len(report.refusals) == len(bad)
    for to, tracking, sku, _, expected in bad:
        row = at.rows(
            "SELECT state, reason FROM fulfilment.shipments"
            " WHERE order_number = %s AND tracking_number = %s AND sku = %s",
            to, tracking, sku,
        )  # fmt: skip
        assert row[0][0] == "refused"
        assert expected in row[0][1], (expected, row[0][1])


def test_a_number_that_was_handed_out_stays_good_when_the_prefix_changes(connect: Connect) -> None:
    at = connect(order_prefix="CS")
    order = at.order()
    at.sync()
    with at.database.connect() as connection:
        pull(connection, at.registry.get(at.key))
    at.execute("UPDATE registry.integrations SET order_prefix = 'NEW'")
    at.ship(f"cs{order.order_id}", UPS, carrier="UPS")
    at.push()
    assert shipments(at, order.order_id) == [(UPS, "ups", 2)]


def test_a_parent_order_is_refused_and_its_children_ship(connect: Connect) -> None:
    at = connect(multivendor=True)
    store = at.shop.store
    for company in (1, 2):
        store.add_product("Thing", 5, product_code=f"V-{company}", company_id=company, amount=9)
    keys = [
        key for key, product in store.products.items() if product.product_code in ("V-1", "V-2")
    ]
    parent = at.order(*((key, 1) for key in keys))
    at.ship(str(parent.order_id), "P-1", carrier="UPS")
    at.ship(str(parent.order_id + 1), "P-2", carrier="UPS")
    at.push()
    assert shipments(at, parent.order_id) == []
    assert shipments(at, parent.order_id + 1) == [("P-2", "ups", 1)]


def test_a_dry_run_reads_and_changes_nothing(connect: Connect) -> None:
    at = connect()
    order = at.order()
    at.ship(str(order.order_id), UPS, carrier="UPS")
    report = at.push(dry_run=True)
    assert [change.kind for change in report.changes] == ["shipment", "order_status"]
    assert {request.method for request in at.shop.requests} == {"GET"}
    assert at.inbox() == [("waiting", None)]
    assert at.journal() == {}


def test_each_parcel_goes_out_under_the_method_of_its_lines(connect: Connect) -> None:
    """Also with the name of the variation, and told to the fulfilment system line by line."""
    at = connect()
    order = at.order()
    order.lines = [replace(order.lines[0], item_id="11", product_code="S", variation="Single, New"),
                   replace(order.lines[0], item_id="22", product_code="B", variation="Set, Used",
                           shipping_id=2)]  # fmt: skip
    name, number = order.lines[0].product, str(order.order_id)
    at.sync()
    with at.database.connect() as connection:
        pull(connection, at.registry.get(at.key))
    assert at.rows(
        "SELECT product, orders.shipping_method, order_lines.shipping_method"
        " FROM fulfilment.order_lines JOIN fulfilment.orders USING (integration, order_number)"
        " ORDER BY item_id"
    ) == [
        (f"{name} (Single, New)", "Standard, Express courier", "Standard"),
        (f"{name} (Set, Used)", "Standard, Express courier", "Express courier"),
    ]
    at.ship(number, "T1", "B", carrier="UPS")
    at.ship(number, "T2", "S", quantity=1, carrier="UPS")
    at.ship(number, "T3", carrier="UPS")  # the rest
    planned = [change.after for change in at.push(dry_run=True).changes[:3]]
    assert [(p or {})["shipping_id"] for p in planned] == [2, 1, 1]
    at.push()
    made = {s.tracking_number: s.shipping_id for s in at.shop.store.shipments_of(order.order_id)}
    assert made == {"T1": 2, "T2": 1, "T3": 1}
    told = at.rows(
        "SELECT tracking, plan -> 'shipping_id', after -> 'shipping_id', reason"
        " FROM fulfilment.journal WHERE kind = 'shipment' ORDER BY tracking"
    )
    assert told == [("T1", 2, 2, None), ("T2", 1, 1, None), ("T3", 1, 1, None)]


def test_the_limit_counts_orders(connect: Connect) -> None:
    at = connect()
    for _ in range(3):
        at.ship(str(at.order().order_id), UPS, carrier="UPS")
    report = at.push(limit=2)
    assert (at.shop.requests.count(method="POST"), report.waiting) == (2, 1)


@pytest.mark.parametrize(
    "values", [{"update_tracking_number": False, "update_tracking_url": False}]
)
def test_switched_off_is_not_allowed(connect: Connect, values: dict[str, Any]) -> None:
    at = connect(**values)
    at.ship("1001", UPS)
    with pytest.raises(NotAllowedError, match="switched off"):
        at.push()


def test_a_disabled_integration_is_not_written_to(connect: Connect) -> None:
    at = connect()
    at.execute("UPDATE registry.integrations SET status = 'disabled'")
    with pytest.raises(NotAllowedError, match="disabled"):
        at.push()

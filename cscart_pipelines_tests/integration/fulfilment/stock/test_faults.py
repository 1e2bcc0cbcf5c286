"""Stock writes when answers are lost, shops fail, orders come in between, workers die or meet."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from cscart_pipelines.cscart.errors import AccessDeniedError, ShopError, TransientShopError
from cscart_pipelines.fulfilment.journal import Entry, Journal, Kind
from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines.fulfilment.stock import writer
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines_tests.support.fulfilment.shops import Connect, Connected, connect
from cscart_pipelines_tests.support.fulfilment.stock import (
    COUNTED,
    amounts,
    inbox,
    level,
    levels,
    many,
    open_stock_push,
    push,
    push_process,
    requests,
    states,
    written,
)
from cscart_pipelines_tests.support.shop.sandboxes import VERSIONS

__all__ = ["connect"]

SIX = {f"SKU_000{number}": 10 + number for number in range(1, 7)}
WANTED = [11, 12, 13, 14, 15, 16]


def journal(shop: Connected) -> list[tuple[str, str, int]]:
    return [
        (target, state, attempts)
        for target, state, attempts in shop.rows(
            "SELECT target, state, attempts FROM fulfilment.journal ORDER BY id"
        )
    ]


# --- answers that are lost -----------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_lost_answers_before_and_after_the_write_in_every_version(
    connect: Connect, version: str
) -> None:
    shop = connect(version)
    add = shop.shop.faults.add
    add("reset", method="PUT", path="/products/1", count=1)
    add("reset", method="PUT", path="/products/2", count=1, after=True)
    add("server_error", method="PUT", path="/products/3", count=1)
    add("server_error", method="PUT", path="/products/4", count=1, after=True)
    add("truncated", method="PUT", path="/products/5", count=1)
    add("too_many_requests", method="PUT", path="/products/6", count=1)
    levels(shop, **SIX)
    waited: list[float] = []
    report = push(shop, settle=60, client={"on_pause": waited.append})
    assert amounts(shop) == WANTED
    assert report.counts["verified"] == 6 and report.problems == []
    assert set(states(shop).values()) == {"done"}
    # Those that were applied are not sent again; the others once, after the settling time.
    assert written(shop) == {"1": 2, "2": 1, "3": 2, "4": 1, "5": 1, "6": 2}
    assert len(waited) == 1 and 0 < waited[0] <= 60
    assert {a for _, state, a in journal(shop) if state == "verified"} == {1, 2}


def test_a_write_that_lands_after_its_time_out_is_seen_and_not_repeated(connect: Connect) -> None:
    shop = connect()
    given_up, landed = threading.Event(), threading.Event()

    @shop.shop.before_request
    def be_late(request: Any) -> None:
        if request.method == "PUT" and not given_up.is_set():
            given_up.wait(60)

    def wait_for_it(seconds: float) -> None:
        given_up.set()
        for _ in range(600):
            if amounts(shop, 1) == [5]:
                return
            landed.wait(0.05)

    levels(shop, SKU_0001=5)
    report = push(shop, settle=60, client={"read_timeout": 2, "on_pause": wait_for_it})
    assert report.counts["verified"] == 1
    assert written(shop) == {"1": 1} and journal(shop) == [("SKU-0001", "verified", 1)]


def test_a_proxy_that_gives_up_after_the_settling_time_is_waited_for_all_the_same(
    connect: Connect,
) -> None:
    """The shop still works on it: the settling time begins with the 504, not with the sending."""
    shop = connect()
    shop.shop.faults.add("server_error", method="PUT", count=1, status=504)

    @shop.shop.before_request
    def take_long(request: Request) -> None:
        if request.method == "PUT":
            shop.execute("UPDATE fulfilment.journal SET sent_at = sent_at - interval '2 hours'")

    waited: list[float] = []

    def done_at_last(seconds: float) -> None:
        waited.append(seconds)
        shop.shop.store.set_stock(1, 5)

    levels(shop, SKU_0001=5)
    push(shop, settle=3600, client={"on_pause": done_at_last})
    assert len(waited) == 1 and 0 < waited[0] <= 3600
    assert written(shop) == {"1": 1} and journal(shop) == [("SKU-0001", "verified", 1)]


def test_three_attempts_are_all_there_are(connect: Connect) -> None:
    shop = connect()
    fault = shop.shop.faults.add("reset", method="PUT", path="/products/1")
    levels(shop, SKU_0001=5, SKU_0002=6)
    report = push(shop)
    assert report.problems == ["SKU-0001: not applied in 3 attempts"]
    assert written(shop) == {"1": 3, "2": 1} and amounts(shop, 1, 2) == [100, 6]
    assert journal(shop) == [("SKU-0001", "failed", 3), ("SKU-0002", "verified", 1)]
    assert states(shop) == {"SKU-0001": "waiting", "SKU-0002": "done"}
    shop.shop.faults.rules.remove(fault)
    assert push(shop).counts["verified"] == 1
    assert amounts(shop, 1) == [5]


def test_a_shop_that_cannot_be_read_back_leaves_the_writes_in_doubt(connect: Connect) -> None:
    shop = connect()
    levels(shop, SKU_0001=5, SKU_0002=6)
    shop.shop.faults.add("server_error", method="GET", path="/products", skip=1)
    with pytest.raises(TransientShopError):
        push(shop)
    assert [state for _, state, _ in journal(shop)] == ["ambiguous"] * 2
    assert set(states(shop).values()) == {"waiting"}
    shop.shop.faults.clear()
    report = push(shop, settle=3600)
    assert report.counts["verified"] == 2 and written(shop) == {"1": 1, "2": 1}
    assert set(states(shop).values()) == {"done"}


def test_a_cancelled_push_leaves_its_doubts_to_the_next(connect: Connect) -> None:
    shop = connect()
    shop.shop.faults.add("reset", method="PUT", count=1)
    levels(shop, SKU_0001=5)
    with open_stock_push(shop, settle=60) as context:
        context.client.pause = lambda seconds: True  # type: ignore[method-assign]
        report = _report(context)
    assert [c.state for c in report.changes] == ["ambiguous"] and report.problems
    assert states(shop) == {"SKU-0001": "waiting"}


def _report(context: Any) -> PushReport:
    from cscart_pipelines.fulfilment.push_session import PushFailedError
    from cscart_pipelines.fulfilment.stock.push import push_stock

    with pytest.raises(PushFailedError) as caught:
        push_stock(context)
    return caught.value.report


# --- writes that surely did not happen -----------------------------------------------------------


def test_a_busy_shop_ends_the_push_and_everything_waits(connect: Connect) -> None:
    shop = connect()
    shop.shop.faults.add("too_many_requests", method="PUT", path="/products/2")
    levels(shop, **SIX)
    with pytest.raises(TransientShopError):
        push(shop, client={"max_parallel": 1})
    assert amounts(shop) == [11, 100, 100, 100, 100, 100]
    assert Counter(state for _, state, _ in journal(shop)) == {
        "verified": 1, "failed": 1, "skipped": 4,
    }  # fmt: skip
    assert Counter(states(shop).values()) == {"done": 1, "waiting": 5}
    shop.shop.faults.clear()
    assert push(shop).counts["verified"] == 5
    assert amounts(shop) == WANTED


def test_a_user_without_the_privilege_is_told_and_nothing_is_refused(connect: Connect) -> None:
    shop = connect()
    shop.shop.api_user.privileges = {"view_catalog", "view_orders"}
    levels(shop, **SIX)
    with pytest.raises(AccessDeniedError, match="manage_catalog"):
        push(shop, client={"max_parallel": 1})
    assert sum(written(shop).values()) == 1
    assert set(states(shop).values()) == {"waiting"}


def test_a_product_that_goes_away_before_the_write_is_refused(connect: Connect) -> None:
    shop = connect()
    levels(shop, SKU_0001=5, SKU_0002=6)

    @shop.shop.before_request
    def delete(request: Request) -> None:
        if request.method == "PUT" and 1 in shop.shop.store.products:
            shop.shop.store.delete_product(1)

    report = push(shop, client={"max_parallel": 1})
    assert states(shop) == {"SKU-0001": "refused", "SKU-0002": "done"}
    assert [r.target for r in report.refusals] == ["SKU-0001"]


def test_a_product_that_goes_away_while_others_are_written_is_refused_and_told(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PAGE", 1)  # each level is a chunk, and read again before it
    shop = connect()
    levels(shop, SKU_0001=5, SKU_0002=6)

    @shop.shop.before_request
    def delete(request: Request) -> None:
        if request.method == "PUT" and 2 in shop.shop.store.products:
            shop.shop.store.delete_product(2)

    report = push(shop)
    assert states(shop) == {"SKU-0001": "done", "SKU-0002": "refused"}
    (refusal,) = report.refusals
    assert (refusal.target, refusal.reason) == ("SKU-0002", inbox(shop)["SKU-0002"][1])
    assert journal(shop) == [("SKU-0001", "verified", 1)]


@pytest.mark.parametrize("answered", [True, False])
def test_a_product_that_goes_away_after_the_write_is_refused_once_the_write_has_settled(
    connect: Connect, answered: bool
) -> None:
    shop = connect()
    if not answered:
        shop.shop.faults.add("reset", method="PUT", path="/products/1", after=True)
    levels(shop, SKU_0001=5, SKU_0002=6)
    put: list[str] = []

    @shop.shop.before_request
    def delete(request: Request) -> None:
        if request.method == "PUT":
            put.append(request.path)
        elif len(put) == 2 and 1 in shop.shop.store.products:
            shop.shop.store.delete_product(1)

    waited: list[float] = []
    report = push(shop, settle=60, client={"on_pause": waited.append})
    assert states(shop) == {"SKU-0001": "refused", "SKU-0002": "done"}
    assert [refusal.target for refusal in report.refusals] == ["SKU-0001"]
    assert sorted(journal(shop)) == [("SKU-0001", "failed", 1), ("SKU-0002", "verified", 1)]
    # Without an answer only the settling time tells how the write ended.
    looked = [r for r in shop.shop.requests if r.method == "GET" and r.path.endswith("products/1")]
    assert len(looked) == (1 if answered else 2)
    assert len(waited) == (0 if answered else 1)


# --- orders in between ---------------------------------------------------------------------------


def _order_before_read_back(shop: Connected, product_id: int, pieces: int) -> None:
    sent: list[str] = []

    @shop.shop.before_request
    def order(request: Request) -> None:
        if request.method == "PUT":
            sent.append(request.path)
        elif sent and request.method == "GET" and len(sent) == 1:
            sent.append("ordered")
            shop.order((product_id, pieces))


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("wanted", [120, 50])
def test_an_order_between_write_and_read_back_is_no_trouble(
    connect: Connect, wanted: int, answered: bool
) -> None:
    shop = connect()
    if not answered:  # the settling time has to pass before anything is concluded
        shop.shop.faults.add("reset", method="PUT", after=True)
    levels(shop, SKU_0001=wanted)
    _order_before_read_back(shop, 1, 2)
    report = push(shop)
    assert amounts(shop, 1) == [wanted - 2] and written(shop) == {"1": 1}
    assert report.changes[0].after == {"amount": wanted - 2}
    assert report.changes[0].note == "2 fewer when it was read back: ordered in between"
    assert states(shop) == {"SKU-0001": "done"}


def test_a_sale_of_just_what_was_added_does_not_make_a_product_look_split(
    connect: Connect,
) -> None:
    """100, written 102, two sold before it is read back: 100 again, and not for warehouses."""
    shop = connect()
    levels(shop, SKU_0001=102)
    _order_before_read_back(shop, 1, 2)
    report = push(shop)
    assert report.refusals == [] and report.counts["verified"] == 1
    assert states(shop) == {"SKU-0001": "done"} and written(shop) == {"1": 2}
    level(shop, "SKU-0001", 90, as_of=COUNTED + timedelta(minutes=1))
    push(shop)  # nothing keeps the product from being written
    assert amounts(shop, 1) == [90] and states(shop) == {"SKU-0001": "done"}


@pytest.mark.parametrize("lost", [0, 1])
def test_a_product_is_split_when_two_answered_writes_changed_nothing(
    connect: Connect, lost: int
) -> None:
    shop = connect()
    shop.shop.store.split_stock(1, {10: 60, 11: 40})
    if lost:  # a write without an answer proves nothing
        shop.shop.faults.add("reset", method="PUT", count=1, skip=1)
    levels(shop, SKU_0001=120)
    report = push(shop)
    assert [c.state for c in report.changes] == ["skipped"]
    assert written(shop) == {"1": 2 + lost} and amounts(shop, 1) == [100]
    assert (inbox(shop)["SKU-0001"][1] or "").startswith("split by warehouses")


def test_an_order_does_not_make_a_split_product_look_written(connect: Connect) -> None:
    shop = connect()
    shop.shop.store.split_stock(1, {10: 60, 11: 40})
    levels(shop, SKU_0001=120)
    _order_before_read_back(shop, 1, 2)
    report = push(shop)
    assert amounts(shop, 1) == [98] and [c.state for c in report.changes] == ["skipped"]
    assert (inbox(shop)["SKU-0001"][1] or "").startswith("split by warehouses")


@pytest.mark.parametrize("quantity", [9, 5])
def test_a_newer_level_that_comes_while_writing_waits_for_the_next_push(
    connect: Connect, quantity: int
) -> None:
    shop = connect()
    levels(shop, SKU_0001=5)

    @shop.shop.before_request
    def newer(request: Request) -> None:
        if request.method == "PUT" and states(shop) and amounts(shop, 1) == [100]:
            level(shop, "SKU-0001", quantity, as_of=COUNTED + timedelta(minutes=1))

    push(shop)
    assert (amounts(shop, 1), states(shop)) == ([5], {"SKU-0001": "waiting"})
    push(shop)
    assert (amounts(shop, 1), states(shop)) == ([quantity], {"SKU-0001": "done"})


# --- what a dead run has left --------------------------------------------------------------------


def _left(shop: Connected, planned: int, before: int, *, sent: bool = True) -> Entry:
    """An entry as a run leaves it that died in the middle of a write to product 1."""
    with shop.database.connect() as connection:
        book = Journal(connection, shop.key, "dead-run")
        [(quantity, as_of)] = shop.rows("SELECT quantity, as_of FROM fulfilment.stock_levels")
        plan = {
            "amount": planned,
            "product_code": "SKU-0001",
            "row": {"quantity": str(quantity), "as_of": as_of.isoformat()},
        }
        entry = book.plan(Kind.STOCK, "SKU-0001", plan, before={"amount": before}, product_id=1)
        return book.applying(entry) if sent else entry


def test_what_was_planned_and_never_sent_is_put_aside_and_done_anew(connect: Connect) -> None:
    shop = connect()
    levels(shop, SKU_0001=5)
    _left(shop, 5, 100, sent=False)
    push(shop, settle=3600)
    assert journal(shop) == [("SKU-0001", "skipped", 0), ("SKU-0001", "verified", 1)]
    assert amounts(shop, 1) == [5]


def test_what_was_applied_is_seen_and_not_sent_again(connect: Connect) -> None:
    shop = connect()
    levels(shop, SKU_0001=5)
    _left(shop, 5, 100)
    shop.shop.store.set_stock(1, 5)
    report = push(shop, settle=3600)
    assert report.counts["verified"] == 1 and written(shop) == {}
    assert states(shop) == {"SKU-0001": "done"}


def test_what_may_still_be_on_its_way_is_left_alone(connect: Connect) -> None:
    shop = connect()
    levels(shop, SKU_0001=5)
    _left(shop, 5, 100)
    report = push(shop, settle=3600)
    dry = push(shop, settle=3600, dry_run=True)
    assert (report.waiting, dry.waiting, written(shop)) == (1, 1, {})
    assert "SKU-0001" in report.notes[0] and states(shop) == {"SKU-0001": "waiting"}
    assert journal(shop) == [("SKU-0001", "ambiguous", 1)]
    late = push(shop, settle=0)
    assert late.counts["verified"] == 1 and written(shop) == {"1": 1}
    assert journal(shop) == [("SKU-0001", "failed", 1), ("SKU-0001", "verified", 1)]


def test_a_dead_runs_write_settles_from_when_it_is_found(connect: Connect) -> None:
    """When that run died is unknown: perhaps just now, with a request sent long ago."""
    shop = connect()
    levels(shop, SKU_0001=5)
    _left(shop, 5, 100)
    age = "UPDATE fulfilment.journal SET sent_at = sent_at - interval '2 hours'"
    shop.execute(age)
    for _ in range(2):
        assert push(shop, settle=3600).waiting == 1
        assert written(shop) == {} and journal(shop) == [("SKU-0001", "ambiguous", 1)]
    shop.execute(age)  # also by the second push the clock was left alone
    assert push(shop, settle=3600).counts["verified"] == 1
    assert journal(shop) == [("SKU-0001", "failed", 1), ("SKU-0001", "verified", 1)]


def test_what_was_applied_and_sold_since_is_not_written_over(connect: Connect) -> None:
    shop = connect()
    levels(shop, SKU_0001=120)
    _left(shop, 120, 100)
    shop.shop.store.set_stock(1, 117)
    report = push(shop, settle=0)
    assert written(shop) == {} and amounts(shop, 1) == [117]
    assert (report.changes[0].note or "").endswith("3 ordered since")


# --- workers that die, and workers that meet -----------------------------------------------------


@pytest.mark.parametrize("moment", ["write", "lost write", "read back"])
def test_a_killed_push_is_finished_by_the_next(connect: Connect, moment: str) -> None:
    shop = connect()
    levels(shop, **SIX)
    if moment == "lost write":
        shop.shop.faults.add("reset", method="PUT", skip=2)
    worker = push_process(shop)
    puts: list[str] = []
    lock = threading.Lock()

    @shop.shop.before_request
    def kill(request: Request) -> None:
        with lock:
            if request.method == "PUT":
                puts.append(request.path)
            last = len(puts) == 3 and moment != "read back"
            if last or (puts and request.method == "GET"):
                worker.kill()
                worker.wait()

    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.wait(60) != 0
    shop.shop._hooks.clear()
    shop.shop.faults.clear()
    died = Counter(state for _, state, _ in journal(shop))
    assert died["applying"] > 0

    first = push(shop, settle=3600, run_id="second")
    assert first.counts.get("failed", 0) == 0
    last = push(shop, settle=0, run_id="third")
    assert last.problems == [] and last.waiting == 0
    assert amounts(shop) == WANTED and set(states(shop).values()) == {"done"}
    assert not {"planned", "applying", "ambiguous"} & {state for _, state, _ in journal(shop)}
    if moment == "read back":  # all had been applied: nobody sends them again
        assert sum(written(shop).values()) == 6


def test_two_workers_at_once_write_each_level_once(connect: Connect) -> None:
    shop = connect(catalogue=many(60))
    for number in range(1, 61):
        level(shop, f"SKU-{number:04d}", 25)
    reports: list[PushReport] = []
    workers = [
        threading.Thread(target=lambda: reports.append(push(shop, wait=60))) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert amounts(shop) == [25] * 60
    assert set(written(shop).values()) == {1} and len(written(shop)) == 60
    assert sorted(report.counts.get("verified", 0) for report in reports) == [0, 60]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_the_shop_ends_as_without_faults(connect: Connect, seed: int) -> None:
    shop = connect(VERSIONS[seed], catalogue=many(70))
    faults = shop.shop.faults
    faults._random.seed(seed)
    for kind in ("reset", "server_error", "truncated", "login_page"):
        faults.add(kind, method="PUT", probability=0.06)  # type: ignore[arg-type]
        faults.add(kind, method="PUT", probability=0.06, after=True)  # type: ignore[arg-type]
    faults.add("server_error", method="GET", path="/products", probability=0.3)
    for number in range(1, 71):
        level(shop, f"SKU-{number:04d}", (number * 7 + seed) % 30 + 1)
    for _ in range(30):
        try:
            push(shop)
        except ShopError:
            continue
        if set(states(shop).values()) == {"done"}:
            break
    assert amounts(shop) == [(number * 7 + seed) % 30 + 1 for number in range(1, 71)]
    verified = Counter(target for target, state, _ in journal(shop) if state == "verified")
    assert set(verified.values()) == {1}
    assert shop.settled()
    faults.clear()
    shop.shop.requests.clear()
    push(shop)
    assert requests(shop) == {}

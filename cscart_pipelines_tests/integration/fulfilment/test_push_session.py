"""A round goes through the gate, and leaves a record that the next one is judged by."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.fulfilment.last_push_runs import MAX_BACKOFF_SECONDS, due
from cscart_pipelines.fulfilment.push_session import (
    MAX_ORDER_BACKOFF_SECONDS,
    PushFailedError,
    PushKind,
    finish,
    open_push,
)
from cscart_pipelines.fulfilment.report import PushReport, WrittenChange
from cscart_pipelines.fulfilment.shop_write_lock import ShopWriteLockedError, acquire
from cscart_pipelines.fulfilment.stock.push import push_stock
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.support.database.locks import ADVISORY
from cscart_pipelines_tests.support.fulfilment.shops import Connect, Connected, connect
from cscart_pipelines_tests.support.fulfilment.stock import levels

__all__ = ["connect"]


def go(at: Connected, error: BaseException | None = None, **options: Any) -> None:
    """A round in which nothing is pushed."""
    kind: PushKind = options.pop("kind", "shipments")
    with (
        at.client() as client,
        open_push(
            kind, at.database.warehouse, at.registry, at.settings, at.key, client=client, **options
        ),
    ):
        if error is not None:
            raise error


def record(at: Connected) -> list[tuple[Any, ...]]:
    """Kind, whether it has ended, failures, seconds until the next, error."""
    return at.rows(
        "SELECT kind, finished_at IS NOT NULL, failures,"
        " round(extract(epoch FROM not_before - finished_at))::int, error"
        " FROM fulfilment.last_push_runs"
    )


def may_go(at: Connected, kind: PushKind = "shipments") -> bool:
    with at.database.connect() as connection:
        return at.key in due(connection, kind)


def test_after_failures_the_next_round_by_itself_waits_longer_each_time(connect: Connect) -> None:
    at = connect()
    assert may_go(at)
    pauses = []
    for _ in range(9):
        with pytest.raises(PushFailedError):
            go(at, PushFailedError("order 7 failed", PushReport("shop", "shipments")))
        ((_, ended, _, pause, error),) = record(at)
        assert ended and error == "order 7 failed"
        pauses.append(pause)
    assert pauses[:3] == [60, 120, 240]
    assert pauses[-2:] == [MAX_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS]
    assert not may_go(at)
    assert may_go(at, "stock")
    go(at)  # by hand it may go at any time
    assert record(at) == [("shipments", True, 0, None, None)]
    assert may_go(at)


def test_orders_that_are_put_off_by_themselves_do_not_keep_the_shop_waiting(
    connect: Connect,
) -> None:
    at = connect()
    report = PushReport("shop", "shipments", postponed=["order 7 waits 4 min: no answer"])
    pauses = []
    for _ in range(5):
        with pytest.raises(PushFailedError):
            go(at, PushFailedError("order 7 waits", report))
        pauses.append(record(at)[0][3])
    assert pauses == [60, 120, 240, MAX_ORDER_BACKOFF_SECONDS, MAX_ORDER_BACKOFF_SECONDS]
    report.changes.append(WrittenChange("shipment", "8 T", "ambiguous"))
    with pytest.raises(PushFailedError):
        go(at, PushFailedError("order 8: in doubt", report))
    assert record(at)[0][3] > MAX_ORDER_BACKOFF_SECONDS


def test_of_an_error_that_is_not_ours_only_the_name_is_kept(connect: Connect) -> None:
    at = connect()
    with pytest.raises(ValueError, match="secret"):
        go(at, ValueError("a secret"))
    ((*_, error),) = record(at)
    assert error is not None and error.startswith("ValueError") and "secret" not in error


def test_a_dry_run_takes_no_turn_and_leaves_no_record(connect: Connect) -> None:
    at = connect()
    with acquire(at.database.warehouse, at.key):
        go(at, dry_run=True)
        with pytest.raises(ShopWriteLockedError):
            go(at)
    assert record(at) == []


def test_the_gate_is_there_for_everybody(connect: Connect) -> None:
    at = connect(update_stock=False)
    with pytest.raises(NotAllowedError, match="--update-stock yes"):
        go(at, kind="stock", dry_run=True)
    with pytest.raises(UnknownIntegrationError):
        go(Connected(at.shop, at.database, at.settings, "nobody"))
    at.execute("UPDATE registry.integrations SET status = 'disabled'")
    with pytest.raises(NotAllowedError):
        go(at)
    assert record(at) == []


WAITS = f"SELECT FROM {ADVISORY} WHERE NOT granted AND number = %s"


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        ("UPDATE registry.integrations SET status = 'disabled'", NotAllowedError),
        ("UPDATE registry.integrations SET update_stock = false", NotAllowedError),
        ("DELETE FROM registry.integrations", UnknownIntegrationError),
    ],
)
def test_what_was_forbidden_while_a_push_waited_for_its_turn_is_not_done(
    deed: str, error: type[Exception], connect: Connect
) -> None:
    at = connect()
    levels(at, MUG_BLUE=3)

    def push() -> None:
        with open_push(
            "stock", at.database.warehouse, at.registry, at.settings, at.key, wait=60
        ) as context:
            push_stock(context)

    with ThreadPoolExecutor(1) as threads:
        turn = Lock.SHOP_WRITE.number(at.key)
        with acquire(at.database.warehouse, at.key), at.database.connect() as connection:
            waiting = threads.submit(push)
            while connection.execute(WAITS.encode(), [turn]).fetchone() is None:
                assert not waiting.done()
            at.execute(deed)
        with pytest.raises(error):
            waiting.result()
    assert not at.shop.requests
    assert record(at) == []


def test_what_was_edited_while_a_push_waited_for_its_turn_counts(connect: Connect) -> None:
    at = connect()
    with ThreadPoolExecutor(1) as threads:

        def prefix() -> str:
            with open_push(
                "stock", at.database.warehouse, at.registry, at.settings, at.key, wait=60
            ) as context:
                return context.settings.order_prefix

        turn = Lock.SHOP_WRITE.number(at.key)
        with acquire(at.database.warehouse, at.key), at.database.connect() as connection:
            waiting = threads.submit(prefix)
            while connection.execute(WAITS.encode(), [turn]).fetchone() is None:
                assert not waiting.done()
            at.execute("UPDATE registry.integrations SET order_prefix = 'NEW'")
        assert waiting.result() == "NEW"


def test_a_killed_round_does_not_block_the_next(connect: Connect) -> None:
    at = connect()
    with pytest.raises(KeyboardInterrupt):
        go(at, KeyboardInterrupt())
    assert record(at)[0][2] == 1
    at.execute("UPDATE fulfilment.last_push_runs SET finished_at = NULL, not_before = NULL")
    assert may_go(at)
    go(at)


@pytest.mark.parametrize("state", ["failed", "ambiguous"])
def test_what_needs_a_person_fails_the_push(state: str) -> None:
    client = ShopClient("https://shop.example", "a@shop.example", "x" * 32)
    client.stats.calls = 5
    report = PushReport("shop", "shipments", changes=[WrittenChange("shipment", "7 T", state)])
    with pytest.raises(PushFailedError, match="7 T") as failed:
        finish(report, client, 0.0, 2)
    assert failed.value.report is report
    assert report.calls == 3 and report.seconds > 0
    report.dry_run = True
    assert finish(report, client, 0.0) is report
    assert report.calls == 5 and report.notes == []


def test_a_long_list_of_troubles_is_cut(connect: Connect) -> None:
    changes = [WrittenChange("shipment", f"7 T{n}", "failed") for n in range(8)]
    with connect().client() as client, pytest.raises(PushFailedError, match="and 3 more"):
        finish(PushReport("shop", "shipments", changes=changes), client, 0.0)

"""Disabling an integration ends the push that writes to it."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cscart_pipelines.fulfilment import cancellation
from cscart_pipelines.fulfilment.push_session import ENDED_EARLY, PushKind, open_push
from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines.fulfilment.shipments.push import push_shipments
from cscart_pipelines.fulfilment.stock.push import push_stock
from cscart_pipelines_tests.support.fulfilment.shops import Connect, Connected, connect
from cscart_pipelines_tests.support.fulfilment.stock import levels, many

__all__ = ["connect"]

DISABLE = "UPDATE registry.integrations SET status = 'disabled'"
REMOVE = "DELETE FROM registry.integrations"


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "POLL_SECONDS", 0.02)


def push_and(at: Connected, kind: PushKind, method: str, deed: str) -> PushReport:
    """A push during whose first write somebody does a deed; it arrives when that was noticed."""
    done = threading.Event()
    with at.client(max_parallel=1) as client:

        @at.shop.before_request
        def intervene(request: Any) -> None:
            if request.method == method and not done.is_set():
                done.set()
                at.execute(deed)
                assert client.pause(30), "nobody closed the client"

        with open_push(
            kind, at.database.warehouse, at.registry, at.settings, at.key, client=client
        ) as context:
            return push_shipments(context) if kind == "shipments" else push_stock(context)


@pytest.mark.parametrize("deed", [DISABLE, REMOVE])
def test_no_other_order_is_begun(deed: str, connect: Connect) -> None:
    at = connect()
    for number in range(5):
        at.ship(str(at.order().order_id), f"T{number}")
    report = push_and(at, "shipments", "POST", deed)
    assert len(at.shop.store.shipments) == 1, "the one under way arrives"
    assert ENDED_EARLY in report.notes
    # Its status is written too: half of an order is no place to stop.
    assert (report.counts["verified"], report.waiting) == (2, 4)


def test_no_other_level_is_written(connect: Connect) -> None:
    at = connect(catalogue=many(8))
    levels(at, **{f"SKU_{number:04}": 50 + number for number in range(1, 9)})
    at.shop.requests.clear()
    report = push_and(at, "stock", "PUT", DISABLE)
    written = [one for one in at.shop.requests if one.method == "PUT"]
    assert len(written) == 1
    assert ENDED_EARLY in report.notes


def test_the_first_look_does_not_wait(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation, "POLL_SECONDS", 3600.0)
    at = connect()
    at.execute(DISABLE)
    with (
        at.client() as client,
        cancellation.cancel_when_disabled(at.database.warehouse, at.key, client),
    ):
        assert client.pause(30), "nobody closed the client"


def test_a_push_that_nobody_disturbs_ends_with_its_watch(connect: Connect) -> None:
    at = connect()
    at.ship(str(at.order().order_id), "T")
    report = at.push()
    assert report.notes == []
    assert [one.name for one in threading.enumerate() if one.name.startswith("stop ")] == []

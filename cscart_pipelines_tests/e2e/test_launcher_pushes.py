"""Pushes in the foreground, as the command line starts them: what is told, also of failed runs."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.e2e.test_launcher import Launcher
from cscart_pipelines_tests.support.dagster.location import PROJECT, PYDANTIC, open_deployment
from cscart_pipelines_tests.support.fulfilment.push_runs import (
    order_numbers,
    pushable_shop,
    ship,
    stock,
)

pytestmark = [pytest.mark.filterwarnings(PYDANTIC), pytest.mark.begun_first]


@pytest.fixture
def launcher(warehouse_database: Database, tmp_path: Path) -> Iterator[Launcher]:
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    with open_deployment(warehouse_database, tmp_path / "home") as deployment:
        yield Launcher(deployment, home)


def told(said: list[dict[str, Any]], job: str) -> list[dict[str, Any]]:
    (event,) = [one for one in said if one["event"] == "report" and one["job"] == job]
    reports: list[dict[str, Any]] = event["reports"]
    return reports


def test_tracking_stock_and_orders(launcher: Launcher) -> None:
    with pushable_shop(launcher.deployment, "shop", order_prefix="CS") as shop:
        first, second = order_numbers(shop)
        ship(launcher.deployment, "shop", f"CS{first}", "T-1")
        ship(launcher.deployment, "shop", f"CS{second}", "T-2")
        for product in shop.store.products.values():
            stock(launcher.deployment, "shop", product.product_code, 0)
        code, said = launcher.run(
            "--pull-orders", "shop", "--push-tracking", "shop", "--push-stock", "shop",
            "--limit", "1",
        )  # fmt: skip
        assert len(shop.store.shipments) == 1
    assert code == 1  # the feed of zeros is held
    (pulled,) = told(said, "pull_orders")
    assert (pulled["integration"], pulled["pulled"]) == ("shop", 2)
    (tracking,) = told(said, "push_tracking")
    assert tracking["failure"] is None
    report = PushReport.from_json(tracking)
    assert [change.target for change in report.changes] == [f"CS{first} T1"]
    assert report.waiting == 1
    (levels,) = told(said, "push_stock")
    assert PushReport.from_json(levels).held is not None
    assert "--release" in levels["failure"]
    assert [one["ok"] for one in said if one["event"] == "finished"] == [True, True, False]
    (run,) = launcher.runs("push_tracking")
    assert run.tags["cscart/started_by"] == "command line"


def test_a_shop_that_refuses_is_named_with_the_kind_of_trouble(launcher: Launcher) -> None:
    with pushable_shop(launcher.deployment, "refusing") as shop:
        ship(launcher.deployment, "refusing", order_numbers(shop)[0], "T-1")
        shop.api_user.api_key = "y" * 32
        code, said = launcher.run("--push-tracking", "refusing")
    assert code == 1
    (report,) = told(said, "push_tracking")
    assert report["failure_kind"] == "CredentialsRefusedError"
    so_far = PushReport.from_json(report)
    assert (so_far.changes, so_far.refusals, so_far.waiting) == ([], [], 1)
    assert so_far.calls > 0


def test_a_signal_ends_a_push_after_the_requests_under_way(launcher: Launcher) -> None:
    """The next push takes what is left, and nothing is in the shop twice."""
    reached, go_on = threading.Event(), threading.Event()
    with pushable_shop(launcher.deployment, "slow") as shop:
        for _ in range(30):
            shop.store.place_order(lines=[(1, 1)])
        for number in order_numbers(shop):
            ship(launcher.deployment, "slow", number, f"T-{number}")

        @shop.before_request
        def wait(request: Any) -> None:
            if request.method == "POST":
                reached.set()
                go_on.wait(60)

        process = launcher.start("--push-tracking", "slow")
        launcher.until(process, reached.is_set)
        process.send_signal(signal.SIGTERM)
        shop.faults.add("latency", seconds=0.2)  # until the run has been told
        go_on.set()
        _, err = process.communicate(timeout=100)
        assert process.returncode != 0, err[-2000:]
        assert len(shop.store.shipments) < 32
        shop.faults.clear()
        code, _ = launcher.run("--push-tracking", "slow")
        assert code == 0
        numbers = sorted(one.tracking_number for one in shop.store.shipments.values())
        assert numbers == sorted(f"T-{number}" for number in order_numbers(shop))

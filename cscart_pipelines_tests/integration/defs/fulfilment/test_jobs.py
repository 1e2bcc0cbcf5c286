"""Pushes as runs: many shops in one, each for itself; what people see of it in the UI."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cscart_pipelines.defs.shared.failures import FAILED
from cscart_pipelines.fulfilment.feeds.drop_folder import folder
from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines.fulfilment.shop_write_lock import acquire
from cscart_pipelines_tests.support.dagster.location import PYDANTIC, Deployment, deployment
from cscart_pipelines_tests.support.fulfilment.push_runs import (
    failure_of,
    order_numbers,
    pushable_shop,
    run,
    ship,
    shown,
    stock,
    verdicts,
)

__all__ = ["deployment"]
pytestmark = pytest.mark.filterwarnings(PYDANTIC)


def inbox(deployment: Deployment) -> list[tuple[str, str]]:
    return [
        (key, state)
        for key, state in deployment.rows(
            "SELECT integration, state FROM fulfilment.shipments ORDER BY 1, order_number"
        )
    ]


def put_file(deployment: Deployment, key: str, kind: str, name: str, text: str) -> Path:
    """A file that was written long ago."""

    with deployment.app() as app:
        path = folder(app.settings, key) / kind / name
    path.write_text(text)
    os.utime(path, (1_750_000_000, 1_750_000_000))
    return path


def test_one_shop_fails_and_the_others_get_their_tracking_numbers(deployment: Deployment) -> None:
    with pushable_shop(deployment, "good") as good, pushable_shop(deployment, "bad") as bad:
        ship(deployment, "good", order_numbers(good)[0], "T-1")
        ship(deployment, "good", "99999999", "T-2")
        ship(deployment, "bad", order_numbers(bad)[0], "T-3")
        bad.api_user.api_key = "y" * 32  # the shop has another one now
        result = run(deployment, "push_tracking")
        assert not result.success
        assert [one.tracking_number for one in good.store.shipments.values()] == ["T-1"]
        assert not bad.store.shipments
    failure = failure_of(result).step_failure_data.user_failure_data
    assert failure is not None
    assert failure.description is not None
    assert failure.description.startswith("1 of 2 failed: bad. bad: ")
    assert failure.metadata[FAILED].value == ["bad"]
    # What was done is told although the run failed.
    told = {one["integration"]: one for one in result.output_for_node("push_shipments")}
    report = PushReport.from_json(told["good"])
    assert [change.state for change in report.changes] == ["verified"]
    assert told["bad"]["failure"]
    table = shown(deployment, result.run_id, "push_shipments")
    assert "| bad | **failed**" in table["outcome"]
    assert "T1" in table["changes"]
    assert "99999999" in table["refusals"]
    assert (table["verified"], table["refused"], table["integrations"]) == (1, 1, 2)
    assert inbox(deployment) == [("bad", "waiting"), ("good", "done"), ("good", "refused")]
    said = verdicts(deployment, result.run_id)
    assert said["nothing_waits"]
    assert not said["nothing_refused"]
    # Not again at once: the pause after a failure.
    assert run(deployment, "push_tracking").output_for_node("push_shipments") == []


def test_a_dry_run_writes_nothing_and_leaves_files(deployment: Deployment) -> None:
    with pushable_shop(deployment, "shop") as shop:
        ship(deployment, "shop", order_numbers(shop)[0], "T-1")
        path = put_file(
            deployment, "shop", "shipments", "a.csv", "order_number,tracking_number\n1,2\n"
        )
        shop.requests.clear()
        result = run(deployment, "push_tracking", integration="shop", dry_run=True)
        assert result.success
        assert {request.method for request in shop.requests} == {"GET"}
    (told,) = result.output_for_node("push_shipments")
    assert told["dry_run"] is True
    assert [change["state"] for change in told["changes"]] == ["planned"]
    assert path.exists()
    assert inbox(deployment) == [("shop", "waiting")]
    assert "dry run" in shown(deployment, result.run_id, "push_shipments")["outcome"]
    assert deployment.rows("SELECT count(*) FROM fulfilment.journal") == [(0,)]


def test_files_are_taken_in_and_pushed_by_one_run(deployment: Deployment) -> None:
    with pushable_shop(deployment, "shop") as shop:
        first, second = order_numbers(shop)
        text = f"order_number,tracking_number\n{first},T-1\n{second},T-2\n{first},\n777777,T-3\n"
        put_file(deployment, "shop", "shipments", "a.csv", text)
        put_file(deployment, "shop", "shipments", "b.csv", "nothing\nof use\n")
        result = run(deployment, "push_tracking")
        assert len(shop.store.shipments) == 2
    taken = shown(deployment, result.run_id, "ingest_drop_folder")
    assert taken["files"] == 2
    assert "| shop | shipments/a.csv | taken | 3 |" in taken["which"]
    # A file of which nothing could be used is told once, by a run that fails.
    failure = failure_of(result).step_failure_data.user_failure_data
    assert failure is not None
    assert "b.csv" in str(failure.description)
    with deployment.app() as app:
        place = folder(app.settings, "shop") / "shipments"
    assert [path.name for path in (place / "refused").glob("*.csv")] == ["b.csv"]
    # What only the shop could tell is beside the file too, after what was seen on the way in.
    beside = (place / "done" / "a.csv.refused.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in beside] == ["line", "4", "5"]
    assert beside[-1].endswith('"777777,T-3"')


def test_refusals_are_told_also_when_the_shop_goes_away_after_them(deployment: Deployment) -> None:
    with pushable_shop(deployment, "shop", order_prefix="CS") as shop:
        good, code = order_numbers(shop)[0], shop.store.products[1].product_code
        text = f"order_number,tracking_number\nXX7,T-1\nCS{good},T-2\n"
        put_file(deployment, "shop", "shipments", "a.csv", text)
        put_file(deployment, "shop", "stock", "b.csv", f"sku,quantity\nUNKNOWN 1,5\n{code},3\n")
        shop.api_user.api_key = "y" * 32
        for job, step, kind, name, target in (
            ("push_tracking", "push_shipments", "shipments", "a.csv", "XX7"),
            ("push_stock", "push_levels", "stock", "b.csv", "UNKNOWN 1"),
        ):
            result = run(deployment, job, integration="shop")
            assert not result.success
            (told,) = result.output_for_node(step)
            assert told["failure_kind"] == "CredentialsRefusedError"
            report = PushReport.from_json(told)
            assert [one.target.partition(" T")[0] for one in report.refusals] == [target]
            assert report.waiting == 1
            table = shown(deployment, result.run_id, step)
            assert target in table["refusals"]
            assert "| shop | **failed**" in table["outcome"]
            with deployment.app() as app:
                place = folder(app.settings, "shop") / kind / "done"
            (_, line) = (place / f"{name}.refused.csv").read_text().splitlines()
            assert line.startswith("2,") and target in line


def test_the_limit_leaves_the_rest_for_the_next_run(deployment: Deployment) -> None:
    with pushable_shop(deployment, "shop") as shop:
        for number in order_numbers(shop):
            ship(deployment, "shop", number, f"T-{number}")
        result = run(deployment, "push_tracking", limit=1)
        assert result.success
        assert len(shop.store.shipments) == 1
        assert result.output_for_node("push_shipments")[0]["waiting"] == 1
        assert run(deployment, "push_tracking").success
        assert len(shop.store.shipments) == 2


def test_who_may_not_be_pushed_to_fails_only_if_asked_for_by_name(deployment: Deployment) -> None:
    with pushable_shop(deployment, "on") as shop, pushable_shop(deployment, "off", **OFF):
        ship(deployment, "on", order_numbers(shop)[0], "T-1")
        ship(deployment, "off", "1", "T-1")
        result = run(deployment, "push_tracking", only=["on", "off", "never-heard-of"])
        assert result.success
        assert [one["integration"] for one in result.output_for_node("push_shipments")] == ["on"]
        result = run(deployment, "push_tracking", integration="off")
    assert not result.success
    ((told),) = result.output_for_node("push_shipments")
    assert told["failure_kind"] == "NotAllowedError"
    assert "--update-tracking-number yes" in told["failure"]


OFF = {"update_tracking_number": False, "update_tracking_url": False}


def test_somebody_elses_turn_is_no_failure(deployment: Deployment) -> None:
    with pushable_shop(deployment, "shop") as shop:
        ship(deployment, "shop", order_numbers(shop)[0], "T-1")
        with deployment.app() as app, acquire(app.warehouse, "shop"):
            result = run(deployment, "push_tracking")
        assert result.success
        assert not shop.store.shipments
    assert "| shop | not pushed: " in shown(deployment, result.run_id, "push_shipments")["outcome"]


def test_an_unknown_integration_fails_with_its_name(deployment: Deployment) -> None:
    result = run(deployment, "push_stock", integration="nobody")
    assert not result.success
    failure = failure_of(result).step_failure_data.user_failure_data
    assert failure is not None
    assert "there is no integration 'nobody'" in str(failure.description)


def test_a_held_feed_fails_the_run_and_says_what_to_do(deployment: Deployment) -> None:
    with pushable_shop(deployment, "shop") as shop:
        codes = [product.product_code for product in shop.store.products.values()]
        for code in codes:
            stock(deployment, "shop", code, 0)
        result = run(deployment, "push_stock")
        assert not result.success
        failure = failure_of(result).step_failure_data.user_failure_data
        assert failure is not None
        assert "set to zero" in str(failure.description)
        assert "fulfilment stock shop --release" in str(failure.description)
        assert "held" in shown(deployment, result.run_id, "push_levels")
        assert verdicts(deployment, result.run_id)["nothing_held"] is False
        released = run(deployment, "push_stock", integration="shop", release=True)
        assert released.success, json.dumps(released.output_for_node("push_levels"))
        assert verdicts(deployment, released.run_id)["nothing_held"] is True


def test_a_release_takes_no_new_files_and_leaves_what_nobody_has_looked_at(
    deployment: Deployment,
) -> None:
    with pushable_shop(deployment, "shop") as shop:
        products = list(shop.store.products.values())
        most = len(products) - 1
        for product in products[:most]:
            stock(deployment, "shop", product.product_code, 0)
        assert not run(deployment, "push_stock").success
        path = put_file(
            deployment, "shop", "stock", "b.csv", f"sku,quantity\n{products[most].product_code},0\n"
        )
        assert run(deployment, "push_stock", integration="shop", release=True).success
        assert [product.amount for product in products[:most]] == [0] * most
        assert products[most].amount
    assert path.exists()


def test_files_are_left_alone_if_so_asked(deployment: Deployment) -> None:
    with pushable_shop(deployment, "shop"):
        path = put_file(deployment, "shop", "stock", "b.csv", "sku,quantity\nX,1\n")
        assert run(deployment, "push_stock", integration="shop", files=False).success
    assert path.exists()

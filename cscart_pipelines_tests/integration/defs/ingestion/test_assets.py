"""Runs over shops: each succeeds or fails on its own, and the run says so at its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import HIDDEN_TAG_PREFIX

from cscart_pipelines.defs.shared.failures import FAILED
from cscart_pipelines.defs.shared.orphaned_runs import TAG
from cscart_pipelines.integrations.lifecycle import Action
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dagster.location import (
    PYDANTIC,
    Deployment,
    deployment,
    open_deployment,
)
from cscart_pipelines_tests.support.shop.sandboxes import small_shop

__all__ = ["deployment"]
pytestmark = pytest.mark.filterwarnings(PYDANTIC)
ENTITIES = {"customers", "orders", "products", "statuses", "shipments"}


@dataclass
class Outcome:
    """What one run over many shops left behind."""

    deployment: Deployment
    result: dg.ExecuteInProcessResult
    failure: Any
    metadata: dict[tuple[str, str], dict[str, Any]]
    log: str


@pytest.fixture(scope="module")
def outcome(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outcome]:
    """One run over five partitions: two good shops, a wrong key, a disabled and a syncing one."""
    with (
        open_deployment(module_database, tmp_path_factory.mktemp("home")) as deployment,
        small_shop(orders=7) as shop,
    ):
        for key in ("first", "wrong-key", "disabled", "syncing", "last"):
            deployment.connect(key, shop, api_key="x" * 32 if key == "wrong-key" else None)
        deployment.execute(
            "UPDATE registry.integrations SET status = 'disabled' WHERE integration = 'disabled'"
        )
        with deployment.app() as app:
            held = acquire(app.warehouse, app.registry, "syncing", Action.START)
            with held:
                result = deployment.resync("first", "last", config={"full": False})
                held.succeed({})
        events = [e for e in result.all_events if e.is_step_failure]
        log = "\n".join(
            str(entry.user_message) for entry in deployment.instance.all_logs(result.run_id)
        )
        yield Outcome(
            deployment,
            result,
            events[0].step_failure_data.user_failure_data if events else None,
            deployment.materialisations(result.run_id),
            log,
        )


def test_good_shops_are_loaded_although_another_failed(outcome: Outcome) -> None:
    for key in ("first", "last"):
        assert {name for name, partition in outcome.metadata if partition == key} == ENTITIES
        assert outcome.deployment.rows(
            "SELECT count(*) FROM cscart.orders WHERE integration = %s", key
        ) == [(7,)]
    assert {partition for _, partition in outcome.metadata} == {"first", "last"}


def test_a_materialisation_says_what_was_done(outcome: Outcome) -> None:
    shown = outcome.metadata["orders", "first"]
    assert shown["dagster/table_name"] == "cscart.orders"
    assert shown["dagster/row_count"] == 7
    assert shown["rows_read"] >= 7
    assert shown["inserted"] == 7
    assert shown["api_calls"] >= 1
    assert shown["pages"] >= 1
    assert shown["rejected"] == 0
    assert shown["seconds"] > 0
    assert shown["kind"] == "first"
    assert shown["shop_total"] == 7
    assert shown["watermark_to"] > 0


def test_the_run_fails_at_its_end_and_names_only_the_shop_that_failed(outcome: Outcome) -> None:
    assert not outcome.result.success
    assert outcome.failure.description.startswith("1 of 3 failed: wrong-key. wrong-key: ")
    assert outcome.failure.metadata[FAILED].data == ["wrong-key"]
    table = outcome.failure.metadata["outcome"].value
    assert "| wrong-key | **failed**: " in table
    assert "| syncing | not synchronised: " in table
    assert "| first | ok (first) | " in table
    assert "x" * 32 not in outcome.log + outcome.failure.description


def test_nothing_is_tried_again_by_dagster(deployment: Deployment) -> None:
    with small_shop(orders=1) as shop:
        deployment.connect("wrong-key", shop, api_key="x" * 32)
        with pytest.raises(dg.Failure, match="1 of 1 failed: wrong-key") as caught:
            deployment.resync("wrong-key", raise_on_error=True)
    assert caught.value.allow_retries is False


def test_shops_that_may_not_be_synchronised_are_refused_with_the_reason(outcome: Outcome) -> None:
    assert "disabled is not synchronised: resync is not allowed: it is disabled" in outcome.log
    assert "syncing is not synchronised: resync is not allowed: a synchronisation is in" in (
        outcome.log
    )
    assert outcome.deployment.rows(
        "SELECT status FROM registry.integrations WHERE integration = 'disabled'"
    ) == [("disabled",)]


def test_checks_are_evaluated_although_a_shop_failed(outcome: Outcome) -> None:
    checks = {
        (e.asset_check_evaluation_data.asset_key.path[-1], e.asset_check_evaluation_data.check_name)
        for e in outcome.result.all_events
        if e.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    }
    assert ("orders", "parity_with_shop") in checks
    assert ("customers", "unique_email") in checks


def test_the_status_of_the_integration_is_that_of_its_partition(outcome: Outcome) -> None:
    statuses = dict(
        outcome.deployment.rows("SELECT integration, status FROM registry.integrations")
    )
    assert statuses["first"] == statuses["last"] == "enabled"
    assert statuses["wrong-key"] == "failed"


def test_a_partition_materialised_from_the_ui_goes_through_the_same_gate(
    deployment: Deployment,
) -> None:
    """The UI runs the hidden asset job, without config, over a range or one partition."""
    with small_shop(orders=3) as shop:
        deployment.connect("a", shop)
        deployment.connect("b", shop)
        result = deployment.resync("a", "b", job="__ASSET_JOB", assets=sorted(ENTITIES))
        assert result.success
        assert {p for _, p in deployment.materialisations(result.run_id)} == {"a", "b"}
        deployment.execute(
            "UPDATE registry.integrations SET status = 'disabled' WHERE integration = 'a'"
        )
        again = deployment.resync("a", job="__ASSET_JOB", assets=sorted(ENTITIES))
        assert again.success
        assert deployment.materialisations(again.run_id) == {}
    assert deployment.rows(
        "SELECT integration, run_id, kind, state FROM registry.sync_runs ORDER BY 1"
    ) == [
        ("a", result.run_id, "first", "succeeded"),
        ("b", result.run_id, "first", "succeeded"),
    ]


def test_one_asset_of_one_partition_alone(deployment: Deployment) -> None:
    with small_shop(orders=3) as shop:
        deployment.connect("a", shop)
        shop.requests.clear()
        result = deployment.resync("a", assets=["orders"])
        paths = [record.path for record in shop.requests]
    assert result.success
    assert set(deployment.materialisations(result.run_id)) == {("orders", "a")}
    assert not any("users" in path or "products" in path for path in paths)
    checked = {
        e.asset_check_evaluation_data.asset_key.path[-1]
        for e in result.all_events
        if e.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    }
    assert checked == {"orders"}


@pytest.mark.parametrize("named", [True, False])
def test_partitions_that_are_deleted_or_moved_while_a_run_waits(
    deployment: Deployment, named: bool
) -> None:
    """The hourly run names its integrations, one that the UI starts does not."""
    keys = ["gone-first", "moved", "stays", "gone-last"]
    with small_shop(orders=1) as shop:
        for key in keys:
            deployment.connect(key, shop)

        def meanwhile() -> None:
            deployment.execute("DELETE FROM registry.integrations WHERE integration LIKE 'gone-%%'")
            for key in ("gone-first", "moved", "gone-last"):
                deployment.instance.delete_dynamic_partition("integration", key)
            deployment.instance.add_dynamic_partitions("integration", ["moved"])

        result = deployment.planned(
            "gone-first", "gone-last", only=keys if named else None, meanwhile=meanwhile
        )
    assert result.success
    done = {key for _, key in deployment.materialisations(result.run_id)}
    assert done == {"moved", "stays"}
    log = "\n".join(
        str(entry.user_message) for entry in deployment.instance.all_logs(result.run_id)
    )
    for key in ("gone-first", "gone-last"):
        assert f"{key} is not synchronised: there is no integration '{key}'" in log
    run = deployment.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[TAG] == result.run_id  # by the executor
    ours = [tag for tag in run.tags if "cscart" in tag]
    assert ours and all(tag.startswith(HIDDEN_TAG_PREFIX) for tag in ours), "the UI shows them"


def test_only_and_full_are_obeyed(deployment: Deployment) -> None:
    with small_shop(orders=3) as shop:
        for key in ("a", "b", "c"):
            deployment.connect(key, shop)
        assert deployment.resync("a", "c", config={"only": ["a", "c"]}).success
        assert deployment.resync("a", config={"full": True}).success
    assert deployment.rows("SELECT integration, kind FROM registry.sync_runs ORDER BY id") in (
        [("a", "first"), ("c", "first"), ("a", "full")],
        [("c", "first"), ("a", "first"), ("a", "full")],
    )


def test_a_scheduled_run_leaves_alone_what_needs_a_person(deployment: Deployment) -> None:
    with small_shop(orders=1) as shop:
        deployment.connect("ready", shop)
        result = deployment.resync("ready", config={"scheduled": True})
    assert result.success
    assert deployment.rows("SELECT count(*) FROM registry.sync_runs") == [(0,)]


def test_an_error_nobody_foresaw_in_one_shop_does_not_stop_the_others(
    deployment: Deployment,
) -> None:
    with small_shop(orders=2) as shop:
        deployment.connect("bad", shop)
        deployment.connect("good", shop)
        # A row that no version of the project has written.
        deployment.execute(
            "UPDATE registry.integrations SET capabilities = '{\"readable\": 7}'"
            " WHERE integration = 'bad'"
        )
        result = deployment.resync("bad", "good")
    assert not result.success
    assert {p for _, p in deployment.materialisations(result.run_id)} == {"good"}
    assert deployment.rows(
        "SELECT status FROM registry.integrations WHERE integration = 'bad'"
    ) == [("failed",)]

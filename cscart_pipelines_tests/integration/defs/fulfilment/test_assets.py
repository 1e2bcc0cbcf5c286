"""Orders for the fulfilment system as an asset: what is pulled, what is told, what starts it."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from cscart_pipelines.defs.fulfilment.jobs import pull_request
from cscart_pipelines.defs.fulfilment.sensors import pull_after_sync
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines_tests.support.dagster.location import (
    PYDANTIC,
    Deployment,
    deployment,
    location,
)
from cscart_pipelines_tests.support.shop.sandboxes import small_shop

__all__ = ["deployment"]
pytestmark = pytest.mark.filterwarnings(PYDANTIC)


def pull(deployment: Deployment, *keys: str) -> dg.ExecuteInProcessResult:
    """One run as the sensor asks for it."""
    present = list(deployment.instance.get_dynamic_partitions("integration"))
    request = pull_request(list(keys), present)
    return (
        location()
        .resolve_job_def("pull_orders")
        .execute_in_process(
            instance=deployment.instance,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            run_config=request.run_config,
            raise_on_error=False,
        )
    )


def tick(
    deployment: Deployment, cursor: str | None = None
) -> tuple[dg.RunRequest | str, str | None]:
    with dg.build_sensor_context(instance=deployment.instance, cursor=cursor) as context:
        answer: Any = pull_after_sync(context, pipelines=Pipelines())
    if isinstance(answer, dg.SkipReason):
        return answer.skip_message or "", cursor
    (request,) = answer.run_requests
    return request, answer.cursor


def test_many_integrations_are_pulled_by_one_run_each_told_apart(deployment: Deployment) -> None:
    with small_shop(orders=3) as shop, small_shop(orders=3) as another:
        deployment.connect("a", shop, order_prefix="A")
        deployment.connect("between", shop)
        deployment.connect(
            "c", another, order_prefix="C", countries=["Atlantis"], order_statuses=["Z"]
        )
        assert deployment.resync("a", "c").success
    result = pull(deployment, "a", "c")
    assert result.success
    told = deployment.materialisations(result.run_id)
    assert set(told) == {("orders", "a"), ("orders", "c")}
    assert told["orders", "a"]["pulled"] == told["orders", "a"]["dagster/row_count"] == 3
    assert "Atlantis" in told["orders", "c"]["unmatched_words"]
    assert told["orders", "c"]["skipped"] == 3
    verdicts = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert not verdicts["filters_match"].passed
    assert verdicts["filters_match"].severity is dg.AssetCheckSeverity.WARN
    assert verdicts["filters_match"].metadata["integrations"].value == "c"
    assert all(one.passed for name, one in verdicts.items() if name != "filters_match")
    numbers = deployment.rows("SELECT order_number FROM fulfilment.orders ORDER BY 1")
    assert numbers == [("A1001",), ("A1002",), ("A1003",)]


def test_a_row_that_the_database_refuses_is_quoted_nowhere(deployment: Deployment) -> None:
    """The detail of the error, which PostgreSQL adds, is the row with all its names."""
    with small_shop(orders=1) as shop:
        deployment.connect("a", shop)
        assert deployment.resync("a").success
    deployment.execute("UPDATE cscart.orders SET email = 'ada@mail.internal'")
    deployment.execute(
        "ALTER TABLE fulfilment.orders ADD CONSTRAINT odd CHECK (email NOT LIKE 'ada%')"
    )
    result = pull(deployment, "a")
    assert not result.success
    told = [str(entry) for entry in deployment.instance.all_logs(result.run_id)]
    assert len([entry for entry in told if "violates check constraint" in entry]) > 1
    assert not [entry for entry in told if "ada@mail.internal" in entry]


def test_an_integration_removed_while_the_pull_waits_keeps_none_from_theirs(
    deployment: Deployment,
) -> None:
    with small_shop(orders=1) as shop:
        for key, company in (("gone", 2), ("stays", 1)):
            deployment.connect(key, shop, order_prefix=key.upper(), companies=company)
        assert deployment.resync("stays").success

        def meanwhile() -> None:
            deployment.execute("DELETE FROM registry.integrations WHERE integration = 'gone'")
            deployment.instance.delete_dynamic_partition("integration", "gone")

        result = deployment.planned(
            "gone", "stays", "pull_orders", step="pull_shop_orders", meanwhile=meanwhile
        )
    assert result.success
    assert set(deployment.materialisations(result.run_id)) == {("orders", "stays")}


def test_one_integration_that_cannot_be_pulled_does_not_stop_the_others(
    deployment: Deployment,
) -> None:
    with small_shop(orders=1) as shop, small_shop(orders=1) as another:
        deployment.connect("a", shop, order_prefix="A")
        deployment.connect("b", another, order_prefix="B")
        assert deployment.resync("a", "b").success
    deployment.execute("ALTER TABLE fulfilment.orders ADD CHECK (integration <> 'a')")
    result = pull(deployment, "a", "b")
    assert not result.success
    assert set(deployment.materialisations(result.run_id)) == {("orders", "b")}
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_failure_data.user_failure_data is not None
    assert str(failed.step_failure_data.user_failure_data.description).startswith(
        "1 of 2 failed: a. a: CheckViolation"
    )


def test_orders_are_pulled_after_each_synchronisation_of_who_uses_them(
    deployment: Deployment,
) -> None:
    with small_shop(orders=1) as shop:
        deployment.connect("a", shop, user_id="client 7")
        deployment.connect("plain", shop)
        assert tick(deployment)[0] == "The orders of every synchronisation are pulled."
        assert deployment.resync("a", "plain").success
        request, cursor = tick(deployment)
        assert isinstance(request, dg.RunRequest)
        assert request.partition_key == "a"
        assert request.run_config == {"ops": {"pull_shop_orders": {"config": {"only": ["a"]}}}}
        create_run_for_test(
            deployment.instance,
            job_name="pull_orders",
            status=dg.DagsterRunStatus.STARTED,
            tags=dict(request.tags),
        )
        assert deployment.resync("a").success
        assert tick(deployment, cursor)[0] == "A run of pull_orders is queued or running."
        (run,) = deployment.instance.get_runs(filters=dg.RunsFilter(job_name="pull_orders"))
        deployment.instance.report_run_failed(run)
        again, _ = tick(deployment, cursor)
        assert isinstance(again, dg.RunRequest)
        assert again.run_key != request.run_key

"""Sensors: partitions follow the registry, requests become runs once."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from cscart_pipelines.defs.ingestion.sensors import requested_syncs, sync_partitions
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.support.dagster.location import PYDANTIC, Deployment, deployment
from cscart_pipelines_tests.support.shop.sandboxes import small_shop

__all__ = ["deployment"]
pytestmark = pytest.mark.filterwarnings(PYDANTIC)
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


@pytest.fixture
def two_shops(deployment: Deployment) -> Iterator[Deployment]:
    with small_shop(orders=1) as shop:
        deployment.connect("a", shop)
        deployment.connect("b", shop)
        yield deployment


def tick(
    sensor: dg.SensorDefinition, deployment: Deployment, cursor: str | None = None
) -> dg.SensorResult | str:
    """One evaluation; a skip reason as its text."""
    with dg.build_sensor_context(instance=deployment.instance, cursor=cursor) as context:
        answer = sensor(context, pipelines=Pipelines())
    if isinstance(answer, dg.SkipReason):
        return answer.skip_message or ""
    assert isinstance(answer, dg.SensorResult)
    return answer


def requests(answer: dg.SensorResult | str) -> list[dg.RunRequest]:
    assert isinstance(answer, dg.SensorResult), answer
    return list(answer.run_requests or [])


def start(
    deployment: Deployment, request: dg.RunRequest, job: str, status: dg.DagsterRunStatus
) -> None:
    """What the daemon does with a request, as far as the sensors can see it."""
    create_run_for_test(
        deployment.instance,
        job_name=job,
        status=status,
        tags={**request.tags, "dagster/run_key": request.run_key or ""},
    )


# --- partitions ----------------------------------------------------------------------------------


def test_partitions_are_those_of_the_registry(two_shops: Deployment) -> None:
    two_shops.execute(
        "UPDATE registry.integrations SET status = 'disabled' WHERE integration = 'b'"
    )
    two_shops.instance.add_dynamic_partitions("integration", ["gone"])
    two_shops.instance.delete_dynamic_partition("integration", "a")
    answer = tick(sync_partitions, two_shops)
    assert isinstance(answer, dg.SensorResult)
    changes = {
        type(request).__name__: sorted(request.partition_keys)
        for request in answer.dynamic_partitions_requests or []
    }
    assert changes == {
        "AddDynamicPartitionsRequest": ["a"],
        "DeleteDynamicPartitionsRequest": ["b", "gone"],
    }


def test_nothing_to_change(two_shops: Deployment) -> None:
    assert tick(sync_partitions, two_shops) == "The partitions are those of the registry."


def test_dead_synchronisations_are_ended(two_shops: Deployment) -> None:
    two_shops.execute("UPDATE registry.integrations SET status = 'syncing'")
    two_shops.execute(
        "INSERT INTO registry.sync_runs (integration, kind, state) VALUES ('a', 'first', 'running')"
    )
    with two_shops.database.connect() as holder:
        assert advisory.try_lock_session(holder, Lock.SYNC, "b")
        tick(sync_partitions, two_shops)
    statuses = two_shops.rows("SELECT integration, status FROM registry.integrations ORDER BY 1")
    assert statuses == [("a", "failed"), ("b", "syncing")]
    assert two_shops.rows("SELECT state FROM registry.sync_runs") == [("failed",)]


# --- requests ------------------------------------------------------------------------------------


def ask(deployment: Deployment, key: str, *, whole: bool = False) -> None:
    deployment.execute(
        "INSERT INTO registry.sync_requests (integration, whole) VALUES (%s, %s)", key, whole
    )


def test_a_request_becomes_one_run_and_goes_when_the_run_is_there(two_shops: Deployment) -> None:
    ask(two_shops, "b", whole=True)
    (request,) = requests(tick(requested_syncs, two_shops))
    assert request.partition_key == "b"
    assert request.run_config["ops"]["read_shop"]["config"]["full"] is True
    # The daemon died before it started the run: the same request again, under the same key.
    (again,) = requests(tick(requested_syncs, two_shops))
    assert again.run_key == request.run_key
    start(two_shops, again, "resync", dg.DagsterRunStatus.STARTING)
    assert tick(requested_syncs, two_shops) == "No synchronisation was requested."
    assert two_shops.rows("SELECT count(*) FROM registry.sync_requests") == [(0,)]


def test_a_second_request_is_another_run(two_shops: Deployment) -> None:
    ask(two_shops, "a")
    (first,) = requests(tick(requested_syncs, two_shops))
    start(two_shops, first, "resync", SUCCESS)
    tick(requested_syncs, two_shops)
    ask(two_shops, "a")
    (second,) = requests(tick(requested_syncs, two_shops))
    assert second.run_key != first.run_key


def test_what_is_too_much_for_one_run_is_several(
    two_shops: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSCART_PIPELINES_INTEGRATIONS_PER_RUN", "1")
    two_shops.execute(
        "INSERT INTO registry.sync_requests (integration, whole) VALUES ('b', false), ('a', false)"
    )
    first, second = requests(tick(requested_syncs, two_shops))
    assert (first.partition_key, second.partition_key) == ("a", "b")
    assert first.run_key != second.run_key
    start(two_shops, first, "resync", dg.DagsterRunStatus.STARTING)
    (again,) = requests(tick(requested_syncs, two_shops))
    assert again.run_key == second.run_key


def test_what_one_command_asks_for_is_one_run(two_shops: Deployment) -> None:
    two_shops.execute(
        "INSERT INTO registry.sync_requests (integration, whole) VALUES ('b', false), ('a', false)"
    )
    (request,) = requests(tick(requested_syncs, two_shops))
    assert request.run_config["ops"]["read_shop"]["config"]["only"] == ["a", "b"]
    assert request.tags["cscart/integrations"] == "2"
    start(two_shops, request, "resync", SUCCESS)
    assert tick(requested_syncs, two_shops) == "No synchronisation was requested."
    assert two_shops.rows("SELECT count(*) FROM registry.sync_requests") == [(0,)]


def test_a_request_waits_for_its_partition(two_shops: Deployment) -> None:
    two_shops.instance.delete_dynamic_partition("integration", "a")
    ask(two_shops, "a")
    ask(two_shops, "b")
    (request,) = requests(tick(requested_syncs, two_shops))
    assert request.partition_key == "b"
    two_shops.instance.add_dynamic_partitions("integration", ["a"])
    assert {r.partition_key for r in requests(tick(requested_syncs, two_shops))} == {"a", "b"}


def test_requests_for_disabled_and_removed_integrations_are_dropped(
    two_shops: Deployment,
) -> None:
    ask(two_shops, "a")
    ask(two_shops, "removed")
    two_shops.execute("UPDATE registry.integrations SET status = 'disabled'")
    assert tick(requested_syncs, two_shops) == "No synchronisation was requested."
    assert two_shops.rows("SELECT count(*) FROM registry.sync_requests") == [(0,)]

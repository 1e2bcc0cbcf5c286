"""A run over the lists of several shops: each for itself, and what Dagster shows of it."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from cscart_pipelines.defs.shared.partitions import integration_partitions
from cscart_pipelines.defs.transformation.jobs import build_request
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dagster.location import (
    PYDANTIC,
    Deployment,
    location,
    open_deployment,
)
from cscart_pipelines_tests.support.dbt.builds import AS_OF, Shop, load, order

pytestmark = [
    pytest.mark.filterwarnings(PYDANTIC),
    # dagster_dbt asks the context as it was called before.
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated"),
    pytest.mark.begun_first,
]
NAMES = ["good-1", "bad", "good-2", "other"]


@pytest.fixture(scope="module")
def deployment(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    placed = [order(1, AS_OF, email="ada@post.gr")]
    load(module_database, [Shop(name, orders=placed) for name in NAMES])
    with open_deployment(module_database, tmp_path_factory.mktemp("home")) as found:
        found.instance.add_dynamic_partitions("integration", NAMES)
        # What the data of a shop may do to a model that nobody has foreseen.
        found.execute("ALTER TABLE analytics.orders ADD CHECK (integration <> 'bad')")
        yield found


@pytest.fixture(scope="module")
def failed(deployment: Deployment) -> dg.ExecuteInProcessResult:
    request = build_request(["bad", "good-1", "good-2"], present=NAMES)
    found: dg.ExecuteInProcessResult = (
        location()
        .resolve_job_def("build_lists")
        .execute_in_process(
            instance=deployment.instance,
            partition_key=request.partition_key,
            run_config=request.run_config,
            tags=request.tags,
            raise_on_error=False,
        )
    )
    return found


def test_the_run_fails_at_its_end_and_names_the_list_that_failed(
    failed: dg.ExecuteInProcessResult,
) -> None:
    assert not failed.success
    (event,) = failed.filter_events(lambda one: one.is_step_failure)
    told = event.step_failure_data.user_failure_data
    assert told is not None, event.step_failure_data.error
    assert told.description is not None
    assert told.description.startswith("1 of 3 failed: bad. bad: ")
    assert told.metadata["failed_integrations"].value == ["bad"]


def test_the_other_lists_are_built_and_recorded(
    deployment: Deployment, failed: dg.ExecuteInProcessResult
) -> None:
    assert deployment.rows("SELECT integration FROM analytics.orders ORDER BY 1") == [
        ("good-1",), ("good-2",),
    ]  # fmt: skip
    # What does not stand on the model that failed is built for all.
    segments = "SELECT DISTINCT integration FROM analytics.segments ORDER BY 1"
    assert deployment.rows(segments) == [("bad",), ("good-1",), ("good-2",)]
    records = "SELECT integration, run_id, attempts > 0 FROM registry.list_builds ORDER BY 1"
    assert deployment.rows(records) == [
        ("bad", None, True),
        ("good-1", failed.run_id, False),
        ("good-2", failed.run_id, False),
    ]


def test_the_next_build_may_rely_on_the_lists_that_were_built(
    deployment: Deployment, failed: dg.ExecuteInProcessResult
) -> None:
    builds = "SELECT integration, is_finished FROM intermediate.int_builds ORDER BY 1"
    assert failed and deployment.rows(builds) == [
        ("bad", False),
        ("good-1", True),
        ("good-2", True),
    ]


def test_the_partition_of_the_list_that_failed_is_red_and_no_other(
    deployment: Deployment, failed: dg.ExecuteInProcessResult
) -> None:
    cached = get_and_update_asset_status_cache_value(
        deployment.instance, dg.AssetKey(["analytics", "orders"]), integration_partitions
    )
    assert cached is not None
    red = cached.deserialize_failed_partition_subsets(integration_partitions)
    assert set(red.get_partition_keys()) == {"bad"}
    made = cached.deserialize_materialized_partition_subsets(integration_partitions)
    assert set(made.get_partition_keys()) == {"good-1", "good-2"}


Made = dict[tuple[str, str | None], dg.AssetMaterialization]


@pytest.fixture(scope="module")
def made(deployment: Deployment, failed: dg.ExecuteInProcessResult) -> Made:
    """What the run says of each model and list."""
    logged = deployment.instance.all_logs(
        failed.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    )
    found = [one.asset_materialization for one in logged if one.asset_materialization]
    return {(one.asset_key.path[-1], one.partition): one for one in found}


def test_a_list_shows_its_own_rows(made: Made) -> None:
    """The table has two."""
    keys = ("good-1", "good-2")
    rows = [made["orders", key].metadata["dagster/row_count"].value for key in keys]
    assert rows == [1, 1]
    assert made["product_funnel", "good-1"].metadata["dagster/row_count"].value == 0
    assert "dagster/row_count" not in made["customer_facts", "good-1"].metadata  # a view


def test_a_model_says_by_which_code_it_was_made(made: Made) -> None:
    orders = location().get_repository_def().asset_graph.get(dg.AssetKey(["analytics", "orders"]))
    assert (made["orders", "good-1"].tags or {})["dagster/code_version"] == orders.code_version

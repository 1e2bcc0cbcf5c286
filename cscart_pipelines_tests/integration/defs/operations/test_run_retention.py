"""Old runs are deleted, and no asset, partition or check looks different afterwards."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.runs.schema import RunsTable
from sqlalchemy import select

from cscart_pipelines.defs.operations import run_retention
from cscart_pipelines.defs.operations.run_retention import delete_runs
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dagster.location import PROJECT, PYDANTIC, location

pytestmark = pytest.mark.filterwarnings(PYDANTIC)
SHOPS = dg.DynamicPartitionsDefinition(name="shops")
BEFORE = datetime.now(UTC) - timedelta(days=90)
FAILING: set[str] = set()
"""Partitions whose materialisation fails now."""


@dg.asset(partitions_def=SHOPS)
def orders(context: dg.AssetExecutionContext) -> None:
    context.log.info("reading")
    if context.partition_key in FAILING:
        raise RuntimeError("the shop does not answer")


@dg.asset(check_specs=[dg.AssetCheckSpec("is_complete", asset="lists")])
def lists() -> Iterator[Any]:
    yield dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def instance(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dg.DagsterInstance]:
    """An instance of each of the two kinds that `dagster.yaml` and `deploy/dagster.yaml` make."""
    folder = "." if request.param == "SQLite" else "deploy"
    text = (PROJECT / folder / "dagster.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(
        text.replace("/var/lib/dagster/logs", str(tmp_path / "storage"))
    )
    if request.param == "PostgreSQL":
        database: Database = request.getfixturevalue("warehouse_database")
        url = database.url.replace("postgresql+psycopg://", "postgresql://")
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
    FAILING.clear()
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        made.add_dynamic_partitions("shops", ["one", "two"])
        yield made


def run(instance: dg.DagsterInstance, asset: Any, partition: str | None = None) -> str:
    done = dg.materialize([asset], instance=instance, partition_key=partition, raise_on_error=False)
    return done.run_id


def age(instance: dg.DagsterInstance, *runs: str) -> None:
    """Makes runs a hundred days old."""
    then = (datetime.now(UTC) - timedelta(days=100)).replace(tzinfo=None)
    with instance.run_storage.connect() as connection:
        connection.execute(
            RunsTable.update().where(RunsTable.c.run_id.in_(runs)).values(create_timestamp=then)
        )


def there(instance: dg.DagsterInstance, runs: list[str]) -> list[bool]:
    found = set(instance.get_run_ids())
    return [one in found for one in runs]


def files(instance: dg.DagsterInstance, one: str) -> list[str]:
    return [str(path) for path in Path(instance.root_directory).rglob(f"*{one}*")]


def events(instance: dg.DagsterInstance, runs: list[str]) -> set[str]:
    """Those of the runs that have events."""
    storage: Any = instance.event_log_storage
    column = SqlEventLogStorageTable.c.run_id
    with storage.index_connection() as connection:
        found = connection.execute(select(column).where(column.in_(runs)))
        return {row[0] for row in found}


def test_an_old_run_goes_with_its_events_and_files(instance: dg.DagsterInstance) -> None:
    runs = [run(instance, orders, "one") for _ in range(3)]
    age(instance, *runs[:2])
    assert files(instance, runs[0])
    assert delete_runs(instance, BEFORE) == (2, 0)
    assert there(instance, runs) == [False, False, True]
    for gone in runs[:2]:
        assert files(instance, gone) == []
    assert events(instance, runs) == {runs[2]}
    assert files(instance, runs[2])
    assert instance.all_logs(runs[2])
    found = instance.fetch_materializations(orders.key, limit=10).records
    assert [record.run_id for record in found] == [runs[2]]


def test_every_partition_keeps_the_run_that_made_it(instance: dg.DagsterInstance) -> None:
    first, second, other = (run(instance, orders, key) for key in ("one", "one", "two"))
    FAILING.add("two")
    tried, failed = (run(instance, orders, "two") for _ in range(2))
    age(instance, first, second, other, tried, failed)
    assert delete_runs(instance, BEFORE) == (2, 3)
    # The newest attempt at `two` failed: it is red, and its last success is known.
    assert there(instance, [first, second, other, tried, failed]) == [
        False, True, True, False, True,
    ]  # fmt: skip
    made = instance.get_materialized_partitions(orders.key)
    assert made == {"one", "two"}
    red = instance.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations(  # noqa: E501
        orders.key
    )
    assert {key: one for key, (one, _) in red.items()} == {"two": failed}
    assert delete_runs(instance, BEFORE) == (0, 3)


def test_results_of_checks_go_with_their_runs_but_for_the_newest(
    instance: dg.DagsterInstance,
) -> None:
    runs = [run(instance, lists) for _ in range(3)]
    age(instance, *runs)
    assert delete_runs(instance, BEFORE) == (2, 1)
    storage: Any = instance.event_log_storage
    with storage.index_connection() as connection:
        found = connection.execute(select(AssetCheckExecutionsTable.c.run_id)).fetchall()
    assert [row[0] for row in found] == [runs[2]]
    latest = instance.get_latest_asset_check_evaluation_record(
        dg.AssetCheckKey(lists.key, "is_complete")
    )
    assert latest is not None
    assert latest.run_id == runs[2]


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ],
)
def test_a_run_that_is_under_way_stays_at_any_age(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    made = instance.create_run_for_job(
        dg.Definitions([lists]).resolve_implicit_global_asset_job_def()
    )
    with instance.run_storage.connect() as connection:
        connection.execute(
            RunsTable.update().where(RunsTable.c.run_id == made.run_id).values(status=status.value)
        )
    age(instance, made.run_id)
    assert delete_runs(instance, BEFORE) == (0, 0)
    assert there(instance, [made.run_id]) == [True]


def test_the_job_deletes_by_the_setting(
    warehouse_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in warehouse_database.settings_env.items():
        monkeypatch.setenv(name, value)
    with warehouse_database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "INSERT INTO registry.sync_runs (integration, kind, state, finished_at)"
            " SELECT 'shop', 'resync', 'succeeded', now() - age"
            " FROM unnest(ARRAY['100 days', '1 day']::interval[]) AS age"
        )
    builds = tmp_path / "builds"
    then = datetime.now(UTC).timestamp() - 100 * 86400
    for name in ("old", "new"):
        (builds / name).mkdir(parents=True)
    os.utime(builds / "old", (then, then))
    monkeypatch.setattr(run_retention, "BUILDS_DIR", builds)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        runs = [run(instance, lists) for _ in range(2)]
        age(instance, *runs)

        def execute(days: str) -> list[bool]:
            monkeypatch.setenv("CSCART_PIPELINES_RUN_RETENTION_DAYS", days)
            job = location().resolve_job_def("run_retention")
            assert job.execute_in_process(instance=instance).success
            return there(instance, runs)

        assert execute("0") == [True, True]
        assert execute("120") == [True, True]
        assert (builds / "old").exists()
        assert execute("90") == [False, True]
    with warehouse_database.connect() as connection:
        left = connection.execute("SELECT now() - finished_at < '2 days' FROM registry.sync_runs")
        assert left.fetchall() == [(True,)]
    assert [path.name for path in builds.iterdir()] == ["new"]


def test_the_schedule_is_on() -> None:
    schedule = location().resolve_schedule_def("run_retention_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING

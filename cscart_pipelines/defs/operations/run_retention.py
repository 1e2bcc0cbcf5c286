"""Old runs: Dagster keeps runs, their events and their logs for ever, so a job deletes them.

Kept at any age: runs that are under way, and those that hold what the UI shows of an asset, a
partition or a check now. Not here: ticks, which Dagster deletes (`retention` in `dagster.yaml`).
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from sqlalchemy import func, select

from cscart_pipelines.dbt_project import BUILDS_DIR
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import STARTED_BY
from cscart_pipelines.integrations.sync_runs import history
from cscart_pipelines.settings import read_settings

FINISHED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
SHOWN = (
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_FAILED_TO_MATERIALIZE,
    dg.DagsterEventType.ASSET_OBSERVATION,
)
"""The newest of each, per asset and partition, makes the state that the UI and sensors see."""
AT_ONCE = 500
"""Runs that are looked up, and whose check results are deleted, in one statement."""


@dg.op(name="delete_old_runs", description="Deletes runs with their events and logs.")
def delete_old_runs(context: dg.OpExecutionContext, pipelines: Pipelines) -> None:
    """Deletes what is older than CSCART_PIPELINES_RUN_RETENTION_DAYS; 0 keeps all."""
    days = read_settings().run_retention_days
    if days == 0:
        context.log.info("CSCART_PIPELINES_RUN_RETENTION_DAYS is 0: all runs are kept.")
        return
    before = datetime.now(UTC) - timedelta(days=days)
    deleted, kept = delete_runs(context.instance, before)
    folders = delete_build_folders(BUILDS_DIR, before)
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        records = history.delete_before(connection, before)
    context.add_output_metadata(
        {
            "runs_deleted": deleted,
            "runs_kept": kept,
            "records_of_synchronisations_deleted": records,
            "dbt_folders_deleted": folders,
            "days": days,
        }
    )


def delete_runs(instance: dg.DagsterInstance, before: datetime) -> tuple[int, int]:
    """Deletes finished runs with their events, check results and captured output.

    Args:
        instance: Of Dagster.
        before: Runs that were created earlier.

    Returns:
        How many were deleted, and how many of that age are kept because the UI shows them.
    """
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage), "runs are kept in SQLite or PostgreSQL"
    shown = _runs_shown(storage)
    deleted = kept = 0
    for ids in _old_runs(instance, before):
        old = [run for run in ids if run not in shown]
        kept += len(ids) - len(old)
        for run in old:
            _delete(instance, storage, run)
        with storage.index_connection() as connection:
            # Dagster leaves them; the newest one of each check belongs to a run that is kept.
            connection.execute(
                AssetCheckExecutionsTable.delete().where(
                    AssetCheckExecutionsTable.c.run_id.in_(old)
                )
            )
        deleted += len(old)
    return deleted, kept


def delete_build_folders(folder: Path, before: datetime) -> int:
    """Deletes what dbt has compiled and logged for builds of that age."""
    old = [one for one in folder.glob("*/") if one.stat().st_mtime < before.timestamp()]
    for one in old:
        shutil.rmtree(one, ignore_errors=True)
    return len(old)


def _old_runs(instance: dg.DagsterInstance, before: datetime) -> Iterator[list[str]]:
    """Ids, the newest first, in batches; a run that is deleted meanwhile moves no other."""
    filters = dg.RunsFilter(statuses=FINISHED, created_before=before)
    ids = list(instance.get_run_ids(filters))
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]


def _runs_shown(storage: SqlEventLogStorage) -> set[str]:
    """Runs with the newest event of a kind of an asset partition, or the newest result of a check.

    Without them a partition would be missing or lose its failure, for its events go with the run.
    """
    event, check = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
    newest = (
        select(func.max(event.id))
        .where(event.dagster_event_type.in_([kind.value for kind in SHOWN]))
        .group_by(event.dagster_event_type, event.asset_key, event.partition)
    )
    results = select(func.max(check.id)).group_by(
        check.asset_key, check.check_name, check.partition
    )
    runs = select(event.run_id).where(event.id.in_(newest))
    of_checks = select(check.run_id).where(check.id.in_(results))
    with storage.index_connection() as connection:
        return {row[0] for row in connection.execute(runs.union(of_checks))}


def _delete(instance: dg.DagsterInstance, storage: SqlEventLogStorage, run: str) -> None:
    instance.compute_log_manager.delete_logs(prefix=[run])
    instance.delete_run(run)
    if isinstance(storage, SqliteEventLogStorage):  # the file of the run's events is left empty
        file = Path(storage.path_for_shard(run))
        for suffix in ("", "-wal", "-shm", "-journal"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)


@dg.job(
    name="run_retention",
    tags={"dagster/max_runtime": str(3 * 3600)},
    description="Deletes runs and logs older than CSCART_PIPELINES_RUN_RETENTION_DAYS.",
)
def run_retention() -> None:
    """Deletes old runs with their events and logs."""
    delete_old_runs()


@dg.schedule(
    job=run_retention,
    cron_schedule="40 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night, between two synchronisations.",
)
def run_retention_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Requests the run of every night."""
    return dg.RunRequest(tags={STARTED_BY: "run retention"})

"""What follows by itself: partitions follow the registry, lists follow the synchronisations.

Sensors only look at the registry; none of them asks a shop anything. Not here: alerts.
"""

import time

import dagster as dg

from cscart_pipelines.defs.ingestion.jobs import build_lists, resync, resync_request
from cscart_pipelines.defs.shared import orphaned_runs
from cscart_pipelines.defs.shared.partitions import NAME, difference, integration_partitions
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.transformation.build_policy import (
    PATIENCE,
    BuildCursor,
    BuildState,
    Fate,
    decide,
)
from cscart_pipelines.integrations.sync_runs import history, optimistic_load
from cscart_pipelines.integrations.sync_runs.requested import delete_request, pending_requests

RUN_KEY = "dagster/run_key"
REQUEST_TAG = f"{orphaned_runs.HIDDEN}lists_request"


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="One partition per integration; ends synchronisations and runs whose process is"
    " gone.",
)
def sync_partitions(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.SensorResult | dg.SkipReason:
    """Adds and deletes partitions; marks what has no process any more as failed."""
    with pipelines.open() as app:
        released = app.registry.release_dead()
        integrations = app.registry.all()
    for key in released:
        context.log.warning(f"{key}: its synchronisation was dead and has been ended")
    for run_id in orphaned_runs.fail_orphaned(context.instance):
        context.log.warning(f"run {run_id}: its process is gone; marked as failed")
    present = list(context.instance.get_dynamic_partitions(NAME))
    add, delete = difference(integrations, present)
    if not add and not delete:
        return dg.SkipReason("The partitions are those of the registry.")
    requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if add:
        requests.append(integration_partitions.build_add_request(add))
    if delete:
        requests.append(integration_partitions.build_delete_request(delete))
    return dg.SensorResult(dynamic_partitions_requests=requests)


@dg.sensor(
    job=resync,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the synchronisations that were asked for with --background.",
)
def requested_syncs(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.SensorResult | dg.SkipReason:
    """A request is taken away once its run exists: a crash in between neither loses nor doubles it.

    Until then it is answered with the same run key, and Dagster starts one run for one key.
    What one command has asked for has one moment, and is one run.
    """
    present = list(context.instance.get_dynamic_partitions(NAME))
    wanted: list[dg.RunRequest] = []
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        for asked in pending_requests(connection):
            run_key = f"{'full' if asked.full else 'resync'}-{asked.requested_at.timestamp():.6f}"
            if _runs_of(context.instance, RUN_KEY, run_key):
                delete_request(connection, asked)
            elif set(asked.keys) <= set(present):
                request = resync_request(list(asked.keys), present, full=asked.full)
                wanted.append(request.with_replaced_attrs(run_key=run_key))
    if not wanted:
        return dg.SkipReason("No synchronisation was requested.")
    return dg.SensorResult(run_requests=wanted)


@dg.sensor(
    job=build_lists,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Rebuilds the lists after every synchronisation, however it was started.",
)
def rebuild_lists(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.SensorResult | dg.SkipReason:
    """Requests a build for syncs that no build contains; the cursor is a `BuildCursor`."""
    asked = BuildCursor.from_cursor(context.cursor)
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        finished = history.uncovered_by_builds(connection)
        running = history.running(connection)
    # What a visitor has just done does not wait for the synchronisations of other shops.
    waited = [(n, PATIENCE if kind == optimistic_load.KIND else age) for n, age, kind in finished]
    registry = BuildState(waited, sorted(row["id"] for row in running.values()))
    decision = decide(
        asked, registry, fate_of(context.instance, REQUEST_TAG, asked.request), time.time()
    )
    if isinstance(decision, str):
        return dg.SkipReason(decision)
    request = dg.RunRequest(run_key=decision.request, tags={REQUEST_TAG: decision.request or ""})
    return dg.SensorResult(run_requests=[request], cursor=decision.to_cursor())


def fate_of(instance: dg.DagsterInstance, tag: str, request: str | None) -> Fate:
    """Of the run with this tag; runs that Dagster starts again after a crash carry it too."""
    runs = _runs_of(instance, tag, request) if request else []
    if any(run.status is dg.DagsterRunStatus.SUCCESS for run in runs):
        return Fate.SUCCEEDED
    return Fate.UNDER_WAY if any(not run.is_finished for run in runs) else Fate.FAILED


def _runs_of(instance: dg.DagsterInstance, tag: str, value: str) -> list[dg.DagsterRun]:
    return list(instance.get_runs(filters=dg.RunsFilter(tags={tag: value})))

"""What follows by itself: partitions follow the registry, synchronisations the requests for them.

Sensors only look at the registry; none of them asks a shop anything. Not here: builds of the lists
(`transformation.sensors`), alerts.
"""

from dataclasses import replace

import dagster as dg

from cscart_pipelines.defs.ingestion.jobs import batches, resync, resync_request
from cscart_pipelines.defs.shared import orphaned_runs
from cscart_pipelines.defs.shared.partitions import NAME, difference, integration_partitions
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import runs_of
from cscart_pipelines.integrations.sync_runs.requested import delete_request, pending_requests

RUN_KEY = "dagster/run_key"


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
        orphaned = orphaned_runs.fail_orphaned(context.instance, app.warehouse)
    for key in released:
        context.log.warning(f"{key}: its synchronisation was dead and has been ended")
    for run_id in orphaned:
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
    What one command has asked for has one moment; it is one run, unless it is too much for one.
    """
    present = list(context.instance.get_dynamic_partitions(NAME))
    wanted: list[dg.RunRequest] = []
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        most = app.settings.integrations_per_run
        for asked in (
            replace(whole, keys=tuple(keys))
            for whole in pending_requests(connection)
            for keys in batches(whole.keys, most)
        ):
            moment = f"{asked.requested_at.timestamp():.6f}"
            run_key = f"{'full' if asked.full else 'resync'}-{moment}-{asked.keys[0]}"
            if runs_of(context.instance, RUN_KEY, run_key):
                delete_request(connection, asked)
            elif set(asked.keys) <= set(present):
                request = resync_request(list(asked.keys), present, full=asked.full)
                wanted.append(request.with_replaced_attrs(run_key=run_key))
    if not wanted:
        return dg.SkipReason("No synchronisation was requested.")
    return dg.SensorResult(run_requests=wanted)

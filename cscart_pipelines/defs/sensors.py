"""What follows by itself: partitions follow the registry, lists follow the synchronisations.

Sensors only look at the registry; none of them asks a shop anything. Not here: alerts.
"""

import dagster as dg

from cscart_pipelines.defs.jobs import build_lists, resync, resync_request
from cscart_pipelines.defs.partitions import NAME, difference, integration_partitions
from cscart_pipelines.defs.resources import Pipelines


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="One partition per integration; ends synchronisations whose process is gone.",
)
def follow_registry(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.SensorResult | dg.SkipReason:
    with pipelines.open() as premises:
        released = premises.registry.release_dead()
        integrations = premises.registry.all()
    for key in released:
        context.log.warning(f"{key}: its synchronisation was dead and has been ended")
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
def start_requested(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.SensorResult | dg.SkipReason:
    """A request is taken once its integration has a partition, in the order of asking."""
    present = list(context.instance.get_dynamic_partitions(NAME))
    with pipelines.open() as premises, premises.warehouse.connect(autocommit=True) as connection:
        taken = connection.execute(
            "DELETE FROM registry.sync_requests WHERE integration = ANY(%s)"
            " RETURNING integration, whole",
            [present],
        ).fetchall()
    if not taken:
        return dg.SkipReason("Nothing was asked for.")
    return dg.SensorResult(
        run_requests=[resync_request([key], present, full=whole) for key, whole in taken]
    )


@dg.sensor(
    job=build_lists,
    minimum_interval_seconds=20,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Rebuilds the lists after any synchronisation, whoever started it.",
)
def rebuild_lists(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.SensorResult | dg.SkipReason:
    """The cursor is the last synchronisation that a build was asked for."""
    with pipelines.open() as premises, premises.warehouse.connect(autocommit=True) as connection:
        row = connection.execute(
            """
            SELECT (SELECT coalesce(max(id), 0) FROM registry.sync_runs WHERE state <> 'running'),
                   (SELECT coalesce(max(covers_sync), 0) FROM registry.list_builds),
                   (SELECT count(*) FROM registry.sync_runs WHERE state = 'running')
            """
        ).fetchone()
    assert row is not None
    newest, covered, running = row
    asked = int(context.cursor or 0)
    if newest <= max(covered, asked):
        return dg.SkipReason("Every synchronisation is in the lists.")
    if running and newest - max(covered, asked) < 50:
        # An hourly run over many shops ends one shop after the other: one build at its end.
        return dg.SkipReason(f"{running} synchronisations are still running.")
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"lists-{newest}")], cursor=str(newest)
    )

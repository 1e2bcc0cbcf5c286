"""The daily rotation of the partitions of raw events: coming days are made, old ones dropped.

Not here: how long events stay (`onsite.retention`).
"""

# Without `from __future__ import annotations`: Dagster reads the annotations as they are.
import dagster as dg

from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import STARTED_BY
from cscart_pipelines.onsite import retention

AHEAD_ENOUGH = "Days ahead without a partition are taken by onsite.events_other until it is made."


@dg.op(
    name="rotate_event_partitions",
    description="Makes partitions of coming days and drops old ones.",
)
def rotate_event_partitions(context: dg.OpExecutionContext, pipelines: Pipelines) -> None:
    """Rotates the partitions; the log names those that were locked and are tried again tomorrow."""
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        report = retention.keep(connection)
    for name in report.postponed:
        context.log.warning(f"{name} was in use and is dropped tomorrow. {AHEAD_ENOUGH}")
    context.add_output_metadata(
        {
            "partitions_made": ", ".join(report.made) or "none",
            "partitions_dropped": ", ".join(report.dropped) or "none",
            "rows_moved": report.moved,
            "rows_deleted": report.deleted,
            "postponed": len(report.postponed),
        }
    )


@dg.job(
    name="onsite_retention",
    tags={"dagster/max_runtime": str(3600)},
    description="Keeps raw onsite events for as long as each integration says.",
)
def onsite_retention() -> None:
    """Rotates the partitions of raw onsite events."""
    rotate_event_partitions()


@dg.schedule(
    job=onsite_retention,
    cron_schedule="20 2 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night, between two synchronisations.",
)
def onsite_retention_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Requests the run of every night."""
    return dg.RunRequest(tags={STARTED_BY: "onsite retention"})

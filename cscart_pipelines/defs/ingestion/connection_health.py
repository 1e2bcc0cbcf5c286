"""The early-warning connection test as a job of its own, between the hourly synchronisations.

Not here: how a connection is tested (`integrations.early_warning`).
"""

import dagster as dg

from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.integrations import connection_health


@dg.op(name="check_shop_connections", pool="shop_api")
def check_shop_connections(context: dg.OpExecutionContext, pipelines: Pipelines) -> None:
    """One light request per enabled shop; fails, and so alerts, when a shop refuses for good."""
    with pipelines.open() as app:
        findings = connection_health.check_connections(app.warehouse, app.registry)
    for finding in findings:
        context.log.warning(f"{finding.integration}: {finding.reason}")
    lasting = [finding for finding in findings if finding.permanent]
    context.add_output_metadata({"shops_in_trouble": len(findings), "failed": len(lasting)})
    if lasting:
        raise dg.Failure(
            description="; ".join(f"{one.integration}: {one.reason}" for one in lasting)[:2000],
            allow_retries=False,
        )


@dg.job(
    name="test_connections",
    description="Connection test of every enabled shop: reachable, credentials accepted.",
)
def connections_job() -> None:
    check_shop_connections()


@dg.schedule(
    job=connections_job,
    cron_schedule="30 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At half past every hour, between two synchronisations.",
)
def early_warning_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest(tags={"cscart/started_by": "early warning"})

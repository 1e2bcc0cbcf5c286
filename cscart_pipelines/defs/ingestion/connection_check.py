"""The connection check of all shops as a job of its own, between the hourly synchronisations.

Not here: what is checked, and the test of a new connection (`integrations`).
"""

import dagster as dg

from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import STARTED_BY
from cscart_pipelines.integrations import connection_check


@dg.op(name="check_shop_connections", pool="shop_api")
def check_shop_connections(context: dg.OpExecutionContext, pipelines: Pipelines) -> None:
    """Sends one light request to each enabled shop.

    Raises:
        dagster.Failure: a shop refuses for a reason that does not pass by itself.
    """
    with pipelines.open() as app:
        findings = connection_check.check_connections(app.warehouse, app.registry)
    for finding in findings:
        context.log.warning(f"{finding.integration}: {finding.reason}")
    lasting = [finding for finding in findings if finding.lasting]
    context.add_output_metadata({"shops_in_trouble": len(findings), "failed": len(lasting)})
    if lasting:
        raise dg.Failure(
            description="; ".join(f"{one.integration}: {one.reason}" for one in lasting)[:2000],
            allow_retries=False,
        )


@dg.job(
    name="check_connections",
    description="Connection check of every enabled shop: reachable, credentials accepted.",
)
def check_connections() -> None:
    """Checks the connection of every enabled shop."""
    check_shop_connections()


@dg.schedule(
    job=check_connections,
    cron_schedule="30 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At half past every hour, between two synchronisations.",
)
def check_connections_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Requests the run of every hour."""
    return dg.RunRequest(tags={STARTED_BY: "connection check"})

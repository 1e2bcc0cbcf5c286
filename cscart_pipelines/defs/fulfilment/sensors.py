"""What starts a push by itself: something in the inbox, or an integration's own clock.

The sensors look at the warehouse and the watched folder; no shop is asked anything. Run keys are
remembered for ever, and the same shipments may be tried again, so each request has a key of its own
moment; what keeps it from being made twice is the look at the runs that are not over. Not here: the
rules of when (`write_back_clock`).
"""

import time
from zoneinfo import ZoneInfo

import dagster as dg

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs.fulfilment import due as fulfilment_due
from cscart_pipelines.defs.fulfilment.jobs import push_stock, push_tracking
from cscart_pipelines.defs.fulfilment.stock_schedule import (
    Clock,
    PushRequests,
    due_keys,
    resume,
    to_ask,
)
from cscart_pipelines.defs.ingestion.jobs import LARGEST_RUN
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.fulfilment import push_session

TAG = "cscart/started_by"
INBOX, CLOCK = "fulfilment inbox", "stock clock"
BATCH = 500
"""Orders of one integration in one run: a shop with thousands must not keep the others waiting."""
NOT_OVER = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""Not those that were made and never handed over, because the daemon died: nobody ends them."""


@dg.sensor(
    job_name=push_tracking.name,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Pushes tracking numbers as soon as something waits: rows in the inbox, files in"
    " the watched folder, writes whose outcome is not known yet. One run at a time for all shops.",
)
def fulfilment_inbox(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.SensorResult | dg.SkipReason:
    """The cursor is what was asked for last, see `write_back_clock.Asked`."""
    if _runs(context.instance, push_tracking.name, INBOX):
        return dg.SkipReason("A push is queued or running.")
    now = time.time()
    asked = PushRequests.from_cursor(context.cursor)
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        waiting = fulfilment_due.waiting(app, connection, "shipments")
        for key in fulfilment_due.busy(connection, waiting):
            waiting.pop(key)  # whoever writes there takes what waits, or leaves it to the next look
    keys, asked = to_ask(waiting, asked, now)
    if not keys:
        why = (
            "What waits was tried a moment ago; it is tried again later."
            if waiting
            else "Nothing waits that can be pushed now."
        )
        return dg.SensorResult(skip_reason=why, cursor=asked.to_cursor())
    request = dg.RunRequest(
        run_key=f"inbox-{now:.3f}",
        run_config={"only": keys, "limit": BATCH},
        tags={TAG: INBOX, "cscart/integrations": str(len(keys))},
    )
    return dg.SensorResult(run_requests=[request], cursor=asked.to_cursor())


@dg.sensor(
    job_name=push_stock.name,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Pushes stock levels at each integration's own times, and tries again after a"
    " failure. Times missed while the daemon was down are made up for once.",
)
def stock_schedule(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.SensorResult | dg.SkipReason:
    """The cursor is the last look, see `write_back_clock.Clock`."""
    now = time.time()
    clock = Clock.from_cursor(context.cursor)
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        due = push_session.due(connection, "stock")
        failed = fulfilment_due.failed(connection, "stock") & due
        again = failed & set(fulfilment_due.waiting(app, connection, "stock") if failed else ())
        in_runs = _in_runs(context.instance)
        # Who failed a moment ago is not due, not even at his own time: it comes under `again`.
        came = {*(due & set(due_keys(_schedules(app), clock, now))), *(again - in_runs)}
        came = set(fulfilment_due.pushable(app, "stock", came))
        # Whose run is not over is owed: what that run has read may be older than this time.
        busy = fulfilment_due.busy(connection, came) | in_runs
    keys, after = resume(came, busy, now)
    if not keys:
        return dg.SensorResult(
            skip_reason="No integration's stock schedule is due.", cursor=after.to_cursor()
        )
    requests = [
        dg.RunRequest(
            run_key=f"stock-{now:.3f}-{start}",
            run_config={"only": keys[start : start + LARGEST_RUN]},
            tags={TAG: CLOCK, "cscart/integrations": str(len(keys[start : start + LARGEST_RUN]))},
        )
        for start in range(0, len(keys), LARGEST_RUN)
    ]
    return dg.SensorResult(run_requests=requests, cursor=after.to_cursor())


def _schedules(app: AppContext) -> dict[str, tuple[str, ZoneInfo]]:
    return {
        one.key: (one.settings.stock_schedule, one.settings.zone)
        for one in app.registry.all()
        if one.settings.update_stock and one.settings.stock_schedule
    }


def _runs(instance: dg.DagsterInstance, job: str, started_by: str) -> list[dg.DagsterRun]:
    """Those that are not over, also ones that Dagster started again after a crash."""
    filters = dg.RunsFilter(job_name=job, statuses=NOT_OVER, tags={TAG: started_by})
    return list(instance.get_runs(filters=filters))


def _in_runs(instance: dg.DagsterInstance) -> set[str]:
    """Integrations that a run which is not over will push to."""
    found: set[str] = set()
    for run in _runs(instance, push_stock.name, CLOCK):
        only = run.run_config.get("only")
        found.update(str(key) for key in (only if isinstance(only, list) else ()))
    return found

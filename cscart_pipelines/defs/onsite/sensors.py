"""What starts a targeted sync: changes that the collector has put into the queue.

The sensor reads the change queue only; no shop is asked. Not here: the run (`jobs`).
"""

import time

import dagster as dg

from cscart_pipelines.defs.onsite.jobs import allowed, follow_onsite
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import (
    INTEGRATIONS,
    STARTED_BY,
    RequestCursor,
    keys_to_request,
    unfinished_runs,
)
from cscart_pipelines.onsite import change_queue

SENSOR = "onsite events"
"""Value of the tag `STARTED_BY`."""


@dg.sensor(
    job_name=follow_onsite.name,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Follows visits into the shops: what the collector saw touched is read again. One"
    " run at a time for all shops.",
)
def onsite_events(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.SensorResult | dg.SkipReason:
    """Requests a run for the changes that wait; the cursor is a `RequestCursor`."""
    if unfinished_runs(context.instance, follow_onsite.name, SENSOR):
        return dg.SkipReason("A run of follow_onsite is queued or running.")
    now = time.time()
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        change_queue.drop_needless(connection)
        waiting = change_queue.waiting(connection)
        may_be_asked = allowed(app, waiting)
    waiting = {key: what for key, what in waiting.items() if key in may_be_asked}
    keys, cursor = keys_to_request(waiting, RequestCursor.from_cursor(context.cursor), now)
    if not keys:
        why = "What waits was requested a moment ago." if may_be_asked else "Nothing is due."
        return dg.SensorResult(skip_reason=why, cursor=cursor.to_cursor())
    request = dg.RunRequest(
        run_key=f"onsite-{now:.3f}",
        run_config={"ops": {"sync_touched_records": {"config": {"only": keys}}}},
        tags={STARTED_BY: SENSOR, INTEGRATIONS: str(len(keys))},
    )
    return dg.SensorResult(run_requests=[request], cursor=cursor.to_cursor())

"""What starts by itself: pulls after synchronisations; pushes of what waits, or by schedule.

The sensors read the warehouse and the drop folder; no shop is asked. Not here: the rules of when
(`order_pull_policy`, `stock_schedule`, `shared.run_requests`), what waits
(`fulfilment.pushes.due`).
"""

import time
from zoneinfo import ZoneInfo

import dagster as dg

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs.fulfilment.jobs import (
    ORDERS_REQUEST,
    pull_orders,
    pull_request,
    push_stock,
    push_tracking,
)
from cscart_pipelines.defs.fulfilment.order_pull_policy import PullCursor, decide
from cscart_pipelines.defs.fulfilment.stock_schedule import ScheduleCursor, due_keys, split_busy
from cscart_pipelines.defs.ingestion.jobs import batches
from cscart_pipelines.defs.shared.partitions import NAME
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import (
    INTEGRATIONS,
    STARTED_BY,
    RequestCursor,
    fate_of,
    keys_to_request,
    unfinished_runs,
)
from cscart_pipelines.fulfilment import last_push_runs
from cscart_pipelines.fulfilment.pushes import due
from cscart_pipelines.integrations.settings import uses_fulfilment
from cscart_pipelines.integrations.sync_runs import history

INBOX, SCHEDULE = "fulfilment inbox", "stock schedule"
"""Values of the tag `STARTED_BY`."""
BATCH = 500
"""Orders of one integration in one run: a shop with thousands must not keep the others waiting."""


@dg.sensor(
    job=pull_orders,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Pulls orders after each successful synchronisation of an integration that uses"
    " fulfilment: one with a client id, a prefix, a filter of orders, or an update switched on.",
)
def pull_after_sync(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.SensorResult | dg.SkipReason:
    """Requests a pull for integrations that were synchronised; the cursor is a `PullCursor`."""
    pulled = PullCursor.from_cursor(context.cursor)
    present = list(context.instance.get_dynamic_partitions(NAME))
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        users = {one.key for one in app.registry.all() if uses_fulfilment(one.settings)}
        synced = {
            key: number
            for key, number in history.last_succeeded(connection).items()
            if key in users and key in present
        }
    fate = fate_of(context.instance, ORDERS_REQUEST, pulled.request)
    decision = decide(pulled, synced, fate, time.time())
    if isinstance(decision, str):
        return dg.SkipReason(decision)
    keys, after = decision
    request = pull_request(keys, present, after.request)
    return dg.SensorResult(run_requests=[request], cursor=after.to_cursor())


@dg.sensor(
    job_name=push_tracking.name,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Pushes tracking numbers as soon as something waits: rows in the inbox, files in"
    " the drop folder, writes whose outcome is not known yet. One run at a time for all shops.",
)
def fulfilment_inbox(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.SensorResult | dg.SkipReason:
    """Requests a run for the shipments that wait; the cursor is a `RequestCursor`."""
    if unfinished_runs(context.instance, push_tracking.name, INBOX):
        return dg.SkipReason("A push is queued or running.")
    now = time.time()
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        waiting = due.waiting(app, connection, "shipments")
        for key in due.busy(connection, waiting):
            waiting.pop(key)  # the push under way takes what waits, or leaves it to the next look
    keys, cursor = keys_to_request(waiting, RequestCursor.from_cursor(context.cursor), now)
    if not keys:
        why = (
            "What waits was tried a moment ago; it is tried again later."
            if waiting
            else "Nothing waits that can be pushed now."
        )
        return dg.SensorResult(skip_reason=why, cursor=cursor.to_cursor())
    request = dg.RunRequest(
        run_key=f"inbox-{now:.3f}",
        run_config={"only": keys, "limit": BATCH},
        tags={STARTED_BY: INBOX, INTEGRATIONS: str(len(keys))},
    )
    return dg.SensorResult(run_requests=[request], cursor=cursor.to_cursor())


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
    """Requests runs for the stock that is due; the cursor is a `ScheduleCursor`."""
    now = time.time()
    cursor = ScheduleCursor.from_cursor(context.cursor)
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        may_start = last_push_runs.due(connection, "stock")
        failed = last_push_runs.failures(connection, "stock").keys() & may_start
        again = failed & set(due.waiting(app, connection, "stock") if failed else ())
        in_runs = _in_unfinished_runs(context.instance)
        # An integration in its back-off is not due, even at its own time: it comes under `again`.
        scheduled = set(due_keys(_schedules(app), cursor, now))
        came = set(due.pushable(app, "stock", {*(may_start & scheduled), *(again - in_runs)}))
        # One in an unfinished run is owed: what that run has read may be older than this time.
        busy = due.busy(connection, came) | in_runs
    keys, after = split_busy(came, busy, now)
    if not keys:
        return dg.SensorResult(
            skip_reason="No integration's stock schedule is due.", cursor=after.to_cursor()
        )
    requests = [
        dg.RunRequest(
            run_key=f"stock-{now:.3f}-{number}",
            run_config={"only": batch},
            tags={STARTED_BY: SCHEDULE, INTEGRATIONS: str(len(batch))},
        )
        for number, batch in enumerate(batches(keys, app.settings.integrations_per_run))
    ]
    return dg.SensorResult(run_requests=requests, cursor=after.to_cursor())


def _schedules(app: AppContext) -> dict[str, tuple[str, ZoneInfo]]:
    return {
        one.key: (one.settings.stock_schedule, one.settings.zone)
        for one in app.registry.all()
        if one.settings.update_stock and one.settings.stock_schedule
    }


def _in_unfinished_runs(instance: dg.DagsterInstance) -> set[str]:
    """Returns the integrations that a queued or running run will push stock to."""
    found: set[str] = set()
    for run in unfinished_runs(instance, push_stock.name, SCHEDULE):
        only = run.run_config.get("only")
        found.update(str(key) for key in (only if isinstance(only, list) else ()))
    return found

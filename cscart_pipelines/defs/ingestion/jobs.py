"""The job that synchronises shops, its hourly schedule, and requests for runs of it.

Not here: the job that builds the lists (`transformation.jobs`).
"""

import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from cscart_pipelines.defs.ingestion.assets import read_shop
from cscart_pipelines.defs.shared.partitions import NAME
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import INTEGRATIONS
from cscart_pipelines.integrations.lifecycle import Action, rejection_reason
from cscart_pipelines.settings import read_spread_minutes

resync = dg.define_asset_job(
    "resync",
    selection=dg.AssetSelection.assets(read_shop),
    tags={"dagster/max_runtime": str(24 * 3600)},
    description="Reads shops into the raw tables. A partition is an integration.",
)

SLOT_MINUTES = 5
SLOTS = -(-read_spread_minutes() // SLOT_MINUTES)
"""In so many groups integrations are synchronised, five minutes apart; 0: all at the full hour."""


def cron_of(slots: int) -> str:
    """The times at which integrations are looked at, for a number of groups."""
    return f"0-{slots * SLOT_MINUTES - 1}/{SLOT_MINUTES} * * * *" if slots > 1 else "0 * * * *"


def in_slot(keys: Sequence[str], moment: datetime, slots: int) -> list[str]:
    """Returns the integrations whose minute of the hour has come: always the same for one key."""
    slot = moment.minute // SLOT_MINUTES
    return [key for key in keys if zlib.crc32(key.encode()) % slots == slot]


def batches(keys: Sequence[str], most: int) -> Iterator[list[str]]:
    """Yields the integrations of each run.

    Args:
        keys: Integrations, in the order of their partitions.
        most: Setting `integrations_per_run`. Of hundreds, the last should not wait for all others.
    """
    for start in range(0, len(keys), most):
        yield list(keys[start : start + most])


@dg.schedule(
    job=resync,
    cron_schedule=cron_of(SLOTS),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour, all integrations that are due, in runs of at most"
    " CSCART_PIPELINES_INTEGRATIONS_PER_RUN.",
)
def hourly_resync(
    context: dg.ScheduleEvaluationContext, pipelines: Pipelines
) -> list[dg.RunRequest] | dg.RunRequest | dg.SkipReason:
    """Requests the synchronisation of the integrations that are due."""
    with pipelines.open() as app:
        app.registry.release_dead()
        due: list[str] = []
        not_due: list[str] = []
        for integration, standing in app.registry.standings():
            (not_due if rejection_reason(Action.SCHEDULED, standing) else due).append(
                integration.key
            )
    present = list(context.instance.get_dynamic_partitions(NAME))
    wanted = set(due)
    due = [key for key in present if key in wanted]  # in the order of ranges
    if SLOTS > 1:
        due = in_slot(due, context.scheduled_execution_time, SLOTS)
    if not due:
        return dg.SkipReason(f"No integration is due ({len(not_due)} are not).")
    requests = [
        resync_request(batch, present, scheduled=True)
        for batch in batches(due, app.settings.integrations_per_run)
    ]
    return requests[0] if len(requests) == 1 else requests


def resync_request(
    keys: list[str], present: list[str], *, scheduled: bool = False, full: bool = False
) -> dg.RunRequest:
    """Returns the run that synchronises these integrations.

    Args:
        keys: the integrations.
        present: all partitions, in their order.
        scheduled: leave out integrations whose failure needs a person.
        full: read everything again, not only what changed.
    """
    config = {"only": keys, "scheduled": scheduled, "full": full}
    return range_request("read_shop", keys, present, config)


def range_request(
    step: str, keys: list[str], present: list[str], config: dict[str, Any]
) -> dg.RunRequest:
    """Returns one run over these integrations.

    Its partitions are the range that holds them; their keys are `only` in the configuration of the
    step. One without a partition has just been disabled or removed; the step says so.

    Args:
        step: name of the op.
        keys: the integrations.
        present: all partitions, in their order.
        config: of the step.
    """
    places = sorted(present.index(key) for key in keys if key in present)
    tags = {}
    partition = None
    if len(places) == 1:
        partition = present[places[0]]
    elif places:
        tags[INTEGRATIONS] = str(len(keys))
        tags["dagster/asset_partition_range_start"] = present[places[0]]
        tags["dagster/asset_partition_range_end"] = present[places[-1]]
    return dg.RunRequest(
        partition_key=partition,
        tags=tags,
        run_config={"ops": {step: {"config": config}}},
    )

"""The job that synchronises shops, its hourly schedule, and requests for runs of it.

Not here: the job that builds the lists (`transformation.jobs`).
"""

from typing import Any

import dagster as dg

from cscart_pipelines.defs.ingestion.assets import read_shop
from cscart_pipelines.defs.shared.partitions import NAME
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.integrations.lifecycle import Action, rejection_reason

resync = dg.define_asset_job(
    "resync",
    selection=dg.AssetSelection.assets(read_shop),
    tags={"dagster/max_runtime": str(24 * 3600)},
    description="Reads shops into the raw tables. A partition is an integration.",
)

LARGEST_RUN = 250
"""Integrations in one scheduled run: with hundreds, the last should not wait for all others."""


@dg.schedule(
    job=resync,
    cron_schedule="0 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every hour, all integrations that are due, in one run (of at most 250).",
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
    if not due:
        return dg.SkipReason(f"No integration is due ({len(not_due)} are not).")
    batches = [due[start : start + LARGEST_RUN] for start in range(0, len(due), LARGEST_RUN)]
    requests = [resync_request(batch, present, scheduled=True) for batch in batches]
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
        tags["cscart/integrations"] = str(len(keys))
        tags["dagster/asset_partition_range_start"] = present[places[0]]
        tags["dagster/asset_partition_range_end"] = present[places[-1]]
    return dg.RunRequest(
        partition_key=partition,
        tags=tags,
        run_config={"ops": {step: {"config": config}}},
    )

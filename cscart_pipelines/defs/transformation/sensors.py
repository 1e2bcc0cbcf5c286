"""Lists follow what they are made of: the sensor that builds those that are due.

It reads the registry and the runs; no shop is asked anything. Not here: the rules (`build_policy`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg

from cscart_pipelines.defs.shared.partitions import NAME
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import UNFINISHED
from cscart_pipelines.defs.transformation.assets import lists
from cscart_pipelines.defs.transformation.build_policy import decide
from cscart_pipelines.defs.transformation.jobs import build_lists, build_request
from cscart_pipelines.integrations import list_builds


@dg.sensor(
    job=build_lists,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Builds the lists that are due: after a synchronisation that changed something,"
    " after a change of settings, on a new day of the shop.",
)
def rebuild_lists(
    context: dg.SensorEvaluationContext, pipelines: Pipelines
) -> dg.RunRequest | dg.SkipReason:
    """Requests one run for the lists that are due and that no other run is building."""
    # The runs first: a build that ends in between is then looked at as under way.
    under_way = builds_under_way(context.instance)
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        states = list_builds.states(connection)
    decision = decide(states, under_way, datetime.now(UTC))
    if isinstance(decision, str):
        return dg.SkipReason(decision)
    present = context.instance.get_dynamic_partitions(NAME)
    keys = [key for key in decision if key in present]
    if not keys:
        return dg.SkipReason("The partitions of the lists that are due do not exist yet.")
    return build_request(keys, present=present)


def builds_under_way(instance: dg.DagsterInstance) -> list[Collection[str]]:
    """The integrations of each build that is queued or running.

    A run that was started without naming any, over a range of partitions for instance, is left out:
    its lists may be built once more, one after the other.
    """
    runs = instance.get_runs(filters=dg.RunsFilter(job_name=build_lists.name, statuses=UNFINISHED))
    configs = [cast("dict[str, Any]", run.run_config) for run in runs]
    return [
        config.get("ops", {}).get(lists.op.name, {}).get("config", {}).get("only", ())
        for config in configs
    ]

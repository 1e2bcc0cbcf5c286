"""The job that builds lists, segments and metrics, and the request for a run of it.

A job apart from `resync`, so that one bad shop never keeps another's list from being built. Not
here: when a list is due (`integrations.list_builds`), when it is built (`build_policy`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from cscart_pipelines.dbt_project import LONGEST_BUILD
from cscart_pipelines.defs.shared.run_requests import INTEGRATIONS
from cscart_pipelines.defs.transformation.assets import lists

build_lists = dg.define_asset_job(
    "build_lists",
    selection=dg.AssetSelection.assets(lists),
    tags={"dagster/max_runtime": str(LONGEST_BUILD)},
    description="Builds lists, segments and metrics from the raw tables. A partition is an"
    " integration.",
)


def build_request(
    keys: Sequence[str],
    *,
    present: Sequence[str],
    full_refresh: bool = False,
    as_of: str | None = None,
) -> dg.RunRequest:
    """One run that builds the lists of these integrations.

    Args:
        keys: Integrations.
        present: The partitions that exist, that of one of these among them.
        full_refresh: Write every row anew, not only what differs.
        as_of: What the models take for now, ISO 8601 with an offset.

    Returns:
        A request with the partition of the first of them, since Dagster runs partitioned assets
        with one alone, and with all of them in its config: a range of partitions would plan those
        between the first and the last as well.
    """
    config: dict[str, Any] = {"only": list(keys), "full_refresh": full_refresh}
    if as_of is not None:
        config["as_of"] = as_of
    return dg.RunRequest(
        partition_key=next((key for key in keys if key in present), None),
        tags={INTEGRATIONS: str(len(keys))} if len(keys) > 1 else {},
        run_config={"ops": {lists.op.name: {"config": config}}},
    )

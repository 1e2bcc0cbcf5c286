"""The job that builds lists, segments and metrics, and the request for a run of it.

A job apart from `resync`, so that one bad shop never keeps another's list from being built. Not
here: when a list is due (`sensors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from cscart_pipelines.defs.shared.run_requests import INTEGRATIONS
from cscart_pipelines.defs.transformation.assets import lists

STEP = "build_models"

build_lists = dg.define_asset_job(
    "build_lists",
    selection=dg.AssetSelection.assets(lists),
    tags={"dagster/max_runtime": str(3 * 3600)},
    description="Builds lists, segments and metrics from the raw tables. A partition is an"
    " integration.",
)


def build_request(
    keys: Sequence[str],
    *,
    present: Sequence[str] = (),
    full_refresh: bool = False,
    as_of: str | None = None,
) -> dg.RunRequest:
    """One run that builds the lists of these integrations.

    Args:
        keys: Integrations; none means all.
        present: The partitions that exist.
        full_refresh: Write every row anew, not only what differs.
        as_of: What the models take for now, ISO 8601 with an offset.

    Returns:
        A request with a partition for one integration. Several are named in the config alone: a
        range of partitions would plan those between the first and the last as well.
    """
    config: dict[str, Any] = {"only": list(keys), "full_refresh": full_refresh}
    if as_of is not None:
        config["as_of"] = as_of
    return dg.RunRequest(
        partition_key=keys[0] if len(keys) == 1 and keys[0] in present else None,
        tags={INTEGRATIONS: str(len(keys))} if len(keys) > 1 else {},
        run_config={"ops": {STEP: {"config": config}}},
    )

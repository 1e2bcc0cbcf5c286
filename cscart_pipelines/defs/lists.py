"""Lists, segments and metrics: the dbt models as assets, built in one step.

One build covers every integration. Two builds at once would take each other's tables away, so each
holds an advisory lock in the warehouse. Not here: what the models say (`dbt_project/`).
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from cscart_pipelines.defs.dbt_project import Translator, dbt_executable, dbt_project
from cscart_pipelines.defs.resources import Pipelines

BUILD_LOCK = 0x6C69737473
"""Advisory lock of a build; any number that nobody else takes."""

project = dbt_project()


class BuildConfig(dg.Config):
    """How the models are built."""

    as_of: str | None = None
    """What the models take for now: an ISO time with offset. By default the time of the run."""


@dbt_assets(
    manifest=project.manifest_path,
    project=project,
    dagster_dbt_translator=Translator(),
    name="build_models",
    pool="dbt",
)
def lists(
    context: dg.AssetExecutionContext,
    config: BuildConfig,
    dbt: DbtCliResource,
    pipelines: Pipelines,
) -> Iterator[Any]:
    """Runs `dbt build` over the warehouse: models and their tests, as assets and checks."""
    as_of = config.as_of or datetime.now(UTC).isoformat()
    datetime.fromisoformat(as_of)
    with pipelines.open() as premises, premises.warehouse.connect(autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [BUILD_LOCK])
        row = connection.execute(
            "SELECT coalesce(max(id), 0) FROM registry.sync_runs WHERE state <> 'running'"
        ).fetchone()
        # dbt runs as a process of its own and takes the connection from its environment.
        os.environ.update(premises.warehouse.dbt_environment())
        arguments = ["build", "--exclude-resource-type", "unit_test",
                     "--vars", json.dumps({"as_of": as_of})]  # fmt: skip
        yield from dbt.cli(arguments, context=context).stream()
        if len(context.selected_asset_keys) == len(lists.keys):
            connection.execute(
                "INSERT INTO registry.list_builds (run_id, covers_sync, as_of) VALUES (%s, %s, %s)",
                [context.run_id, row and row[0], as_of],
            )


@dg.definitions
def dbt_resources() -> dg.Definitions:
    return dg.Definitions(
        resources={"dbt": DbtCliResource(project_dir=project, dbt_executable=dbt_executable())}
    )

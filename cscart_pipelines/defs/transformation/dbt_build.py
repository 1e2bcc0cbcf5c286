"""Invocations of dbt, to build some integrations or to test all, and what Dagster is told of them.

Not here: which integrations are built together (`assets`), where the project lies (`dbt_project`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster_dbt import DbtCliInvocation, DbtCliResource
from dagster_dbt.compat import DBT_PYTHON_VERSION

from cscart_pipelines.defs.shared.asset_specs import CODE_VERSION
from cscart_pipelines.defs.transformation.dbt_project import (
    builds_folder,
    dbt_project,
    models_version,
    translator,
)
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines.warehouse.driver import Connection
from cscart_pipelines.warehouse.reports import count_rows

KEPT_BUILDS = 5
"""What dbt compiled and logged is kept for that many builds, and for all that may be running."""
LONGEST_BUILD = 3 * 3600
"""Seconds after which Dagster ends a build."""
DAILY = "daily"
"""The tag of tests of data that are too expensive for every build."""
BUILT = (
    "--exclude-resource-type", "unit_test", "--exclude-resource-type", "exposure",
    "--exclude", f"tag:{DAILY}",
)  # fmt: skip
"""What a build leaves out."""
PARSED = "partial_parse.msgpack"
"""What dbt has parsed; it reads again only the files that have changed since."""

project = dbt_project()
Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation


class DbtOfThisEnvironment(DbtCliResource):
    """dbt, begun without what each invocation of dagster-dbt prepares and no build here uses.

    That is a process for `dbt --version`, which also asks PyPI for newer ones, and an adapter with
    all macros parsed, for row counts and metadata of columns.
    """

    @property
    def _cli_version(self) -> Any:
        return DBT_PYTHON_VERSION

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


def build_events(
    context: dg.AssetExecutionContext,
    dbt: DbtCliResource,
    warehouse: Warehouse,
    keys: Sequence[str],
    as_of: datetime,
    *,
    full_refresh: bool,
) -> Iterator[Event]:
    """Builds the selected models for some integrations; yields an event for each model and test.

    Raises:
        DagsterDbtCliRuntimeError: A model or a test has failed, or dbt could not begin.
    """
    arguments = ["build", *BUILT]
    if full_refresh:
        arguments.append("--full-refresh")
    variables = {
        **warehouse.dbt_environment(),
        "CSCART_PIPELINES_DBT_INTEGRATIONS": ",".join(keys),
        "CSCART_PIPELINES_DBT_AS_OF": as_of.isoformat(),
        "CSCART_PIPELINES_DBT_MODELS": models_version(),
    }
    yield from _events(variables, context.run.run_id, partial(dbt.cli, arguments, context=context))


def daily_test_events(
    context: dg.OpExecutionContext, dbt: DbtCliResource, warehouse: Warehouse
) -> Iterator[Event]:
    """Runs the tests that no build runs, over all lists; yields an event for each.

    Raises:
        DagsterDbtCliRuntimeError: A test has failed, or dbt could not begin.
    """
    arguments = ["test", "--select", f"tag:{DAILY}"]
    start = partial(dbt.cli, arguments, manifest=project.manifest_path)
    yield from _events(warehouse.dbt_environment(), context.run.run_id, start)


def _events(
    variables: Mapping[str, str], run_id: str, start: Callable[..., DbtCliInvocation]
) -> Iterator[Event]:
    builds = builds_folder()
    target = build_folder(builds, run_id)
    # dbt takes all of it from the environment, here and in the process it starts.
    with _environment(variables):
        invocation = start(target_path=target)
        for event in invocation.stream_raw_events():
            for told in event.to_default_asset_events(
                manifest=invocation.manifest,
                dagster_dbt_translator=translator,
                target_path=target,
                project=project,
            ):
                if isinstance(told, Event):  # the others are of steps, not of operations
                    yield told
    with contextlib.suppress(FileNotFoundError):
        (target / PARSED).replace(builds / PARSED)


def materialisations(
    event: dg.AssetMaterialization, model: dg.AssetSpec, connection: Connection, keys: Sequence[str]
) -> Iterator[dg.AssetMaterialization]:
    """A model that was built, as the materialisation of each integration's partition.

    With the rows of that integration, which dagster-dbt would count for all of them together. Rows
    of a view are not counted, that would compute it; those of a seed belong to no integration.
    """
    schema, table = event.asset_key.path
    is_table = model.metadata["dagster-dbt/materialization_type"] == "table_in_place"
    rows = count_rows(connection, schema, table, keys) if is_table else {}
    for key in keys:
        counted = {"dagster/row_count": rows.get(key, 0)} if is_table else {}
        yield dg.AssetMaterialization(
            event.asset_key,
            description=event.description,
            metadata={**event.metadata, **counted},
            partition=key,
            tags={CODE_VERSION: model.code_version or ""},
        )


def log_planned(
    context: dg.AssetExecutionContext, missing: Mapping[str, Sequence[dg.AssetKey]]
) -> None:
    """Says of models that were not built that they should have been.

    The failure of the run then shows on the partitions of these integrations, and on no others. A
    run over a range of partitions would plan all between the first and the last.
    """
    for key, assets in missing.items():
        for asset in assets:
            context.instance.report_dagster_event(
                DagsterEvent.build_asset_materialization_planned_event(
                    context.job_name,
                    context.assets_def.op.name,
                    AssetMaterializationPlannedData(asset, partition=key),
                ),
                context.run.run_id,
            )


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables of this process, and takes them back: one of them is a password."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def build_folder(builds: Path, run_id: str) -> Path:
    """A folder for this build, with what dbt has parsed before. Old ones go: builds are hourly."""
    builds.mkdir(parents=True, exist_ok=True)
    begun = {folder: folder.stat().st_mtime for folder in builds.iterdir() if folder.is_dir()}
    for folder in sorted(begun, key=begun.__getitem__)[: -KEPT_BUILDS + 1]:
        if begun[folder] < time.time() - LONGEST_BUILD:
            shutil.rmtree(folder, ignore_errors=True)
    target = builds / run_id
    target.mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(builds / PARSED, target / PARSED)
    return target

"""Invocations of dbt, to build some integrations or to test all, and what Dagster is told of them.

Not here: which integrations are built together (`assets`), where the project lies (`dbt_project`).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
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
from packaging.version import Version

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
WITHOUT_ARTIFACTS = "--no-write-json"
"""dbt would write its manifest twice, which takes a second; Dagster reads the project's own."""
BUILT = (
    "--exclude-resource-type", "unit_test", "--exclude-resource-type", "exposure",
    "--exclude", f"tag:{DAILY}",
)  # fmt: skip
"""What a build leaves out."""
PARSED = "partial_parse.msgpack"
"""What dbt has parsed; it reads again only the files that have changed since."""
KEPT_PARSED = 10
"""What dbt has parsed is kept for that many warehouses: it is of use for the same one only."""

project = dbt_project()
Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation


class DbtOfThisEnvironment(DbtCliResource):
    """dbt, begun without what each invocation of dagster-dbt prepares and no build here uses.

    That is a process for `dbt --version`, which also asks PyPI for newer ones, and an adapter with
    all macros parsed, for row counts and metadata of columns.
    """

    @property
    def _cli_version(self) -> Any:
        return Version(importlib.metadata.version("dbt-core"))

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
    arguments = ["build", WITHOUT_ARTIFACTS, *BUILT]
    if full_refresh:
        arguments.append("--full-refresh")
    variables = {
        "CSCART_PIPELINES_DBT_INTEGRATIONS": ",".join(keys),
        "CSCART_PIPELINES_DBT_AS_OF": as_of.isoformat(),
        "CSCART_PIPELINES_DBT_MODELS": models_version(),
    }
    start = partial(dbt.cli, arguments, context=context)
    yield from _events(warehouse, variables, context.run.run_id, start)


def daily_test_events(
    context: dg.OpExecutionContext, dbt: DbtCliResource, warehouse: Warehouse
) -> Iterator[Event]:
    """Runs the tests that no build runs, over all lists; yields an event for each.

    Raises:
        DagsterDbtCliRuntimeError: A test has failed, or dbt could not begin.
    """
    arguments = ["test", WITHOUT_ARTIFACTS, "--select", f"tag:{DAILY}"]
    start = partial(dbt.cli, arguments, manifest=project.manifest_path)
    yield from _events(warehouse, {}, context.run.run_id, start)


def _events(
    warehouse: Warehouse,
    variables: Mapping[str, str],
    run_id: str,
    start: Callable[..., DbtCliInvocation],
) -> Iterator[Event]:
    parsed = parsed_for(builds_folder(), warehouse)
    target = build_folder(parsed, run_id)
    try:
        # dbt takes all of it from the environment, here and in the process it starts.
        with _environment({**warehouse.dbt_environment(), **variables}):
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
    finally:  # also of a build that fails: it is tried again, in halves
        with contextlib.suppress(FileNotFoundError):
            (target / PARSED).replace(parsed)


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


def parsed_for(builds: Path, warehouse: Warehouse) -> Path:
    """Returns the file of what dbt has parsed for this warehouse, whether there is one or not."""
    where = {**warehouse.dbt_environment(), "CSCART_PIPELINES_DBT_PASSWORD": ""}
    digest = hashlib.sha256("\n".join(sorted(where.values())).encode())
    return builds / f"{digest.hexdigest()[:16]}.msgpack"


def build_folder(parsed: Path, run_id: str) -> Path:
    """A folder for this build, beside what dbt has parsed before and with a copy of it.

    Old ones go: builds are hourly.
    """
    builds = parsed.parent
    builds.mkdir(parents=True, exist_ok=True)
    begun = {folder: folder.stat().st_mtime for folder in builds.iterdir() if folder.is_dir()}
    for folder in sorted(begun, key=begun.__getitem__)[: -KEPT_BUILDS + 1]:
        if begun[folder] < time.time() - LONGEST_BUILD:
            shutil.rmtree(folder, ignore_errors=True)
    target = builds / run_id
    target.mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(parsed, target / PARSED)
        os.utime(parsed)  # the one that was used last
    _delete_parsed(builds)
    return target


def _delete_parsed(builds: Path) -> None:
    """Deletes what was parsed for warehouses that no build has used for long."""
    used: dict[Path, float] = {}
    for file in builds.glob("*.msgpack"):
        with contextlib.suppress(FileNotFoundError):  # another build deletes too
            used[file] = file.stat().st_mtime
    for file in sorted(used, key=used.__getitem__)[:-KEPT_PARSED]:
        file.unlink(missing_ok=True)

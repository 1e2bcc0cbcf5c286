"""Invocations of dbt, to build some integrations or to test all, and what Dagster is told of them.

Not here: which integrations are built together (`assets`), the folders of builds
(`cscart_pipelines.dbt_project`).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import dagster as dg
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster_dbt import DbtCliInvocation, DbtCliResource
from packaging.version import Version

from cscart_pipelines.dbt_project import (
    BUILT,
    DAILY,
    WITHOUT_ARTIFACTS,
    build_folder,
    models_version,
)
from cscart_pipelines.defs.shared.asset_specs import CODE_VERSION
from cscart_pipelines.defs.transformation.dbt_assets import dbt_project, translator
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines.warehouse.driver import Connection
from cscart_pipelines.warehouse.reports import count_rows

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
    where = warehouse.dbt_environment()
    # dbt takes all of it from the environment, here and in the process it starts.
    with build_folder(where, run_id) as target, _environment({**where, **variables}):
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

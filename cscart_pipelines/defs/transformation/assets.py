"""Lists, segments and metrics: the dbt models as assets, built in one step.

One build covers every integration. Two builds at once would take each other's tables away, so each
holds an advisory lock in the warehouse. Not here: what the models say (`dbt_project/`).
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.transformation.dbt_project import (
    Translator,
    builds_folder,
    dbt_executable,
    dbt_project,
)
from cscart_pipelines.defs.transformation.source_assets import as_read
from cscart_pipelines.integrations.sync_runs import history
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock

KEPT_BUILDS = 5
"""What dbt compiled and logged is kept for that many builds."""

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
    as_of = _moment(config.as_of)
    with (
        pipelines.open() as app,
        app.warehouse.open_session(autocommit=True) as connection,
    ):
        advisory.wait_for_session(
            connection, Lock.LIST_BUILD, reason="another build of the lists is running"
        )
        covered = history.covered_by_build_now(connection)
        app.store_contacts()
        arguments = ["build", "--exclude-resource-type", "unit_test",
                     "--vars", json.dumps({"as_of": as_of})]  # fmt: skip
        target = _room_for(builds_folder(), context.run.run_id)
        whole = len(context.selected_asset_keys) == len(lists.keys)
        if whole:
            for seen in as_read():
                context.log_event(seen)
        # dbt takes the connection from the environment, here and in the process it starts.
        with _environment(app.warehouse.dbt_environment()):
            yield from dbt.cli(arguments, context=context, target_path=target).stream()
        if whole:
            history.record_build(connection, context.run.run_id, covered, as_of)


def _moment(text: str | None) -> str:
    """An ISO time with its offset; now if none is given."""
    if text is None:
        return datetime.now(UTC).isoformat()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise dg.Failure(
            f"as_of is {text!r}; expected a time with its offset, as 2026-05-20T10:30:00+00:00",
            allow_retries=False,
        )
    return moment.isoformat()


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


def _room_for(builds: Path, run_id: str) -> Path:
    """A folder for this build. Old ones go, or an hourly build would fill the disk."""
    builds.mkdir(parents=True, exist_ok=True)
    old = sorted(builds.iterdir(), key=lambda folder: folder.stat().st_mtime)
    for folder in old[: -KEPT_BUILDS + 1]:
        shutil.rmtree(folder, ignore_errors=True)
    return builds / run_id


@dg.definitions
def dbt_resources() -> dg.Definitions:
    """Returns the resource of dbt."""
    return dg.Definitions(
        resources={"dbt": DbtCliResource(project_dir=project, dbt_executable=dbt_executable())}
    )

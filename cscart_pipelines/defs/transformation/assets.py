"""Lists, segments and metrics: the dbt models as assets, built in one step.

A partition is an integration. One dbt invocation builds all integrations of a run; when it fails,
its halves are built, until those that fail are found: one shop's data never keeps another's list
from being built. Builds of one integration exclude each other by an advisory lock, those of
different ones run side by side. Not here: what the models say (`dbt_project/`), how dbt is started
(`dbt_build`).
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from pydantic import Field

from cscart_pipelines.dbt_project import dbt_executable
from cscart_pipelines.defs.shared.failures import failure
from cscart_pipelines.defs.shared.partitions import integration_partitions, keys_of
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.transformation.dbt_assets import dbt_project, translator
from cscart_pipelines.defs.transformation.dbt_build import (
    DbtOfThisEnvironment,
    build_events,
    log_planned,
    materialisations,
)
from cscart_pipelines.defs.transformation.source_assets import as_read
from cscart_pipelines.integrations import list_builds
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.driver import Connection

project = dbt_project()


class BuildConfig(dg.Config):
    """How the models are built."""

    only: list[str] = Field(default_factory=list)
    """These integrations, of which one is the run's partition. By default its partitions."""
    as_of: str | None = None
    """What the models take for now: an ISO time with offset. By default the time of the run."""
    full_refresh: bool = False
    """Write every row of these integrations anew, not only what differs. History is kept."""


@dbt_assets(
    manifest=project.manifest_path,
    project=project,
    dagster_dbt_translator=translator,
    name="build_models",
    partitions_def=integration_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="dbt",
)
def lists(
    context: dg.AssetExecutionContext,
    config: BuildConfig,
    dbt: DbtCliResource,
    pipelines: Pipelines,
) -> Iterator[dg.AssetMaterialization]:
    """Runs `dbt build` for the run's integrations: models and their tests, as assets and checks."""
    as_of = _moment(config.as_of)
    whole = len(context.selected_asset_keys) == len(lists.keys)
    with (
        pipelines.open() as app,
        app.warehouse.open_session(autocommit=True) as connection,
    ):
        asked = config.only or keys_of(context)
        # One that was removed while the run waited has no list to build.
        keys = [one.key for one in app.registry.all(asked)]
        built: dict[str, set[dg.AssetKey]] = {key: set() for key in keys}

        def build(some: Sequence[str]) -> None:
            events = 0
            with _locked(connection, some):
                begun = list_builds.begin(connection, some)
                app.store_contacts([one.integration for one in begun])
                try:
                    for event in build_events(
                        context, dbt, app.warehouse, some, as_of, full_refresh=config.full_refresh
                    ):
                        if isinstance(event, dg.AssetMaterialization):
                            model = lists.specs_by_key[event.asset_key]
                            for made in materialisations(event, model, connection, some):
                                context.log_event(made)
                            for key in some:
                                built[key].add(event.asset_key)
                        else:
                            context.log_event(event)
                        events += 1
                except DagsterDbtCliRuntimeError as error:
                    raise NotBuiltError(str(error), may_be_one=events > 0) from error
                if whole:
                    list_builds.finish(connection, begun, context.run.run_id, as_of)

        failures = build_apart(sorted(keys), build)
    yield from ()
    if failures:
        selected = context.selected_asset_keys
        log_planned(context, {key: sorted(selected - built[key]) for key in failures})
        raise failure(failures, len(keys) - len(failures))
    if whole:
        for seen in as_read():
            context.log_event(seen)


class NotBuiltError(Exception):
    """dbt has failed."""

    def __init__(self, reason: str, *, may_be_one: bool) -> None:
        super().__init__(reason)
        self.may_be_one = may_be_one
        """Something was built: the reason may be the data of one integration."""


def build_apart(keys: Sequence[str], build: Callable[[Sequence[str]], None]) -> dict[str, str]:
    """Builds all at once; where that fails, the halves, until what fails is a single integration.

    Args:
        keys: Integrations, each once.
        build: Builds some of them together, raises NotBuiltError when that fails.

    Returns:
        Why integrations could not be built, by their keys.
    """
    if not keys:
        return {}
    try:
        build(keys)
    except NotBuiltError as error:
        if len(keys) == 1 or not error.may_be_one:
            return dict.fromkeys(keys, str(error))
        middle = len(keys) // 2
        return {**build_apart(keys[:middle], build), **build_apart(keys[middle:], build)}
    return {}


@contextlib.contextmanager
def _locked(connection: Connection, keys: Sequence[str]) -> Iterator[None]:
    """Keeps other builds of these integrations, and erasures, out; waits for those under way."""
    reason = "another build of the same lists is running"
    taken: list[str] = []
    advisory.wait_for_session(connection, Lock.LIST_BUILD, shared=True, reason=reason)
    try:
        for key in keys:  # sorted, so that no two builds wait for each other
            advisory.wait_for_session(connection, Lock.LIST_BUILD, key, reason=reason)
            taken.append(key)
        yield
    finally:
        for key in taken:
            advisory.unlock(connection, Lock.LIST_BUILD, key)
        advisory.unlock(connection, Lock.LIST_BUILD, shared=True)


def _moment(text: str | None) -> datetime:
    """An ISO time with its offset; now if none is given."""
    if text is None:
        return datetime.now(UTC)
    try:
        return list_builds.parse_as_of(text)
    except ValueError:
        raise dg.Failure(
            f"as_of is {text!r}; expected a time with its offset, as 2026-05-20T10:30:00+00:00",
            allow_retries=False,
        ) from None


@dg.definitions
def dbt_resources() -> dg.Definitions:
    """Returns the resource of dbt."""
    dbt = DbtOfThisEnvironment(
        project_dir=str(project.project_dir), dbt_executable=dbt_executable()
    )
    return dg.Definitions(resources={"dbt": dbt})

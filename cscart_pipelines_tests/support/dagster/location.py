"""What the tests of the definitions share: the loaded location, an instance, connected shops.

Runs go against a sandbox shop and a real database, with settings from the environment as a run of
the daemon has them. Not here: what single tests break.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.storage.defs_state.base import set_defs_state_storage
from pydantic import SecretStr

from cscart_pipelines import definitions
from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs.shared import orphaned_runs
from cscart_pipelines.integrations import settings as integration_settings
from cscart_pipelines.integrations.connection import test_connection as probe_connection
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.settings import read_settings
from cscart_pipelines.warehouse.connect import open_warehouse
from cscart_pipelines_tests import PROJECT_ROOT
from cscart_pipelines_tests.conftest import Database

PYDANTIC = "ignore:The .__(fields|.*)__. attribute is deprecated"
"""Dagster itself still reads a deprecated attribute of pydantic's models."""
PROJECT = PROJECT_ROOT


@cache
def location() -> dg.Definitions:
    """The definitions, loaded once a process: that takes seconds."""
    loaded: dg.Definitions = definitions.defs()
    return loaded


@dataclass
class Deployment:
    """A database, an instance of Dagster without a past, and the shops that tests connect."""

    database: Database
    instance: dg.DagsterInstance
    environment: dict[str, str]

    @contextlib.contextmanager
    def app(self) -> Iterator[AppContext]:
        """As `Pipelines` opens them, wherever the environment points now."""
        settings = read_settings(self.environment)
        with open_warehouse(settings) as warehouse:
            yield AppContext(settings, warehouse, Registry(warehouse, settings))

    def connect(
        self, key: str, shop: SandboxShop, *, api_key: str | None = None, **values: Any
    ) -> None:
        """Saves a tested integration and makes its partition. `api_key`: the one that is saved."""
        known = {"integration": key, "list_name": key, "url": shop.url, "email": shop.email}
        settings = integration_settings.check({**known, **values})
        found = probe_connection(settings, SecretStr(shop.api_key)).model_dump(mode="json")
        with self.app() as app:
            app.registry.add(settings, SecretStr(api_key or shop.api_key), found)
        self.instance.add_dynamic_partitions("integration", [key])

    def execute(self, query: str, *arguments: Any) -> None:
        """Writes without the rules of the tables: a test says what is, not how it came about."""
        with self.database.connect() as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(query.encode(), arguments or None)

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query.encode(), arguments or None).fetchall()

    def resync(
        self,
        first: str,
        last: str | None = None,
        *,
        config: dict[str, Any] | None = None,
        assets: list[str] | None = None,
        job: str = "resync",
        raise_on_error: bool = False,
    ) -> dg.ExecuteInProcessResult:
        """One run over the partitions from first to last, as the daemon starts it."""
        tags = {}
        if last is not None:
            tags["dagster/asset_partition_range_start"] = first
            tags["dagster/asset_partition_range_end"] = last
        return (
            location()
            .resolve_job_def(job)
            .execute_in_process(
                instance=self.instance,
                partition_key=None if last else first,
                tags=tags,
                run_config={"ops": {"read_shop": {"config": config}}} if config else None,
                asset_selection=[dg.AssetKey(["cscart", name]) for name in assets]
                if assets
                else None,
                raise_on_error=raise_on_error,
            )
        )

    def planned(
        self,
        first: str,
        last: str,
        job: str = "resync",
        *,
        step: str = "read_shop",
        only: list[str] | None = None,
        meanwhile: Callable[[], None],
    ) -> dg.JobExecutionResult:
        """A run that waits in the queue for a while, and is executed as the daemon does it."""
        definition = location().resolve_job_def(job)
        run = self.instance.create_run_for_job(
            definition,
            tags={
                "dagster/asset_partition_range_start": first,
                "dagster/asset_partition_range_end": last,
            },
            run_config={"ops": {step: {"config": {"only": only or []}}}},
        )
        meanwhile()
        return execute_run(InMemoryJob(definition), run, self.instance)

    def materialisations(self, run_id: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Metadata values by asset and partition."""
        found = {}
        for entry in self.instance.all_logs(run_id, dg.DagsterEventType.ASSET_MATERIALIZATION):
            event = entry.get_dagster_event().step_materialization_data.materialization
            found[event.asset_key.path[-1], str(event.partition)] = {
                name: value.value for name, value in event.metadata.items()
            }
        return found


@contextlib.contextmanager
def open_deployment(
    database: Database, home: Path, *, on_disk: bool = False
) -> Iterator[Deployment]:
    """Sets the environment while it lasts. `on_disk`: schedules want an instance with a place."""
    environment = {**database.settings_env, "CSCART_PIPELINES_HOME": str(home)}
    home.mkdir(parents=True, exist_ok=True)
    # The context of a schedule enters the instance a second time and lets go of it in a cycle: when
    # that is collected, a variable points to the dead instance, and whoever loads the definitions
    # next asks it. So it is collected here, and what it left is taken back.
    with set_defs_state_storage(None), pytest.MonkeyPatch.context() as patch:
        with (
            dg.DagsterInstance.local_temp(str(home))
            if on_disk
            else dg.DagsterInstance.ephemeral() as instance
        ):
            for name, value in environment.items():
                patch.setenv(name, value)
            yield Deployment(database, instance, environment)
            orphaned_runs.sessions.close_ended()  # or the database cannot be lent again
        del instance
        if on_disk:
            gc.collect()


@pytest.fixture
def deployment(warehouse_database: Database, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment of the test's own."""
    with open_deployment(warehouse_database, tmp_path / "home") as made:
        yield made

"""The resource of every op and sensor, and the executor.

The environment is read when a run begins, never when code loads. Not here: the resource of dbt
(`transformation.assets`).
"""

import contextlib
import os
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from cscart_pipelines.app_context import AppContext, open_context
from cscart_pipelines.defs.shared.alerts import AlertSink
from cscart_pipelines.defs.shared.orphaned_runs import in_process_executor
from cscart_pipelines.settings import PREFIX


class Pipelines(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the warehouse; one with another schema is refused.

    A field that is not given is that of the environment, `CSCART_PIPELINES_` and its name.
    """

    # Not `EnvVar`: Dagster refuses to start a run if the variable of one is not set.
    home: str | None = Field(
        default=None, description="Local state: embedded PostgreSQL, key file."
    )
    database_url: str | None = Field(default=None, description="PostgreSQL of the warehouse.")
    secret_key: str | None = Field(default=None, description="Opens the API keys of the shops.")
    api_parallel: int | None = Field(
        default=None, description="Requests to one shop at the same time."
    )
    write_settle_seconds: int | None = Field(
        default=None, description="Age at which a write without an answer counts as not applied."
    )

    @contextlib.contextmanager
    def open(self) -> Iterator[AppContext]:
        """Yields settings, warehouse and registry, with `dagster` as the actor of the audit trail.

        Raises:
            SettingsError: a field or a variable of the environment cannot be used.
            WarehouseUnavailableError: the database cannot be reached or used.
        """
        given = {
            PREFIX + name.upper(): str(value)
            for name in type(self).model_fields
            if (value := getattr(self, name)) is not None
        }
        with open_context({**os.environ, **given}, actor="dagster") as app:
            yield app


@dg.definitions
def resources() -> dg.Definitions:
    """Returns the resources and the executor of all jobs."""
    # What a step returns stays in memory: only the process that executes the run reads it, and a
    # file would be missing where a run is begun again on another machine.
    return dg.Definitions(
        resources={
            "pipelines": Pipelines(),
            "alerts": AlertSink(),
            "io_manager": dg.mem_io_manager,
        },
        executor=in_process_executor,
    )

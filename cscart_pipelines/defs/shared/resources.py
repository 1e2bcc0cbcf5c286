"""The resources of every op, and the executor.

Settings are read from the environment when a run begins, never when code loads. Not here: the
resource of dbt (`transformation.assets`).
"""

import contextlib
from collections.abc import Iterator

import dagster as dg

from cscart_pipelines.app_context import AppContext, open_context
from cscart_pipelines.defs.shared.orphaned_runs import in_process_executor


class Pipelines(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the warehouse that the environment names; one with another schema is refused."""

    @contextlib.contextmanager
    def open(self) -> Iterator[AppContext]:
        """Yields settings, warehouse and registry, with `dagster` as the actor of the audit trail.

        Raises:
            WarehouseUnavailableError: the database cannot be reached or used.
        """
        with open_context(actor="dagster") as app:
            yield app


@dg.definitions
def resources() -> dg.Definitions:
    """Returns the resources and the executor of all jobs."""
    # In memory: outputs that only the process which executes the run reads.
    return dg.Definitions(
        resources={"pipelines": Pipelines(), "in_memory": dg.mem_io_manager},
        executor=in_process_executor,
    )

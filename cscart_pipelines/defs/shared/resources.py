"""The resources of every op, and where ops are executed.

Not here: settings (they are read from the environment when a run begins, never when code loads).
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
        with open_context(actor="dagster") as app:
            yield app


@dg.definitions
def resources() -> dg.Definitions:
    # In memory: what only whoever started the run listens for.
    return dg.Definitions(
        resources={"pipelines": Pipelines(), "in_memory": dg.mem_io_manager},
        executor=in_process_executor,
    )

"""The resources of every op, and where ops are executed.

Not here: settings (they are read from the environment when a run begins, never when code loads).
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.settings import Settings, read_settings
from cscart_pipelines.warehouse.connect import Warehouse, open_warehouse


@dataclass(frozen=True)
class Premises:
    """What a run works in."""

    settings: Settings
    warehouse: Warehouse
    registry: Registry


class Pipelines(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the warehouse that the environment names, with its schema up to date."""

    @contextlib.contextmanager
    def open(self) -> Iterator[Premises]:
        settings = read_settings()
        with open_warehouse(settings, actor="dagster") as warehouse:
            yield Premises(settings, warehouse, Registry(warehouse, settings))


@dg.definitions
def resources() -> dg.Definitions:
    # In the run's own process: a process of its own for each step costs two seconds.
    # In memory: what only whoever started the run listens for.
    return dg.Definitions(
        resources={"pipelines": Pipelines(), "in_memory": dg.mem_io_manager},
        executor=dg.in_process_executor,
    )

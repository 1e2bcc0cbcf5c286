"""What commands, runs and sensors work in: the settings, the opened warehouse and the registry.

Not here: what is done in there, and which folders and processes belong to it (`cli.premises`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.settings import Settings, read_settings
from cscart_pipelines.warehouse.connect import Warehouse, open_warehouse
from cscart_pipelines.warehouse.contacts import store_contacts


@dataclass(frozen=True)
class AppContext:
    """An opened warehouse with what belongs to it."""

    settings: Settings
    warehouse: Warehouse
    registry: Registry

    def store_contacts(self) -> None:
        """Reads the e-mails and phones of all shops that were not read yet, or by a country that
        is not the default any more: the models build on it."""
        with self.warehouse.connect(autocommit=True) as connection:
            for one in self.registry.all():
                store_contacts(connection, one.key, one.settings.phone_region)


@contextlib.contextmanager
def open_context(*, actor: str | None = None) -> Iterator[AppContext]:
    """The warehouse that the environment names, with its schema up to date, until the block ends.

    `actor`: whom the trail names, see `open_warehouse`. Raises SettingsError,
    WarehouseUnavailableError, NoPlaceError.
    """
    settings = read_settings()
    with open_warehouse(settings, actor=actor) as warehouse:
        yield AppContext(settings, warehouse, Registry(warehouse, settings))

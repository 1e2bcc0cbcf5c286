"""What commands, runs and sensors work in: the settings, the opened warehouse and the registry.

Not here: what is done in there, and which folders and processes belong to it (`cli.support`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
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

    def store_contacts(self, keys: Collection[str]) -> None:
        """Reads e-mails and phones of integrations that were not read yet; models build on them.

        Phones are also read again where they were read by another default country.
        """
        with self.warehouse.connect(autocommit=True) as connection:
            for one in self.registry.all(keys):
                store_contacts(connection, one.key, one.settings.phone_region)


@contextlib.contextmanager
def open_context(
    environ: Mapping[str, str] | None = None, *, migrate: bool = False, actor: str | None = None
) -> Iterator[AppContext]:
    """Opens the warehouse that the environment names, until the block ends.

    Args:
        environ: The environment, by default that of this process.
        migrate: Whether a missing or older schema is brought up to date, see `open_warehouse`.
        actor: The name in the audit trail.

    Raises:
        SettingsError: A variable of the environment cannot be used.
        WarehouseUnavailableError: The database does not answer, or has another schema.
        UnusableHomeError: The embedded server has no folder that its account reaches.
    """
    settings = read_settings(environ)
    with open_warehouse(settings, migrate=migrate, actor=actor) as warehouse:
        yield AppContext(settings, warehouse, Registry(warehouse, settings))

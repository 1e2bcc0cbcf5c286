"""`migrate`: the schema of the warehouse as this release needs it, before its services start."""

from __future__ import annotations

from cscart_pipelines.cli.support import console
from cscart_pipelines.cli.support.environment import need_home
from cscart_pipelines.settings import read_settings
from cscart_pipelines.warehouse.connect import migrate_schema, open_warehouse
from cscart_pipelines.warehouse.migrate import newest_revision


def migrate() -> None:
    """Bring the warehouse to the schema of this release.

    To be run before the services start. Safe to repeat, and from several machines at once: a second
    one waits and finds it done.
    """
    settings = read_settings()
    need_home(settings)
    with open_warehouse(settings, check=False) as warehouse:
        changed = migrate_schema(warehouse)
    done = "migrated to" if changed else "at"
    console.out.print(f"[green]✓[/] the warehouse is {done} schema {newest_revision()}")

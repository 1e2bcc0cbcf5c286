"""Bringing the schema up to date, safely when several processes start at once.

The steps themselves are in `migrations/versions`, one file a step, written with Alembic. Not here:
what a table looks like (`tables`; `analytics` for those that dbt owns).
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, text

from cscart_pipelines.warehouse import analytics
from cscart_pipelines.warehouse.advisory import Lock

HERE = Path(__file__).parent / "migrations"
VERSION_SCHEMA = "registry"
VERSION_TABLE = "alembic_version"


class SchemaTooNewError(RuntimeError):
    """The database was migrated by a newer release of this project."""


@cache
def newest_revision() -> str:
    """The step that no other follows, read from the files: Alembic takes 0.3 s to import."""
    said = [path.read_text(encoding="utf-8") for path in (HERE / "versions").glob("[0-9]*.py")]
    steps, before = (
        {found for text in said for found in re.findall(rf'^{name} = "(\w+)"', text, re.MULTILINE)}
        for name in ("revision", "down_revision")
    )
    (last,) = steps - before
    return str(last)


def is_current(connection: psycopg.Connection[Any]) -> bool:
    found = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL", [f"{VERSION_SCHEMA}.{VERSION_TABLE}"]
    ).fetchone()
    if not found or not found[0]:
        return False
    row = connection.execute(
        f"SELECT version_num FROM {VERSION_SCHEMA}.{VERSION_TABLE}"  # noqa: S608 - constants
    ).fetchone()
    return row is not None and row[0] == newest_revision()


def upgrade(engine: Engine) -> None:
    """Applies the missing steps in one transaction; a second process waits and finds them done."""
    # Imported here: most commands find the schema current and never need Alembic.
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    with engine.begin() as connection:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(:key)"), {"key": Lock.MIGRATION.number()}
        )
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {VERSION_SCHEMA}"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SchemaTooNewError(
                f"the database has a schema of a newer release ({error}); update the project"
            ) from None
        analytics.create_missing(connection)

"""The check of the schema, and its migration, also when several processes start at once.

The steps are in `migrations/versions`, one file a step, for Alembic. Not here: the tables
(`tables`; `analytics` for those of dbt).
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
from cscart_pipelines.warehouse.errors import SchemaOutdatedError, SchemaTooNewError

HERE = Path(__file__).parent / "migrations"
VERSION_SCHEMA = "registry"
VERSION_TABLE = "alembic_version"


@cache
def _revisions() -> tuple[frozenset[str], str]:
    """Returns all steps and the last, read from the files: Alembic takes 0.3 s to import."""
    said = [path.read_text(encoding="utf-8") for path in (HERE / "versions").glob("[0-9]*.py")]
    steps, before = (
        {found for text in said for found in re.findall(rf'^{name} = "(\w+)"', text, re.MULTILINE)}
        for name in ("revision", "down_revision")
    )
    (last,) = steps - before
    return frozenset(steps), last


def newest_revision() -> str:
    """Returns the last step, which the code needs."""
    return _revisions()[1]


def current_revision(connection: psycopg.Connection[Any]) -> str | None:
    """Returns the database's step; None without tables. The connection is in autocommit mode."""
    try:
        row = connection.execute(
            f"SELECT version_num FROM {VERSION_SCHEMA}.{VERSION_TABLE}"  # noqa: S608 - constants
        ).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return None if row is None else str(row[0])


def check(connection: psycopg.Connection[Any]) -> None:
    """Checks that the database has the schema that the code needs, with one query.

    Raises:
        SchemaOutdatedError: It has to be migrated first.
        SchemaTooNewError: The code has to be updated first.
    """
    found, (known, needed) = current_revision(connection), _revisions()
    if found == needed:
        return
    if found is not None and found not in known:
        raise SchemaTooNewError(
            f"the warehouse has schema {found} of a newer release, and this one knows up to"
            f" {needed}: it must not write there; install the newer release here too"
        )
    has = "has no tables yet" if found is None else f"has schema {found} of an older release"
    raise SchemaOutdatedError(
        f"the warehouse {has}, and this release needs schema {needed}: nothing is read or written"
        " until it is migrated; run `cscart-pipelines migrate`"
    )


def upgrade(engine: Engine) -> None:
    """Applies the missing steps in one transaction; a second process waits and finds them done.

    Raises:
        SchemaTooNewError: A newer release has migrated the database.
    """
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
                f"the warehouse has a schema of a newer release ({error}); install it here too"
            ) from None
        analytics.create_missing(connection)

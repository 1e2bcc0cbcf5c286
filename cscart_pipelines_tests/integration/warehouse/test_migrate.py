"""Migrations make exactly the tables that `tables` describes, once, however many start them."""

from __future__ import annotations

import subprocess
import sys

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cscart_pipelines.warehouse import analytics, migrate
from cscart_pipelines.warehouse.errors import SchemaTooNewError
from cscart_pipelines.warehouse.tables.base import metadata
from cscart_pipelines_tests.conftest import Database


def test_migrations_make_exactly_the_described_tables(warehouse_database: Database) -> None:
    with warehouse_database.warehouse.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "compare_type": True,
                "include_name": lambda name, kind, _: (
                    kind != "schema" or name in ("cscart", "registry", "fulfilment", "onsite")
                ),
                # Partitions of onsite.events are the database's, not the model's.
                "include_object": lambda _o, name, *_: (
                    name != migrate.VERSION_TABLE and not str(name).startswith("events_")
                ),
            },
        )
        assert compare_metadata(context, metadata) == []


def test_the_marts_are_there_before_the_first_build(warehouse_database: Database) -> None:
    """As the contracts have them, so that the first build finds nothing to change."""
    described = {model["name"]: model for model in analytics._marts()}
    with warehouse_database.connect() as connection:
        connection.execute(
            "INSERT INTO registry.integrations (integration, list_name, url, email)"
            " VALUES ('tea', 'Tea', 'https://tea.example', 'a@tea.example')"
        )
        columns: dict[str, list[str]] = {}
        for mart, column in connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'analytics' ORDER BY ordinal_position"
        ):
            columns.setdefault(mart, []).append(column)
        live = connection.execute("SELECT list_name, status, subscribers FROM analytics.lists")
        assert live.fetchall() == [("Tea", "ready", 0)]
    assert columns == {
        name: [column["name"] for column in model["columns"]] for name, model in described.items()
    }


def test_a_migrated_database_is_recognised_without_alembic(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        migrate.check(connection)


def test_a_newer_schema_is_refused_with_advice(warehouse_database: Database) -> None:
    import pytest

    with warehouse_database.connect() as connection:
        connection.execute("UPDATE registry.alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNewError, match="newer release"):
        migrate.upgrade(warehouse_database.warehouse.engine)


def test_processes_that_start_at_once_migrate_once(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        for schema in ("cscart", "registry", "fulfilment", "onsite", "analytics"):
            connection.execute(f"DROP SCHEMA {schema} CASCADE")
    code = (
        "import sys; from sqlalchemy.engine import make_url;"
        "from cscart_pipelines.warehouse.connect import Warehouse;"
        "from cscart_pipelines.warehouse import migrate;"
        "migrate.upgrade(Warehouse(make_url(sys.argv[1])).engine)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, warehouse_database.url], stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    with warehouse_database.connect() as connection:
        migrate.check(connection)

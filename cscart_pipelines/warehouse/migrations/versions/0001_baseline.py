"""The whole schema: the tables as `warehouse/tables` describes them, the rules and views of `sql/`.

Not here: the marts of `analytics` (`warehouse.analytics`), the daily partitions of `onsite.events`
(`onsite.retention`).
"""

from pathlib import Path

import psycopg
from alembic import op
from sqlalchemy import Connection

from cscart_pipelines.warehouse.tables import SCHEMAS, metadata

revision = "0001"
down_revision = None

SQL = Path(__file__).parents[1] / "sql"
SCRIPTS = (
    "integration_rules.sql",
    "contact_views.sql",
    "inbox_rules.sql",
    "analyst_role.sql",  # before the view, which it may read
    "lists_view.sql",
)


def upgrade() -> None:
    """Creates the schema on an empty database."""
    connection = op.get_bind()
    for schema in SCHEMAS:
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    metadata.create_all(connection, checkfirst=False)
    op.execute("CREATE TABLE onsite.events_other PARTITION OF onsite.events DEFAULT")
    for script in SCRIPTS:
        _run(connection, (SQL / script).read_text("utf-8"))


def _run(connection: Connection, script: str) -> None:
    """Executes a script: without parameters psycopg accepts many statements, and % unescaped."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    driver.execute(script.encode())

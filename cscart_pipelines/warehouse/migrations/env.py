"""The script that Alembic runs: applies the steps on the connection of `migrate.upgrade`."""

from alembic import context

from cscart_pipelines.warehouse.migrate import VERSION_SCHEMA, VERSION_TABLE
from cscart_pipelines.warehouse.tables.base import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    version_table_schema=VERSION_SCHEMA,
    include_schemas=True,
)
context.run_migrations()

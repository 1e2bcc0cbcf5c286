"""Alembic's entry: runs the steps on the connection that `migrate.upgrade` hands over.

Nothing is decided here.
"""

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

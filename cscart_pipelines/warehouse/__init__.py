"""PostgreSQL: connections, tables, migrations, bulk load. Nothing that knows an API."""

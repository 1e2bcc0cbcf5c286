"""PostgreSQL: connections, tables, migrations, bulk load, locks. Nothing about the shop's API."""

"""The embedded PostgreSQL server for laptops, with which nothing else is concerned."""

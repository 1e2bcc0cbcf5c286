"""The embedded PostgreSQL server for laptops: its files, its processes, connecting to it."""

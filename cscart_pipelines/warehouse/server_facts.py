"""What the server says of itself: the time of its clock, the size of the database."""

from __future__ import annotations

from datetime import datetime

from cscart_pipelines.warehouse.driver import Connection


def server_time(connection: Connection) -> datetime:
    """Returns the time of the server's clock, which also stamps the rows."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment


def database_size(connection: Connection) -> str:
    """Returns the size of the database with its unit, as PostgreSQL writes it: `12 MB`."""
    row = connection.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
    return str((row.fetchone() or ["?"])[0])

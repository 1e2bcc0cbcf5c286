"""The names of psycopg that many modules share: the type of connections, the errors."""

from __future__ import annotations

from typing import Any

import psycopg

Connection = psycopg.Connection[Any]
DatabaseError = psycopg.Error
"""Any error of PostgreSQL or of the connection to it."""
ConnectionLostError = psycopg.OperationalError

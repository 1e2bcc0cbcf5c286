"""The names of psycopg that packages without SQL need: a connection to hand on, errors to catch."""

from __future__ import annotations

from typing import Any

import psycopg

Connection = psycopg.Connection[Any]
DatabaseError = psycopg.Error
"""Whatever PostgreSQL or the connection to it says."""
ConnectionLostError = psycopg.OperationalError

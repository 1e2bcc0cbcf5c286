"""The names of psycopg that many modules share: the type of connections, the errors."""

from __future__ import annotations

from typing import Any

import psycopg

Connection = psycopg.Connection[Any]
DatabaseError = psycopg.Error
"""Any error of PostgreSQL or of the connection to it."""
ConnectionLostError = psycopg.OperationalError


def unforeseen(error: BaseException) -> str:
    """Returns what an error is that no module foresees, without the rows that PostgreSQL quotes.

    The detail of an error holds names and addresses of people, and would go to logs, to Dagster and
    to the alerts' webhook. The error and its causes lose it, so that a traceback does not show it.
    """
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, psycopg.Error) and each.diag.message_primary:
            each.args = (each.diag.message_primary,)
        each = each.__cause__ or each.__context__
    return f"{type(error).__name__}: {error}"

"""Whose turn it is to write to a shop: one at a time, however many workers there are.

The turn is an advisory lock on the connection that journals. When that connection is lost the turn
is lost with it, and so is the ability to journal: nothing new can be sent. A write that was on its
way then is found by the next worker as an entry in doubt. Not here: what is done with the turn.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg

from cscart_pipelines.integrations.lease import KEEPALIVES
from cscart_pipelines.warehouse.connect import Warehouse

TURN_SQL = "hashtextextended('cscart-pipelines writes ' || %s, 0)"


class TurnTakenError(RuntimeError):
    """Somebody else is writing to this shop; what waits will be taken by him or the next."""


@contextlib.contextmanager
def take_turn(
    warehouse: Warehouse, integration: str, *, wait: float = 0
) -> Iterator[psycopg.Connection[Any]]:
    """The connection to journal on, in autocommit mode. `wait`: seconds, 0 does not wait at all.

    Raises TurnTakenError.
    """
    connection = warehouse.connect(autocommit=True)
    try:
        for name, value in KEEPALIVES.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        if not _locked(connection, integration, wait):
            raise TurnTakenError(
                f"another run is writing to the shop of {integration}; try again when it has ended"
            )
        yield connection
    finally:
        with contextlib.suppress(psycopg.Error):
            connection.execute("SELECT pg_advisory_unlock_all()")
        connection.close()


def _locked(connection: psycopg.Connection[Any], integration: str, wait: float) -> bool:
    if wait <= 0:
        row = connection.execute(
            f"SELECT pg_try_advisory_lock({TURN_SQL})", [integration]
        ).fetchone()
        return bool(row and row[0])
    try:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{int(wait * 1000)}"])
        connection.execute(f"SELECT pg_advisory_lock({TURN_SQL})", [integration])
        connection.execute("SELECT set_config('lock_timeout', '0', false)")
    except psycopg.errors.LockNotAvailable:
        return False
    return True

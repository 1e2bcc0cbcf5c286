"""Whose turn it is to write to a shop: one at a time, however many workers there are.

The turn is an advisory lock on the connection that journals. When that connection is lost the turn
is lost with it, and so is the ability to journal: nothing new can be sent. A write that was on its
way then is found by the next worker as an entry in doubt. Not here: what is done with the turn.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg

from cscart_pipelines.integrations.sync_lock import KEEPALIVES
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.connect import Warehouse


class ShopWriteLockedError(RuntimeError):
    """Somebody else is writing to this shop; what waits will be taken by him or the next."""


@contextlib.contextmanager
def acquire(
    warehouse: Warehouse,
    integration: str,
    *,
    wait: float = 0,
    stop: threading.Event | None = None,
) -> Iterator[psycopg.Connection[Any]]:
    """The connection to journal on, in autocommit mode. `wait`: seconds, 0 does not wait at all;
    `stop` ends the wait when it is set.

    Raises TurnTakenError.
    """
    connection = warehouse.connect(autocommit=True)
    try:
        for name, value in KEEPALIVES.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        taken = f"another run is writing to the shop of {integration}"
        if not advisory.wait_for_session(
            connection, Lock.SHOP_WRITE, integration, reason=taken, seconds=wait, stop=stop
        ):
            raise ShopWriteLockedError(f"{taken}; try again when it has ended")
        yield connection
    finally:
        advisory.unlock(connection, Lock.SHOP_WRITE, integration)
        connection.close()

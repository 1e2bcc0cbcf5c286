"""The write lock of a shop: one run writes at a time, however many workers there are.

An advisory lock on the connection that journals: with the connection the lock is lost, and so is
the ability to journal, so nothing new can be sent. A write that was on its way is found by the next
run as an unconfirmed entry. Not here: what is done with the lock.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg

from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.connect import Warehouse


class ShopWriteLockedError(RuntimeError):
    """Another run is writing to this shop; it, or the next run, takes what waits."""


@contextlib.contextmanager
def acquire(
    warehouse: Warehouse,
    integration: str,
    *,
    wait: float = 0,
    stop: threading.Event | None = None,
) -> Iterator[psycopg.Connection[Any]]:
    """Takes the write lock of a shop.

    Args:
        warehouse: for the connection.
        integration: key of the integration.
        wait: seconds; 0 does not wait at all.
        stop: ends the wait when it is set.

    Yields:
        The connection to journal on, in autocommit mode.

    Raises:
        ShopWriteLockedError: the lock is still held when the wait is over.
    """
    connection = warehouse.open_session(autocommit=True)
    try:
        taken = f"another run is writing to the shop of {integration}"
        if not advisory.wait_for_session(
            connection, Lock.SHOP_WRITE, integration, reason=taken, seconds=wait, stop=stop
        ):
            raise ShopWriteLockedError(f"{taken}; try again when it has ended")
        yield connection
    finally:
        advisory.unlock(connection, Lock.SHOP_WRITE, integration)
        connection.close()

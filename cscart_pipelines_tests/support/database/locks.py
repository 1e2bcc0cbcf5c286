"""The locks that sessions hold or wait for, and waiting for the locks of dead processes."""

from __future__ import annotations

import contextlib

from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.connect import Warehouse

ADVISORY = """
    (SELECT pid, granted, (classid::bigint << 32) | objid::bigint AS number FROM pg_locks
     WHERE locktype = 'advisory'
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS lock
"""
"""For FROM: the advisory locks of this database. The tests that run beside have others on the same
server, with locks of the same numbers."""


def wait_until_free(warehouse: Warehouse, which: Lock, *of: str) -> None:
    """Until the server has noticed that the holder of a lock is gone; the lock is free then.

    It is released here and not by the end of the connection, of which the server also takes
    notice only later.
    """
    with contextlib.closing(warehouse.open_session(autocommit=True)) as connection:
        advisory.wait_for_session(connection, which, *of, reason="its end")
        advisory.unlock(connection, which, *of)

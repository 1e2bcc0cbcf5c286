"""Ends a push when its integration is disabled or removed meanwhile.

A thread polls the status; requests under way end, nothing else is begun, what is left waits in the
inbox. Not here: cancelled runs, which close the client themselves.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines.warehouse.errors import WarehouseUnavailableError

POLL_SECONDS = 2.0


@contextlib.contextmanager
def cancel_when_disabled(warehouse: Warehouse, key: str, client: ShopClient) -> Iterator[None]:
    """Closes the client as soon as the integration is disabled or removed, while the block runs."""
    finished = threading.Event()
    thread = threading.Thread(
        target=_watch, args=(warehouse, key, client, finished), name=f"stop {key}", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


def _watch(warehouse: Warehouse, key: str, client: ShopClient, finished: threading.Event) -> None:
    while not finished.is_set():
        # The push itself reports a lost connection; here it is opened again.
        with (
            contextlib.suppress(psycopg.Error, WarehouseUnavailableError),
            warehouse.connect(autocommit=True) as connection,
        ):
            # The first read is at once: the status was checked before the client was opened.
            while not finished.is_set():
                if not _still_enabled(connection, key):
                    client.close()
                    return
                finished.wait(POLL_SECONDS)
        finished.wait(POLL_SECONDS)


def _still_enabled(connection: psycopg.Connection[Any], key: str) -> bool:
    row = connection.execute(
        "SELECT status FROM registry.integrations WHERE integration = %s", [key]
    ).fetchone()
    return row is not None and row[0] != Status.DISABLED

"""Ends a push when somebody disables or removes its integration meanwhile.

Who does that wants the writing to stop, not after the ten thousand levels that were begun. A thread
looks every two seconds; requests under way end, nothing else is begun, what is left waits. Not
here: cancelled runs, which close the client themselves.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import psycopg

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.warehouse.connect import Warehouse, WarehouseUnavailableError

LOOK_SECONDS = 2.0


@contextlib.contextmanager
def cancel_when_disabled(warehouse: Warehouse, key: str, client: ShopClient) -> Iterator[None]:
    """While the block runs, the client is closed once the integration is disabled or gone."""
    over = threading.Event()
    thread = threading.Thread(
        target=_watch, args=(warehouse, key, client, over), name=f"stop {key}", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _watch(warehouse: Warehouse, key: str, client: ShopClient, over: threading.Event) -> None:
    while not over.is_set():
        # A lost connection is the push's own trouble; here it is made again.
        with (
            contextlib.suppress(psycopg.Error, WarehouseUnavailableError),
            contextlib.closing(warehouse.connect(autocommit=True)) as connection,
        ):
            # The first look is at once: the gate was passed a moment ago, not now.
            while not over.is_set():
                if not _may_go_on(connection, key):
                    client.close()
                    return
                over.wait(LOOK_SECONDS)
        over.wait(LOOK_SECONDS)


def _may_go_on(connection: psycopg.Connection[Any], key: str) -> bool:
    row = connection.execute(
        "SELECT status FROM registry.integrations WHERE integration = %s", [key]
    ).fetchone()
    return row is not None and row[0] != Status.DISABLED

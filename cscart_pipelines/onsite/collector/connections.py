"""The collector's connections to the warehouse, which notice within seconds that it is gone.

Each call opens a new connection, kept for the life of the process, so no pool lends it; the first
that succeeds brings the schema up to date. Not here: their use (`writer`, `write_key_cache`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg

from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse.connect import open_warehouse
from cscart_pipelines.warehouse.errors import WarehouseUnavailableError

ACTOR = "collector"
FAST_FAILURE = {
    "connect_timeout": 3,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 6000,
}
"""libpq settings: a machine that vanished is noticed within seconds, because visitors wait."""
RETRY_SECONDS = 0.5


class ConnectionFactory:
    """Opens connections to the configured warehouse, from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._first = threading.Lock()
        self._current = False

    def connect(self, *, autocommit: bool = False) -> psycopg.Connection[Any]:
        """Opens a connection.

        Raises:
            WarehouseUnavailableError: The server cannot be reached.
        """
        with self._first:
            first = not self._current
            with open_warehouse(
                self._settings, migrate=first, check=first, actor=ACTOR
            ) as warehouse:
                arguments = {**FAST_FAILURE, **warehouse.connection_arguments()}
            self._current = True
        arguments["connect_timeout"] = FAST_FAILURE["connect_timeout"]
        try:
            return psycopg.connect(**arguments, autocommit=autocommit)
        except psycopg.Error as error:
            raise WarehouseUnavailableError(type(error).__name__) from None


class Reconnector:
    """Connects in a thread of its own, so that a host that does not answer stops nothing else."""

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection[Any]],
        prepare: Callable[[psycopg.Connection[Any]], None],
        notify: Callable[[], None],
    ) -> None:
        self._connect, self._prepare, self._notify = connect, prepare, notify
        self._lock = threading.Lock()
        self._found: psycopg.Connection[Any] | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def found(self) -> psycopg.Connection[Any] | None:
        """The connection, which then belongs to the caller, or None while the search goes on.

        `notify` is called when there is one.
        """
        with self._lock:
            connection, self._found = self._found, None
        if connection is None and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._search, name="reconnector", daemon=True)
            self._thread.start()
        return connection

    def stop(self) -> None:
        """Ends the search and closes a connection that was found."""
        self._ended.set()
        with self._lock:
            if self._found is not None:
                self._found.close()
                self._found = None

    def _search(self) -> None:
        while not self._ended.is_set():
            connection = None
            try:
                connection = self._connect()
                self._prepare(connection)
            except (WarehouseUnavailableError, psycopg.Error):
                if connection is not None:
                    connection.close()
                self._ended.wait(RETRY_SECONDS)
                continue
            with self._lock:
                if not self._ended.is_set():
                    self._found = connection
            self._notify()
            return

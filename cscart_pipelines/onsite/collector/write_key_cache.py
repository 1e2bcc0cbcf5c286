"""The collector's copy of the write keys: read every two seconds, or when an unknown key is asked.

The copy is kept while the warehouse is away: a removed integration is refused within seconds, and a
restart of the warehouse loses no events. The same thread makes the partitions of the coming days
when the collector starts. Not here: what a key is (`write_keys`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import psycopg

from cscart_pipelines.onsite.retention import keep
from cscart_pipelines.onsite.write_keys import Site, load_sites
from cscart_pipelines.warehouse.errors import WarehouseUnavailableError

log = logging.getLogger(__name__)

REFRESH_SECONDS = 2.0
MIN_INTERVAL_SECONDS = 0.25
"""Between two reads, however many unknown keys are asked for."""
STATEMENT_TIMEOUT = "SET statement_timeout = '10s'"


class WriteKeyCache:
    """Write keys and their sites. Read by the event loop, replaced as a whole by its thread."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._sites: dict[str, Site] | None = None
        self._ended = threading.Event()
        self._missed = threading.Event()
        """Set to read at once; `stop` sets it too."""
        self._thread = threading.Thread(target=self._run, name="write keys", daemon=True)

    @property
    def known(self) -> bool:
        """Whether the keys have been read at all: before that every request has to be put off."""
        return self._sites is not None

    def get(self, write_key: str) -> Site | None:
        """The key's site; an unknown key makes the thread read again at once."""
        found = self._sites.get(write_key) if self._sites else None
        if found is None:
            self._missed.set()
        return found

    def __len__(self) -> int:
        return len(self._sites or ())

    def start(self) -> None:
        """Starts the thread that reads the keys."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self._missed.set()
        self._thread.join(5)

    def _run(self) -> None:
        kept = False
        connection: psycopg.Connection[Any] | None = None
        while not self._ended.is_set():
            try:
                if connection is None:
                    connection = self._connect()
                    connection.execute(STATEMENT_TIMEOUT)
                self._sites = load_sites(connection)
                if not kept:
                    keep(connection, only_make=True)
                    kept = True
            except (WarehouseUnavailableError, psycopg.Error):
                if connection is not None:
                    connection.close()
                    connection = None
            except Exception as error:  # a bug must not end the thread
                log.error("the write keys cannot be read: %s", type(error).__name__)
            self._ended.wait(MIN_INTERVAL_SECONDS)
            self._missed.wait(REFRESH_SECONDS - MIN_INTERVAL_SECONDS)
            self._missed.clear()
        if connection is not None:
            connection.close()

"""The gate to a synchronisation: one per shop at any time, however it was started.

Whoever syncs holds a lease: an advisory lock on the very connection that loads the rows, so that a
run whose connection is lost can neither go on loading nor keep others out. Progress is written
through it, in the transactions that load. Not here: what is read and loaded (`sync`).
"""

from __future__ import annotations

import os
import socket
from types import TracebackType
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cscart_pipelines.cscart.errors import PermanentShopError
from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError, require
from cscart_pipelines.integrations.registry import (
    DEAD_RUN,
    Integration,
    Registry,
    mark_failed,
)
from cscart_pipelines.integrations.secrets import SecretError
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines.warehouse.errors import WarehouseUnavailableError

KEEPALIVES = {
    "tcp_keepalives_idle": "60",
    "tcp_keepalives_interval": "15",
    "tcp_keepalives_count": "4",
}
"""Seconds, and how often: after two minutes without a sign the server ends the connection. By
default it would take hours, and keep the shop locked so long after its machine has vanished."""
LOADING = {"synchronous_commit": "off"}
"""Chunks need not reach the disk one by one: rows and watermark are lost together or not at all,
and the end of the run waits for all of them."""


class SyncSession:
    """The right to sync one shop, and the record of that run. A context manager.

    Leaving it without `succeed` marks the run and the integration as failed.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        connection: psycopg.Connection[Any],
        integration: Integration,
        kind: str,
        number: int,
    ) -> None:
        self._warehouse = warehouse
        self.connection = connection
        self.integration = integration
        self.kind = kind
        """first, resync or full."""
        self._number = number
        self._open = True

    def __enter__(self) -> SyncSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._open:
            # Before the synchronisation proper: the key cannot be read, or a fresh probe failed.
            lasting = isinstance(error, PermanentShopError | SecretError)
            self.fail(_why(kind, error), permanent=lasting, kind=kind.__name__ if kind else None)

    def capabilities(self) -> dict[str, Any]:
        """What the shop can do, as it was found last: it may have been probed since the lease."""
        row = self.connection.execute(
            "SELECT capabilities FROM registry.integrations WHERE integration = %s",
            [self.integration.key],
        ).fetchone()
        return dict(row[0] or {}) if row else {}

    def progress(self, phase: str, done: int, total: int | None) -> None:
        """Says how far the run is, within the caller's transaction. Also the sign of life."""
        self.connection.execute(
            "UPDATE registry.sync_runs SET phase = %(phase)s, rows_done = %(done)s,"
            " rows_total = %(total)s, heartbeat_at = clock_timestamp(),"
            " phase_started_at = CASE WHEN phase = %(phase)s THEN phase_started_at"
            " ELSE clock_timestamp() END,"
            " phase_started_rows = CASE WHEN phase = %(phase)s THEN phase_started_rows"
            " ELSE %(done)s END WHERE id = %(run)s",
            {"phase": phase, "done": done, "total": total, "run": self._number},
        )

    def succeed(self, stats: dict[str, Any]) -> None:
        """Status enabled; the run is on the record with what it did."""
        with self.connection.transaction():
            self.connection.execute("SET LOCAL synchronous_commit TO on")
            self.connection.execute(
                "UPDATE registry.sync_runs SET state = 'succeeded', finished_at = now(),"
                " phase = 'done', stats = %s WHERE id = %s",
                [Jsonb(stats), self._number],
            )
            self.connection.execute(
                "UPDATE registry.integrations SET status = 'enabled', status_reason = NULL,"
                " status_since = now(), attempts = 0, failure_permanent = false,"
                " first_synced_at = coalesce(first_synced_at, now()), last_synced_at = now(),"
                " updated_at = now() WHERE integration = %s AND status = 'syncing'",
                [self.integration.key],
            )
        self._close()

    def fail(self, reason: str, *, permanent: bool, kind: str | None = None) -> None:
        """Status failed with the reason; if the connection is lost, through another one.

        If that fails as well, the next reader of the status finds a run without a lock.
        """
        key = self.integration.key
        try:
            with self.connection.transaction():
                mark_failed(self.connection, key, self._number, reason, permanent, kind)
        except psycopg.Error:
            try:
                with self._warehouse.connect() as another:
                    mark_failed(another, key, self._number, reason, permanent, kind)
            except (psycopg.Error, WarehouseUnavailableError):
                pass
        self._close()

    def _close(self) -> None:
        self._open = False
        # Closing frees the lock too, but a moment later than the next command may ask.
        advisory.unlock(self.connection, Lock.SYNC, self.integration.key)
        self.connection.close()


def acquire(
    warehouse: Warehouse,
    registry: Registry,
    key: str,
    act: Action,
    *,
    full: bool = False,
    run_id: str | None = None,
) -> SyncSession:
    """Opens the gate, or raises NotAllowedError, UnknownIntegrationError, SecretError."""
    connection = warehouse.connect(autocommit=True)
    try:
        for name, value in (KEEPALIVES | LOADING).items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        if not advisory.try_lock_session(connection, Lock.SYNC, key):
            registry.get(key)
            raise NotAllowedError(f"{act} is not allowed: a synchronisation is in progress")
        with connection.transaction():  # with its lock free, a run that runs is gone
            mark_failed(connection, key, None, DEAD_RUN)
        with connection.transaction():
            connection.execute(
                "SELECT FROM registry.integrations WHERE integration = %s FOR UPDATE", [key]
            )
            integration = registry.get(key)
            require(act, registry.standing(integration))
            kind = "full" if full else "resync"
            if integration.first_synced_at is None:
                kind = "first"
            connection.execute(
                "UPDATE registry.integrations SET status = 'syncing', status_reason = NULL,"
                " status_since = now(), updated_at = now() WHERE integration = %s",
                [key],
            )
            row = connection.execute(
                "INSERT INTO registry.sync_runs (integration, run_id, kind, state, host, pid)"
                " VALUES (%s, %s, %s, 'running', %s, %s) RETURNING id",
                [key, run_id, kind, socket.gethostname(), os.getpid()],
            ).fetchone()
        assert row is not None
        return SyncSession(warehouse, connection, integration, kind, row[0])
    except BaseException:
        connection.close()
        raise


def _why(kind: type[BaseException] | None, error: BaseException | None) -> str:
    """The reason to keep. Foreign errors may quote what they were given, so only their name."""
    if kind is None:
        return "the run ended early"
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return "the run was interrupted"
    if kind.__module__.partition(".")[0] == __package__.partition(".")[0]:
        return str(error)
    return f"unexpected {kind.__name__}; the log of the run says more"

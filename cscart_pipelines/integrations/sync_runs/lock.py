"""The lock of a synchronisation, one per shop at any time, and the record of its run.

The session holds an advisory lock on the connection that loads the rows: a run whose connection is
lost can neither load on nor block others. Progress is written through the same connection, in the
transactions that load. Not here: what is read and loaded (`sync`).
"""

from __future__ import annotations

import contextlib
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


class SyncSession:
    """The sync lock of one shop and the record of the run, as a context manager.

    An exit without `succeed` marks the run and the integration as failed.
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
            # Before the synchronisation: the key cannot be read, or a new connection test failed.
            lasting = isinstance(error, PermanentShopError | SecretError)
            self.fail(_why(kind, error), permanent=lasting, kind=kind.__name__ if kind else None)

    def capabilities(self) -> dict[str, Any]:
        """Returns what the last connection test found, which may be newer than the lock."""
        row = self.connection.execute(
            "SELECT capabilities FROM registry.integrations WHERE integration = %s",
            [self.integration.key],
        ).fetchone()
        return dict(row[0] or {}) if row else {}

    def progress(self, phase: str, done: int, total: int | None) -> None:
        """Records the progress and the heartbeat, within the caller's transaction.

        Fewer rows than before are those of the next list of the phase, with a speed of its own.
        """
        self.connection.execute(
            "UPDATE registry.sync_runs SET phase = %(phase)s, rows_done = %(done)s,"
            " rows_total = %(total)s, heartbeat_at = clock_timestamp(),"
            " phase_started_at = CASE WHEN phase = %(phase)s AND rows_done <= %(done)s"
            " THEN phase_started_at ELSE clock_timestamp() END,"
            " phase_started_rows = CASE WHEN phase = %(phase)s AND rows_done <= %(done)s"
            " THEN phase_started_rows ELSE %(done)s END WHERE id = %(run)s",
            {"phase": phase, "done": done, "total": total, "run": self._number},
        )

    def succeed(self, stats: dict[str, Any]) -> None:
        """Sets the status to enabled and records what the run did."""
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
        """Sets the status to failed with the reason; if the connection is lost, by another one.

        If that fails as well, the next reader of the status finds a run without a lock.

        Args:
            reason: For people.
            permanent: A repetition cannot help.
            kind: The class of the error, for exit codes and alerts.
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
        _unlock(self.connection, self.integration.key)
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
    """Takes the sync lock of an integration, sets its status and records the run.

    Args:
        warehouse: A connection of its own is opened.
        registry: Has the integration.
        key: Of the integration.
        act: By whom it is asked for: a start, a resync, the schedule.
        full: Everything is read again.
        run_id: Of the Dagster run.

    Raises:
        NotAllowedError: It is syncing, or its status does not allow it.
        UnknownIntegrationError: There is none of this key.
        SecretError: The API key cannot be read.
    """
    with contextlib.ExitStack() as refused:
        connection = warehouse.open_session(autocommit=True)
        refused.callback(connection.close)
        # Chunks are not flushed to the disk one by one: rows and watermark are lost together or not
        # at all, and the end of the run waits for all of them.
        connection.execute("SET synchronous_commit TO off")
        if not advisory.try_lock_session(connection, Lock.SYNC, key):
            registry.get(key)
            raise NotAllowedError(f"{act} is not allowed: a synchronisation is in progress")
        refused.callback(_unlock, connection, key)
        with connection.transaction():  # the lock was free: a recorded run has died
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
        refused.pop_all()
        return SyncSession(warehouse, connection, integration, kind, row[0])


def _unlock(connection: psycopg.Connection[Any], key: str) -> None:
    """Closing frees the lock too, but a moment later, when the next command may find it."""
    advisory.unlock(connection, Lock.SYNC, key)


def _why(kind: type[BaseException] | None, error: BaseException | None) -> str:
    """Returns the reason to store; of foreign errors, which may quote data, only the name."""
    if kind is None:
        return "the run ended early"
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return "the run was interrupted"
    if kind.__module__.partition(".")[0] == __package__.partition(".")[0]:
        return str(error)
    return f"unexpected {kind.__name__}; the log of the run says more"

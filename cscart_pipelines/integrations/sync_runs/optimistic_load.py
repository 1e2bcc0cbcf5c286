"""Loads of a few rows between synchronisations: read without the sync lock, loaded under it.

A synchronisation holds its lock from the first request to the last row, and shows in the status. A
targeted sync, once a minute, does neither: it notes the last synchronisation, reads, and loads only
if none has begun since, under the lock for that moment. So its rows never replace newer ones, no
erased person is loaded again, and no command finds the shop busy. Not here: what is read
(`sync.targeted`), the lock of a synchronisation (`lock`).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError, require
from cscart_pipelines.integrations.limit import Limit
from cscart_pipelines.integrations.registry import Integration, Registry
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock

KIND = "onsite"
"""The kind of its records in `registry.sync_runs`, which are made only after changes."""
_LAST_SYNC = (
    f"SELECT id FROM registry.sync_runs WHERE integration = %s AND kind <> '{KIND}'"  # noqa: S608
    " ORDER BY id DESC LIMIT 1"
)


class ConcurrentSyncError(RuntimeError):
    """A synchronisation or another action came between: nothing was loaded."""


@dataclass(frozen=True)
class SyncSnapshot:
    """The state of an integration before the shop is read."""

    integration: Integration
    last_sync: int | None
    """Number of the last synchronisation, whatever became of it."""
    began: datetime

    @property
    def key(self) -> str:
        """Of the integration."""
        return self.integration.key


def begin(connection: psycopg.Connection[Any], registry: Registry, key: str) -> SyncSnapshot:
    """Takes the snapshot, before the shop is read.

    Args:
        connection: In autocommit mode.
        registry: Has the integration.
        key: Of the integration.

    Raises:
        NotAllowedError: A scheduled synchronisation is not allowed, or none has succeeded yet.
        UnknownIntegrationError: There is none of this key.
    """
    row = connection.execute(
        f"SELECT ({_LAST_SYNC}), clock_timestamp()",
        [key],
    ).fetchone()
    assert row is not None
    # After the number: a synchronisation that begins in between is seen by its status or number.
    integration = registry.get(key)
    require(Action.SCHEDULED, registry.standing(integration))
    if integration.first_synced_at is None:
        raise NotAllowedError("the first synchronisation has not been completed yet")
    return SyncSnapshot(integration, row[0], row[1])


@contextlib.contextmanager
def load_if_unchanged(
    connection: psycopg.Connection[Any], snapshot: SyncSnapshot
) -> Iterator[None]:
    """Opens one transaction under the sync lock, if nothing has changed since the snapshot.

    Raises:
        ConcurrentSyncError: Something has; nothing is done.
    """
    with connection.transaction():
        if not advisory.try_lock(connection, Lock.SYNC, snapshot.key):
            raise ConcurrentSyncError("a synchronisation is in progress")
        present = connection.execute(
            f"SELECT created_at, status, ({_LAST_SYNC}), companies, storefronts"  # noqa: S608
            " FROM registry.integrations WHERE integration = %s FOR SHARE",
            [snapshot.key, snapshot.key],
        ).fetchone()
        if present is None or present[0] != snapshot.integration.created_at:
            raise ConcurrentSyncError("the integration was removed meanwhile")
        if present[1] not in ("enabled", "failed"):
            raise ConcurrentSyncError(f"the integration is {present[1]} now")
        if present[2] != snapshot.last_sync:
            raise ConcurrentSyncError("a synchronisation has begun meanwhile")
        if Limit(tuple(present[3]), tuple(present[4])) != snapshot.integration.settings.limit:
            raise ConcurrentSyncError("what the integration takes was changed meanwhile")
        yield


def record(
    connection: psycopg.Connection[Any],
    snapshot: SyncSnapshot,
    rows: int,
    stats: dict[str, Any],
    run_id: str | None,
) -> None:
    """Records that rows have changed, so that the lists are built again.

    It is the last statement within `load_if_unchanged`. Earlier records of the kind are deleted
    once the lists contain them: one a minute would hide the synchronisations among them.
    """
    connection.execute(
        "DELETE FROM registry.sync_runs WHERE integration = %s AND kind = %s"
        " AND id <= (SELECT covers_sync FROM registry.list_builds WHERE integration = %s)",
        [snapshot.key, KIND, snapshot.key],
    )
    connection.execute(
        "INSERT INTO registry.sync_runs (integration, run_id, kind, state, phase, rows_done,"
        " rows_total, host, pid, started_at, heartbeat_at, finished_at, stats)"
        " VALUES (%(key)s, %(run)s, %(kind)s, 'succeeded', 'done', %(rows)s, %(rows)s, %(host)s,"
        " %(pid)s, %(began)s, clock_timestamp(), clock_timestamp(), %(stats)s)",
        {
            "key": snapshot.key,
            "run": run_id,
            "kind": KIND,
            "rows": rows,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "began": snapshot.began,
            "stats": Jsonb(stats),
        },
    )

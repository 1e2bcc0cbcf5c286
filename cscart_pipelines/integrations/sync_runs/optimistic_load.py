"""A brief look at a shop between two synchronisations: read without the gate, load through it.

A synchronisation holds its lock from the first request to the last row, and shows in the status.
Whoever reads a handful of rows every minute does neither: it notes which synchronisation was the
last, reads, and then loads only if none has begun since, holding the lock for the moment of loading
alone. So what was read never takes the place of what a synchronisation read later, nobody is
brought back who was forgotten meanwhile, and no command is told that the shop is busy. Not here:
what is read (`sync.touched`), the gate of a synchronisation (`lease`).
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
"""Of its records in `registry.sync_runs`, which are made only when something has changed."""
_LAST_SYNC = (
    f"SELECT id FROM registry.sync_runs WHERE integration = %s AND kind <> '{KIND}'"  # noqa: S608
    " ORDER BY id DESC LIMIT 1"
)


class ConcurrentSyncError(RuntimeError):
    """A synchronisation (or another act) came in between: nothing of what was read was loaded."""


@dataclass(frozen=True)
class SyncSnapshot:
    """What was so when the look began."""

    integration: Integration
    last_sync: int | None
    """Number of the last synchronisation, whatever became of it."""
    began: datetime

    @property
    def key(self) -> str:
        return self.integration.key


def begin(connection: psycopg.Connection[Any], registry: Registry, key: str) -> SyncSnapshot:
    """Raises NotAllowedError where the schedule would not synchronise either, or nothing was ever
    synchronised, and UnknownIntegrationError. `connection`: in autocommit mode."""
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
def load_if_unchanged(connection: psycopg.Connection[Any], look: SyncSnapshot) -> Iterator[None]:
    """One transaction under the lock of the shop. Raises OvertakenError before anything is done."""
    with connection.transaction():
        if not advisory.try_lock(connection, Lock.SYNC, look.key):
            raise ConcurrentSyncError("a synchronisation is in progress")
        present = connection.execute(
            f"SELECT created_at, status, ({_LAST_SYNC}), companies, storefronts"  # noqa: S608
            " FROM registry.integrations WHERE integration = %s FOR SHARE",
            [look.key, look.key],
        ).fetchone()
        if present is None or present[0] != look.integration.created_at:
            raise ConcurrentSyncError("the integration was removed meanwhile")
        if present[1] not in ("enabled", "failed"):
            raise ConcurrentSyncError(f"the integration is {present[1]} now")
        if present[2] != look.last_sync:
            raise ConcurrentSyncError("a synchronisation has begun meanwhile")
        if Limit(tuple(present[3]), tuple(present[4])) != look.integration.settings.limit:
            raise ConcurrentSyncError("what the integration takes was changed meanwhile")
        yield


def record(
    connection: psycopg.Connection[Any],
    look: SyncSnapshot,
    rows: int,
    stats: dict[str, Any],
    run_id: str | None,
) -> None:
    """Says that rows have changed, so that the lists are built again. The last word in `loading`.

    Earlier records of the kind go once they are in the lists: with one a minute nobody would find
    the synchronisations among them.
    """
    connection.execute(
        "DELETE FROM registry.sync_runs WHERE integration = %s AND kind = %s"
        " AND id <= (SELECT max(covers_sync) FROM registry.list_builds)",
        [look.key, KIND],
    )
    connection.execute(
        "INSERT INTO registry.sync_runs (integration, run_id, kind, state, phase, rows_done,"
        " rows_total, host, pid, started_at, heartbeat_at, finished_at, stats)"
        " VALUES (%(key)s, %(run)s, %(kind)s, 'succeeded', 'done', %(rows)s, %(rows)s, %(host)s,"
        " %(pid)s, %(began)s, clock_timestamp(), clock_timestamp(), %(stats)s)",
        {
            "key": look.key,
            "run": run_id,
            "kind": KIND,
            "rows": rows,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "began": look.began,
            "stats": Jsonb(stats),
        },
    )

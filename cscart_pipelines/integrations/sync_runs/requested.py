"""Synchronisations that the command line leaves to the daemon: `registry.sync_requests`.

Not here: which runs they become (`defs.ingestion.sensors`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg


@dataclass(frozen=True)
class SyncRequest:
    """Integrations that one command asked to synchronise."""

    keys: tuple[str, ...]
    full: bool
    requested_at: datetime


def request_sync(connection: psycopg.Connection[Any], keys: Collection[str], *, full: bool) -> None:
    """Stores a request to synchronise these integrations in one run.

    One that waits for a full synchronisation still gets it.
    """
    connection.execute(
        "INSERT INTO registry.sync_requests AS waiting (integration, whole)"
        " SELECT integration, %s FROM unnest(%s::text[]) AS integration"
        " ON CONFLICT (integration) DO UPDATE SET"
        " whole = waiting.whole OR excluded.whole, requested_at = now()",
        [full, list(keys)],
    )


def pending_requests(connection: psycopg.Connection[Any]) -> list[SyncRequest]:
    """Returns the requests in order, after deleting those of disabled and removed integrations."""
    connection.execute(
        "DELETE FROM registry.sync_requests AS request WHERE NOT EXISTS (SELECT FROM"
        " registry.integrations AS shop WHERE shop.integration = request.integration"
        " AND shop.status <> 'disabled')"
    )
    rows = connection.execute(
        "SELECT array_agg(integration ORDER BY integration), whole, requested_at"
        " FROM registry.sync_requests GROUP BY whole, requested_at ORDER BY requested_at, whole"
    ).fetchall()
    return [SyncRequest(tuple(keys), whole, moment) for keys, whole, moment in rows]


def delete_request(connection: psycopg.Connection[Any], request: SyncRequest) -> None:
    """Deletes a request whose run exists; a later one for the same integration stays."""
    connection.execute(
        "DELETE FROM registry.sync_requests"
        " WHERE integration = ANY(%s) AND whole = %s AND requested_at = %s",
        [list(request.keys), request.full, request.requested_at],
    )

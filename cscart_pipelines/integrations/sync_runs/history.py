"""What is left in `registry.sync_runs`: which synchronisations ran, and what became of them.

Not here: the record of a synchronisation that is running (`lock`), progress in numbers
(`progress`), requests for synchronisations (`requested`), builds (`list_builds`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from cscart_pipelines.warehouse.driver import Connection

Row = dict[str, Any]


def newest_run(connection: Connection) -> int:
    """Returns the number of the newest synchronisation of any integration; 0 before the first."""
    return int(_one(connection, "SELECT coalesce(max(id), 0) AS id FROM registry.sync_runs")["id"])


def recent_runs(connection: Connection, key: str, limit: int = 5) -> list[Row]:
    """Returns the last synchronisations of an integration, the newest first."""
    return _rows(
        connection,
        "SELECT kind, state, phase, rows_done, rows_total, phase_started_at,"
        " phase_started_rows, started_at, heartbeat_at, finished_at, error, error_kind,"
        " run_id, stats FROM registry.sync_runs"
        " WHERE integration = %s ORDER BY id DESC LIMIT %s",
        [key, limit],
    )


def running(connection: Connection) -> dict[str, Row]:
    """Returns the synchronisations that are running, by integration."""
    rows = _rows(connection, "SELECT * FROM registry.sync_runs WHERE state = 'running' ORDER BY id")
    return {row["integration"]: row for row in rows}


def run_ids(connection: Connection, key: str, limit: int = 500) -> list[str]:
    """Returns the ids of Dagster runs that synchronised an integration, the newest first."""
    rows = _rows(
        connection,
        "SELECT run_id FROM registry.sync_runs WHERE integration = %s AND run_id IS NOT NULL"
        " ORDER BY id DESC LIMIT %s",
        [key, limit],
    )
    return [row["run_id"] for row in rows]


def results_of_run(connection: Connection, run_id: str, keys: Collection[str]) -> dict[str, Row]:
    """Returns state, stats, error and error_kind of each integration that the run has begun."""
    rows = _rows(
        connection,
        "SELECT DISTINCT ON (integration) integration, state, stats, error, error_kind"
        " FROM registry.sync_runs WHERE integration = ANY(%s) AND run_id = %s"
        " ORDER BY integration, id DESC",
        [list(keys), run_id],
    )
    return {row["integration"]: row for row in rows}


def newest_after(connection: Connection, keys: Collection[str], number: int) -> Row | None:
    """Returns phase, rows and stats of the newest synchronisation of these after a number."""
    rows = _rows(
        connection,
        "SELECT phase, rows_done, rows_total, stats FROM registry.sync_runs"
        " WHERE integration = ANY(%s) AND id > %s ORDER BY id DESC LIMIT 1",
        [list(keys), number],
    )
    return rows[0] if rows else None


def ended_after(connection: Connection, keys: Collection[str], number: int) -> int:
    """Counts these integrations that have a synchronisation after a number that has ended."""
    row = _one(
        connection,
        "SELECT count(DISTINCT integration) AS ended FROM registry.sync_runs"
        " WHERE integration = ANY(%s) AND id > %s AND state <> 'running'",
        [list(keys), number],
    )
    return int(row["ended"])


def first_failure_after(connection: Connection, keys: Collection[str], number: int) -> Row | None:
    """Returns integration, error and error_kind of the first failure of these after a number."""
    rows = _rows(
        connection,
        "SELECT integration, error, error_kind FROM registry.sync_runs"
        " WHERE integration = ANY(%s) AND id > %s AND state = 'failed' ORDER BY id LIMIT 1",
        [list(keys), number],
    )
    return rows[0] if rows else None


def runs_after(connection: Connection, number: int, among: Collection[int] = ()) -> list[Row]:
    """Returns synchronisations after a number, and those `among` earlier ones, in order."""
    return _rows(
        connection,
        "SELECT id, integration, kind, state, error, stats, started_at, finished_at"
        " FROM registry.sync_runs WHERE id > %s OR id = ANY(%s) ORDER BY id",
        [number, list(among)],
    )


def last_succeeded(connection: Connection) -> dict[str, int]:
    """Returns the number of the last successful synchronisation, by integration."""
    rows = _rows(
        connection,
        "SELECT integration, max(id) AS id FROM registry.sync_runs WHERE state = 'succeeded'"
        " GROUP BY integration",
    )
    return {row["integration"]: row["id"] for row in rows}


def delete_before(connection: Connection, moment: datetime) -> int:
    """Deletes the records of synchronisations that ended earlier; returns how many.

    The last successful one of an integration stays with all after it, and what its lists do not
    contain yet.
    """
    return connection.execute(
        """
        DELETE FROM registry.sync_runs AS old
        WHERE finished_at < %s AND state <> 'running'
          AND EXISTS (
              SELECT FROM registry.sync_runs AS newer
              WHERE newer.integration = old.integration AND newer.id > old.id
                AND newer.state = 'succeeded' AND newer.kind <> 'onsite'
          )
          AND NOT EXISTS (
              SELECT FROM registry.list_builds AS build
              WHERE build.integration = old.integration AND build.covers_sync < old.id
          )
        """,
        [moment],
    ).rowcount


def _one(connection: Connection, query: str, values: list[Any] | None = None) -> Row:
    return _rows(connection, query, values)[0]


def _rows(connection: Connection, query: str, values: list[Any] | None = None) -> list[Row]:
    return connection.cursor(row_factory=dict_row).execute(query.encode(), values).fetchall()

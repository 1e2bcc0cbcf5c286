"""The table `fulfilment.last_push_runs`: how the last push to each shop ended, and what follows.

After a failure the next automatic push waits, longer each time. Not here: the push itself
(`push_session`), single orders that wait (`shipments/deferred_orders`).
"""

from __future__ import annotations

from cscart_pipelines.warehouse.driver import Connection

MAX_BACKOFF_SECONDS = 3600
"""Seconds between pushes to a shop that keeps failing."""


def begin(connection: Connection, key: str, kind: str) -> None:
    """Records that a push begins."""
    connection.execute(
        "INSERT INTO fulfilment.last_push_runs (integration, kind) VALUES (%s, %s)"
        " ON CONFLICT (integration, kind) DO UPDATE SET started_at = now(), finished_at = NULL",
        [key, kind],
    )


def end(
    connection: Connection,
    key: str,
    kind: str,
    error: str | None,
    max_backoff: int = MAX_BACKOFF_SECONDS,
) -> None:
    """Records how a push ended.

    Args:
        connection: to the warehouse.
        key: of the integration.
        kind: shipments or stock.
        error: why it failed; None if it did not.
        max_backoff: seconds that the next push waits at most.
    """
    connection.execute(
        "UPDATE fulfilment.last_push_runs SET finished_at = now(), error = %(error)s,"
        " failures = CASE WHEN %(error)s::text IS NULL THEN 0 ELSE failures + 1 END,"
        " not_before = CASE WHEN %(error)s::text IS NULL THEN NULL ELSE now() + least("
        " 60 * power(2, least(failures, 10)), %(max_backoff)s) * interval '1 second' END"
        " WHERE integration = %(key)s AND kind = %(kind)s",
        {"key": key, "kind": kind, "error": error, "max_backoff": max_backoff},
    )


def due(connection: Connection, kind: str) -> set[str]:
    """Returns the integrations without a running back-off: an automatic push may start now."""
    rows = connection.execute(
        "SELECT shop.integration FROM registry.integrations AS shop"
        " LEFT JOIN fulfilment.last_push_runs AS last ON last.integration = shop.integration"
        " AND last.kind = %s"
        " WHERE last.not_before IS NULL OR last.not_before <= now()",
        [kind],
    ).fetchall()
    return {row[0] for row in rows}


def failures(connection: Connection, kind: str) -> dict[str, int]:
    """Returns the integrations whose last push failed, and how many failed in a row."""
    rows = connection.execute(
        "SELECT integration, failures FROM fulfilment.last_push_runs"
        " WHERE kind = %s AND failures > 0",
        [kind],
    )
    return dict(rows.fetchall())

"""Retention of raw events: a partition for each day, made ahead and dropped whole when it is old.

Safe beside running collectors: every step is a short transaction that is postponed
(`RetentionReport.postponed`) rather than let visitors wait for a lock. Not here: when it runs
(`defs.onsite.retention`, and each collector when it starts).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import tuple_row

from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock

BEHIND, AHEAD = 7, 3
"""Days around today (UTC) that have a partition from the start: events are taken for a week."""
DEFAULT_DAYS = 90
"""Of an integration that has no row in onsite.sites."""
LOCK_WAIT = "1s"
TRIES = 5
PREFIX = "events_"


@dataclass
class RetentionReport:
    """What was done: names of partitions, and rows."""

    made: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    moved: int = 0
    """Rows that had come before their day's partition was there."""
    deleted: int = 0
    postponed: list[str] = field(default_factory=list)
    """Steps left for the next run, because the table was locked."""


def keep(connection: psycopg.Connection[Any], *, only_make: bool = False) -> RetentionReport:
    """Makes, drops and empties partitions that are due.

    Args:
        connection: Not in a transaction.
        only_make: Drop and empty nothing, which may take long.

    Raises:
        psycopg.Error: The warehouse is gone.
    """
    report = RetentionReport()
    cursor = connection.cursor(row_factory=tuple_row)
    row = cursor.execute("SELECT (now() AT TIME ZONE 'UTC')::date").fetchone()
    days = cursor.execute(
        "SELECT integration, retention_days FROM onsite.sites ORDER BY integration"
    ).fetchall()
    if not connection.autocommit:
        connection.commit()
    assert row is not None
    today: date = row[0]
    longest = max([DEFAULT_DAYS, *(kept for _, kept in days)])
    oldest = today - timedelta(days=longest)
    for offset in range(-BEHIND, AHEAD + 1):
        day = today + timedelta(days=offset)
        if day >= oldest:
            _step(connection, report, _name(day), partial(_make, day=day, report=report))
    if only_make:
        return report
    for day in _partitions(connection):
        if day < oldest:
            _step(connection, report, _name(day), partial(_drop, day=day, report=report))
    _step(connection, report, "old rows", partial(_empty, today=today, report=report))
    return report


def _step(
    connection: psycopg.Connection[Any], report: RetentionReport, name: str,
    work: Callable[[psycopg.Cursor[tuple[Any, ...]]], None],
) -> None:  # fmt: skip
    for attempt in range(1, TRIES + 1):
        try:
            with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_WAIT])
                advisory.lock(connection, Lock.RETENTION)
                work(cursor)
            return
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            if attempt == TRIES:
                report.postponed.append(name)


def _name(day: date) -> str:
    return f"{PREFIX}{day:%Y%m%d}"


def _partitions(connection: psycopg.Connection[Any]) -> list[date]:
    """Days that have a partition."""
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(
            "SELECT to_date(substr(relname, 8), 'YYYYMMDD') FROM pg_inherits"
            " JOIN pg_class ON oid = inhrelid"
            " WHERE inhparent = 'onsite.events'::regclass AND relname ~ '^events_[0-9]{8}$'"
            " ORDER BY 1"
        ).fetchall()
    return [row[0] for row in rows]


def _make(cursor: psycopg.Cursor[tuple[Any, ...]], day: date, report: RetentionReport) -> None:
    table = sql.Identifier("onsite", _name(day))
    found = cursor.execute("SELECT to_regclass(%s)", [f"onsite.{_name(day)}"]).fetchone()
    if found and found[0] is not None:
        return
    # No rows of that day may get into the default partition while they move. The parent is locked
    # first, as every writer does.
    cursor.execute("LOCK TABLE ONLY onsite.events IN SHARE UPDATE EXCLUSIVE MODE")
    cursor.execute("LOCK TABLE onsite.events_other IN ACCESS EXCLUSIVE MODE")
    cursor.execute(sql.SQL("CREATE TABLE {} (LIKE onsite.events INCLUDING ALL)").format(table))
    moved = cursor.execute(
        sql.SQL(
            "WITH gone AS (DELETE FROM onsite.events_other WHERE day = %s RETURNING *)"
            " INSERT INTO {} SELECT * FROM gone"
        ).format(table),
        [day],
    )
    report.moved += moved.rowcount
    cursor.execute(
        sql.SQL(
            "ALTER TABLE onsite.events ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})"
        ).format(table, sql.Literal(day), sql.Literal(day + timedelta(days=1)))
    )
    report.made.append(_name(day))


def _drop(cursor: psycopg.Cursor[tuple[Any, ...]], day: date, report: RetentionReport) -> None:
    cursor.execute("LOCK TABLE ONLY onsite.events IN ACCESS EXCLUSIVE MODE")
    cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("onsite", _name(day))))
    report.dropped.append(_name(day))


def _empty(cursor: psycopg.Cursor[tuple[Any, ...]], today: date, report: RetentionReport) -> None:
    """Deletes old rows of integrations with a shorter retention and of browsers with a wrong clock.

    The latter have any day; their age counts from their arrival.
    """
    for table, moment in (("events", "day"), ("events_other", "received_at")):
        done = cursor.execute(
            sql.SQL(
                "DELETE FROM {table} AS e USING ("
                "  SELECT integration, coalesce(retention_days, {default}) AS days"
                "  FROM (SELECT DISTINCT integration FROM {table}) AS present"
                "  LEFT JOIN onsite.sites USING (integration)) AS s"
                " WHERE e.integration = s.integration AND e.{moment} < %s::date - s.days"
                "   AND e.tableoid {other} 'onsite.events_other'::regclass"
            ).format(
                table=sql.Identifier("onsite", table),
                default=sql.Literal(DEFAULT_DAYS),
                moment=sql.Identifier(moment),
                other=sql.SQL("=" if table == "events_other" else "<>"),
            ),
            [today],
        )
        report.deleted += done.rowcount
    cursor.execute(
        "DELETE FROM onsite.rejects AS r WHERE day < %s::date - coalesce("
        " (SELECT retention_days FROM onsite.sites AS s WHERE s.integration = r.integration), %s)",
        [today, DEFAULT_DAYS],
    )

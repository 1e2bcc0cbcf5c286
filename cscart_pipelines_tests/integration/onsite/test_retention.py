"""Daily partitions: made ahead, filled with what came before them, dropped when they are old."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from cscart_pipelines.onsite.retention import AHEAD, BEHIND, keep
from cscart_pipelines_tests.conftest import Database

TODAY = datetime.now(UTC).date()


def name(day: date) -> str:
    return f"events_{day:%Y%m%d}"


def add(
    connection: psycopg.Connection[Any], event_id: str, days_ago: int, *,
    integration: str = "shop", received: int | None = None,
) -> None:  # fmt: skip
    day = TODAY - timedelta(days=days_ago)
    came = TODAY - timedelta(days=days_ago if received is None else received)
    connection.execute(
        "INSERT INTO onsite.events (integration, event_id, day, name, occurred_at, client_at,"
        " received_at, visitor_id) VALUES (%s, %s, %s, 'page_view', %s, %s, %s, 'v')",
        [integration, event_id, day, day, day, came],
    )


def places(connection: psycopg.Connection[Any]) -> dict[str, str]:
    rows = connection.execute("SELECT event_id, tableoid::regclass::text FROM onsite.events")
    return {event: table.removeprefix("onsite.") for event, table in rows}


def partitions(connection: psycopg.Connection[Any]) -> set[str]:
    rows = connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'onsite.events'::regclass"
    )
    return {row[0].removeprefix("onsite.") for row in rows}


def make(connection: psycopg.Connection[Any], day: date) -> None:
    connection.execute(
        f"CREATE TABLE onsite.{name(day)} PARTITION OF onsite.events"
        f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
    )


def test_a_week_behind_and_days_ahead_are_made_and_rows_move_into_them(
    warehouse_database: Database,
) -> None:
    with warehouse_database.connect() as connection:
        for days in (0, 7, 8, -3, -4):
            add(connection, f"event {days}", days, received=0)
        report = keep(connection)
        wanted = [name(TODAY + timedelta(days=days)) for days in range(-BEHIND, AHEAD + 1)]
        assert report.made == wanted
        assert (report.moved, report.deleted, report.dropped, report.postponed) == (3, 0, [], [])
        assert partitions(connection) == {*wanted, "events_other"}
        assert places(connection) == {
            "event 0": name(TODAY), "event 7": name(TODAY - timedelta(days=7)),
            "event -3": name(TODAY + timedelta(days=3)), "event 8": "events_other",
            "event -4": "events_other",
        }  # fmt: skip
        again = keep(connection)
        assert (again.made, again.moved) == ([], 0)


def test_an_id_stays_unique_in_a_partition_made_later(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        add(connection, "same", 0)
        keep(connection)
        with pytest.raises(psycopg.errors.UniqueViolation):
            add(connection, "same", 0)


def test_each_shop_keeps_as_long_as_it_says_and_old_days_go_as_a_whole(
    warehouse_database: Database,
) -> None:
    with warehouse_database.connect() as connection:
        connection.execute(
            "INSERT INTO onsite.sites (integration, retention_days)"
            " VALUES ('short', 5), ('long', 120)"
        )
        for days in (121, 100):
            make(connection, TODAY - timedelta(days=days))
        for shop in ("short", "long", "shop"):
            for days in (0, 5, 6, 90, 91, 100, 120, 121):
                add(connection, f"{shop} {days}", days, integration=shop)
        report = keep(connection)
        assert report.dropped == [name(TODAY - timedelta(days=121))]
        assert set(places(connection)) == {
            "short 0", "short 5",
            "shop 0", "shop 5", "shop 6", "shop 90",
            "long 0", "long 5", "long 6", "long 90", "long 91", "long 100", "long 120",
        }  # fmt: skip
        assert name(TODAY - timedelta(days=100)) in partitions(connection)


def test_a_browser_with_a_wrong_clock_is_judged_by_when_it_came(
    warehouse_database: Database,
) -> None:
    with warehouse_database.connect() as connection:
        add(connection, "new", 5000, received=1)
        add(connection, "old", -5000, received=91)
        assert keep(connection).deleted == 1
        assert places(connection) == {"new": "events_other"}


def test_counts_of_rejects_go_with_their_events(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        for days in (90, 91):
            connection.execute(
                "INSERT INTO onsite.rejects (integration, day, reason) VALUES ('shop', %s, 'x')",
                [TODAY - timedelta(days=days)],
            )
        keep(connection)
        found = connection.execute("SELECT day FROM onsite.rejects").fetchall()
        assert found == [(TODAY - timedelta(days=90),)]


def test_nobody_waits_for_a_table_that_is_held(warehouse_database: Database) -> None:
    old = TODAY - timedelta(days=200)
    with warehouse_database.connect() as connection, warehouse_database.connect() as holder:
        keep(connection)
        make(connection, old)
        holder.execute("BEGIN")
        holder.execute("SELECT * FROM onsite.events").fetchall()
        report = keep(connection)
        assert (report.dropped, report.postponed) == ([], [name(old)])
        holder.execute("COMMIT")
        assert keep(connection).dropped == [name(old)]


def test_it_needs_no_autocommit(warehouse_database: Database) -> None:
    with warehouse_database.warehouse.connect() as connection:
        assert len(keep(connection).made) == BEHIND + AHEAD + 1
    with warehouse_database.connect() as connection:
        assert len(partitions(connection)) == BEHIND + AHEAD + 2

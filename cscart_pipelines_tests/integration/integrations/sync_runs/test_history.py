"""Old records of synchronisations go; what something still depends on stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cscart_pipelines.integrations.sync_runs.history import delete_before
from cscart_pipelines_tests.conftest import Database


def test_records_are_deleted_up_to_the_last_success_that_the_lists_contain(
    warehouse_database: Database,
) -> None:
    rows = [
        (1, "busy", "resync", "succeeded", 100), (2, "busy", "resync", "failed", 99),
        (3, "busy", "resync", "succeeded", 1),
        # Nothing but visitors since: the last whole synchronisation is still the newest.
        (4, "quiet", "first", "succeeded", 200), (5, "quiet", "onsite", "succeeded", 95),
        # The lists do not contain it, since their builds fail.
        (6, "unbuilt", "resync", "succeeded", 100), (7, "unbuilt", "resync", "succeeded", 2),
        (8, "never", "first", "failed", 120), (9, "running", "first", "running", None),
    ]  # fmt: skip
    with warehouse_database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.cursor().executemany(
            "INSERT INTO registry.sync_runs (id, integration, kind, state, finished_at)"
            " VALUES (%s, %s, %s, %s, now() - make_interval(days => %s))", rows,
        )  # fmt: skip
        connection.execute(
            "INSERT INTO registry.list_builds (integration, covers_sync)"
            " VALUES ('busy', 3), ('quiet', 5), ('unbuilt', 5)"
        )
        assert delete_before(connection, datetime.now(UTC) - timedelta(days=90)) == 2
        left = connection.execute("SELECT id FROM registry.sync_runs ORDER BY id").fetchall()
        assert [number for (number,) in left] == [3, 4, 5, 6, 7, 8, 9]

"""The gate to a synchronisation, and the record that whoever passed it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError, Status
from cscart_pipelines.integrations.registry import DEAD_RUN, UnknownIntegrationError
from cscart_pipelines.integrations.secrets import SecretError
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.database.locks import wait_until_free
from cscart_pipelines_tests.support.shop.syncs import Connected, connected


@pytest.fixture
def made(warehouse_database: Database, settings: Settings) -> Iterator[Connected]:
    with connected(warehouse_database, settings, "4.20", "empty") as connection:
        yield connection


def runs(made: Connected) -> list[tuple[Any, ...]]:
    return made.query(
        "SELECT kind, state, error, error_kind FROM registry.sync_runs WHERE integration = %s"
        " ORDER BY id"
    )


def test_start_is_a_first_sync_and_success_enables(made: Connected) -> None:
    with acquire(made.warehouse, made.registry, made.key, Action.START, run_id="abc") as session:
        assert session.kind == "first"
        assert made.registry.get(made.key).status is Status.SYNCING
        session.progress("orders", 5, 10)
        told = made.query(
            "SELECT run_id, phase, rows_done, rows_total, state FROM registry.sync_runs"
            " WHERE integration = %s"
        )
        assert told == [("abc", "orders", 5, 10, "running")]
        session.succeed({"kind": "first"})
    integration = made.registry.get(made.key)
    assert integration.status is Status.ENABLED
    assert integration.first_synced_at == integration.last_synced_at is not None
    assert runs(made) == [("first", "succeeded", None, None)]
    with acquire(made.warehouse, made.registry, made.key, Action.RESYNC) as again:
        assert again.kind == "resync"
    with acquire(made.warehouse, made.registry, made.key, Action.RESYNC, full=True) as again:
        assert again.kind == "full"


def test_leaving_without_success_is_a_failure_that_counts(made: Connected) -> None:
    for attempt in (1, 2, 3):
        with made.session():
            pass
        integration = made.registry.get(made.key)
        assert (integration.status, integration.attempts) == (Status.FAILED, attempt)
        assert integration.status_reason == "the run ended early"
    with made.session() as session:
        session.succeed({})
    assert made.registry.get(made.key).attempts == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("the row said 4242"), "unexpected ValueError; the log of the run says more"),
        (KeyboardInterrupt(), "the run was interrupted"),
        (SecretError("the variable SHOP_KEY is not set"), "the variable SHOP_KEY is not set"),
    ],
)
def test_the_reason_quotes_our_own_errors_only(
    made: Connected, error: BaseException, reason: str
) -> None:
    with pytest.raises(type(error)), made.session():
        raise error
    assert made.registry.get(made.key).status_reason == reason
    assert runs(made) == [("first", "failed", reason, type(error).__name__)]


def test_one_at_a_time_and_free_afterwards(made: Connected) -> None:
    with made.session():
        for act in (Action.START, Action.RESYNC, Action.SCHEDULED):
            with pytest.raises(NotAllowedError, match="in progress"):
                acquire(made.warehouse, made.registry, made.key, act)
    made.session().fail("no", permanent=False)  # the lock is free as soon as the session says so


def test_the_rules_of_the_lifecycle_hold_and_leave_no_trace(made: Connected) -> None:
    with pytest.raises(NotAllowedError, match="use start"):
        acquire(made.warehouse, made.registry, made.key, Action.RESYNC)
    with pytest.raises(UnknownIntegrationError):
        acquire(made.warehouse, made.registry, "nobody", Action.START)
    assert made.registry.get(made.key).status is Status.READY
    assert runs(made) == []
    session = made.session()
    session.fail("401", permanent=True, kind="CredentialsRefusedError")
    with pytest.raises(NotAllowedError, match="is permanent"):
        acquire(made.warehouse, made.registry, made.key, Action.SCHEDULED)
    acquire(made.warehouse, made.registry, made.key, Action.RESYNC).fail("again", permanent=False)


def test_a_refused_command_leaves_the_shop_free_for_the_next(made: Connected) -> None:
    with made.warehouse.connect(autocommit=True) as connection:
        for _ in range(100):  # the server takes notice of a closed connection a moment later
            with pytest.raises(NotAllowedError, match="use start"):
                acquire(made.warehouse, made.registry, made.key, Action.RESYNC)
            assert advisory.holders(connection, Lock.SYNC, [made.key]) == {}


def test_a_dead_run_is_marked_by_whoever_comes_next(made: Connected) -> None:
    dead = made.session()
    dead.connection.close()
    wait_until_free(made.warehouse, Lock.SYNC, made.key)
    with made.session() as session:
        session.succeed({})
    assert [run[1:3] for run in runs(made)] == [("failed", DEAD_RUN), ("succeeded", None)]
    # The dead one comes to and has no say any more.
    dead.fail("late", permanent=True)
    assert made.registry.get(made.key).status is Status.ENABLED
    assert [run[1:3] for run in runs(made)] == [("failed", DEAD_RUN), ("succeeded", None)]


def test_a_lost_connection_is_reported_through_another(made: Connected) -> None:
    session = made.session()
    with made.warehouse.connect(autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(%s, 10000)", [session.connection.info.backend_pid]
        )
    with pytest.raises(psycopg.OperationalError):
        session.progress("orders", 1, 2)
    session.fail("the warehouse went away", permanent=False)
    assert made.registry.get(made.key).status_reason == "the warehouse went away"


def test_a_run_left_on_the_record_keeps_nobody_out(made: Connected) -> None:
    with made.warehouse.connect(autocommit=True) as connection:
        connection.execute(
            "INSERT INTO registry.sync_runs (integration, kind, state)"
            " VALUES (%s, 'full', 'running')",
            [made.key],
        )
    with made.session() as session:
        session.succeed({})
    assert [run[1] for run in runs(made)] == ["failed", "succeeded"]


def test_the_server_gives_up_on_a_machine_that_vanished(made: Connected) -> None:
    with made.session() as session:
        for name, value in (
            ("tcp_keepalives_idle", "30"),
            ("tcp_keepalives_interval", "10"),
            ("tcp_keepalives_count", "3"),
        ):
            told = session.connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            # Through a local socket there is no machine to vanish, and PostgreSQL says 0.
            assert told in ((value,), ("0",))


def test_capabilities_are_those_found_last(made: Connected) -> None:
    with made.session() as session:
        assert not session.capabilities()["orders_seen"]
        found = {**session.capabilities(), "orders_seen": True}
        made.registry.record_test(made.key, found)
        assert session.capabilities() == found
        session.succeed({})

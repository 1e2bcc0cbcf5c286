"""Processes killed, connections lost, two at once: nothing lost or doubled, no hand needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.registry import DEAD_RUN
from cscart_pipelines.settings import Settings
from cscart_pipelines.sync.run import SyncFailedError, synchronise
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests import PROJECT_ROOT
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.database.locks import wait_until_free
from cscart_pipelines_tests.support.shop.syncs import SMALL, Connected, connected, fill_shop

ONCE_A_DAY = ("products.amount", "statuses", "categories")
PROGRAM = """
import sys
from cscart_pipelines.integrations.connection import open_client
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines.integrations.lifecycle import Action
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.settings import read_settings
from cscart_pipelines.sync.run import synchronise
from cscart_pipelines.warehouse.connect import open_warehouse
from cscart_pipelines_tests.support.shop.syncs import SMALL

settings = read_settings()
with open_warehouse(settings) as warehouse:
    registry = Registry(warehouse, settings)
    session = acquire(warehouse, registry, sys.argv[1], Action.START)
    with session, open_client(session.integration, registry, settings) as client:
        synchronise(session, client, sizes=SMALL)
"""


def run_elsewhere(made: Connected, database: Database) -> subprocess.Popen[bytes]:
    """A first sync in a process of its own."""
    environment = {
        **os.environ,
        **database.settings_env,
        "CSCART_PIPELINES_HOME": str(made.settings.home),
        "CSCART_PIPELINES_API_PARALLEL": "1",
    }
    root = PROJECT_ROOT
    return subprocess.Popen([sys.executable, "-c", PROGRAM, made.key], env=environment, cwd=root)


@pytest.mark.parametrize(
    ("path", "number"), [("/users", 2), ("/orders", 2), ("/orders", 6), ("/orders", 11)]
)
def test_a_killed_process_costs_one_chunk_and_no_hand(
    warehouse_database: Database, settings: Settings, path: str, number: int
) -> None:
    with connected(warehouse_database, settings, parallel=1) as made:
        fill_shop(made.store, orders=40)
        seen = [0]
        process: list[subprocess.Popen[bytes]] = []
        started = threading.Event()

        @made.shop.before_request
        def kill(request: Any) -> None:
            if path in request.path:
                seen[0] += 1
                if seen[0] == number:
                    started.wait()
                    process[0].send_signal(signal.SIGKILL)
                    process[0].wait()

        process.append(run_elsewhere(made, warehouse_database))
        started.set()
        assert process[0].wait() == -signal.SIGKILL
        wait_until_free(made.warehouse, Lock.SYNC, made.key)
        assert made.registry.get(made.key).status == "syncing"
        assert made.registry.release_dead() == [made.key]
        told = made.registry.get(made.key)
        assert (told.status, told.status_reason, told.attempts) == ("failed", DEAD_RUN, 1)
        assert made.registry.release_dead() == []
        before = made.live("orders")
        made.sync()
        assert made.differences() == {}
        # Ten pages of four; six rows a chunk, so at most two pages are read twice.
        pages = sum("period=C" in each.query for each in made.shop.requests)
        assert len(before) < 40
        assert pages <= 10 - len(before) // 4 + 2
        assert made.query("SELECT state FROM registry.sync_runs WHERE integration = %s") == [
            ("failed",),
            ("succeeded",),
        ]


def test_the_next_start_needs_nobody_to_release_a_dead_run(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        session = made.session()
        session.connection.close()  # as the death of its process would
        wait_until_free(made.warehouse, Lock.SYNC, made.key)
        made.sync()
        assert made.differences() == {}


def _pausing(made: Connected, path: str) -> tuple[threading.Event, threading.Event]:
    """The shop pauses once at such a request: (it does, it may go on)."""
    reached, go_on = threading.Event(), threading.Event()

    @made.shop.before_request
    def pause(request: Any) -> None:
        if path in request.path and not reached.is_set():
            reached.set()
            assert go_on.wait(60)

    return reached, go_on


def _in_a_thread(made: Connected) -> tuple[threading.Thread, list[BaseException | None]]:
    outcome: list[BaseException | None] = []

    def run() -> None:
        try:
            made.sync()
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def test_a_second_sync_of_the_same_shop_is_refused_and_harms_nothing(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        reached, go_on = _pausing(made, "/orders")
        thread, outcome = _in_a_thread(made)
        assert reached.wait(60)
        for _ in range(2):
            with pytest.raises(NotAllowedError, match="in progress"):
                made.session()
        assert made.registry.release_dead() == []
        assert made.registry.get(made.key).status == "syncing"
        go_on.set()
        thread.join()
        assert outcome == [None]
        assert made.differences() == {}
        assert made.query("SELECT state FROM registry.sync_runs WHERE integration = %s") == [
            ("succeeded",)
        ]


def test_a_second_process_is_refused_as_well(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        reached, go_on = _pausing(made, "/orders")
        process = run_elsewhere(made, warehouse_database)
        assert reached.wait(60)
        with pytest.raises(NotAllowedError, match="in progress"):
            made.session()
        go_on.set()
        assert process.wait() == 0
        assert made.differences() == {}


def test_different_shops_at_once_do_not_disturb_each_other(
    warehouse_database: Database, settings: Settings
) -> None:
    with (
        connected(warehouse_database, settings, "4.7") as one,
        connected(warehouse_database, settings, "4.20") as two,
    ):
        fill_shop(one.store, orders=20)
        fill_shop(two.store, orders=30)
        for _ in range(2):
            threads = [_in_a_thread(each) for each in (one, two)]
            for thread, outcome in threads:
                thread.join()
                assert outcome == [None]
            assert one.differences(without=ONCE_A_DAY) == {}
            assert two.differences(without=ONCE_A_DAY) == {}
            one.later()
            two.later()
            one.store.delete_order(min(one.store.orders))
            two.store.delete_customer(max(two.store.customers))


@pytest.mark.parametrize("path", ["/users", "/orders", "/shipments"])
def test_a_lost_database_connection_fails_the_run_and_frees_the_shop(
    warehouse_database: Database, settings: Settings, path: str
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store, orders=30)
        session = made.session()
        pid = session.connection.info.backend_pid
        done = []

        @made.shop.before_request
        def terminate(request: Any) -> None:
            if path in request.path and not done:
                done.append(1)
                with made.warehouse.connect(autocommit=True) as connection:
                    connection.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

        with pytest.raises(SyncFailedError) as caught, session, made.client() as client:
            synchronise(session, client, sizes=SMALL)
        assert not caught.value.permanent
        told = made.registry.get(made.key)
        assert told.status == "failed"
        assert told.status_reason is not None and "warehouse" in told.status_reason
        made.sync()
        assert made.differences() == {}
        assert made.registry.get(made.key).attempts == 0


def test_a_lease_that_lost_its_connection_cannot_load_or_speak_for_its_successor(
    warehouse_database: Database, settings: Settings
) -> None:
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store, orders=30)
        old = made.session()
        pid = old.connection.info.backend_pid
        successor = []

        @made.shop.before_request
        def overtake(request: Any) -> None:
            if "/orders" in request.path and not successor:
                with made.warehouse.connect(autocommit=True) as connection:
                    connection.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
                successor.append(made.session())

        with pytest.raises(SyncFailedError), old, made.client() as client:
            synchronise(old, client, sizes=SMALL)
        assert made.live("orders") == {}
        assert made.registry.get(made.key).status == "syncing"
        with successor[0], made.client() as client:
            synchronise(successor[0], client, sizes=SMALL)
        assert made.registry.get(made.key).status == "enabled"
        assert made.differences() == {}

"""Connections that a process keeps: lent out anew without a trace, and never a dead one."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row, tuple_row

from cscart_pipelines.local_postgres.client import wait_until_stopped
from cscart_pipelines.warehouse import advisory, pool
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines.warehouse.errors import WarehouseUnavailableError
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.database.embedded import SECONDS, Homes, environment, using
from cscart_pipelines_tests.support.database.embedded import homes as homes
from cscart_pipelines_tests.support.database.embedded import template_home as template_home

OTHERS = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def warehouse(warehouse_database: Database) -> Iterator[Warehouse]:
    """Its first connection has been made, so that the next ones are lent out by the pool."""
    with warehouse_database.warehouse.connect():
        pass
    yield warehouse_database.warehouse
    warehouse_database.warehouse.close()


def borrow(warehouse: Warehouse) -> int:
    with warehouse.connect(autocommit=True) as connection:
        return connection.info.backend_pid


def test_connections_are_lent_out_again(warehouse: Warehouse) -> None:
    assert len({borrow(warehouse) for _ in range(5 * pool.MOST)}) <= pool.MOST


def test_nothing_of_a_session_reaches_the_next_borrower(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        used = connection.info.backend_pid
        connection.execute("SET statement_timeout = 4242")
        connection.execute("SET application_name = 'another'")
        connection.execute("CREATE TEMP TABLE left_behind ()")
        connection.execute("LISTEN something")
        assert advisory.try_lock_session(connection, Lock.SYNC, "shop")
        connection.row_factory = dict_row  # type: ignore[assignment]
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    with contextlib.ExitStack() as stack:
        while True:  # it is lent out once its session has been forgotten
            connection = stack.enter_context(warehouse.connect())
            if connection.info.backend_pid == used:
                break
            assert connection.row_factory is tuple_row
        assert not connection.autocommit
        assert connection.row_factory is tuple_row
        assert connection.read_only is None
        assert connection.isolation_level is None
        shown = connection.execute(
            "SELECT current_setting('statement_timeout'), current_setting('application_name'),"
            " to_regclass('left_behind'), (SELECT count(*) FROM pg_listening_channels())"
        )
        actor = warehouse.connection_arguments()["application_name"]
        assert shown.fetchone() == ("0", actor, None, 0)
        assert advisory.holders(connection, Lock.SYNC, ["shop"]) == {}


def test_a_block_that_fails_leaves_no_transaction(warehouse: Warehouse) -> None:
    for _ in range(3):
        with (
            contextlib.suppress(psycopg.errors.DivisionByZero),
            warehouse.connect() as connection,
        ):
            connection.execute("CREATE TABLE rolled_back ()")
            connection.execute("SELECT 1 / 0")
    with warehouse.connect() as connection:
        found = connection.execute("SELECT to_regclass('rolled_back')").fetchone()
    assert found == (None,)


def test_a_statement_that_is_interrupted_is_no_news(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    """Ctrl-C may come while the answer is on its way: the driver then cannot roll back."""
    for autocommit in (True, False):
        with (
            pytest.raises(KeyboardInterrupt),
            warehouse.connect(autocommit=autocommit) as stopped,
            stopped.transaction(),
        ):
            stopped.pgconn.send_query(b"SELECT pg_sleep(600)")
            raise KeyboardInterrupt
    assert caplog.messages == []
    assert borrow(warehouse)


def test_a_table_that_changes_meanwhile_is_read_as_it_is(warehouse: Warehouse) -> None:
    with warehouse.open_session(autocommit=True) as another:
        another.execute("CREATE TABLE changing AS SELECT 1 AS one")
        for column in ("two", "three"):
            for _ in range(2 * pool.MOST):
                with warehouse.connect(autocommit=True) as connection:
                    row = connection.execute("SELECT * FROM changing").fetchone()
            another.execute(f"ALTER TABLE changing ADD {column} integer")  # as a migration does
    assert row == (1, None)


def test_a_session_of_its_own_is_really_closed(
    warehouse: Warehouse, warehouse_database: Database
) -> None:
    with warehouse.open_session(autocommit=True) as own:
        mine = own.info.backend_pid
        assert advisory.try_lock_session(own, Lock.SYNC, "shop")
    assert own.closed
    with warehouse_database.connect() as connection:
        while advisory.holders(connection, Lock.SYNC, ["shop"]):
            connection.execute("SELECT pg_sleep(0.01)")  # the server is about to notice
    assert mine not in {borrow(warehouse) for _ in range(pool.MOST)}


def test_connections_that_died_are_replaced(warehouse: Warehouse) -> None:
    with contextlib.ExitStack() as stack:
        dead = {
            stack.enter_context(warehouse.connect(autocommit=True)).info.backend_pid
            for _ in range(3)
        }
    with warehouse.open_session(autocommit=True) as connection:  # one of the pool would survive
        connection.execute(OTHERS)
    assert borrow(warehouse) not in dead


def test_a_server_that_is_away_is_told_at_once_and_found_again(homes: Homes) -> None:
    home = homes.ready()
    with using(home) as member:
        warehouse = Warehouse(member.url())
        for _ in range(3):
            borrow(warehouse)
    assert wait_until_stopped(home, SECONDS)
    for _ in range(2):
        with pytest.raises(WarehouseUnavailableError, match="cannot connect"):
            borrow(warehouse)
    with using(home):
        assert borrow(warehouse)
        assert borrow(warehouse)
        warehouse.close()


def test_who_borrows_more_than_there_are_gets_one_of_its_own(
    warehouse_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(pool, "MOST", 2)
    warehouse = Warehouse(warehouse_database.warehouse.url, "a crowd")
    with contextlib.ExitStack() as stack:
        held = [
            stack.enter_context(warehouse.connect(autocommit=True)).info.backend_pid
            for _ in range(5)
        ]
    assert len(set(held)) == 5
    warehouse.close()


def test_each_actor_has_connections_of_its_own(warehouse_database: Database) -> None:
    for actor in ("one", "two") * 3:
        warehouse = Warehouse(warehouse_database.warehouse.url, actor)
        with warehouse.connect() as connection:
            name = connection.execute("SELECT current_setting('application_name')").fetchone()
        assert name == (actor,)
    warehouse.close()


def test_a_forked_child_leaves_the_connections_of_its_parent_alone(
    warehouse_database: Database,
) -> None:
    code = (
        "import os, sys\n"
        "from sqlalchemy.engine import make_url\n"
        "from cscart_pipelines.warehouse.connect import Warehouse\n"
        "warehouse = Warehouse(make_url(sys.argv[1]))\n"
        "def borrow():\n"
        "    with warehouse.connect(autocommit=True) as connection:\n"
        "        return connection.execute('SELECT pg_backend_pid()').fetchone()[0]\n"
        "with warehouse.connect(), warehouse.connect(), warehouse.connect() as held:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        print('child', len({borrow() for _ in range(5)} & {held.info.backend_pid}))\n"
        "        sys.exit()\n"
        "    status = os.waitpid(child, 0)[1]\n"
        "    print('parent', status, held.execute('SELECT 1').fetchone()[0], borrow() > 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, warehouse_database.url],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["child 0", "parent 0 1 True"], done.stderr
    assert done.stderr == ""

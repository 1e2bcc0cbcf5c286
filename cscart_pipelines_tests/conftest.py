"""Fixtures that many test modules share: real PostgreSQL databases, and isolation from the machine.

One embedded server serves the whole test run (all workers); each test that asks for a database gets
one that is as a copy of the migrated template. What only the tests of one package need is not here.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import URL

from cscart_pipelines.local_postgres.client import Client, connect, wait_until_stopped
from cscart_pipelines.local_postgres.paths import remove_files
from cscart_pipelines.settings import Settings, read_settings
from cscart_pipelines.warehouse import migrate
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines_tests.support.database.lending import Databases
from cscart_pipelines_tests.support.examples import register_profiles

register_profiles()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a background job of a shell; the commands under test would inherit it, deaf to a Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

TEMPLATE = "template_warehouse"
OWN_SERVER = "CSCART_PIPELINES_TEST_DATABASE_URL"
"""A PostgreSQL to test on instead of the embedded one; its user must be able to make databases."""

MEMORY, ENOUGH = Path("/dev/shm"), 4 << 30
"""A file system in memory, and the bytes that must be free there."""


def pytest_configure() -> None:
    """Temporary files go into memory where it has room: SQLite, dbt and servers wait for no disk.

    Workers and the processes under test inherit it. A TMPDIR that is set already is kept.
    """
    room = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free
    if "TMPDIR" not in os.environ and room > ENOUGH:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What was imported stays: the garbage collector need not look through it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules first, in whatever order they and the others were shuffled."""
    items.sort(key=lambda item: item.get_closest_marker("begun_first") is None)


@dataclass
class Database:
    """A migrated database without a row."""

    warehouse: Warehouse

    @property
    def url(self) -> str:
        return self.warehouse.url.render_as_string(hide_password=False)

    sqlalchemy_url = url

    @property
    def dbt_env(self) -> dict[str, str]:
        return self.warehouse.dbt_environment()

    @property
    def settings_env(self) -> dict[str, str]:
        """What a process of the project needs in its environment to use this database."""
        return {"CSCART_PIPELINES_DATABASE_URL": self.url}

    @contextlib.contextmanager
    def connect(self) -> Iterator[psycopg.Connection[Any]]:
        """A session that tests before may have used, and that has forgotten them."""
        with self.warehouse.connect(autocommit=True) as connection:
            yield connection

    def open_session(self) -> psycopg.Connection[Any]:
        """A session of the caller's own, who closes it."""
        return self.warehouse.open_session(autocommit=True)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the home, the database or the proxies of whoever runs the suite."""
    for name in list(os.environ):
        if name.startswith(("CSCART_PIPELINES_", "DAGSTER_", "DBT_")) and name != OWN_SERVER:
            monkeypatch.delenv(name)
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CSCART_PIPELINES_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """The server's URL (without a database of its own); started by the first worker that asks."""
    if own := os.environ.get(OWN_SERVER):
        from cscart_pipelines.settings import database_url

        yield database_url(own)
        return
    # With several workers, their temporary folders have one parent.
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    tag = hashlib.sha256(str(base).encode()).hexdigest()[:10]
    home = Path(tempfile.gettempdir()) / f"cscart-pipelines-tests-{tag}"
    member = connect(home)
    _quicken(member)
    yield member.url("postgres")
    member.disconnect()
    # The last worker to leave cleans up; a server that the others still use is left to them.
    if wait_until_stopped(home, seconds=5) and remove_files(home):
        shutil.rmtree(home, ignore_errors=True)


def _quicken(member: Client) -> None:
    """Test data need not survive a power cut."""
    with psycopg.connect(**_arguments(member.url("postgres")), autocommit=True) as connection:
        for line in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            name, value = line.split(" = ")
            connection.execute(f"ALTER SYSTEM SET {name} = {value}")
        connection.execute("SELECT pg_reload_conf()")


def _arguments(url: URL) -> dict[str, Any]:
    return Warehouse(url).connection_arguments()


@pytest.fixture(scope="session")
def _template(_server: URL) -> URL:
    with psycopg.connect(**_arguments(_server), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(7)")  # one worker migrates it
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [TEMPLATE])
        if found.fetchone() is None:
            connection.execute(f"CREATE DATABASE {TEMPLATE}_new")
            fresh = Warehouse(_server.set(database=f"{TEMPLATE}_new"))
            migrate.upgrade(fresh.engine)
            fresh.close()
            connection.execute(f"ALTER DATABASE {TEMPLATE}_new RENAME TO {TEMPLATE}")
    return _server


@pytest.fixture(scope="session")
def _databases(_template: URL) -> Iterator[Databases]:
    databases = Databases(_template, TEMPLATE)
    yield databases
    databases.end()


def _lent(databases: Databases) -> Iterator[Database]:
    url = databases.lend()
    yield Database(Warehouse(url))
    databases.take_back(url)


@pytest.fixture
def warehouse_database(_databases: Databases) -> Iterator[Database]:
    """A migrated database without a row for one test."""
    yield from _lent(_databases)


@pytest.fixture(scope="module")
def module_database(_databases: Databases) -> Iterator[Database]:
    """The same for a module whose tests only read what one of its fixtures prepared."""
    yield from _lent(_databases)


@pytest.fixture
def settings(warehouse_database: Database, tmp_path: Path) -> Settings:
    """The project's settings over a database without a row."""
    return read_settings(
        {"CSCART_PIPELINES_HOME": str(tmp_path / "home"), **warehouse_database.settings_env}
    )

"""The way into the warehouse: the right server, up to date, or one plain line without secrets."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url

from cscart_pipelines.local_postgres.client import running, wait_until_stopped
from cscart_pipelines.settings import Settings, read_settings
from cscart_pipelines.warehouse import migrate
from cscart_pipelines.warehouse.connect import Warehouse, migrate_schema, open_warehouse
from cscart_pipelines.warehouse.errors import (
    SchemaOutdatedError,
    SchemaTooNewError,
    WarehouseUnavailableError,
)
from cscart_pipelines.warehouse.tables.base import SCHEMAS
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.database.embedded import SECONDS, Homes, ask, environment, using
from cscart_pipelines_tests.support.database.embedded import homes as homes
from cscart_pipelines_tests.support.database.embedded import template_home as template_home

PASSWORD = "s3cret/p@ss word"


def _settings(home: Path, url: URL | str) -> Settings:
    shown = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    return read_settings(
        {"CSCART_PIPELINES_HOME": str(home), "CSCART_PIPELINES_DATABASE_URL": shown}
    )


def _refusal(home: Path, url: URL | str) -> str:
    with (
        pytest.raises(WarehouseUnavailableError) as caught,
        open_warehouse(_settings(home, url), migrate=True),
    ):
        pass
    assert caught.value.__cause__ is None  # a traceback would show the driver's own words
    assert "\n" not in str(caught.value)
    assert not home.exists()
    return str(caught.value)


@pytest.fixture
def with_password(homes: Homes) -> Iterator[URL]:
    """A database of a server that asks its user `app` for a password."""
    with using(homes.ready("other")) as member:
        hba = member.paths.data / "pg_hba.conf"
        hba.write_text(f"local all app scram-sha-256\n{hba.read_text()}")
        ask(member, f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
        ask(member, "SELECT pg_reload_conf()")
        yield member.url().set(
            username="app",
            password=PASSWORD,
            query={"host": str(member.paths.socket), "port": "5432"},
        )


@pytest.fixture
def old_server() -> Iterator[int]:
    """The port of a server that greets as PostgreSQL 14 does: none that old can be installed."""

    def message(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("!i", len(body) + 4) + body

    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listening.accept()
        with client, client.makefile("rb") as incoming:
            while True:
                (length,) = struct.unpack("!i", incoming.read(4))
                (code,) = struct.unpack("!i", incoming.read(length - 4)[:4])
                if code == 196608:  # protocol 3.0; before it, questions about encryption
                    break
                client.sendall(b"N")
            client.sendall(
                message(b"R", struct.pack("!i", 0))
                + message(b"S", b"server_version\x0014.9\x00")
                + message(b"S", b"client_encoding\x00UTF8\x00")
                + message(b"Z", b"I")
            )
            incoming.read()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listening.getsockname()[1]
    thread.join()
    listening.close()


# --- opening -------------------------------------------------------------------------------------


def test_without_a_url_the_embedded_server_is_joined_migrated_and_left_at_the_end(
    homes: Homes,
) -> None:
    home = homes.ready()
    code = (
        "from cscart_pipelines.settings import read_settings\n"
        "from cscart_pipelines.warehouse.connect import open_warehouse\n"
        "from cscart_pipelines.local_postgres.client import running\n"
        "settings = read_settings()\n"
        "for _ in range(2):\n"
        "    with open_warehouse(settings, migrate=True) as warehouse:\n"
        "        connection = warehouse.open_session()\n"
        "        print(connection.execute('SELECT count(*) FROM cscart.orders').fetchone()[0])\n"
        "print(running(settings.home))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(CSCART_PIPELINES_HOME=str(home)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["0", "0", "True"], done.stderr
    assert wait_until_stopped(home, SECONDS)


def test_with_a_url_nothing_embedded_is_started_and_no_folder_is_made(
    settings: Settings,
) -> None:
    with open_warehouse(settings) as warehouse, warehouse.connect() as connection:
        connection.execute("SELECT FROM cscart.orders")
    assert not settings.embedded
    assert not settings.home.exists()
    assert not running(settings.home)


def test_a_home_that_cannot_be_used_is_an_unavailable_warehouse(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = read_settings({"CSCART_PIPELINES_HOME": str(tmp_path / "file")})
    with (
        pytest.raises(WarehouseUnavailableError, match="choose another CSCART_PIPELINES_HOME"),
        open_warehouse(settings),
    ):
        pass


def test_an_empty_database_is_migrated_only_when_asked(settings: Settings) -> None:
    with open_warehouse(settings) as warehouse:
        with warehouse.engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {', '.join(SCHEMAS)} CASCADE"))
        with pytest.raises(SchemaOutdatedError) as refused, open_warehouse(settings):
            pass
        assert "has no tables yet" in str(refused.value)
        assert "nothing is read or written" in str(refused.value)
        assert "`cscart-pipelines migrate`" in str(refused.value)
        with open_warehouse(settings, check=False), warehouse.connect() as raw:
            assert raw.execute("SELECT to_regclass('cscart.orders')").fetchone() == (None,)
        with open_warehouse(settings, migrate=True), warehouse.connect() as raw:
            assert raw.execute("SELECT to_regclass('cscart.orders')").fetchone() != (None,)
        assert not migrate_schema(warehouse)


def test_an_older_schema_is_refused_until_it_is_migrated(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = migrate.newest_revision()
    monkeypatch.setattr(migrate, "_revisions", lambda: (frozenset({newest, "9000"}), "9000"))
    needs = f"has schema {newest} of an older release, and this release needs schema 9000"
    with pytest.raises(SchemaOutdatedError, match=needs), open_warehouse(settings):
        pass


def test_a_newer_schema_is_refused_also_by_who_would_migrate(
    settings: Settings, warehouse_database: Database
) -> None:
    with warehouse_database.connect() as connection:
        connection.execute("UPDATE registry.alembic_version SET version_num = '9999'")
    for wanted in (False, True):
        with (
            pytest.raises(SchemaTooNewError, match=r"9999 of a newer release.*install the newer"),
            open_warehouse(settings, migrate=wanted),
        ):
            pass


def test_the_schema_is_checked_with_one_query(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    execute = psycopg.Connection.execute

    def counted(self: psycopg.Connection[Any], query: Any, *more: Any, **named: Any) -> Any:
        if query:  # the pool looks at a connection by an empty one
            asked.append(query)
        return execute(self, query, *more, **named)

    monkeypatch.setattr(psycopg.Connection, "execute", counted)
    with open_warehouse(settings):
        assert len(asked) == 1


# --- refusals ------------------------------------------------------------------------------------


def test_the_right_password_opens_and_a_wrong_one_is_told_without_it(
    with_password: URL, tmp_path: Path
) -> None:
    with Warehouse(with_password).connect() as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("app",)
    wrong = with_password.set(password="wr0ng/p@ss word")
    refusal = _refusal(tmp_path / "home", wrong)
    assert 'password authentication failed for user "app"' in refusal
    # libpq takes it as an option as well, where nobody hides it.
    optional = with_password.set(password=None).update_query_dict({"password": "wr0ng"})
    for said in (refusal, _refusal(tmp_path / "home", optional)):
        assert "wr0ng" not in said


def test_an_account_that_may_not_make_tables_is_told_so(with_password: URL, tmp_path: Path) -> None:
    refusal = _refusal(tmp_path / "home", with_password)
    assert refusal.startswith("cannot make the tables: PostgreSQL at ")
    assert "permission denied for database warehouse" in refusal
    assert "s3cret" not in refusal


def test_a_closed_port_is_named_with_host_and_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    refusal = _refusal(tmp_path / "home", f"postgresql://u:s3cret@127.0.0.1:{port}/shop")
    assert refusal.startswith(f"cannot connect: PostgreSQL at 127.0.0.1:{port}/shop: ")
    assert "Connection refused" in refusal
    assert "s3cret" not in refusal


def test_an_unknown_host_is_named(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path / "home", "postgresql://u:s3cret@db.invalid/shop")
    assert "PostgreSQL at db.invalid:5432/shop: " in refusal
    assert "s3cret" not in refusal


def test_an_unknown_database_is_named(warehouse_database: Database, tmp_path: Path) -> None:
    refusal = _refusal(tmp_path / "home", warehouse_database.warehouse.url.set(database="nowhere"))
    assert 'database "nowhere" does not exist' in refusal


def test_options_that_the_driver_does_not_know_are_refused_plainly(tmp_path: Path) -> None:
    refusal = _refusal(tmp_path / "home", "postgresql://u:s3cret@127.0.0.1/shop?colour=blue")
    assert 'invalid connection option "colour"' in refusal
    refusal = _refusal(tmp_path / "home", "postgresql://u:s3cret@127.0.0.1/shop?sslmode=blue")
    assert "sslmode" in refusal


def test_something_else_on_the_port_is_not_waited_for_longer_than_the_url_says(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        refusal = _refusal(
            tmp_path / "home", f"postgresql://u:s3cret@127.0.0.1:{port}/shop?connect_timeout=2"
        )
    assert "timeout" in refusal


def test_a_server_older_than_15_is_refused(old_server: int, tmp_path: Path) -> None:
    refusal = _refusal(tmp_path / "home", f"postgresql://u@127.0.0.1:{old_server}/shop")
    assert refusal == "the database is PostgreSQL 14; version 15 or newer is needed"


# --- what others are handed ----------------------------------------------------------------------


def test_the_url_is_spelled_out_for_libpq_and_for_dbt() -> None:
    url = make_url("postgresql+psycopg://u:p%40ss@h:6543/d?sslmode=require")
    warehouse = Warehouse(url, actor="ann@till")
    arguments = warehouse.connection_arguments()
    assert arguments.pop("connect_timeout") == 10
    assert arguments.pop("keepalives_idle") == 30
    assert arguments.pop("keepalives_interval") == 10
    assert arguments.pop("keepalives_count") == 3
    assert arguments == {
        "host": "h", "port": 6543, "user": "u", "password": "p@ss", "dbname": "d",
        "sslmode": "require", "application_name": "ann@till",
    }  # fmt: skip
    assert warehouse.dbt_environment() == {
        "CSCART_PIPELINES_DBT_HOST": "h",
        "CSCART_PIPELINES_DBT_PORT": "6543",
        "CSCART_PIPELINES_DBT_USER": "u",
        "CSCART_PIPELINES_DBT_PASSWORD": "p@ss",
        "CSCART_PIPELINES_DBT_DBNAME": "d",
    }


def test_engine_and_connection_lead_to_the_same_database(warehouse_database: Database) -> None:
    warehouse = warehouse_database.warehouse
    query = "SELECT current_database(), current_setting('server_version_num')::int >= 150000"
    with warehouse.connect() as raw, warehouse.engine.connect() as connection:
        assert raw.execute(query).fetchone() == tuple(connection.execute(text(query)).one())
    with warehouse.connect(autocommit=True) as raw:
        assert raw.autocommit
    warehouse.close()
    warehouse.close()

"""Connections to the warehouse: a PostgreSQL by URL, or the embedded server.

Not here: tables (`tables`), their changes (`migrate`), loading (`load`).
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
from collections.abc import Iterator
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from cscart_pipelines.local_postgres.client import EmbeddedServerError, connect
from cscart_pipelines.local_postgres.paths import UnusableHomeError
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse import migrate as migrations
from cscart_pipelines.warehouse import pool
from cscart_pipelines.warehouse.errors import SchemaOutdatedError, WarehouseUnavailableError

CONNECT_SECONDS = 10
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""After a minute without an answer of the other machine, a connection is lost (seconds)."""
OLDEST_SERVER = 150000
SECRET_OPTIONS = ("password", "sslpassword")


class Warehouse:
    """One PostgreSQL database that holds the project's schemas."""

    def __init__(self, url: URL, actor: str | None = None) -> None:
        self.url = url
        self._actor = actor or _current_user()
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, for migrations. It keeps no connections between uses."""
        if self._engine is None:
            self._engine = create_engine(self.url, poolclass=NullPool)
        return self._engine

    @contextlib.contextmanager
    def connect(self, *, autocommit: bool = False) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A connection for the block, lent out by the pool of this process.

        The first one of a process is not: what is wrong is then told at once, in the driver's
        words.

        Args:
            autocommit: Otherwise the block is one transaction, rolled back by an exception.

        Raises:
            WarehouseUnavailableError: The database cannot be reached.
        """
        arguments = self.connection_arguments()
        lent = pool.lend(arguments)
        if lent is None:
            with self.open_session(autocommit=autocommit) as own:
                pool.make(arguments)
                yield own
            return
        owner, connection = lent
        try:
            connection.autocommit = autocommit
            with connection:
                yield connection
        finally:
            owner.putconn(connection)

    def open_session(self, *, autocommit: bool = False) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the caller's own, who closes it.

        For locks of the session, which must end with it however the process or its machine ends;
        for settings of the session; for what runs for as long as its process.

        Raises:
            WarehouseUnavailableError: The database cannot be reached.
        """
        try:
            return psycopg.connect(**self.connection_arguments(), autocommit=autocommit)
        except psycopg.Error as error:
            raise WarehouseUnavailableError(_why(self.url, error)) from None

    def connection_arguments(self) -> dict[str, Any]:
        """Returns the arguments of libpq; a connect_timeout (seconds) of the URL overrides ours."""
        host = self.url.host or self.url.query.get("host")
        arguments = {
            "host": host,
            "port": self.url.port or self.url.query.get("port"),
            "user": self.url.username,
            "password": self.url.password,
            "dbname": self.url.database,
            "connect_timeout": CONNECT_SECONDS,
            **KEEPALIVES,
            "application_name": self._actor,
        }
        rest = {k: v for k, v in self.url.query.items() if k not in ("host", "port")}
        return {k: v for k, v in {**arguments, **rest}.items() if v is not None}

    def dbt_environment(self) -> dict[str, str]:
        """Returns the environment variables that dbt_project/profiles.yml reads."""
        known = self.connection_arguments()
        return {
            "CSCART_PIPELINES_DBT_HOST": str(known.get("host", "localhost")),
            "CSCART_PIPELINES_DBT_PORT": str(known.get("port", 5432)),
            "CSCART_PIPELINES_DBT_USER": str(known.get("user", "")),
            "CSCART_PIPELINES_DBT_PASSWORD": str(known.get("password", "")),
            "CSCART_PIPELINES_DBT_DBNAME": str(known.get("dbname", "")),
        }

    def close(self) -> None:
        """Closes what this process keeps open to the database; it may be opened again."""
        pool.close(self.connection_arguments())


def _current_user() -> str:
    """Returns the actor for the audit trail, of which PostgreSQL keeps 63 bytes."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"[:60]


@contextlib.contextmanager
def open_warehouse(
    settings: Settings, *, migrate: bool = False, check: bool = True, actor: str | None = None
) -> Iterator[Warehouse]:
    """Opens the configured warehouse.

    Without a configured URL it is the embedded server, which this process then uses until it ends:
    otherwise it would be stopped and started between two uses. Connections are kept until then too.

    Args:
        settings: Where the warehouse is.
        migrate: Whether a missing or older schema is brought up to date, as at the start of a
            service or of a person's command.
        check: Whether the schema is checked.
        actor: The name in the audit trail; by default the account and machine.

    Raises:
        WarehouseUnavailableError: The database does not answer or is too old.
        SchemaOutdatedError: It has to be migrated first.
        SchemaTooNewError: It was migrated by a newer release.
    """
    if settings.embedded:
        try:
            url = connect(settings.home).url()
        except (EmbeddedServerError, UnusableHomeError) as error:
            raise WarehouseUnavailableError(str(error)) from error
    else:
        url = settings.sqlalchemy_url()
    warehouse = Warehouse(url, actor)
    if migrate:
        migrate_schema(warehouse)
    elif check:
        _check_schema(warehouse)
    yield warehouse


def migrate_schema(warehouse: Warehouse) -> bool:
    """Brings the schema up to date; False where it is already.

    Raises:
        WarehouseUnavailableError: As `open_warehouse`.
    """
    try:
        _check_schema(warehouse)
        return False
    except SchemaOutdatedError:
        pass
    try:
        migrations.upgrade(warehouse.engine)
    except DBAPIError as error:
        why = _why(warehouse.url, error.orig or error, "make the tables")
        raise WarehouseUnavailableError(why) from None
    return True


def _check_schema(warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=True) as connection:
        version = connection.info.server_version
        if version < OLDEST_SERVER:
            raise WarehouseUnavailableError(
                f"the database is PostgreSQL {version // 10000}; version 15 or newer is needed"
            )
        try:
            migrations.check(connection)
        except psycopg.Error as error:
            raise WarehouseUnavailableError(_why(warehouse.url, error, "read the schema")) from None


def _why(url: URL, error: BaseException, what: str = "connect") -> str:
    """Returns a message on one line, without secrets that the driver quotes."""
    reason = str(error).split("Multiple connection attempts failed")[0]
    reason = " ".join(reason.split()) or "no reason given"
    secrets = [url.password, *(url.query.get(name) for name in SECRET_OPTIONS)]
    for secret in sorted((str(s) for s in secrets if s), key=len, reverse=True):
        reason = reason.replace(secret, "***")
    # Put together here: SQLAlchemy hides a password only in its usual place.
    host = url.host or url.query.get("host") or "localhost"
    port = url.port or url.query.get("port") or 5432
    return f"cannot {what}: PostgreSQL at {host}:{port}/{url.database}: {reason}"

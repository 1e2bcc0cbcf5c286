"""Databases that a worker lends to one test after another.

To make and to drop one takes a tenth of a second and more; to empty it takes a few milliseconds. A
database of which a test has changed more than rows, or that is still in use, is not lent again.
Sessions stay open from test to test: a new one reads what it needs of the catalogs again, which
takes longer than most tests ask of it.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from cscart_pipelines.warehouse import pool
from cscart_pipelines.warehouse.connect import Warehouse

KEPT = "registry.alembic_version"
"""The only table of the template that has a row."""
DEFINITIONS = f"""
    SELECT md5(string_agg(line, ',' ORDER BY line)) FROM (
        SELECT concat_ws(' ', 'relation', oid, xmin) AS line FROM pg_class WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'column', attrelid, attnum, xmin)
            FROM pg_attribute WHERE attrelid >= 16384
        UNION ALL SELECT concat_ws(' ', 'constraint', oid, xmin)
            FROM pg_constraint WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'trigger', oid, xmin) FROM pg_trigger WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'function', oid, xmin) FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'rule', oid, xmin) FROM pg_rewrite WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'type', oid, xmin) FROM pg_type WHERE oid >= 16384
        UNION ALL SELECT concat_ws(' ', 'schema', oid, xmin) FROM pg_namespace
            WHERE nspname !~ '^pg_(toast_)?temp_'  -- of temporary tables; stays without them
        UNION ALL SELECT concat_ws(' ', 'extension', oid, xmin) FROM pg_extension
        UNION ALL SELECT concat_ws(' ', 'privileges', oid, xmin) FROM pg_default_acl
        UNION ALL SELECT concat_ws(' ', 'setting', setrole, setconfig) FROM pg_db_role_setting
            JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()
        UNION ALL SELECT concat_ws(' ', 'version', xmin) FROM {KEPT}
    ) AS definitions
"""
"""The same as long as no statement but INSERT, UPDATE and DELETE was executed."""
USERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'
"""
"""Sessions beside this one."""
TOUCHED = f"""
    SELECT oid::regclass::text FROM pg_class
    WHERE oid >= 16384 AND relkind = 'r' AND oid <> '{KEPT}'::regclass
        AND pg_relation_size(oid) > 0
"""
LOOKS = 100
"""How often a closed session may still be seen: the server notices the end of a connection late."""


class Databases:
    """Copies of a template on one server.

    Args:
        server: URL of a database from which copies are made and dropped.
        template: Name of the migrated database.
    """

    def __init__(self, server: URL, template: str) -> None:
        self._server, self._template = server, template
        self._names: list[str] = []
        """In the order in which they are lent: dbt parses its project anew for another name."""
        self._free: set[str] = set()
        self._empty: set[str] = set()
        """Those of the free ones that exist."""
        self._sessions: dict[str, psycopg.Connection[Any]] = {}
        """One of ours in each database that exists."""
        self._definitions: str | None = None

    def lend(self) -> URL:
        """Returns the URL of a database that is as the template is."""
        name = next((name for name in self._names if name in self._free), None)
        if name is None:
            name = f"test_{uuid.uuid4().hex[:16]}"
            self._names.append(name)
        if name not in self._empty:
            self._make(name)
        self._free.discard(name)
        self._empty.discard(name)
        return self._server.set(database=name)

    def take_back(self, url: URL) -> None:
        """Empties a database for the next test, or drops it."""
        name = str(url.database)
        try:
            connection = self._session(name)
            unused = _is_unused(connection, url)
            emptied = unused and _definitions(connection) == self._definitions
            if emptied:
                _empty(connection)
        except psycopg.Error:  # the test has dropped or broken it
            unused = emptied = False
        if emptied:
            self._empty.add(name)
        else:
            self._drop(name)
        if unused:
            self._free.add(name)

    def end(self) -> None:
        """Drops what is left."""
        while self._empty:
            self._drop(self._empty.pop())

    def _make(self, name: str) -> None:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with _session(self._server) as connection:
            connection.execute("SELECT pg_advisory_lock(7)")  # one copies a template at a time
            connection.execute(copy.format(sql.Identifier(name), sql.Identifier(self._template)))
        if self._definitions is None:
            self._definitions = _definitions(self._session(name))

    def _session(self, name: str) -> psycopg.Connection[Any]:
        """Ours; a new one if a test has ended it."""
        known = self._sessions.get(name)
        if known is not None:
            with contextlib.suppress(psycopg.OperationalError):
                known.execute("")
                return known
        self._sessions[name] = _session(self._server.set(database=name))
        return self._sessions[name]

    def _drop(self, name: str) -> None:
        Warehouse(self._server.set(database=name)).close()
        if ours := self._sessions.pop(name, None):
            ours.close()
        with _session(self._server) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


def _session(url: URL) -> psycopg.Connection[Any]:
    return psycopg.connect(**Warehouse(url).connection_arguments(), autocommit=True)


def _is_unused(connection: psycopg.Connection[Any], url: URL) -> bool:
    """Whether nothing has a session there, apart from the pools of this process."""
    for _ in range(LOOKS):
        kept = _sessions_of_pools(url)
        if kept is not None and connection.execute(USERS).fetchone() == (kept,):
            return True
        connection.execute("SELECT pg_sleep(0.002)")
    Warehouse(url).close()  # a test may have ended sessions of theirs
    return connection.execute(USERS).fetchone() == (0,)


def _sessions_of_pools(url: URL) -> int | None:
    """How many sessions the pools keep; None while they lend, make or reset one."""
    pools = [one for key, one in [*pool._pools.items()] if dict(key)["dbname"] == url.database]
    told = [one.get_stats() for one in pools]
    kept = sum(one["pool_available"] for one in told)
    return kept if kept == sum(one["pool_size"] for one in told) else None


def _definitions(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute(DEFINITIONS).fetchone()
    assert row is not None
    return str(row[0])


def _empty(connection: psycopg.Connection[Any]) -> None:
    """Without triggers and foreign keys. A table that was vacuumed is filled from its beginning, so
    that rows are found in the order in which they came."""
    connection.execute("SET session_replication_role = replica")
    touched = ", ".join(name for (name,) in connection.execute(TOUCHED).fetchall())
    if touched:
        for name in touched.split(", "):
            connection.execute(f"DELETE FROM {name}".encode())
        connection.execute(f"VACUUM (INDEX_CLEANUP ON) {touched}".encode())
    connection.execute("SELECT setval(seqrelid, seqstart, false) FROM pg_sequence")

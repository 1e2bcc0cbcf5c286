"""What is done to an integration over its life: edit, disable, enable, remove, purge.

Each act is one transaction that holds the integration's lock or row, so two at once, or one and a
crash, leave either the old state or the new. Not here: the rules (`lifecycle`), starting
synchronisations (`lease`), reading the book (`registry`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from cscart_pipelines.cscart.capabilities import Capabilities
from cscart_pipelines.integrations import secrets
from cscart_pipelines.integrations.connection import test_connection
from cscart_pipelines.integrations.lifecycle import (
    Act,
    NotAllowedError,
    Status,
    after_enable,
    require,
)
from cscart_pipelines.integrations.purge import purge_integration
from cscart_pipelines.integrations.registry import LOCK_SQL, Integration, Registry
from cscart_pipelines.integrations.settings import (
    IntegrationSettings,
    InvalidSettingsError,
    check,
    fingerprint,
    host_of,
)
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse.connect import Warehouse

RULE_BROKEN = "CS004"
"""SQLSTATE of the triggers that hold the rules in the database."""
STOP_SECONDS = 60.0
REMOVE_INSTEAD = "cannot be changed: remove the integration and create a new one in its place"
BOOK = ("sync_state", "sync_requests", "sweep_seen", "sync_runs", "integrations")


@dataclass(frozen=True)
class Edited:
    """What an edit changed: field -> (before, after); the key shows only as changed."""

    changes: dict[str, tuple[Any, Any]]
    test: Capabilities | None
    """The connection test, where one was needed."""


class FrontDesk:
    """The acts on the integrations of one warehouse."""

    def __init__(self, warehouse: Warehouse, registry: Registry, settings: Settings) -> None:
        self._warehouse = warehouse
        self._registry = registry
        self._settings = settings

    def edit(self, key: str, values: Mapping[str, Any], api_key: SecretStr | None = None) -> Edited:
        """Changes settings; a change of a connection detail is saved only after a passed test.

        Raises InvalidSettingsError, NotAllowedError, and the ShopError of a failed test.
        """
        known = self._registry.get(key)
        require(Act.EDIT, self._registry.standing(known))
        before = known.settings.model_dump()
        after = check({**before, **values})
        _refuse_fixed(known.settings, after)
        changes = {
            name: (before[name], value)
            for name, value in after.model_dump().items()
            if before[name] != value
        }
        if api_key is not None:
            changes["api_key"] = ("••••", "changed")
        if not changes:
            return Edited({}, None)
        effective = api_key or self._key_after(known, after)
        tested = None
        if {"url", "email", "api_key", "api_key_reference"} & changes.keys():
            tested = test_connection(after, effective)
        self._save(known, after, api_key, tested, effective)
        return Edited(changes, tested)

    def disable(self, key: str) -> None:
        self._change_status(key, Act.DISABLE, Status.DISABLED)

    def enable(self, key: str) -> Status:
        standing = self._registry.standing(self._registry.get(key))
        require(Act.ENABLE, standing)
        status = after_enable(standing)
        self._change_status(key, Act.ENABLE, status)
        return status

    def remove(self, key: str, *, force: bool = False, purge_data: bool = False) -> dict[str, int]:
        """Deletes settings, key, watermarks and runs; with `purge_data` the shop's data as well.

        While it is syncing only with `force`, which stops the run first. Returns the rows of data
        deleted per table. Raises NotAllowedError, UnknownIntegrationError.
        """
        standing = self._registry.standing(self._registry.get(key))
        if not (force and standing.status is Status.SYNCING):
            require(Act.REMOVE, standing)
        with self._locked(key, force=force) as connection, connection.transaction():
            purged = purge_integration(connection, key) if purge_data else {}
            for table in BOOK:
                connection.execute(
                    sql.SQL("DELETE FROM registry.{} WHERE integration = %s").format(
                        sql.Identifier(table)
                    ),
                    [key],
                )
            return purged

    # --- inside ----------------------------------------------------------------------------------

    def _key_after(self, known: Integration, after: IntegrationSettings) -> SecretStr:
        if after.api_key_reference:
            return secrets.resolve(after.api_key_reference)
        return self._registry.api_key(known.key)

    def _save(
        self,
        known: Integration,
        after: IntegrationSettings,
        api_key: SecretStr | None,
        tested: Capabilities | None,
        effective: SecretStr,
    ) -> None:
        values: dict[str, Any] = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in after.model_dump().items()
            if name != "integration"
        }
        if api_key is not None:
            values["api_key_sealed"] = secrets.seal(self._settings, api_key.get_secret_value())
            values["api_key_reference"] = None
        elif after.api_key_reference:
            values["api_key_sealed"] = None
        if tested is not None:
            settings = (
                after if api_key is None else after.model_copy(update={"api_key_reference": None})
            )
            values["capabilities"] = Jsonb(tested.model_dump(mode="json"))
            values["tested_fingerprint"] = fingerprint(settings, effective.get_secret_value())
            values["failure_permanent"] = False
        assignments = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
            for name in values
        )
        moment = sql.SQL(", tested_at = now()" if tested is not None else "")
        query = sql.SQL(
            "UPDATE registry.integrations SET {}{}, updated_at = now()"
            " WHERE integration = %(key)s AND status <> 'syncing' RETURNING 1"
        ).format(assignments, moment)
        with _rules(), self._warehouse.connect(autocommit=True) as connection:
            if connection.execute(query, {**values, "key": known.key}).fetchone() is None:
                self._registry.get(known.key)  # gone meanwhile?
                raise NotAllowedError(
                    "edit is not allowed: settings cannot be edited while it is syncing; "
                    "wait until it ends"
                )

    def _change_status(self, key: str, act: Act, status: Status) -> None:
        with self._locked(key) as connection, _rules(), connection.transaction():
            connection.execute(
                "SELECT FROM registry.integrations WHERE integration = %s FOR UPDATE", [key]
            )
            require(act, self._registry.standing(self._registry.get(key)))
            connection.execute(
                "UPDATE registry.integrations SET status = %s, status_reason = NULL,"
                " status_since = now(), updated_at = now() WHERE integration = %s",
                [str(status), key],
            )

    @contextlib.contextmanager
    def _locked(self, key: str, *, force: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """A connection that holds the integration's lock: nobody can begin to sync it."""
        with self._warehouse.connect(autocommit=True) as connection:
            deadline = time.monotonic() + STOP_SECONDS
            while True:
                row = connection.execute(
                    f"SELECT pg_try_advisory_lock({LOCK_SQL})", [key]
                ).fetchone()
                if row and row[0]:
                    break
                if not force or time.monotonic() > deadline:
                    raise NotAllowedError("it is syncing; wait until it ends, or use --force")
                _stop_holder(connection, key)
                time.sleep(0.1)
            try:
                yield connection
            finally:
                with contextlib.suppress(psycopg.Error):
                    connection.execute("SELECT pg_advisory_unlock_all()")


def _stop_holder(connection: psycopg.Connection[Any], key: str) -> None:
    """Ends the session of the run that is syncing; it stops at its next word to the database."""
    connection.execute(
        f"""
        SELECT pg_terminate_backend(pid) FROM pg_locks,
            LATERAL (SELECT {LOCK_SQL} AS number) AS wanted
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND (classid::bigint << 32) | objid::bigint = wanted.number
        """,  # noqa: S608 - a constant
        [key],
    )


def _refuse_fixed(before: IntegrationSettings, after: IntegrationSettings) -> None:
    problems = {}
    if before.list_name != after.list_name:
        problems["list_name"] = REMOVE_INSTEAD
    if host_of(before.url) != host_of(after.url):
        problems["url"] = f"the host {REMOVE_INSTEAD}"
    if problems:
        raise InvalidSettingsError(problems)


@contextlib.contextmanager
def _rules() -> Iterator[None]:
    """The database's refusals in the words of this room."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate == RULE_BROKEN:
            raise NotAllowedError(error.diag.message_primary or "not allowed") from None
        if isinstance(error, psycopg.errors.UniqueViolation):
            raise InvalidSettingsError({"list_name": "the list exists already"}) from None
        raise

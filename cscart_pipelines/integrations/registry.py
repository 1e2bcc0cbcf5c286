"""The table `registry.integrations`: settings, keys and status of all integrations.

Triggers and constraints of the database enforce the rules of `lifecycle` between processes; a
synchronisation holds an advisory lock, which the server frees with its connection. Not here: the
rules (`lifecycle`), the connection test (`connection`), changes (`service`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from cscart_pipelines.integrations import secrets
from cscart_pipelines.integrations.conflicts import order_prefixes as order_prefix_conflicts
from cscart_pipelines.integrations.conflicts import overlap
from cscart_pipelines.integrations.lifecycle import Standing, Status
from cscart_pipelines.integrations.settings import (
    IntegrationSettings,
    InvalidSettingsError,
    from_row,
)
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines.warehouse.purge import purge_files, purge_integration

DEAD_RUN = "the process of the synchronisation was killed, or its machine stopped"


class UnknownIntegrationError(LookupError):
    """No integration has this key."""


@dataclass(frozen=True)
class Integration:
    """One row of `registry.integrations`; of the API key only a hash (see `Registry.api_key`)."""

    settings: IntegrationSettings
    status: Status
    status_reason: str | None
    status_since: datetime
    attempts: int
    failure_permanent: bool
    capabilities: Mapping[str, Any] | None
    tested_fingerprint: str | None
    tested_at: datetime | None
    first_synced_at: datetime | None
    last_synced_at: datetime | None
    created_at: datetime
    api_key_hash: bytes | None = field(default=None, repr=False)
    """Of the sealed key (`secrets.KeyedHashes`); None where the key is a reference."""

    @property
    def key(self) -> str:
        """The partition key everywhere."""
        return self.settings.integration


class Registry:
    """Reads and writes integrations. Every method is one short transaction of its own."""

    def __init__(self, warehouse: Warehouse, settings: Settings) -> None:
        self._warehouse = warehouse
        self._settings = settings

    def add(
        self, settings: IntegrationSettings, api_key: SecretStr, capabilities: Mapping[str, Any]
    ) -> None:
        """Saves a new integration whose connection has passed its test, with status ready.

        Raises:
            InvalidSettingsError: The key or the list name is taken, order numbers of the client
                could belong to two integrations, or two integrations of one shop would export the
                same orders.
        """
        if problem := settings.limit.unknowable(capabilities):
            raise InvalidSettingsError({"storefronts": problem})
        values = settings.model_dump()
        hashes = secrets.KeyedHashes(self._settings)
        key_hash = hashes.api_key(api_key)
        sealed = settings.api_key_reference is None
        values["api_key_sealed"] = (
            secrets.seal(self._settings, api_key.get_secret_value()) if sealed else None
        )
        values["api_key_hash"] = key_hash if sealed else None
        values["capabilities"] = Jsonb(dict(capabilities))
        values["tested_fingerprint"] = hashes.connection(settings.url, settings.email, key_hash)
        for name, value in values.items():
            if isinstance(value, tuple):
                values[name] = list(value)
        columns = ", ".join(values)
        marks = ", ".join(f"%({name})s" for name in values)
        try:
            with self._connect() as connection, connection.transaction():
                # What a removed integration of the same key left behind is another shop's.
                purge_integration(connection, settings.integration)
                before = connection.execute(
                    "SELECT FROM registry.audit WHERE integration = %s LIMIT 1",
                    [settings.integration],
                ).fetchone()
                if before is not None:
                    purge_files(self._settings, settings.integration)
                order_prefix_conflicts.lock_prefixes(connection)
                connection.execute(
                    f"INSERT INTO registry.integrations ({columns}, tested_at)"  # noqa: S608
                    f" VALUES ({marks}, now())",
                    values,
                )
                order_prefix_conflicts.reject_ambiguous(connection, settings.integration)
                overlap.refuse_clash(connection, settings.integration)
        except psycopg.errors.UniqueViolation as error:
            if "list_name" in (error.diag.constraint_name or ""):
                raise InvalidSettingsError(
                    {"list_name": f"the list {settings.list_name!r} exists already"}
                ) from None
            raise InvalidSettingsError(
                {"integration": f"the integration {settings.integration!r} exists already"}
            ) from None

    def get(self, key: str) -> Integration:
        """Returns one integration.

        Raises:
            UnknownIntegrationError: There is none of this key.
        """
        for integration in self._read([key]):
            return integration
        raise UnknownIntegrationError(
            f"there is no integration {key!r}; `cscart-pipelines integration list` shows them"
        )

    def all(self, among: Collection[str] | None = None) -> list[Integration]:
        """Returns all integrations, or those of these that exist, sorted by key."""
        return self._read(None if among is None else list(among))

    def api_key(self, key: str) -> SecretStr:
        """Returns the API key, for the shop's client only.

        Raises:
            SecretError: It cannot be read or decrypted.
            UnknownIntegrationError: There is no such integration.
        """
        with self._connect() as connection:
            row = connection.execute(
                "SELECT api_key_sealed, api_key_reference FROM registry.integrations"
                " WHERE integration = %s",
                [key],
            ).fetchone()
        if row is None:
            raise UnknownIntegrationError(f"there is no integration {key!r}")
        if row["api_key_reference"]:
            return secrets.resolve(row["api_key_reference"])
        return secrets.unseal(self._settings, row["api_key_sealed"])

    def standing(self, integration: Integration) -> Standing:
        """Returns the facts for `lifecycle`. A key by reference is read; no key is decrypted."""
        return _standing(integration, self._hashes())

    def standings(self, among: Collection[str] | None = None) -> list[tuple[Integration, Standing]]:
        """Returns integrations with the facts for `lifecycle`, in one query; all if no `among`."""
        hashes = self._hashes()
        return [(one, _standing(one, hashes)) for one in self._read(among)]

    def _hashes(self) -> secrets.KeyedHashes | None:
        try:
            return secrets.KeyedHashes(self._settings, make=False)
        except secrets.SecretError:  # then no key can be used, and no test counts
            return None

    def record_test(self, key: str, capabilities: Mapping[str, Any]) -> None:
        """Records that the connection has passed a test with its present details."""
        integration = self.get(key)
        hashes, details = secrets.KeyedHashes(self._settings), integration.settings
        key_hash = hashes.api_key(self.api_key(key))
        passed = hashes.connection(details.url, details.email, key_hash)
        with self._connect() as connection:
            connection.execute(
                "UPDATE registry.integrations SET capabilities = %s, tested_fingerprint = %s,"
                " tested_at = now(), failure_permanent = false, updated_at = now()"
                " WHERE integration = %s",
                [Jsonb(dict(capabilities)), passed, key],
            )

    def set_url(self, key: str, url: str) -> None:
        """Saves another port of the same host, for the sandbox shop; `record_test` comes after."""
        with self._connect() as connection:
            connection.execute(
                "UPDATE registry.integrations SET url = %s WHERE integration = %s", [url, key]
            )

    def release_dead(self) -> list[str]:
        """Marks synchronisations as failed whose process has died; returns their integrations.

        A live one holds its advisory lock, and the server frees the lock with the connection.
        """
        released = []
        with self._connect() as connection:
            syncing = connection.execute(
                "SELECT integration FROM registry.integrations WHERE status = 'syncing'"
            ).fetchall()
            for row in syncing:
                key = row["integration"]
                with connection.transaction():
                    free = advisory.try_lock(connection, Lock.SYNC, key)
                    if free and mark_failed(connection, key, None, DEAD_RUN):
                        released.append(key)
        return released

    def _read(self, keys: Iterable[str] | None) -> list[Integration]:
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT * FROM registry.integrations"
                " WHERE %(keys)s::text[] IS NULL OR integration = ANY(%(keys)s)"
                " ORDER BY integration",
                {"keys": None if keys is None else list(keys)},
            ).fetchall()
        return [_integration(row) for row in rows]

    @contextlib.contextmanager
    def _connect(self) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        with self._warehouse.connect(autocommit=True) as connection:
            connection.row_factory = dict_row  # type: ignore[assignment]
            yield connection  # type: ignore[misc]


def mark_failed(
    connection: psycopg.Connection[Any],
    key: str,
    run: int | None,
    reason: str,
    permanent: bool = False,
    kind: str | None = None,
) -> bool:
    """Marks an integration and its running synchronisation as failed, within the transaction.

    Args:
        connection: Of the caller.
        key: Of the integration.
        run: Only this run, if it still runs; None for a caller that holds the sync lock, so that
            no run is alive.
        reason: For people.
        permanent: A repetition cannot help.
        kind: The class of the error.

    Returns:
        Whether the integration was syncing.
    """
    ended = connection.execute(
        "UPDATE registry.sync_runs SET state = 'failed', finished_at = now(), error = %(reason)s,"
        " error_kind = %(kind)s WHERE integration = %(key)s AND state = 'running'"
        " AND (%(run)s::bigint IS NULL OR id = %(run)s)",
        {"reason": reason, "kind": kind, "key": key, "run": run},
    )
    if run is not None and ended.rowcount == 0:
        return False
    marked = connection.execute(
        "UPDATE registry.integrations SET status = 'failed', status_reason = %s,"
        " status_since = now(), attempts = attempts + 1, failure_permanent = %s,"
        " updated_at = now() WHERE integration = %s AND status = 'syncing'",
        [reason, permanent, key],
    )
    return marked.rowcount > 0


def _standing(integration: Integration, hashes: secrets.KeyedHashes | None) -> Standing:
    tested = False
    if hashes is not None:
        with contextlib.suppress(secrets.SecretError):
            tested = _fingerprint(integration, hashes) == integration.tested_fingerprint
    return Standing(
        status=integration.status,
        synced_before=integration.first_synced_at is not None,
        tested=tested,
        permanent_failure=integration.failure_permanent,
        failed_last=integration.attempts > 0 or integration.failure_permanent,
    )


def _fingerprint(integration: Integration, hashes: secrets.KeyedHashes) -> str:
    """Of the connection as it is now. Raises SecretError where a reference leads nowhere."""
    settings = integration.settings
    if settings.api_key_reference:
        key_hash = hashes.api_key(secrets.resolve(settings.api_key_reference))
    else:
        key_hash = integration.api_key_hash or b""
    return hashes.connection(settings.url, settings.email, key_hash)


def _integration(row: dict[str, Any]) -> Integration:
    return Integration(
        settings=from_row(row),
        status=Status(row["status"]),
        **{
            name: row[name]
            for name in Integration.__dataclass_fields__
            if name not in ("settings", "status")
        },
    )

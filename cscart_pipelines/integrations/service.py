"""The actions on an integration: edit, disable, enable, remove, purge.

Each is one transaction that holds the integration's lock or row, so that two at once, or a crash,
leave either the old state or the new. Not here: the rules (`lifecycle`), synchronisations
(`sync_runs.lock`), reads (`registry`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from cscart_pipelines.cscart.capabilities import Capabilities
from cscart_pipelines.cscart.status_names import StatusNames
from cscart_pipelines.integrations import audit, secrets
from cscart_pipelines.integrations.conflicts import order_prefixes as order_prefix_conflicts
from cscart_pipelines.integrations.conflicts import overlap
from cscart_pipelines.integrations.connection import test_connection
from cscart_pipelines.integrations.lifecycle import (
    Action,
    NotAllowedError,
    Standing,
    Status,
    after_enable,
    require,
)
from cscart_pipelines.integrations.registry import (
    DEAD_RUN,
    Integration,
    Registry,
    mark_failed,
)
from cscart_pipelines.integrations.settings import (
    IntegrationSettings,
    InvalidSettingsError,
    check,
    host_of,
)
from cscart_pipelines.integrations.status_words import (
    FIELDS,
    as_letters,
    ask_shop,
    read_status_names,
)
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines.warehouse.purge import purge_files, purge_integration, purge_outside

RULE_BROKEN = "CS004"
"""SQLSTATE of the triggers that enforce the rules in the database."""
STOP_SECONDS = 60.0
BRIEF_SECONDS = 5.0
"""Another action holds the lock no longer than this; a synchronisation shows in the status."""
CONNECTION_DETAILS = frozenset({"url", "email", "api_key", "api_key_reference"})
"""A change of one of these needs a new connection test (seed 000)."""
REMOVE_INSTEAD = "cannot be changed: remove the integration and create a new one in its place"
LIMITS = frozenset({"companies", "storefronts"})
"""Settings whose change deletes rows at once, and needs a full synchronisation afterwards."""
INTEGRATION_TABLES = (
    "registry.sync_state", "registry.sync_requests", "registry.sweep_seen", "registry.sync_runs",
    "onsite.sites", "fulfilment.carriers", "fulfilment.sku_map", "fulfilment.stock_rules",
    "fulfilment.sku_stock_rules", "registry.integrations",
)  # fmt: skip
"""The settings of an integration, and the state and record of its synchronisation."""


@dataclass(frozen=True)
class EditResult:
    """What an edit changed: field to (before, after); of the key only that it changed."""

    changes: dict[str, tuple[Any, Any]]
    test: Capabilities | None
    """The connection test, where one was needed."""


class IntegrationService:
    """The actions on the integrations of one warehouse."""

    def __init__(self, warehouse: Warehouse, registry: Registry, settings: Settings) -> None:
        self._warehouse = warehouse
        self._registry = registry
        self._settings = settings

    def edit(
        self, key: str, values: Mapping[str, Any], api_key: SecretStr | None = None
    ) -> EditResult:
        """Changes settings; a change of a connection detail is saved only after a passed test.

        Raises:
            InvalidSettingsError: Names every problem.
            NotAllowedError: It is syncing.
            ShopError: The connection test failed; nothing is saved.
            SecretError: The API key cannot be read.
            UnknownIntegrationError: There is none of this key.
        """
        known = self._registry.get(key)
        require(Action.EDIT, self._registry.standing(known))
        before = known.settings.model_dump()
        after = check({**before, **values})
        _refuse_fixed(known.settings, after)
        words = {name for name in FIELDS if getattr(after, name) != before[name]}
        if words:
            after = self._with_letters(known, after, words, api_key)
        changes = {
            name: (before[name], value)
            for name, value in after.model_dump().items()
            if before[name] != value
        }
        saved = {name: value for name, (_, value) in changes.items()}
        if api_key is not None:
            changes["api_key"] = ("••••", "changed")
            saved["api_key_reference"] = None
            saved["api_key_sealed"] = secrets.seal(self._settings, api_key.get_secret_value())
            saved["api_key_hash"] = secrets.KeyedHashes(self._settings).api_key(api_key)
        elif saved.get("api_key_reference"):
            saved["api_key_sealed"] = saved["api_key_hash"] = None
        elif "api_key_reference" in saved:
            raise InvalidSettingsError({"api_key": "expected, where the reference to it goes"})
        if not changes:
            return EditResult({}, None)
        tested = None
        if CONNECTION_DETAILS & changes.keys():
            effective = api_key or self._key_after(known, after)
            tested = test_connection(after, effective)
            saved["capabilities"] = Jsonb(tested.model_dump(mode="json"))
            hashes = secrets.KeyedHashes(self._settings)
            key_hash = hashes.api_key(effective)
            saved["tested_fingerprint"] = hashes.connection(after.url, after.email, key_hash)
            saved["failure_permanent"] = False
        can = tested.model_dump(mode="json") if tested else known.capabilities or {}
        if LIMITS & changes.keys() and (problem := after.limit.unknowable(can)):
            raise InvalidSettingsError({"storefronts": problem})
        self._save(known.key, saved, tested is not None)
        return EditResult(changes, tested)

    def disable(self, key: str, reason: str | None = None) -> None:
        """Disables an integration: no schedule reads it or writes to its shop.

        Raises:
            NotAllowedError: It is syncing, or disabled already.
            UnknownIntegrationError: There is none of this key.
        """
        self._change_status(key, Action.DISABLE, lambda standing: Status.DISABLED, reason)

    def enable(self, key: str) -> Status:
        """Enables a disabled integration, and returns its status: failed if it was that before.

        The schedule then tries it again, also after a permanent failure.

        Raises:
            NotAllowedError: It is not disabled.
            UnknownIntegrationError: There is none of this key.
        """
        return self._change_status(key, Action.ENABLE, after_enable)

    def remove(self, key: str, *, force: bool = False, purge_data: bool = False) -> dict[str, int]:
        """Deletes settings, key, watermarks and runs, and settings in the audit trail.

        Args:
            key: Of the integration; with `purge_data` also of one that was removed before.
            force: Stops a synchronisation that is running; otherwise the removal is refused then.
            purge_data: Deletes the shop's data too.

        Returns:
            Rows of data deleted, by table.

        Raises:
            NotAllowedError: It is syncing.
            UnknownIntegrationError: There is none of this key.
        """
        if purge_data and audit.was_removed(self._warehouse, key):
            return self._purge_removed(key)
        standing = self._registry.standing(self._registry.get(key))
        if not (force and standing.status is Status.SYNCING):
            require(Action.REMOVE, standing)
        with self._locked(key, Action.REMOVE, force=force) as connection, connection.transaction():
            purged = purge_integration(connection, key) if purge_data else {}
            for table in INTEGRATION_TABLES:
                connection.execute(
                    sql.SQL("DELETE FROM {} WHERE integration = %s").format(
                        sql.Identifier(*table.split("."))
                    ),
                    [key],
                )
            audit.forget_settings(connection, key)
        if purge_data:
            purge_files(self._settings, key)
        return purged

    # --- inside ----------------------------------------------------------------------------------

    def _purge_removed(self, key: str) -> dict[str, int]:
        with self._warehouse.connect(autocommit=True) as connection, connection.transaction():
            purged = purge_integration(connection, key)
            audit.record(connection, key, "data purged", {})
        purge_files(self._settings, key)
        return purged

    def _with_letters(
        self,
        known: Integration,
        after: IntegrationSettings,
        fields: Collection[str],
        api_key: SecretStr | None,
    ) -> IntegrationSettings:
        """Replaces names of statuses by letters: of the shop, else of the warehouse."""
        with self._warehouse.connect(autocommit=True) as connection:
            names = read_status_names(connection, known.key)
        told = None
        with contextlib.suppress(secrets.SecretError):
            key = api_key or self._key_after(known, after)
            told = ask_shop(after, key, known.capabilities or {})
        if told is not None:  # orders may carry letters that have no name in the shop
            names = StatusNames(told.present, names.seen)
        return as_letters(after, names, fields, certain=told is not None)

    def _key_after(self, known: Integration, after: IntegrationSettings) -> SecretStr:
        if after.api_key_reference:
            return secrets.resolve(after.api_key_reference)
        return self._registry.api_key(known.key)

    def _save(self, key: str, saved: Mapping[str, Any], tested: bool) -> None:
        """Saves only what has changed: another edit may change other settings at the same time."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in saved.items()}
        assignments = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
            for name in values
        )
        moment = sql.SQL(", tested_at = now()" if tested else "")
        query = sql.SQL(
            "UPDATE registry.integrations SET {}{}, updated_at = now()"
            " WHERE integration = %(key)s AND status <> 'syncing' RETURNING 1"
        ).format(assignments, moment)
        with (
            _rules(),
            self._warehouse.connect(autocommit=True) as connection,
            connection.transaction(),
        ):
            order_prefix_conflicts.lock_prefixes(connection)
            if connection.execute(query, {**values, "key": key}).fetchone() is None:
                known = self._registry.get(key)  # gone meanwhile?
                require(Action.EDIT, self._registry.standing(known))
                raise NotAllowedError("edit is not allowed: it was syncing just now; try again")
            if order_prefix_conflicts.FIELDS & values.keys():
                order_prefix_conflicts.reject_ambiguous(connection, key)
            overlap.refuse_clash(connection, key)
            if LIMITS & values.keys():
                purge_outside(connection, key)

    def _change_status(
        self,
        key: str,
        act: Action,
        follow: Callable[[Standing], Status],
        reason: str | None = None,
    ) -> Status:
        with self._locked(key, act) as connection, _rules(), connection.transaction():
            standing = self._registry.standing(self._registry.get(key))
            require(act, standing)
            status = follow(standing)
            connection.execute(
                "UPDATE registry.integrations SET status = %(status)s, status_since = now(),"
                # A disabled integration keeps the reason of its failure, for when it is enabled.
                " status_reason = coalesce(%(reason)s, CASE WHEN %(failed)s"
                " THEN coalesce(status_reason, 'its last synchronisation failed') END),"
                " failure_permanent = failure_permanent AND %(status)s = 'disabled',"
                " updated_at = now() WHERE integration = %(key)s",
                {
                    "status": str(status),
                    "reason": reason,
                    "failed": standing.failed_last,
                    "key": key,
                },
            )
        return status

    @contextlib.contextmanager
    def _locked(
        self, key: str, act: Action, *, force: bool = False
    ) -> Iterator[psycopg.Connection[Any]]:
        """Yields a connection that holds the sync lock of the integration.

        Raises:
            NotAllowedError: It is syncing, and `force` is not set.
            UnknownIntegrationError: There is none of this key.
        """
        with self._warehouse.open_session(autocommit=True) as connection:
            deadline = time.monotonic() + (STOP_SECONDS if force else BRIEF_SECONDS)
            while not advisory.try_lock_session(connection, Lock.SYNC, key):
                standing = self._registry.standing(self._registry.get(key))
                if not force:
                    require(act, standing)  # syncing: says so at once
                if time.monotonic() > deadline:
                    raise NotAllowedError(f"{act} is not allowed: something else is at work on it")
                if force:
                    advisory.end_holder(connection, Lock.SYNC, key)
                time.sleep(0.1)
            try:
                # The lock was free: a run that is recorded as running has died.
                with connection.transaction():
                    mark_failed(connection, key, None, DEAD_RUN)
                self._registry.get(key)  # it may have been removed under the lock
                yield connection
            finally:
                advisory.unlock(connection, Lock.SYNC, key)


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
    """Raises the errors of this module for refusals of the database."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate == RULE_BROKEN:
            raise NotAllowedError(error.diag.message_primary or "not allowed") from None
        if isinstance(error, psycopg.errors.UniqueViolation):
            raise InvalidSettingsError({"list_name": "the list exists already"}) from None
        raise

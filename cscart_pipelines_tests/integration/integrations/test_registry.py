"""The book of integrations: unique names, sealed keys, a status that is true."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from cscart_pipelines.integrations import secrets
from cscart_pipelines.integrations import settings as integration_settings
from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError, Status
from cscart_pipelines.integrations.registry import (
    DEAD_RUN,
    Registry,
    UnknownIntegrationError,
)
from cscart_pipelines.integrations.settings import InvalidSettingsError
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.database.locks import wait_until_free

KEY = SecretStr("a-key-that-nobody-may-see-0123456")
FOUND = {"style": "rewrite", "orders_seen": True}


@pytest.fixture
def registry(warehouse_database: Database, settings: Settings) -> Registry:
    return Registry(warehouse_database.warehouse, settings)


def checked(key: str = "shop", **values: object) -> integration_settings.IntegrationSettings:
    return integration_settings.check(
        {
            "integration": key,
            "list_name": f"List of {key}",
            "url": "https://shop.example/store",
            "email": "admin@shop.example",
            **values,
        }
    )


def test_what_is_saved_is_read_again(registry: Registry) -> None:
    saved = checked(timezone="Europe/Athens", countries=("GB", "GR"), settled_statuses=("P", "C"))
    registry.add(saved, KEY, FOUND)
    (read,) = registry.all()
    assert read.settings.model_dump() == saved.model_dump()
    assert (read.key, read.status, read.attempts) == ("shop", Status.READY, 0)
    assert read.capabilities == FOUND
    assert read.first_synced_at is None
    assert registry.get("shop") == read
    assert registry.standing(read).tested
    assert registry.api_key("shop") == KEY


def test_the_key_is_sealed_in_the_warehouse(
    registry: Registry, warehouse_database: Database
) -> None:
    registry.add(checked(), KEY, FOUND)
    with warehouse_database.connect() as connection:
        row = connection.execute(
            "SELECT each::text, api_key_sealed FROM registry.integrations each"
        )
        text, sealed = row.fetchone() or ("", b"")
    assert KEY.get_secret_value() not in text
    assert KEY.get_secret_value().encode() not in bytes(sealed)
    assert KEY.get_secret_value() not in repr(registry.get("shop"))


def test_names_are_unique(registry: Registry) -> None:
    registry.add(checked(), KEY, FOUND)
    with pytest.raises(InvalidSettingsError, match="'shop' exists already"):
        registry.add(checked(list_name="Another"), KEY, FOUND)
    with pytest.raises(InvalidSettingsError, match="list 'List of shop' exists already"):
        registry.add(checked("other", list_name="List of shop"), KEY, FOUND)
    assert [each.key for each in registry.all()] == ["shop"]


def test_an_unknown_integration_is_named(registry: Registry) -> None:
    for ask in (registry.get, registry.api_key):
        with pytest.raises(UnknownIntegrationError, match="'nobody'"):
            ask("nobody")


def test_a_key_by_reference_that_changes_needs_a_new_test(
    registry: Registry, warehouse_database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "shop.key"
    file.write_text(KEY.get_secret_value())
    registry.add(checked(api_key_reference=f"file:{file}"), KEY, FOUND)
    with warehouse_database.connect() as connection:
        row = connection.execute("SELECT api_key_sealed FROM registry.integrations").fetchone()
    assert row == (None,)
    assert registry.api_key("shop") == KEY
    file.write_text("another-key-0123456789-0123456789")
    assert not registry.standing(registry.get("shop")).tested
    with pytest.raises(NotAllowedError, match="use test first"):
        acquire(warehouse_database.warehouse, registry, "shop", Action.START)
    registry.record_test("shop", {**FOUND, "family": "new"})
    assert registry.standing(registry.get("shop")).tested
    assert (registry.get("shop").capabilities or {})["family"] == "new"
    file.unlink()
    assert not registry.standing(registry.get("shop")).tested


def test_standings_are_those_of_each_one(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "shop.key"
    file.write_text(KEY.get_secret_value())
    registry.add(checked("a"), KEY, FOUND)
    registry.add(checked("b", api_key_reference=f"file:{file}"), KEY, FOUND)
    registry.add(checked("c", api_key_reference=f"file:{file}.2"), KEY, FOUND)
    found = registry.standings()
    assert found == [(one, registry.standing(one)) for one in registry.all()]
    assert [standing.tested for _, standing in found] == [True, True, False]
    assert [one.key for one, _ in registry.standings({"c", "a", "nobody"})] == ["a", "c"]
    assert registry.standings([]) == []


def test_standings_open_no_key_and_see_a_changed_one(
    registry: Registry, warehouse_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", KEY.get_secret_value())
    for number in range(20):
        registry.add(checked(f"sealed-{number:02}"), KEY, FOUND)
    registry.add(checked("by-reference", api_key_reference="env:SHOP_KEY"), KEY, FOUND)
    opened = mock.Mock(wraps=secrets.unseal)
    monkeypatch.setattr(secrets, "unseal", opened)
    assert all(standing.tested for _, standing in registry.standings())
    assert registry.standing(registry.get("sealed-00")).tested
    opened.assert_not_called()
    registry.api_key("sealed-00")
    opened.assert_called_once()
    # Another key than the tested one, sealed and by reference.
    with warehouse_database.connect() as connection:
        connection.execute(
            "UPDATE registry.integrations SET api_key_hash = %s WHERE integration = 'sealed-07'",
            [secrets.KeyedHashes(registry._settings).api_key(SecretStr("another-key"))],
        )
    monkeypatch.setenv("SHOP_KEY", "another-key")
    untested = [one.key for one, standing in registry.standings() if not standing.tested]
    assert untested == ["by-reference", "sealed-07"]


def test_another_secret_key_leaves_no_connection_tested(
    registry: Registry, warehouse_database: Database, settings: Settings
) -> None:
    registry.add(checked(), KEY, FOUND)
    for key in (Fernet.generate_key().decode(), "no key"):
        other = settings.model_copy(update={"secret_key": SecretStr(key)})
        elsewhere = Registry(warehouse_database.warehouse, other)
        assert not elsewhere.standing(elsewhere.get("shop")).tested
    assert registry.standing(registry.get("shop")).tested


def test_only_runs_without_a_process_are_released(
    registry: Registry, warehouse_database: Database
) -> None:
    for key in ("alive", "dead", "idle"):
        registry.add(checked(key), KEY, FOUND)
    warehouse = warehouse_database.warehouse
    alive = acquire(warehouse, registry, "alive", Action.START)
    acquire(warehouse, registry, "dead", Action.START).connection.close()
    wait_until_free(warehouse, Lock.SYNC, "dead")
    assert registry.release_dead() == ["dead"]
    assert registry.get("dead").status_reason == DEAD_RUN
    assert registry.get("alive").status is Status.SYNCING
    assert registry.get("idle").status is Status.READY
    alive.succeed({})
    assert registry.release_dead() == []
    assert registry.get("alive").status is Status.ENABLED

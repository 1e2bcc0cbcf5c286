"""No sequence of commands and crashes reaches a forbidden combination, on the real database.

A model of two integrations says what every command must answer; after every step the book is held
against it and against what must never be.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from pydantic import SecretStr

from cscart_pipelines.integrations.lifecycle import (
    Action,
    NotAllowedError,
    Standing,
    Status,
    after_enable,
    rejection_reason,
)
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.integrations.settings import InvalidSettingsError, check
from cscart_pipelines.integrations.sync_runs.lock import SyncSession, acquire
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.support.examples import examples
from cscart_pipelines_tests.support.shop.commands import KEY, PASSED, Installation
from cscart_pipelines_tests.support.shop.commands import installation as installation

KEYS = st.sampled_from(["one", "two"])
STARTS = st.sampled_from([Action.START, Action.RESYNC, Action.SCHEDULED])


class Shop:
    """What the model knows of one integration."""

    def __init__(self) -> None:
        self.status = Status.READY
        self.synced = False
        self.tested = True
        self.permanent = False
        self.failed = False
        """It has failed since the last success."""
        self.session: SyncSession | None = None
        """A run that lives; None with status syncing: one that has died."""

    @property
    def standing(self) -> Standing:
        return Standing(self.status, self.synced, self.tested, self.permanent, self.failed)


class Life(RuleBasedStateMachine):
    installation: Installation

    def __init__(self) -> None:
        super().__init__()
        self.shops: dict[str, Shop] = {}

    @initialize()
    def clean(self) -> None:
        self.installation.execute("UPDATE registry.integrations SET status = 'failed'"
                          " WHERE status = 'syncing'")  # fmt: skip
        self.installation.execute(
            "TRUNCATE registry.integrations, registry.sync_runs, registry.sync_state,"
            " registry.audit"
        )
        for name in ("one", "two"):
            os.environ[f"KEY_OF_{name.upper()}"] = KEY

    def teardown(self) -> None:
        for key in self.shops:
            self.crash(key)

    def expect(self, key: str, act: Action, do: Any, *, unless: bool = False) -> bool:
        """Does it, and says whether it was done; the model says whether it must be."""
        shop = self.shops.get(key)
        try:
            do()
        except UnknownIntegrationError:
            assert shop is None
            return False
        except NotAllowedError as error:
            assert shop is not None and not unless
            assert rejection_reason(act, shop.standing) is not None
            assert str(error).startswith(f"{act} is not allowed")
            return False
        assert shop is not None
        assert unless or rejection_reason(act, shop.standing) is None
        return True

    # --- commands --------------------------------------------------------------------------------

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        settings = check(
            {"integration": key, "list_name": f"list {key}", "url": f"https://{key}.example",
             "email": "a@b.example", "api_key_reference": f"env:KEY_OF_{key.upper()}"}
        )  # fmt: skip
        now = os.environ[f"KEY_OF_{key.upper()}"]
        try:
            self.installation.registry.add(settings, SecretStr(now), PASSED)
        except InvalidSettingsError:
            assert key in self.shops
        else:
            assert key not in self.shops
            self.shops[key] = Shop()

    @rule(key=KEYS, act=STARTS)
    def start(self, key: str, act: Action) -> None:
        self._end_of_dead(key)  # whoever takes the lock finds out
        leases: list[SyncSession] = []

        def do() -> None:
            leases.append(
                acquire(self.installation.database.warehouse, self.installation.registry, key, act)
            )

        if self.expect(key, act, do):
            shop = self.shops[key]
            shop.session, shop.status = leases[0], Status.SYNCING

    @rule(key=KEYS)
    def load(self, key: str) -> None:
        if (shop := self.shops.get(key)) and shop.session:
            shop.session.progress("orders", 5, 10)

    @rule(key=KEYS)
    def succeed(self, key: str) -> None:
        if (shop := self.shops.get(key)) and shop.session:
            shop.session.succeed({})
            shop.session, shop.status, shop.synced = None, Status.ENABLED, True
            shop.permanent = shop.failed = False

    @rule(key=KEYS, permanent=st.booleans())
    def fail(self, key: str, permanent: bool) -> None:
        if (shop := self.shops.get(key)) and shop.session:
            shop.session.fail("it broke", permanent=permanent)
            shop.session, shop.status, shop.permanent = None, Status.FAILED, permanent
            shop.failed = True

    @rule(key=KEYS)
    def crash(self, key: str) -> None:
        """The process is gone, and with it its connection; nobody says a word."""
        if (shop := self.shops.get(key)) and shop.session:
            pid = shop.session.connection.info.backend_pid
            shop.session.connection.close()
            shop.session = None
            while self.installation.rows("SELECT FROM pg_stat_activity WHERE pid = %s", pid):
                pass

    @rule()
    def anybody_looks(self) -> None:
        """Every command begins with it."""
        dead = {k for k, s in self.shops.items() if s.status is Status.SYNCING and not s.session}
        assert set(self.installation.registry.release_dead()) == dead
        for key in dead:
            self._end_of_dead(key)

    @rule(key=KEYS, zone=st.sampled_from(["UTC", "Asia/Tokyo"]))
    def edit(self, key: str, zone: str) -> None:
        done = self.expect(
            key, Action.EDIT, lambda: self.installation.service.edit(key, {"timezone": zone})
        )
        if done:
            assert self.installation.registry.get(key).settings.timezone == zone

    @rule(key=KEYS, value=st.sampled_from([KEY, "b" * 32]))
    def replace_the_key_behind_the_reference(self, key: str, value: str) -> None:
        name = f"KEY_OF_{key.upper()}"
        if os.environ[name] != value and (shop := self.shops.get(key)):
            shop.tested = not shop.tested  # two values: back again is what was tested
        os.environ[name] = value

    @rule(key=KEYS)
    def pass_a_test(self, key: str) -> None:
        try:
            self.installation.registry.record_test(key, PASSED)
        except UnknownIntegrationError:
            assert key not in self.shops
        else:
            self.shops[key].tested, self.shops[key].permanent = True, False

    @rule(key=KEYS)
    def disable(self, key: str) -> None:
        self.anybody_looks()
        if self.expect(key, Action.DISABLE, lambda: self.installation.service.disable(key)):
            self.shops[key].status = Status.DISABLED

    @rule(key=KEYS)
    def enable(self, key: str) -> None:
        self.anybody_looks()
        if self.expect(key, Action.ENABLE, lambda: self.installation.service.enable(key)):
            shop = self.shops[key]
            shop.status, shop.permanent = after_enable(shop.standing), False
            assert (self.installation.registry.get(key).status_reason is not None) == shop.failed

    @rule(key=KEYS, force=st.booleans())
    def remove(self, key: str, force: bool) -> None:
        self.anybody_looks()
        shop = self.shops.get(key)
        forced = force and shop is not None and shop.status is Status.SYNCING
        if self.expect(
            key,
            Action.REMOVE,
            lambda: self.installation.service.remove(key, force=force),
            unless=forced,
        ):
            if shop and shop.session:
                # The run finds its connection gone, and must not bring anything back.
                shop.session.fail("its connection is gone", permanent=False)
            del self.shops[key]

    def _end_of_dead(self, key: str) -> None:
        if (shop := self.shops.get(key)) and shop.status is Status.SYNCING and not shop.session:
            shop.status, shop.permanent, shop.failed = Status.FAILED, False, True

    # --- what must never be ----------------------------------------------------------------------

    @invariant()
    def the_registry_is_as_the_model_says(self) -> None:
        book = {one.key: one for one in self.installation.registry.all()}
        assert book.keys() == self.shops.keys()
        for key, shop in self.shops.items():
            assert self.installation.registry.standing(book[key]) == shop.standing, key

    @invariant()
    def nothing_forbidden(self) -> None:
        never = self.installation.rows(
            f"""
            SELECT integration, 'enabled without a synchronisation' FROM registry.integrations
            WHERE status = 'enabled' AND first_synced_at IS NULL
            UNION ALL
            SELECT integration, 'failed without a reason' FROM registry.integrations
            WHERE status = 'failed' AND status_reason IS NULL
            UNION ALL
            SELECT coalesce(book.integration, run.integration), 'a run and the status disagree'
            FROM (SELECT * FROM registry.integrations WHERE status = 'syncing') AS book
            FULL JOIN (SELECT * FROM registry.sync_runs WHERE state = 'running') AS run
                USING (integration)
            WHERE book.integration IS NULL OR run.integration IS NULL
            UNION ALL
            SELECT run.integration, 'left by a removed one' FROM registry.sync_runs AS run
            LEFT JOIN registry.integrations AS book USING (integration)
            WHERE book.integration IS NULL
            UNION ALL
            SELECT integration, 'a secret in the trail' FROM registry.audit
            WHERE detail::text LIKE '%%' || '{KEY}' || '%%'
            """
        )
        assert never == []

    @invariant()
    def whoever_syncs_holds_the_lock_and_nobody_else(self) -> None:
        for key, shop in self.shops.items():
            query = "SELECT pg_try_advisory_xact_lock(%s)"
            assert self.installation.rows(query, Lock.SYNC.number(key)) == [(shop.session is None,)]


def test_no_sequence_of_commands_and_crashes_reaches_a_forbidden_combination(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ONE", "TWO"):
        monkeypatch.setenv(f"KEY_OF_{name}", KEY)
    machine = type("LifeOfThisInstallation", (Life,), {"installation": installation})
    run_state_machine_as_test(
        machine, settings=hypothesis_settings(examples(10), stateful_step_count=25)
    )

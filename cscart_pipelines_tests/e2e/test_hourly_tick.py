"""One hourly tick over thirty shops, ten of them failing in different ways.

Twenty end enabled and ten failed, each with its own reason; no shop is delayed into failing by a
broken one. What one shop's failure looks like in detail is tested in the rooms.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from cscart_pipelines.defs.ingestion.jobs import hourly_resync
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.integrations.connection import test_connection as probe_connection
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.integrations.settings import check
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.settings import read_settings
from cscart_pipelines.warehouse.connect import open_warehouse
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dagster.location import PYDANTIC, location
from cscart_pipelines_tests.support.shop.backoff import no_backoff as no_backoff

SHOPS = 30
"""More than are read at the same time."""
pytestmark = [pytest.mark.filterwarnings(PYDANTIC), pytest.mark.begun_first]


def _stop(shop: SandboxShop) -> None:
    shop.stop()


def _replace_key(shop: SandboxShop) -> None:
    shop.api_user.api_key = "another0key0another0key0another0"


def _may_not(privilege: str) -> Callable[[SandboxShop], None]:
    def take_away(shop: SandboxShop) -> None:
        shop.api_user.privileges = {
            "view_orders", "view_users", "view_catalog", "manage_order_statuses",
        } - {privilege}  # fmt: skip

    return take_away


def _fault(kind: str, **options: object) -> Callable[[SandboxShop], None]:
    return lambda shop: shop.faults.add(kind, count=None, **options) and None  # type: ignore[func-returns-value]


WAYS: list[tuple[str, Callable[[SandboxShop], None], str, bool]] = [
    ("stopped", _stop, "refuses connections", False),
    ("key-replaced", _replace_key, "401", True),
    ("no-orders", _may_not("view_orders"), "view_orders", True),
    ("no-users", _may_not("view_users"), "view_users", True),
    ("login-page", _fault("login_page"), "", False),
    ("crashing", _fault("server_error"), "500", False),
    ("half-answers", _fault("truncated"), "", False),
    ("resetting", _fault("reset"), "", False),
    ("too-busy", _fault("too_many_requests", retry_after=0), "", False),
    ("https-only", lambda shop: setattr(shop.router, "api_https_only", True), "https", True),
]
"""Name, how the shop breaks, a word that its reason must hold, and whether it lasts."""


@pytest.fixture
def shops() -> Iterator[dict[str, SandboxShop]]:
    names = [f"shop-{number:03}" for number in range(SHOPS - len(WAYS))]
    names += [f"broken-{name}" for name, *_ in WAYS]
    with contextlib.ExitStack() as stack:
        made = {name: stack.enter_context(SandboxShop("4.20", "small")) for name in names}
        for shop in made.values():
            product = next(iter(shop.store.products))
            for quantity in (1, 2, 3):
                shop.store.place_order(user_id=1, lines=[(product, quantity)])
        yield made


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("no_backoff")
def test_thirty_shops_in_one_tick(
    warehouse_database: Database,
    shops: dict[str, SandboxShop],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CSCART_PIPELINES_HOME", str(tmp_path / "home"))
    for name, value in warehouse_database.settings_env.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    dagster_home = tmp_path / "dagster"
    dagster_home.mkdir()
    with (
        open_warehouse(settings) as warehouse,
        dg.DagsterInstance.local_temp(str(dagster_home)) as instance,
    ):
        registry = Registry(warehouse, settings)
        _connect_all(warehouse_database, registry, shops)
        instance.add_dynamic_partitions("integration", list(shops))
        for name, breaks, *_ in WAYS:
            breaks(shops[f"broken-{name}"])
        tick = hourly_resync(
            dg.build_schedule_context(instance=instance, resources={"pipelines": Pipelines()})
        )
        assert isinstance(tick, dg.RunRequest)
        result = (
            location()
            .resolve_job_def("resync")
            .execute_in_process(
                instance=instance,
                run_config=tick.run_config,
                tags=tick.tags,
                partition_key=tick.partition_key,
                raise_on_error=False,
            )
        )
        after = {one.key: one for one in registry.all()}
    with warehouse_database.connect() as connection:
        query = "SELECT integration, count(*) FROM cscart.orders GROUP BY integration"
        orders = dict(connection.execute(query).fetchall())
    assert orders == {key: 3 for key, one in after.items() if one.status == "enabled"}
    assert not result.success, "a run with failed shops says so"
    by_status: dict[str, list[str]] = {}
    for key, one in after.items():
        by_status.setdefault(str(one.status), []).append(key)
    assert {status: len(keys) for status, keys in by_status.items()} == {
        "enabled": SHOPS - len(WAYS),
        "failed": len(WAYS),
    }, {key: one.status_reason for key, one in after.items() if key in by_status["failed"]}
    for name, _, word, lasts in WAYS:
        one = after[f"broken-{name}"]
        assert one.status_reason and word in one.status_reason, (name, one.status_reason)
        assert one.failure_permanent is lasts, (name, one.status_reason)
    failure = next(event for event in result.all_events if event.event_type_value == "STEP_FAILURE")
    described = str(failure.step_failure_data.user_failure_data)
    assert all(f"broken-{name}" in described for name, *_ in WAYS)


def _connect_all(database: Database, registry: Registry, shops: dict[str, SandboxShop]) -> None:
    """All connected and enabled an hour ago; one probe tells what all these shops can do."""
    capabilities = None
    for key, shop in shops.items():
        settings = check(
            {"integration": key, "list_name": key, "url": shop.url, "email": shop.email}
        )
        api_key = SecretStr(shop.api_key)
        if capabilities is None:
            capabilities = probe_connection(settings, api_key).model_dump(mode="json")
        registry.add(settings, api_key, capabilities)
    with database.connect() as connection:
        connection.execute("UPDATE registry.integrations SET status = 'syncing'")
        connection.execute(
            "UPDATE registry.integrations SET status = 'enabled', capabilities = %s,"
            " first_synced_at = now() - interval '1 hour', last_synced_at = now() - interval '1 h'",
            [Jsonb(capabilities)],
        )

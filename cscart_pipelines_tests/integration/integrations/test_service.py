"""Edit, disable, enable, remove: what is saved, what is refused, and by the database as well."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from cscart_pipelines.cscart.errors import CredentialsRefusedError, ShopError
from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError, rejection_reason
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.integrations.settings import InvalidSettingsError
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines.onsite.write_keys import OPEN, REMOVED, load_sites, write_key
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.settings import Settings
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.database.locks import ADVISORY
from cscart_pipelines_tests.support.shop.commands import KEY, Installation
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.syncs import connected, fill_shop

pytestmark = pytest.mark.begun_first

STATUSES = ("ready", "syncing", "enabled", "failed", "disabled")
LOCKS = f"SELECT pid FROM {ADVISORY}"
INTEGRATION_TABLES = ("integrations", "sync_state", "sync_runs", "sync_requests", "sweep_seen")


@pytest.fixture
def shop() -> Iterator[SandboxShop]:
    with SandboxShop("4.20", "small") as made:
        yield made


def left(installation: Installation, key: str = "shop") -> dict[str, int]:
    """Rows of an integration in the book."""
    counts = {
        table: installation.rows(
            f"SELECT count(*) FROM registry.{table} WHERE integration = %s", key
        )[0][0]
        for table in INTEGRATION_TABLES
    }
    return {table: rows for table, rows in counts.items() if rows}


# --- edit ----------------------------------------------------------------------------------------


def test_an_edit_of_what_is_no_connection_detail_asks_nobody(installation: Installation) -> None:
    installation.save()  # its shop does not exist
    done = installation.service.edit(
        "shop", {"timezone": "Europe/Athens", "countries": "GB,Greece"}
    )
    assert done.changes == {
        "timezone": ("UTC", "Europe/Athens"),
        "countries": ((), ("GB", "Greece")),
    }
    assert done.test is None
    assert installation.registry.get("shop").settings.countries == ("GB", "Greece")
    assert installation.service.edit("shop", {"timezone": "Europe/Athens"}).changes == {}


def test_a_changed_connection_detail_is_saved_only_after_a_passed_test(
    installation: Installation, shop: SandboxShop
) -> None:
    installation.save_shop(shop)
    before = installation.registry.get("shop")
    with pytest.raises(CredentialsRefusedError):
        installation.service.edit("shop", {"timezone": "Asia/Tokyo"}, SecretStr("wrong"))
    assert installation.registry.get("shop") == before
    assert installation.registry.api_key("shop").get_secret_value() == shop.api_key
    shop.api_user.api_key = "replaced"
    done = installation.service.edit("shop", {}, SecretStr("replaced"))
    assert done.changes == {"api_key": ("••••", "changed")}
    assert done.test is not None
    after = installation.registry.get("shop")
    assert installation.registry.api_key("shop").get_secret_value() == "replaced"
    assert installation.registry.standing(after).tested
    assert after.tested_at > before.tested_at  # type: ignore[operator]


def test_a_key_becomes_a_reference_and_back(
    installation: Installation, shop: SandboxShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.save_shop(shop)
    monkeypatch.setenv("SHOP_KEY", shop.api_key)
    installation.service.edit("shop", {"api_key_reference": "env:SHOP_KEY"})
    sealed = (
        "SELECT api_key_sealed IS NULL, api_key_hash IS NULL, api_key_reference"
        " FROM registry.integrations"
    )
    assert installation.rows(sealed) == [(True, True, "env:SHOP_KEY")]
    # The key behind the reference is replaced: that is a change, and needs a test.
    monkeypatch.setenv("SHOP_KEY", "other")
    assert not installation.registry.standing(installation.registry.get("shop")).tested
    with pytest.raises(NotAllowedError, match="use test first"):
        acquire(installation.database.warehouse, installation.registry, "shop", Action.START)
    with pytest.raises(InvalidSettingsError, match="api_key"):
        installation.service.edit("shop", {"api_key_reference": None})
    installation.service.edit("shop", {"api_key_reference": None}, SecretStr(shop.api_key))
    assert installation.rows(sealed) == [(False, False, None)]
    assert installation.registry.standing(installation.registry.get("shop")).tested


def test_a_passed_test_lets_the_schedule_try_again(
    installation: Installation, shop: SandboxShop
) -> None:
    installation.save_shop(shop)
    installation.put("shop", "failed", permanent=True)
    installation.service.edit("shop", {}, SecretStr(shop.api_key))
    assert not installation.registry.get("shop").failure_permanent


def test_the_list_name_and_the_host_are_fixed_with_the_advice_what_to_do(
    installation: Installation,
) -> None:
    installation.save()
    with pytest.raises(InvalidSettingsError) as caught:
        installation.service.edit("shop", {"list_name": "other", "url": "https://other.example"})
    assert set(caught.value.problems) == {"list_name", "url"}
    for text in caught.value.problems.values():
        assert "remove the integration and create a new one in its place" in text


def test_scheme_port_and_folder_may_change(installation: Installation, shop: SandboxShop) -> None:
    installation.save_shop(shop)
    with SandboxShop("4.20", "small", path="/store") as moved:
        installation.service.edit("shop", {"url": moved.url})
        assert installation.registry.get("shop").settings.url == moved.url


def test_a_failed_test_saves_nothing_at_all(installation: Installation, shop: SandboxShop) -> None:
    installation.save_shop(shop)
    before = installation.registry.get("shop")
    with pytest.raises(ShopError):
        installation.service.edit("shop", {"url": f"{shop.url}/elsewhere", "currency": "USD"})
    assert installation.registry.get("shop") == before


@pytest.mark.parametrize("status", STATUSES)
def test_editing_in_every_status(installation: Installation, status: str) -> None:
    installation.save()
    if status != "ready":
        installation.put("shop", status)
    if status == "syncing":
        with pytest.raises(NotAllowedError, match="cannot be edited while it is syncing"):
            installation.service.edit("shop", {"currency": "USD"})
    else:
        installation.service.edit("shop", {"currency": "USD"})
        assert installation.status() == status


# --- disable, enable, remove ---------------------------------------------------------------------


def test_disabled_and_enabled_again(installation: Installation) -> None:
    installation.save("never")
    installation.save("shop")
    installation.put("shop", "failed")
    installation.service.disable("shop")
    installation.service.disable("never")
    assert (installation.status(), installation.status("never")) == ("disabled", "disabled")
    with pytest.raises(NotAllowedError, match="use enable first"):
        acquire(installation.database.warehouse, installation.registry, "shop", Action.RESYNC)
    with pytest.raises(NotAllowedError, match="disabled already"):
        installation.service.disable("shop")
    assert installation.service.enable("never") == "ready"
    assert installation.service.enable("shop") == "failed"  # as it was
    assert installation.registry.get("shop").status_reason == "it broke"
    installation.put("shop", "enabled")
    installation.service.disable("shop")
    assert installation.registry.get("shop").status_reason is None
    assert installation.service.enable("shop") == "enabled"
    with pytest.raises(NotAllowedError, match="enabled already"):
        installation.service.enable("shop")


def test_a_failure_that_needs_a_person_is_tried_again_once_the_person_enables(
    installation: Installation,
) -> None:
    """It shows as failed until a synchronisation succeeds; the next hour tries it."""
    installation.save()
    installation.put("shop", "failed", permanent=True)
    installation.service.disable("shop")
    assert installation.service.enable("shop") == "failed"
    integration = installation.registry.get("shop")
    assert integration.status_reason == "it broke"
    assert rejection_reason(Action.SCHEDULED, installation.registry.standing(integration)) is None


@pytest.mark.parametrize("act", ["disable", "enable", "remove"])
def test_nothing_is_done_to_a_shop_that_is_syncing(installation: Installation, act: str) -> None:
    installation.save()
    with (
        acquire(installation.database.warehouse, installation.registry, "shop", Action.START),
        pytest.raises(NotAllowedError, match=f"^{act} is not allowed: "),
    ):
        getattr(installation.service, act)("shop")
    assert left(installation)["integrations"] == 1


@pytest.mark.parametrize("act", ["edit", "disable", "enable", "remove"])
def test_an_unknown_integration_is_told(installation: Installation, act: str) -> None:
    arguments = [{}] if act == "edit" else []
    with pytest.raises(UnknownIntegrationError, match="there is no integration 'nobody'"):
        getattr(installation.service, act)("nobody", *arguments)


def test_removed_means_that_settings_key_watermarks_and_runs_are_gone(
    warehouse_database: Database, settings: Settings
) -> None:
    installation = Installation(warehouse_database, settings)
    with connected(warehouse_database, settings) as made:
        fill_shop(made.store)
        made.sync()
        installation.execute(
            "INSERT INTO registry.sync_requests (integration) VALUES (%s)", made.key
        )
        assert set(left(installation, made.key)) >= {"integrations", "sync_state", "sync_runs"}
        assert installation.service.remove(made.key) == {}
        assert left(installation, made.key) == {}
        assert made.live("orders")  # the data stays
        # The key is used again: what the former shop left is not this one's.
        made.add()
        assert not made.live("orders")
        assert left(installation, made.key) == {"integrations": 1}
        first = made.sync()
        assert first.kind == "first"
        assert made.differences() == {}
        purged = installation.service.remove(made.key, purge_data=True)
        assert purged["cscart.customers"] == 9
        assert purged["cscart.orders"] > 9
        for table in ("customers", "orders", "order_lines", "products", "statuses", "shipments"):
            assert not made.live(table)


PERSONAL = "root@tea-shop.example"
"""The administrator's address, wherever it is left."""


def everywhere(installation: Installation, text: str) -> list[str]:
    """The tables of the database that hold a text anywhere in a row."""
    tables = installation.rows(
        "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name)"
        " FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
        " AND table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    return [
        name
        for (name,) in tables
        if installation.rows(f"SELECT FROM {name} AS t WHERE strpos(t::text, %s) > 0", text)
    ]


def test_what_is_removed_leaves_no_setting_anywhere(installation: Installation) -> None:
    installation.save(email=PERSONAL, user_id="Client of Ada", order_prefix="ADA")
    installation.service.edit("shop", {"user_id": "Client of Bob", "currency": "GBP"})
    installation.put("shop", "failed")
    for statement in (
        "INSERT INTO onsite.sites (integration, origins) VALUES ('shop', '{https://ada.example}')",
        "INSERT INTO fulfilment.carriers (integration, name, code) VALUES ('shop', 'Ada', 'x')",
        "INSERT INTO fulfilment.sku_map VALUES ('shop', 'Ada', 'x')",
        "INSERT INTO fulfilment.stock_rules (integration) VALUES ('shop')",
        "INSERT INTO registry.sync_runs (integration, kind, state, error)"
        " VALUES ('shop', 'full', 'failed', 'Ada is not allowed')",
    ):
        installation.execute(statement)
    assert "registry.audit" in everywhere(installation, PERSONAL)

    installation.service.remove("shop")
    assert everywhere(installation, PERSONAL) == []
    for name in ("Ada", "ADA", "ada.example", "Bob", "it broke"):
        assert everywhere(installation, name) == [], name
    trail = installation.rows("SELECT act, detail FROM registry.audit ORDER BY id")
    assert [act for act, _ in trail] == ["added", "edited", "status syncing", "status failed",
                                         "removed"]  # fmt: skip
    assert trail[1][1] == {"currency": "deleted", "user_id": "deleted"}
    assert trail[3][1]["status"] == ["syncing", "failed"]
    assert trail[4][1] == {"url": "https://shop.example"}


def test_the_data_of_a_removed_integration_is_purged_later(installation: Installation) -> None:
    drop = installation.settings.home / "inbox" / "shop" / "shipments" / "done"
    drop.mkdir(parents=True)
    (drop / "parcels.csv").write_text("order_number,tracking_number\n1,Ada\n")
    installation.save(email=PERSONAL)
    installation.execute(
        "INSERT INTO cscart.customers (integration, user_id, email, content_hash)"
        " VALUES ('shop', 1, 'ada@shop.example', '')"
    )
    installation.execute("INSERT INTO onsite.keys (write_key, integration) VALUES ('k', 'shop')")
    installation.service.remove("shop")
    assert everywhere(installation, "ada@shop.example") == ["cscart.customers"]
    assert drop.is_dir()

    assert installation.service.remove("shop", purge_data=True) == {"cscart.customers": 1}
    assert everywhere(installation, "ada@shop.example") == []
    assert not drop.parent.parent.exists()
    assert installation.rows("SELECT act FROM registry.audit ORDER BY id DESC LIMIT 1") == [
        ("data purged",)
    ]
    with pytest.raises(UnknownIntegrationError):
        installation.service.remove("never", purge_data=True)


def test_a_key_that_is_used_again_hears_nothing_of_the_old_shops_pages(
    installation: Installation,
) -> None:
    installation.save()
    with installation.database.connect() as connection:
        old = write_key(connection, "shop")
        installation.service.remove("shop", purge_data=True)
        assert load_sites(connection)[old].state == REMOVED
        installation.save()
        installation.put("shop", "enabled")
        new = write_key(connection, "shop")
        sites = load_sites(connection)
    assert old != new
    assert (sites[old].state, sites[new].state) == (REMOVED, OPEN)


def test_other_integrations_are_not_touched(installation: Installation) -> None:
    installation.save("a")
    installation.save("b")
    for key in ("a", "b"):
        installation.execute(
            "INSERT INTO cscart.categories (integration, category_id, content_hash)"
            " VALUES (%s, 1, '')", key,
        )  # fmt: skip
    assert installation.service.remove("a", purge_data=True) == {"cscart.categories": 1}
    assert left(installation, "b") == {"integrations": 1}
    assert installation.rows("SELECT integration FROM cscart.categories") == [("b",)]


def test_a_dead_run_keeps_nobody_out(installation: Installation) -> None:
    installation.save()
    session = acquire(installation.database.warehouse, installation.registry, "shop", Action.START)
    session.connection.close()
    installation.service.remove("shop", force=True)
    assert left(installation) == {}


# --- the database holds the rules whoever writes -------------------------------------------------


@pytest.mark.parametrize(
    ("status", "statement"),
    [
        ("enabled", "UPDATE registry.integrations SET list_name = 'other'"),
        ("enabled", "UPDATE registry.integrations SET url = 'https://other.example'"),
        ("enabled", "UPDATE registry.integrations SET integration = 'other'"),
        ("syncing", "UPDATE registry.integrations SET timezone = 'Asia/Tokyo'"),
        ("syncing", "UPDATE registry.integrations SET api_key_sealed = '\\x00'"),
        ("syncing", "UPDATE registry.integrations SET status = 'failed', currency = 'USD'"),
        ("syncing", "UPDATE registry.integrations SET status = 'ready'"),
        ("syncing", "UPDATE registry.integrations SET status = 'disabled'"),
        ("syncing", "UPDATE registry.integrations SET status = 'enabled'"),  # never synchronised
        ("syncing", "DELETE FROM registry.integrations"),
        ("ready", "UPDATE registry.integrations SET status = 'enabled', first_synced_at = now()"),
        ("ready", "UPDATE registry.integrations SET status = 'failed'"),
        ("disabled", "UPDATE registry.integrations SET status = 'syncing'"),
        ("disabled", "UPDATE registry.integrations SET status = 'failed'"),
        ("failed", "UPDATE registry.integrations SET status = 'enabled', first_synced_at = now()"),
        ("failed", "UPDATE registry.integrations SET status = 'ready'"),
    ],
)
def test_the_database_refuses_what_the_code_would_not_do(
    installation: Installation, status: str, statement: str
) -> None:
    installation.save()
    if status != "ready":
        installation.put("shop", status)
    with pytest.raises(psycopg.Error) as caught:
        installation.execute(statement)
    assert caught.value.sqlstate == "CS004"
    assert installation.status() == status


def test_a_second_running_synchronisation_is_refused_by_the_database(
    installation: Installation,
) -> None:
    installation.save()
    insert = (
        "INSERT INTO registry.sync_runs (integration, kind, state)"
        " VALUES ('shop', 'first', 'running')"
    )
    installation.execute(insert)
    with pytest.raises(psycopg.errors.UniqueViolation):
        installation.execute(insert)


def test_the_trail_tells_every_change_and_no_secret(
    installation: Installation, shop: SandboxShop
) -> None:
    installation.save_shop(shop)
    installation.service.edit("shop", {"timezone": "Asia/Tokyo"}, SecretStr(shop.api_key))
    session = acquire(installation.database.warehouse, installation.registry, "shop", Action.START)
    session.fail("it broke", permanent=False)
    installation.service.disable("shop")
    installation.service.enable("shop")
    trail = installation.rows("SELECT act, detail, actor FROM registry.audit ORDER BY id")
    assert [row[0] for row in trail] == [
        "added", "edited", "status syncing", "status failed", "status disabled", "status failed",
    ]  # fmt: skip
    assert trail[1][1] == {"timezone": ["UTC", "Asia/Tokyo"], "api_key_sealed": "changed"}
    assert trail[3][1]["status_reason"] == [None, "it broke"]
    assert all("@" in row[2] for row in trail)
    assert shop.api_key not in str(trail)
    assert "gAAAA" not in str(trail)  # nor sealed


# --- races between processes ---------------------------------------------------------------------

EDITOR = """
done = refused = 0
while done < 20 or refused < 5:
    number = done + refused
    try:
        service.edit('shop', {'currency': ('USD', 'GBP')[number % 2], 'order_prefix': str(number)})
        done += 1
    except NotAllowedError:
        refused += 1
"""
SYNCER = """
import pathlib, time
torn = 0
while not pathlib.Path(OVER).exists():
    act = Action.RESYNC if registry.get('shop').first_synced_at else Action.START
    try:
        session = acquire(warehouse, registry, 'shop', act)
    except NotAllowedError:
        continue
    with session:
        time.sleep(0.003)  # an edit may come in between, and be refused
        torn += registry.get('shop').settings != session.integration.settings
        session.succeed({})
    time.sleep(0.003)  # or be let through
print(torn)
"""


def test_an_edit_races_a_start_and_never_changes_what_is_being_synchronised(
    installation: Installation, tmp_path: Path
) -> None:
    installation.save()
    over = tmp_path / "over"
    syncer = installation.process(SYNCER.replace("OVER", repr(str(over))))
    try:
        # Each goes on until it has edited, and has been refused, often enough.
        for editor in [installation.process(EDITOR) for _ in range(2)]:
            editor.communicate()
            assert editor.returncode == 0
    finally:
        over.touch()
    assert syncer.communicate()[0].split() == ["0"]
    assert installation.status() == "enabled"


ADDER = """
won = 0
for number in range(30):
    settings_of = check({'integration': f'shop-{number}', 'list_name': f'list {number}',
                         'url': 'https://shop.example', 'email': 'a@b.example'})
    try:
        registry.add(settings_of, SecretStr(sys.argv[0] or 'k'), {})
        won += 1
    except InvalidSettingsError as error:
        assert set(error.problems) <= {'integration', 'list_name'}, error
print(won)
"""


def test_two_add_one_key_at_once_and_one_of_them_wins(installation: Installation) -> None:
    processes = [installation.process(ADDER) for _ in range(3)]
    assert sum(int(process.communicate()[0]) for process in processes) == 30
    assert len(installation.registry.all()) == 30
    assert installation.rows("SELECT count(*) FROM registry.audit") == [(30,)]
    for one in installation.registry.all():
        assert installation.registry.standing(one).tested


SYNC = """
from cscart_pipelines.integrations.connection import open_client
from cscart_pipelines.sync.run import SyncFailedError, synchronise
session = acquire(warehouse, registry, 'shop', Action.START)
try:
    with session, open_client(session.integration, registry, settings) as client:
        synchronise(session, client)
except SyncFailedError as error:
    print('failed:', error)
else:
    print('succeeded')
"""


@pytest.mark.parametrize("purge", [False, True])
def test_remove_with_force_stops_a_running_synchronisation_first(
    installation: Installation, purge: bool
) -> None:
    def slow_orders(store: Any) -> None:
        store.add_product("Bag", "10.00")
        store.add_customer("ada@example.com")
        for _ in range(300):
            store.place_order()

    with SandboxShop("4.20", slow_orders, page_size=10) as shop:
        installation.save_shop(shop)
        reached, go_on = threading.Event(), threading.Event()

        @shop.before_request
        def keep_waiting(request: Any) -> None:
            if "orders" in request.path:
                reached.set()
                go_on.wait(120)

        running = installation.process(SYNC)
        while not reached.wait(0.2):
            assert running.poll() is None
        with pytest.raises(NotAllowedError, match="syncing; wait until it ends"):
            installation.service.remove("shop")
        purged = installation.service.remove("shop", force=True, purge_data=purge)
        go_on.set()
        said = running.communicate()[0]
    assert said.startswith("failed: the warehouse failed: ")
    assert left(installation) == {}
    customers = installation.rows("SELECT count(*) FROM cscart.customers")
    assert customers == [(0 if purge else 1,)]
    assert ("cscart.customers" in purged) == purge


# --- killed at every step ------------------------------------------------------------------------

KILLED = """
import os, signal
import psycopg
from cscart_pipelines.integrations.connection import test_connection
original = psycopg.Connection.wait

def act():
    {act}

def killed_before(step):
    # Forked, so that a hundred deaths cost less than one start of Python.
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    count = 0
    def wait(self, *arguments, **options):
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, *arguments, **options)
    psycopg.Connection.wait = wait
    try:
        act()
    except BaseException as error:
        print('unexpected', repr(error), flush=True)
        os._exit(1)
    os._exit(0)

for line in sys.stdin:
    print(killed_before(int(line)), flush=True)
"""
NEW = (
    "check({'integration': 'shop', 'list_name': 'shop', 'url': 'https://shop.example',"
    " 'email': 'a@b.example'})"
)


def deaths(process: subprocess.Popen[str]) -> Iterator[int]:
    """Lets the act be killed before its first word to the database, its second, and so on."""
    assert process.stdin and process.stdout
    with process:
        for step in range(1, 200):
            process.stdin.write(f"{step}\n")
            process.stdin.flush()
            code = int(process.stdout.readline())
            assert code in (-9, 0)
            yield step
            if code == 0:
                process.stdin.close()
                return
    raise AssertionError("the act never ends")


def test_killed_at_any_step_of_add_it_is_saved_whole_or_not_at_all(
    installation: Installation,
) -> None:
    code = KILLED.format(act=f"registry.add({NEW}, SecretStr('{KEY}'), {{}})")
    saved = 0
    for _ in deaths(installation.process(code)):
        found = installation.registry.all()
        trail = installation.rows("SELECT act FROM registry.audit ORDER BY id DESC LIMIT 1")
        if found:
            saved += 1
            assert installation.registry.standing(found[0]).tested
            assert installation.registry.api_key("shop").get_secret_value() == KEY
            assert trail == [("added",)]
            installation.service.remove("shop")
        else:
            assert trail in ([], [("removed",)])
    assert saved >= 1


def test_killed_at_any_step_of_an_edit_all_of_it_is_saved_or_nothing(
    installation: Installation, shop: SandboxShop
) -> None:
    installation.save_shop(shop)
    values = {"timezone": "Asia/Tokyo", "countries": "GB", "currency": "USD"}
    code = KILLED.format(act=f"service.edit('shop', {values!r}, SecretStr('{shop.api_key}'))")
    old = installation.registry.get("shop").settings
    saved = 0
    for _ in deaths(installation.process(code)):
        now = installation.registry.get("shop").settings
        if now != old:
            saved += 1
            assert (now.timezone, now.countries, now.currency) == ("Asia/Tokyo", ("GB",), "USD")
            assert installation.registry.standing(installation.registry.get("shop")).tested
            installation.service.edit("shop", old.model_dump())
    assert saved >= 1


@pytest.mark.parametrize("act", ["disable", "remove"])
def test_killed_at_any_step_of_the_other_acts_the_old_state_or_the_new_is_left(
    installation: Installation, act: str
) -> None:
    def prepare() -> dict[str, int]:
        installation.save()
        installation.put("shop", "enabled")
        installation.execute(
            "INSERT INTO registry.sync_state (integration, entity) VALUES ('shop', 'a')"
        )
        installation.execute("INSERT INTO registry.sync_requests (integration) VALUES ('shop')")
        return left(installation)

    before = prepare()
    options = ", purge_data=True" if act == "remove" else ""
    done = 0
    for _ in deaths(installation.process(KILLED.format(act=f"service.{act}('shop'{options})"))):
        now = left(installation)
        if act == "disable":
            assert now == before
            if installation.status() == "disabled":
                done += 1
                installation.service.enable("shop")
            assert installation.status() == "enabled"
        elif now != before:
            assert now == {}
            done += 1
            prepare()
        # Whoever comes next is not kept out by the dead one's lock, once the server has noticed.
        while installation.rows(LOCKS):
            time.sleep(0.01)
        with acquire(
            installation.database.warehouse, installation.registry, "shop", Action.RESYNC
        ) as session:
            session.succeed({})
        installation.execute("DELETE FROM registry.sync_runs")
    assert done >= 1

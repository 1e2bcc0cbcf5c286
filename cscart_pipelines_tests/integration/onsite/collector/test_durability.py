"""What is acknowledged is there, once, whatever is killed or restarted under load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cscart_pipelines.local_postgres.client import wait_until_stopped
from cscart_pipelines.onsite.collector.spool import SUFFIX
from cscart_pipelines.onsite.retention import keep
from cscart_pipelines.warehouse import migrate
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.database.embedded import Homes, homes, template_home, using
from cscart_pipelines_tests.support.onsite.collectors import (
    Collectors,
    Load,
    add_shop,
    batch,
    collectors,
    event,
    stored,
    until,
)

pytestmark = pytest.mark.begun_first

_ = (homes, template_home)
"""Fixtures."""
TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'collector'"
)


@pytest.fixture
def started(warehouse_database: Database, tmp_path: Path) -> Iterator[Collectors]:
    with collectors(warehouse_database.settings_env, tmp_path) as made:
        yield made


def complete(connection: psycopg.Connection[tuple[object, ...]], *loads: Load) -> None:
    """Every acknowledged event is stored, no event twice, and nothing that was never sent."""
    found = stored(connection)
    times = Counter(found)
    assert max(times.values()) == 1
    for load in loads:
        assert load.acknowledged
        assert set(load.acknowledged) <= times.keys()
    assert times.keys() <= {one for load in loads for one in load.sent}


def test_a_killed_collector_has_kept_every_word_it_gave(
    warehouse_database: Database, started: Collectors
) -> None:
    with warehouse_database.connect() as connection:
        load = Load(add_shop(connection))
        one = started.start().ready()
        load.start(one)
        for _ in range(2):
            load.acknowledges(200)
            load.collector.kill()  # type: ignore[union-attr]
            load.collector = started.start().ready()
        load.acknowledges(200)
        load.stop()
        complete(connection, load)


def test_a_killed_collector_with_a_spool_has_too(
    warehouse_database: Database, started: Collectors
) -> None:
    with warehouse_database.connect() as connection:
        load = Load(add_shop(connection))
        one = started.start().ready()
        load.start(one)
        load.acknowledges(100)
        _close_doors(warehouse_database, True)
        connection.execute(TERMINATE)
        until(lambda: one.metric("spool_bytes") > 0)
        load.acknowledges(300)
        one.kill()
        load.stop()
        assert set(load.acknowledged) - set(stored(connection)), "nothing was in the spool"
        _close_doors(warehouse_database, False)
        again = started.start().ready()
        until(lambda: again.health()["spooled_bytes"] == 0)
        complete(connection, load)
        assert set(load.answers) == {204}


def _close_doors(database: Database, closed: bool) -> None:
    """Whether the database lets anybody in; its sessions go on."""
    server = Warehouse(database.warehouse.url.set(database="postgres"))
    with server.connect(autocommit=True) as connection:
        name = database.warehouse.url.database
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {not closed}")


def test_sessions_that_are_ended_under_load_cost_nothing(
    warehouse_database: Database, started: Collectors
) -> None:
    with warehouse_database.connect() as connection:
        load = Load(add_shop(connection))
        one = started.start().ready()
        load.start(one)
        for _ in range(5):
            load.acknowledges(50)
            connection.execute(TERMINATE)
        load.acknowledges(50)
        load.stop()
        until(lambda: one.health()["warehouse"] and one.health()["spooled_bytes"] == 0)
        complete(connection, load)
        assert set(load.answers) == {204}


def test_a_warehouse_that_stops_and_starts_is_only_late(
    homes: Homes,
    tmp_path: Path,
) -> None:
    home = homes.ready()
    with using(home) as member:
        url = member.url()
        warehouse = Warehouse(url)
        migrate.upgrade(warehouse.engine)
        warehouse.close()
        with warehouse.connect(autocommit=True) as connection:
            key = add_shop(connection)
    assert wait_until_stopped(home)
    environment = {"CSCART_PIPELINES_DATABASE_URL": url.render_as_string(hide_password=False)}
    load = Load(key)
    with collectors(environment, tmp_path) as made:
        one = made.start()
        assert one.request("GET", "/health").status == 503
        with using(home):
            one.ready()
            load.start(one)
            load.acknowledges(100)
        assert wait_until_stopped(home)
        until(lambda: not one.health()["warehouse"])
        assert one.request("GET", "/health").status == 200  # it is able: there is the spool
        load.acknowledges(200)
        assert one.health()["spooled_bytes"] > 0
        with using(home):
            load.acknowledges(100)
            load.stop()
            until(lambda: one.health()["warehouse"] and one.health()["spooled_bytes"] == 0)
            with warehouse.connect(autocommit=True) as connection:
                complete(connection, load)
            assert set(load.answers) == {204}
            assert one.stop() == 0


def test_a_spool_that_is_full_sends_visitors_away_and_comes_back(
    warehouse_database: Database, started: Collectors
) -> None:
    with warehouse_database.connect() as connection:
        load = Load(add_shop(connection), events=50)
        one = started.start(CSCART_PIPELINES_COLLECTOR_SPOOL_MB="1").ready()
        load.start(one)
        load.acknowledges(100)
        _close_doors(warehouse_database, True)
        connection.execute(TERMINATE)
        until(lambda: load.answers.get(503, 0) > 20)
        assert one.health()["spooled_bytes"] <= 1024 * 1024
        answer = one.send(load.key, batch(*[event() for _ in range(50)]))
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        _close_doors(warehouse_database, False)
        one.ready()
        load.acknowledges(100)
        load.stop()
        until(lambda: one.health()["spooled_bytes"] == 0)
        complete(connection, load)


def test_a_segment_that_cannot_be_read_keeps_neither_the_others_nor_visitors_waiting(
    warehouse_database: Database, started: Collectors, tmp_path: Path
) -> None:
    """A disk that does not give one file; here the oldest segment is none."""
    (tmp_path / "home" / "onsite-spool" / "1" / f"{0:020d}{SUFFIX}").mkdir(parents=True)
    with warehouse_database.connect() as connection:
        key = add_shop(connection)
        one = started.start().ready()
        waited, direct = batch(), batch()
        _close_doors(warehouse_database, True)
        connection.execute(TERMINATE)
        until(lambda: not one.health()["warehouse"] or one.send(key, batch()) is None)
        assert one.send(key, waited).status == 204
        _close_doors(warehouse_database, False)
        one.ready()
        assert one.send(key, direct).status == 204
        events = {each["id"] for sent in (waited, direct) for each in sent["events"]}
        until(lambda: events <= set(stored(connection)))
        assert one.health()["warehouse"]
        assert one.metric('events_total{outcome="replayed"}') > 0


def test_two_collectors_share_a_database(warehouse_database: Database, started: Collectors) -> None:
    who = {"email_sha256": "ab" * 32}
    with warehouse_database.connect() as connection:
        key = add_shop(connection)
        pair = [started.start().ready() for _ in range(2)]
        loads = [Load(key).start(one, clients=4) for one in pair]
        shared = [
            batch(event("purchase", order_id=str(number)), event("login"), identity=who)
            for number in range(1, 41)
        ]
        again = [
            batch(event("purchase", order_id=str(number)), identity=who) for number in range(1, 41)
        ]
        for one, other, second in zip(shared, reversed(shared), again, strict=True):
            assert pair[0].send(key, one).status == 204
            assert pair[1].send(key, other).status == 204
            assert pair[1].send(key, second).status == 204
        for load in loads:
            load.acknowledges(100)
            keep(connection)
            load.stop()
        for one in pair:
            until(lambda one=one: one.health()["spooled_bytes"] == 0)
            assert one.stop() == 0
        mine = {found["id"] for sent in (*shared, *again) for found in sent["events"]}
        purchases = connection.execute(
            "SELECT count(*), count(DISTINCT order_id) FROM onsite.events WHERE name = 'purchase'"
        ).fetchone()
        assert purchases == (40, 40)
        loads[0].sent += mine
        complete(connection, *loads)
        assert {status for load in loads for status in load.answers} == {204}
        assert connection.execute(
            "SELECT kind, count(*) FROM onsite.change_queue GROUP BY 1 ORDER BY 1"
        ).fetchall() == [("order", 40), ("person", 1)]


def test_what_waited_for_a_removed_shop_is_not_brought_back(
    warehouse_database: Database, started: Collectors
) -> None:
    with warehouse_database.connect() as connection:
        key, other = add_shop(connection), add_shop(connection, "other")
        one = started.start().ready()
        _close_doors(warehouse_database, True)
        connection.execute(TERMINATE)
        until(lambda: not one.health()["warehouse"] or one.send(key, batch()) is None)
        for each in (key, other):
            assert one.send(each, batch()).status == 204
        connection.execute("DELETE FROM registry.integrations WHERE integration = 'shop'")
        _close_doors(warehouse_database, False)
        one.ready()
        until(lambda: one.health()["spooled_bytes"] == 0)
        found = connection.execute("SELECT DISTINCT integration FROM onsite.events").fetchall()
        assert found == [("other",)]

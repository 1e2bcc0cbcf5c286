"""The collector as browsers meet it: a real process, a real database."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cscart_pipelines.onsite.write_keys import rotate
from cscart_pipelines.privacy.erasure import erase_person
from cscart_pipelines.warehouse.purge import purge_integration
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.onsite.collectors import (
    ORIGIN,
    CollectorProcess,
    add_shop,
    batch,
    collectors,
    event,
    new_id,
    now_ms,
    until,
)

pytestmark = pytest.mark.begun_first

EMAIL = "Maria.Papadopoulou@mail.example"
SHA = hashlib.sha256(EMAIL.lower().encode()).hexdigest()


class World:
    """One collector, one database, and a shop for each test: the tests do not see each other."""

    def __init__(self, collector: CollectorProcess, database: Database, log: Path) -> None:
        self.collector, self.database, self.log = collector, database, log
        self.connection = database.open_session()
        self._keys = 0

    def shop(self, **site: Any) -> tuple[str, str]:
        """A new integration; its name and write key, which the collector knows."""
        self._keys += 1
        name = f"shop-{self._keys}"
        key = add_shop(self.connection, name, **site)
        self.known(key)
        return name, key

    def known(self, key: str) -> None:
        def heard() -> bool:
            answer = self.collector.request("OPTIONS", f"/v1/events/{key}")
            return answer.status not in (404, 503)

        until(heard)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, values).fetchall()


@pytest.fixture(scope="module")
def world(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("collector")
    with collectors(module_database.settings_env, folder) as made:
        world = World(made.start().ready(), module_database, made.log)
        yield world
        world.connection.close()


def test_a_batch_is_committed_before_it_is_acknowledged(world: World) -> None:
    name, key = world.shop()
    at = now_ms()
    data = batch(
        event(
            "view_item", at=at, page="/shoes?dispatch=products.view&product_id=12#top",
            referrer="https://www.Google.com/search?q=x", source="hook",
            items=[{"sku": "A\\1\t", "product_id": 12, "price": 9.99}],
        ),
        sent_at=at, identity={"email_sha256": SHA.upper()},
    )  # fmt: skip
    answer = world.collector.send(key, data)
    assert (answer.status, answer.body) == (204, b"")
    (row,) = world.rows(
        "SELECT event_id, day, name, client_at, occurred_at, visitor_id, email_sha256, email, page,"
        " referrer, items, order_id, term, source, address, device FROM onsite.events"
        " WHERE integration = %s",
        name,
    )
    moment = datetime.fromtimestamp(at / 1000, UTC)
    assert row == (
        data["events"][0]["id"], moment.date(), "view_item", moment, moment, data["visitor"], SHA,
        None, "/shoes?dispatch=products.view", "www.google.com",
        [{"sku": "A\\1", "product_id": "12", "quantity": 1}], None, None, "hook", "127.0.0.0/24",
        "desktop",
    )  # fmt: skip


def test_the_same_batch_changes_nothing_however_often_it_comes(world: World) -> None:
    name, key = world.shop()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    before = int(midnight.timestamp() * 1000) - 1
    data = batch(
        event(at=before), event(at=before + 1), event("purchase", order_id="1001"),
        event("subscribe"), identity={"email_sha256": SHA},
    )  # fmt: skip
    for _ in range(3):
        assert world.collector.send(key, data).status == 204
        # Its clock is right now, but it was sent before: the correction differs, the day does not.
        data["sent_at"] -= 10_000
    days = world.rows(
        "SELECT count(*), count(DISTINCT event_id), count(DISTINCT day) FROM onsite.events"
        " WHERE integration = %s",
        name,
    )
    assert days == [(4, 4, 2)]
    assert world.rows("SELECT count(*) FROM onsite.consents WHERE integration = %s", name) == [(1,)]


def test_the_first_purchase_of_an_order_counts(world: World) -> None:
    name, key = world.shop()
    first, again = event("purchase", order_id="77"), event("purchase", order_id="77")
    other = event("purchase", order_id="78")
    assert world.collector.send(key, batch(first, again)).status == 204
    assert world.collector.send(key, batch(again, other)).status == 204
    found = world.rows(
        "SELECT order_id, event_id FROM onsite.events WHERE integration = %s ORDER BY 1", name
    )
    assert found == [("77", first["id"]), ("78", other["id"])]
    touched = world.rows(
        "SELECT kind, value, event FROM onsite.change_queue WHERE integration = %s ORDER BY 2", name
    )
    assert touched == [("order", "77", "purchase"), ("order", "78", "purchase")]


def test_a_completion_page_of_another_day_is_the_same_purchase(world: World) -> None:
    """A bookmark: the tag makes the event's id of the order, and the time is new."""
    name, key = world.shop()
    sale = event("purchase", order_id="77")
    days = 24 * 3600 * 1000
    for at in (now_ms(), now_ms() - 2 * days, now_ms() - 3 * days):
        assert world.collector.send(key, batch({**sale, "at": at})).status == 204
    assert world.rows("SELECT count(*) FROM onsite.events WHERE integration = %s", name) == [(1,)]


def test_a_completion_page_of_another_day_in_the_same_batch_is_the_same_purchase(
    world: World,
) -> None:
    """Both tellings waited in the browser, or in the spool, and are committed together."""
    name, key = world.shop()
    sale = event("purchase", order_id="77")
    first, again = now_ms() - 24 * 3600 * 1000, now_ms()
    data = batch({**sale, "at": first}, {**sale, "at": again})
    assert world.collector.send(key, data).status == 204
    found = world.rows("SELECT client_at FROM onsite.events WHERE integration = %s", name)
    assert found == [(datetime.fromtimestamp(first / 1000, UTC),)]


def test_an_order_is_looked_for_until_it_is_there_whoever_claimed_it(world: World) -> None:
    name, key = world.shop()
    queue = "SELECT value FROM onsite.change_queue WHERE integration = %s"
    world.collector.send(key, batch(event("purchase", order_id="77")))  # somebody made it up
    world.connection.execute("DELETE FROM onsite.change_queue WHERE integration = %s", [name])
    world.collector.send(key, batch(event("purchase", order_id="77")))
    assert world.rows(queue, name) == [("77",)]
    world.connection.execute("DELETE FROM onsite.change_queue WHERE integration = %s", [name])
    world.connection.execute(
        "INSERT INTO cscart.orders (integration, order_id, status, is_parent_order, total,"
        " ordered_at, has_details, content_hash) VALUES (%s, 77, 'O', false, 1, now(), true, '')",
        [name],
    )
    world.collector.send(key, batch(event("purchase", order_id="77")))
    assert world.rows(queue, name) == []


def test_people_are_touched_consents_kept_and_visitors_known(world: World) -> None:
    name, key = world.shop()
    who = {"email_sha256": SHA}
    visitor = new_id()
    at = now_ms()
    for number, happening in enumerate(
        ("page_view", "login", "sign_up", "subscribe", "unsubscribe", "profile_update")
    ):
        data = batch(event(happening, at=at + number), visitor=visitor, identity=who)
        assert world.collector.send(key, data).status == 204
    assert world.collector.send(key, batch(event("login"), visitor=visitor)).status == 204
    assert world.rows(
        "SELECT kind, value, event, attempts FROM onsite.change_queue WHERE integration = %s", name
    ) == [("person", SHA, "profile_update", 0)]
    assert world.rows(
        "SELECT email_sha256, granted FROM onsite.consents WHERE integration = %s ORDER BY at", name
    ) == [(SHA, True), (SHA, False)]
    ((found, sha, first, last),) = world.rows(
        "SELECT visitor_id, email_sha256, first_at, last_at FROM onsite.visitors"
        " WHERE integration = %s",
        name,
    )
    assert (found, sha) == (visitor, SHA)
    assert last - first == timedelta(milliseconds=5)


def test_an_order_number_that_is_no_number_touches_nothing(world: World) -> None:
    name, key = world.shop()
    assert world.collector.send(key, batch(event("purchase", order_id="CS-1"))).status == 204
    assert world.rows("SELECT * FROM onsite.change_queue WHERE integration = %s", name) == []
    assert world.rows("SELECT order_id FROM onsite.events WHERE integration = %s", name) == [
        ("CS-1",)
    ]


def test_an_erased_person_who_comes_again_has_no_address(world: World) -> None:
    name, key = world.shop(raw_email=True)
    erase_person(world.connection, [name], EMAIL)
    others = hashlib.sha256(b"other@mail.example").hexdigest()
    for identity in ({"email": EMAIL}, {"email_sha256": SHA}, {"email_sha256": others}):
        told = batch(event("login"), event("subscribe"), identity=identity)
        assert world.collector.send(key, told).status == 204
    events = world.rows(
        "SELECT email_sha256, email, count(*) FROM onsite.events WHERE integration = %s"
        " GROUP BY 1, 2 ORDER BY 1",
        name,
    )
    assert events == [(others, None, 2), (None, None, 4)]
    for table in ("visitors", "consents"):
        found = world.rows(f"SELECT email_sha256 FROM onsite.{table} WHERE integration = %s", name)
        assert found == [(others,)]
    queue = "SELECT value FROM onsite.change_queue WHERE integration = %s"
    assert world.rows(queue, name) == [(others,)]


@pytest.mark.parametrize("allowed", [False, True])
def test_a_raw_address_is_kept_only_where_it_is_allowed(world: World, allowed: bool) -> None:
    name, key = world.shop(raw_email=allowed)
    data = batch(event("login"), identity={"email": f" {EMAIL} ", "email_sha256": "0" * 64})
    assert world.collector.send(key, data).status == 204
    found = world.rows("SELECT email_sha256, email FROM onsite.events WHERE integration = %s", name)
    assert found == [(SHA, EMAIL.lower() if allowed else None)]


def test_one_wrong_event_does_not_cost_the_others(world: World) -> None:
    name, key = world.shop()
    day = 86_400_000
    data = batch(
        event("nonsense"), event("john@mail.example"), event(), event(id="short"), {"name": 3},
        event(at=now_ms() - 8 * day), event(at=now_ms() + day), 7, event("purchase"),
    )  # fmt: skip
    assert world.collector.send(key, data).status == 204
    assert world.rows("SELECT name FROM onsite.events WHERE integration = %s", name) == [
        ("page_view",)
    ]
    found = {
        reason: (times, example)
        for reason, times, example in world.rows(
            "SELECT reason, times, example FROM onsite.rejects WHERE integration = %s", name
        )
    }
    assert found == {
        "unknown name": (3, "nonsense"), "bad id": (1, "page_view"), "too old": (1, "page_view"),
        "in the future": (1, "page_view"), "not an object": (1, None),
        "bad order_id": (1, "purchase"),
    }  # fmt: skip


def test_a_wrong_clock_is_corrected(world: World) -> None:
    name, key = world.shop()
    sent = now_ms()
    years = 4 * 365 * 86_400_000
    data = batch(event(at=sent - years - 60_000), sent_at=sent - years)
    assert world.collector.send(key, data).status == 204
    ((day, client, occurred, received, table),) = world.rows(
        "SELECT day, client_at, occurred_at, received_at, tableoid::regclass::text"
        " FROM onsite.events WHERE integration = %s",
        name,
    )
    assert client == datetime.fromtimestamp((sent - years - 60_000) / 1000, UTC)
    assert day == client.date()
    assert received - occurred == timedelta(minutes=1)
    assert table == "onsite.events_other"


def test_only_pages_of_the_shop_may_speak(world: World) -> None:
    name, key = world.shop(origins=["https://checkout.example"])
    for origin in (ORIGIN, "https://www.shop.example", "https://checkout.example"):
        answer = world.collector.send(key, batch(), Origin=origin)
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Vary"] == "Origin"
    for wrong in (None, "null", "*", "http://shop.example", f"{ORIGIN}.evil.example", ""):
        answer = world.collector.send(key, batch(), Origin=wrong)
        assert answer.status == 403
        assert answer.headers["Access-Control-Allow-Origin"] is None
        assert answer.headers["Vary"] == "Origin"
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert world.rows("SELECT count(*) FROM onsite.events WHERE integration = %s", name) == [(3,)]
    until(
        lambda: world.rows(
            "SELECT times FROM onsite.rejects WHERE integration = %s AND reason = %s",
            name, "origin not allowed",
        ) == [(6,)]
    )  # fmt: skip


def test_a_preflight_is_answered_for_the_shop_only(world: World) -> None:
    _, key = world.shop()
    ask = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "x"}
    answer = world.collector.request("OPTIONS", f"/v1/events/{key}", None, **ask)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    wrong = world.collector.request(
        "OPTIONS", f"/v1/events/{key}", None, Origin="https://other.example", **ask
    )
    assert wrong.status == 403
    assert wrong.headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"[]", b"{}", b"\xff", b'{"v":2}', b'{"v":1,"sent_at":1}', b"1e999", b"[" * 5000],
)
def test_what_is_no_batch_is_refused_in_a_few_words(world: World, body: bytes) -> None:
    _, key = world.shop()
    answer = world.collector.send(key, body)
    assert answer.status == 400
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.json.keys() == {"type", "title", "status", "detail"}
    assert len(answer.body) < 150


def test_unknown_keys_and_ways_are_not_found(world: World) -> None:
    unknown = world.collector.send("x" * 32, batch())
    assert (unknown.status, unknown.headers["Access-Control-Allow-Origin"]) == (404, ORIGIN)
    for odd in ("null", "*", "https://shop.example\t", None):
        unknown = world.collector.send("x" * 32, batch(), Origin=odd)
        assert (unknown.status, unknown.headers["Access-Control-Allow-Origin"]) == (404, None)
    assert world.collector.request("GET", "/v1/events/x").status == 405
    assert world.collector.request("GET", "/").status == 404


def test_a_disabled_or_removed_integration_is_refused(world: World) -> None:
    name, key = world.shop()
    assert world.collector.send(key, batch()).status == 204
    world.connection.execute(
        "UPDATE registry.integrations SET status = 'disabled' WHERE integration = %s", [name]
    )
    until(lambda: world.collector.send(key, batch()).status == 410)
    world.connection.execute(
        "UPDATE registry.integrations SET status = 'enabled' WHERE integration = %s", [name]
    )
    until(lambda: world.collector.send(key, batch()).status == 204)
    world.connection.execute("DELETE FROM registry.integrations WHERE integration = %s", [name])
    until(lambda: world.collector.send(key, batch()).status == 410)
    # The tag on its pages can read that, though nobody knows any more whose pages they are.
    assert world.collector.send(key, batch()).headers["Access-Control-Allow-Origin"] == ORIGIN
    purge_integration(world.connection, name)
    _, other_key = world.shop()  # answered 204 once the keys have been read again
    assert world.collector.send(other_key, batch()).status == 204
    assert world.collector.send(key, batch()).status == 410


def test_a_replaced_key_is_taken_until_it_retires(world: World) -> None:
    name, old = world.shop()
    new = rotate(world.connection, name, keep_old_for=timedelta(hours=1))
    world.known(new)
    assert [world.collector.send(key, batch()).status for key in (old, new)] == [204, 204]
    world.connection.execute(
        "UPDATE onsite.keys SET retired_at = now() WHERE write_key = %s", [old]
    )
    until(lambda: world.collector.send(old, batch()).status == 410)
    assert world.collector.send(new, batch()).status == 204


@pytest.mark.parametrize(
    "agent", ["", "Googlebot/2.1 (+http://www.google.com/bot.html)", "HeadlessChrome/140.0"]
)
def test_robots_are_thanked_and_forgotten(world: World, agent: str) -> None:
    name, key = world.shop()
    assert world.collector.send(key, batch(), User_Agent=agent).status == 204
    assert world.collector.send(key, batch()).status == 204
    assert world.rows("SELECT count(*) FROM onsite.events WHERE integration = %s", name) == [(1,)]


def test_the_rate_of_a_key_is_limited_with_a_time_to_come_back(world: World) -> None:
    _, key = world.shop(batches_per_second=1)
    answers = [world.collector.send(key, batch()) for _ in range(10)]
    refused = [one for one in answers if one.status != 204]
    assert answers[0].status == 204 and refused
    assert {one.status for one in refused} == {429}
    assert all(int(one.headers["Retry-After"]) >= 1 for one in refused)
    assert world.collector.send(world.shop()[1], batch()).status == 204


def test_words_that_look_like_addresses_are_hidden(world: World) -> None:
    name, key = world.shop()
    data = batch(
        event("search", term=f"find {EMAIL} please"),
        event(page=f"/reset/{EMAIL}?dispatch=profiles.update&email={EMAIL}"),
        event(page="/u/maria%40mail.example", items=[{"sku": EMAIL}]),
    )
    assert world.collector.send(key, data).status == 204
    text = json.dumps(
        world.rows("SELECT term, page, items FROM onsite.events WHERE integration = %s", name)
    )
    assert "mail.example" not in text and "Maria" not in text
    assert "/reset/[e-mail]?dispatch=profiles.update" in text


def test_nothing_personal_is_in_a_log_or_in_metrics(world: World) -> None:
    name, key = world.shop()
    data = batch(event("login"), event(f"x{EMAIL}"), identity={"email": EMAIL})
    world.collector.send(key, data)
    world.collector.send(key, b'{"v":1,' + EMAIL.encode())
    world.collector.send(key, batch(), Origin=f"https://{EMAIL}")
    world.collector.request("GET", f"/{EMAIL}?x={key}")
    said = world.log.read_text() + world.collector.request("GET", "/metrics").body.decode()
    assert 'events_total{outcome="stored"}' in said
    for secret in (EMAIL, EMAIL.lower(), SHA, key, data["visitor"], "127.0.0.1", name):
        assert secret not in said
    tables = world.rows(
        "SELECT format('%%I.%%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname = 'onsite' AND tablename <> 'keys'"
    )
    for (table,) in tables:
        text = str(world.rows(f"SELECT t::text FROM {table} AS t WHERE integration = %s", name))
        assert EMAIL.lower() not in text.lower() and key not in text
        assert "127.0.0.1" not in text


def test_the_description_names_every_answer(world: World) -> None:
    told = world.collector.request("GET", "/openapi.json").json
    answers = told["paths"]["/v1/events/{key}"]["post"]["responses"]
    assert set(answers) == {"204", "400", "403", "404", "410", "413", "429", "503"}


def test_partitions_of_the_coming_days_are_there(world: World) -> None:
    today = datetime.now(UTC).date()
    for days in range(-7, 4):
        name = f"onsite.events_{today + timedelta(days=days):%Y%m%d}"
        assert until(lambda name=name: world.rows("SELECT to_regclass(%s)", name)[0][0])


def test_it_stops_in_order(module_database: Database, tmp_path: Path) -> None:
    with collectors(module_database.settings_env, tmp_path) as made:
        one = made.start().ready()
        idle = one.connection()
        assert one.stop() == 0
        idle.close()
        with pytest.raises(ConnectionError):
            one.connection()


def test_a_port_that_is_taken_is_named(world: World, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cscart_pipelines.cli.main", "collector",
         "--port", str(world.collector.port)],
        env={**os.environ, **world.database.settings_env, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"port {world.collector.port} is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_before_it_knows_the_keys_it_asks_to_come_back(tmp_path: Path) -> None:
    nowhere = "postgresql://shop@127.0.0.1:1/warehouse"
    with collectors({"CSCART_PIPELINES_DATABASE_URL": nowhere}, tmp_path) as made:
        one = made.start()
        assert one.request("GET", "/health").status == 503
        answer = one.send("x" * 32, batch())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert one.stop() == 0


def test_headless_browsers_are_heard_where_the_settings_say_so(
    module_database: Database, tmp_path: Path
) -> None:
    with (
        module_database.connect() as connection,
        collectors(module_database.settings_env, tmp_path) as made,
    ):
        key = add_shop(connection, "headless")
        one = made.start(CSCART_PIPELINES_COLLECTOR_HEADLESS="yes").ready()
        until(lambda: one.send(key, batch()).status == 204)
        data = batch()
        assert one.send(key, data, User_Agent="HeadlessChrome/140.0").status == 204
        assert _has(connection, data["events"][0]["id"])


def _has(connection: psycopg.Connection[Any], event_id: str) -> bool:
    query = "SELECT count(*) FROM onsite.events WHERE event_id = %s"
    return connection.execute(query, [event_id]).fetchone() == (1,)


@pytest.mark.parametrize("word", ["\\N", "\\", "a\\Nb\\t\\.", 'quo"te', "\\\\", "ünïcødé ✓", "\\."])
def test_words_come_through_as_they_are(world: World, word: str) -> None:
    name, key = world.shop()
    data = batch(event("search", term=word, items=[{"sku": word}]))
    assert world.collector.send(key, data).status == 204
    assert world.rows("SELECT term, items FROM onsite.events WHERE integration = %s", name) == [
        (word, [{"sku": word, "quantity": 1}])
    ]

"""The queue of what visits have touched: what is due, what waits, what goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cscart_pipelines.onsite import change_queue
from cscart_pipelines.onsite.change_queue import NO_ANSWER, NOT_YET, QueuedChange
from cscart_pipelines_tests.conftest import Database

COLLECTOR = """
    INSERT INTO onsite.change_queue AS known (integration, kind, value, event)
    VALUES (%s, %s, %s, %s)
    ON CONFLICT (integration, kind, value) DO UPDATE SET event = excluded.event,
        last_at = clock_timestamp(), attempts = 0,
        not_before = least(known.not_before, clock_timestamp())
"""
"""What the collector does with one word about an order or a person."""


@pytest.fixture
def connection(warehouse_database: Database) -> Iterator[psycopg.Connection[Any]]:
    with warehouse_database.connect() as opened:
        opened.execute("SET session_replication_role = replica")
        for key in ("a", "b"):
            opened.execute(
                "INSERT INTO registry.integrations (integration, list_name, url, email, status)"
                " VALUES (%s, %s, 'https://shop.example', 'a@shop.example', 'enabled')",
                [key, key],
            )
        yield opened


def touch(
    connection: psycopg.Connection[Any], key: str, kind: str, value: str, event: str = "login"
) -> None:
    connection.execute(COLLECTOR.encode(), [key, kind, value, event])


def values(connection: psycopg.Connection[Any], key: str = "a") -> list[str]:
    return [one.value for one in change_queue.due(connection, key)]


def rows(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT integration, kind, value, attempts,"
        " round(extract(epoch FROM not_before - clock_timestamp()) / 10)::int * 10"
        " FROM onsite.change_queue ORDER BY 1, 2, 3"
    ).fetchall()


def pass_(connection: psycopg.Connection[Any], seconds: float) -> None:
    """Time goes by."""
    connection.execute(
        "UPDATE onsite.change_queue SET not_before = not_before - make_interval(secs => %(s)s),"
        " first_at = first_at - make_interval(secs => %(s)s),"
        " last_at = last_at - make_interval(secs => %(s)s)",
        {"s": seconds},
    )


def test_what_is_due_of_whom(connection: psycopg.Connection[Any]) -> None:
    assert change_queue.waiting(connection) == {}
    touch(connection, "a", "order", "1001", "purchase")
    touch(connection, "a", "person", "abc")
    touch(connection, "b", "order", "7", "purchase")
    connection.execute("UPDATE onsite.change_queue SET not_before = 'infinity' WHERE value = 'abc'")
    assert values(connection) == ["1001"]
    assert values(connection, "b") == ["7"]
    assert set(change_queue.waiting(connection)) == {"a", "b"}


def test_a_new_touch_changes_what_waits(connection: psycopg.Connection[Any]) -> None:
    touch(connection, "a", "order", "1001")
    before = change_queue.waiting(connection)
    assert change_queue.waiting(connection) == before
    touch(connection, "a", "order", "1001")
    assert change_queue.waiting(connection) != before


def test_a_run_takes_on_only_so_much_half_of_it_the_newest(
    connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of numbers that somebody made up do not keep a buyer waiting."""
    monkeypatch.setattr(change_queue, "MAX_ORDERS", 4)
    monkeypatch.setattr(change_queue, "MAX_PEOPLE", 2)
    for number in (9, 8, 7, 6, 5, 4):
        touch(connection, "a", "order", str(number))
        touch(connection, "a", "person", f"person {number}")
    assert values(connection) == ["9", "8", "5", "4", "person 9", "person 4"]
    connection.execute("DELETE FROM onsite.change_queue WHERE value NOT IN ('9', '8', '7')")
    assert values(connection) == ["9", "8", "7"], "each once"


def test_what_was_read_goes(connection: psycopg.Connection[Any]) -> None:
    touch(connection, "a", "order", "1")
    touch(connection, "b", "order", "1")
    change_queue.done(connection, change_queue.due(connection, "a"))
    assert [row[0] for row in rows(connection)] == ["b"]


def test_what_was_touched_again_meanwhile_stays_due(connection: psycopg.Connection[Any]) -> None:
    touch(connection, "a", "order", "1")
    touch(connection, "a", "person", "abc")
    order, person = change_queue.due(connection, "a")
    touch(connection, "a", "order", "1")
    touch(connection, "a", "person", "abc")
    change_queue.done(connection, [order])
    assert change_queue.again(connection, [person]) == 0
    assert [one.value for one in change_queue.due(connection, "a")] == ["1", "abc"]


def test_what_the_shop_does_not_show_waits_longer_each_time_and_goes(
    connection: psycopg.Connection[Any],
) -> None:
    touch(connection, "a", "person", "abc")
    for attempt, pause in enumerate(NOT_YET, 1):
        assert change_queue.again(connection, change_queue.due(connection, "a")) == 0
        assert rows(connection) == [("a", "person", "abc", attempt, pause)]
        assert values(connection) == []
        pass_(connection, pause)
    assert change_queue.again(connection, change_queue.due(connection, "a")) == 1
    assert rows(connection) == []


def test_news_are_looked_at_at_once(connection: psycopg.Connection[Any]) -> None:
    touch(connection, "a", "person", "abc")
    change_queue.again(connection, change_queue.due(connection, "a"))
    touch(connection, "a", "person", "abc", "sign_up")
    (one,) = change_queue.due(connection, "a")
    assert (one.event, one.attempts) == ("sign_up", 0)


def test_a_shop_without_an_answer_is_left_alone_longer_each_time(
    connection: psycopg.Connection[Any],
) -> None:
    touch(connection, "a", "order", "1")
    touch(connection, "b", "order", "1")
    for failures, pause in enumerate((*NO_ANSWER, NO_ANSWER[-1]), 1):
        assert change_queue.leave_alone(connection, "a") == failures
        touch(connection, "a", "order", "2")  # nor for what comes meanwhile
        assert (values(connection), values(connection, "b")) == ([], ["1"])
        assert set(change_queue.waiting(connection)) == {"b"}
        assert rows(connection)[2] == ("a", "shop", "", failures, pause)
        pass_(connection, pause)
    assert values(connection) == ["1", "2"]
    change_queue.answered(connection, "a")
    assert change_queue.leave_alone(connection, "a") == 1


def test_what_a_whole_synchronisation_has_read_since_is_needless(
    connection: psycopg.Connection[Any],
) -> None:
    touch(connection, "a", "order", "before")
    touch(connection, "a", "order", "just before")
    touch(connection, "b", "order", "other shop")
    touch(connection, "gone", "order", "of nobody")
    connection.execute(
        "UPDATE onsite.change_queue SET last_at = now() - interval '2 minutes'"
        " WHERE value IN ('before', 'other shop')"
    )
    whole = '{"entities": {"customers": {}, "orders": {}}}'
    for key, kind, state, stats in (
        ("a", "resync", "succeeded", whole),
        ("b", "onsite", "succeeded", whole),
        ("b", "resync", "failed", whole),
        ("b", "resync", "succeeded", '{"entities": {"products": {}}}'),
    ):
        connection.execute(
            "INSERT INTO registry.sync_runs (integration, kind, state, stats)"
            " VALUES (%s, %s, %s, %s)",
            [key, kind, state, stats],
        )
    assert change_queue.drop_needless(connection) == 2
    assert [row[2] for row in rows(connection)] == ["just before", "other shop"]


def test_other_addresses_of_a_visitor_the_latest_first(
    connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_queue, "EARLIER", 2)
    told = [("a", "v1", "new", 0), ("a", "v1", "old", 9), ("a", "v1", "older", 20),
            ("a", "v1", "oldest", 30), ("a", "v2", "new", 1), ("a", "v2", "office", 5),
            ("a", "v3", "stranger", 1), ("b", "v1", "elsewhere", 1)]  # fmt: skip
    for key, visitor, hashed, days in told:
        connection.execute(
            "INSERT INTO onsite.visitors VALUES (%(k)s, %(v)s, %(h)s,"
            " now() - make_interval(days => %(d)s), now() - make_interval(days => %(d)s))",
            {"k": key, "v": visitor, "h": hashed, "d": days},
        )
    found = change_queue.earlier_addresses(connection, "a", ["new", "stranger", "nobody"])
    assert found == {"new": ["office", "old"]}


def test_who_has_said_whether_they_want_mail(connection: psycopg.Connection[Any]) -> None:
    for key, event, hashed in (("a", "1", "yes"), ("a", "2", "yes"), ("b", "3", "elsewhere")):
        connection.execute(
            "INSERT INTO onsite.consents (integration, event_id, email_sha256, granted, at)"
            " VALUES (%s, %s, %s, true, now())",
            [key, event, hashed],
        )
    assert change_queue.with_consent(connection, "a", ["yes", "no", "elsewhere"]) == {"yes"}


def test_nothing_to_do_is_no_trouble(connection: psycopg.Connection[Any]) -> None:
    nothing: list[QueuedChange] = []
    change_queue.done(connection, nothing)
    assert change_queue.again(connection, nothing) == 0
    assert change_queue.due(connection, "a") == nothing

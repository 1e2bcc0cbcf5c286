"""Orders that fail are put off one by one, longer each time, until one works again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.shipments.deferred_orders import (
    FIRST_BACKOFF,
    MAX_BACKOFF,
    Connection,
    add_order_numbers,
    clear,
    defer,
    read_deferred,
)
from cscart_pipelines_tests.conftest import Database


def its_time_came(connection: Connection) -> None:
    connection.execute("UPDATE fulfilment.deferred_orders SET not_before = now()")


def test_the_pause_doubles_up_to_a_quarter_of_a_day(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        pauses = []
        for number in range(30):
            pauses.append(defer(connection, "a", 7, ["7"], f"trouble {number}"))
            its_time_came(connection)
        assert pauses[:4] == [FIRST_BACKOFF * 2**n for n in range(4)]
        assert pauses == sorted(pauses)
        assert pauses[-1] == MAX_BACKOFF
        row = connection.execute("SELECT failures, reason FROM fulfilment.deferred_orders")
        assert row.fetchall() == [(30, "trouble 29")]
        clear(connection, "a", 7)
        assert defer(connection, "a", 7, ["7"], "again") == FIRST_BACKOFF


def test_who_tries_before_the_time_does_not_make_it_longer(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        for _ in range(5):
            assert 0 < defer(connection, "a", 7, ["7"], "by name") <= FIRST_BACKOFF
        row = connection.execute("SELECT failures FROM fulfilment.deferred_orders").fetchone()
        assert row == (1,)


def test_all_spellings_of_a_number_are_kept(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        defer(connection, "a", 7, ["CS7", "cs7"], "x")
        defer(connection, "a", 7, ["CS7"], "x")
        add_order_numbers(connection, "a", 7, [" CS7", "cs7"])
        add_order_numbers(connection, "a", 7, [])
        add_order_numbers(connection, "a", 8, ["CS8"])  # nobody put it off
        rows = connection.execute("SELECT order_id, order_numbers FROM fulfilment.deferred_orders")
        assert rows.fetchall() == [(7, [" CS7", "CS7", "cs7"])]


def test_whoever_was_tried_last_comes_last(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        connection.autocommit = True  # each at its own time
        for order in (3, 1, 2, 3):
            defer(connection, "a", order, [], "x")
        assert list(read_deferred(connection, "a")) == [1, 2, 3]


DEEDS = ["fail", "work", "time"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.integers(1, 4), st.sampled_from(["fail", "work", "time"])
        )
    )
)
def test_every_order_of_every_shop_is_judged_by_itself(
    warehouse_database: Database, deeds: list[tuple[str, int, str]]
) -> None:
    known: dict[tuple[str, int], bool] = {}
    with warehouse_database.connect() as connection:
        connection.execute("DELETE FROM fulfilment.deferred_orders")
        for shop, order, deed in deeds:
            if deed == "fail":
                defer(connection, shop, order, [str(order)], "no answer")
                known[shop, order] = False
            elif deed == "work":
                clear(connection, shop, order)
                known.pop((shop, order), None)
            elif (shop, order) in known:
                connection.execute(
                    "UPDATE fulfilment.deferred_orders SET not_before = now()"
                    " WHERE integration = %s AND order_id = %s",
                    [shop, order],
                )
                known[shop, order] = True
        for shop in "ab":
            expected = {order: due for (its, order), due in known.items() if its == shop}
            assert read_deferred(connection, shop) == expected

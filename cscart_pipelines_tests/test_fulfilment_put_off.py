"""Orders that fail are put off one by one, longer each time, until one works again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.put_off import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    put_off,
    read_put_off,
    taken_up,
)
from cscart_pipelines_tests.conftest import Database


def test_the_pause_doubles_up_to_a_quarter_of_a_day(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        pauses = [put_off(connection, "a", 7, ["7"], f"trouble {n}") for n in range(40)]
        assert pauses[:4] == [FIRST_PAUSE * 2**n for n in range(4)]
        assert pauses == sorted(pauses)
        assert pauses[-1] == LONGEST_PAUSE
        row = connection.execute("SELECT failures, reason FROM fulfilment.put_off_orders")
        assert row.fetchall() == [(40, "trouble 39")]
        taken_up(connection, "a", 7)
        assert put_off(connection, "a", 7, ["7"], "again") == FIRST_PAUSE


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
        connection.execute("DELETE FROM fulfilment.put_off_orders")
        for shop, order, deed in deeds:
            if deed == "fail":
                put_off(connection, shop, order, [str(order)], "no answer")
                known[shop, order] = False
            elif deed == "work":
                taken_up(connection, shop, order)
                known.pop((shop, order), None)
            elif (shop, order) in known:
                connection.execute(
                    "UPDATE fulfilment.put_off_orders SET not_before = now()"
                    " WHERE integration = %s AND order_id = %s",
                    [shop, order],
                )
                known[shop, order] = True
        for shop in "ab":
            expected = {order: due for (its, order), due in known.items() if its == shop}
            assert read_put_off(connection, shop) == expected

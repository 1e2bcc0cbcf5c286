"""Handing orders out: each once, however pulls, edits and readers interleave."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.orders.export import (
    CSV_COLUMNS,
    ORDER_COLUMNS,
    OrderPage,
    export,
    to_json,
    write_csv,
)
from cscart_pipelines.spreadsheets import unguarded
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.fulfilment.order_feeds import RawShop, line, raw_shop


@pytest.fixture
def shop(warehouse_database: Database) -> RawShop:
    return raw_shop(warehouse_database, order_prefix="CS")


def page(shop: RawShop, **options: Any) -> OrderPage:
    return export(shop.connection, shop.key, **options)


def rows_of(found: OrderPage, **options: Any) -> list[dict[str, str]]:
    stream = io.StringIO(newline="")
    write_csv(stream, found, **options)
    return list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))


def test_orders_come_with_their_lines_in_the_order_of_their_pulls(shop: RawShop) -> None:
    shop.order(2, [line("8"), line("7")])
    shop.pull()
    shop.order(1, [])
    shop.pull()
    found = page(shop)
    assert [(one["cursor"], one["order_number"]) for one in found.orders] == [
        (1, "CS2"),
        (2, "CS1"),
    ]
    assert [[each["item_id"] for each in one["lines"]] for one in found.orders] == [["7", "8"], []]
    assert found.orders[0].keys() == {"cursor", "lines", *ORDER_COLUMNS}
    assert found.cursor == 2
    assert page(shop, since=1).orders == found.orders[1:]
    assert page(shop, since=2) == OrderPage([], 2)
    assert page(shop, limit=1) == OrderPage(found.orders[:1], 1)
    assert export(shop.connection, "nobody") == OrderPage([], 0)


def test_changes_have_a_cursor_of_their_own(shop: RawShop) -> None:
    for order_id in (1, 2):
        shop.order(order_id)
    shop.pull()
    assert page(shop, changes=True) == OrderPage([], 0)
    shop.order(1, [line("1", price=Decimal("5"), quantity=2)], total=Decimal("12.50"))
    shop.pull()
    (order,) = page(shop, changes=True).orders
    assert order["cursor"] == 3
    assert order["changes"]["total"] == [Decimal("10.00"), Decimal("12.50")]
    (then, now) = order["changes"]["lines"]["1"]
    assert (then["price"], now["price"], now["quantity"]) == (Decimal("10.00"), Decimal(5), 2)
    assert page(shop, changes=True, since=3) == OrderPage([], 3)
    assert [one["order_id"] for one in page(shop).orders] == [1, 2]  # the first cursor is as it was


def test_json_has_money_as_text_and_times_in_utc(shop: RawShop) -> None:
    shop.order(1, total=Decimal("0.1000"), s_city="Αθήνα")
    shop.pull()
    shop.order(1, total=Decimal("1000000"), s_city="Αθήνα")
    shop.pull()
    shop.connection.execute("SET timezone = 'Asia/Tokyo'")
    told = to_json(page(shop))
    assert told == json.loads(json.dumps(told)) == orjson.loads(orjson.dumps(told))
    (order,) = told["orders"]
    assert (told["cursor"], order["total"], order["city"]) == (1, "1000000", "Αθήνα")
    assert order["changes"] == {"total": ["0.1000", "1000000"]}
    assert order["ordered_at"] == "2026-03-01T12:00:00+00:00"
    assert order["pulled_at"].endswith("+00:00")
    assert order["lines"][0]["price"] == "10.00"


def test_csv_has_one_row_a_line(shop: RawShop) -> None:
    shop.order(1, [line("1"), line("2", quantity=3)], email="a@b.example")
    shop.order(2, [])
    shop.pull()
    shop.order(2, [], status="C")
    shop.pull()
    rows = rows_of(page(shop))
    assert list(rows[0]) == list(CSV_COLUMNS)
    assert [(r["cursor"], r["order_number"], r["item_id"], r["quantity"]) for r in rows] == [
        ("1", "CS1", "1", "1"), ("1", "CS1", "2", "3"), ("2", "CS2", "", ""),
    ]  # fmt: skip
    assert json.loads(rows[2]["changes"]) == {"status": ["P", "C"]}
    stream = io.StringIO(newline="")
    write_csv(stream, page(shop), header=False)
    assert stream.getvalue().startswith("1,CS1,1,")
    assert stream.getvalue().count("\r\n") == 3


ODD = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12
) | st.sampled_from(["=1+1", '"', 'a,"b"', "a\nb", "a\r\nb", ";", "'", "+49", "@x", "-1"])
KEYS = itertools.count(1)


@given(name=ODD, product=ODD)
def test_csv_gives_back_every_letter(module_database: Database, name: str, product: str) -> None:
    """Raw as they are; for people with guards, which are taken off again."""
    with module_database.connect() as connection:
        shop = RawShop(connection, key=f"odd-{next(KEYS)}")
        shop.order(1, [line(product=product)], s_city=name)
        shop.pull()
        found = page(shop)
        (row,) = rows_of(found, raw=True)
        assert row["product"] == product
        assert row["city"] == (found.orders[0]["city"] or "") == name.strip(" ")
        (row,) = rows_of(found)
        assert not re.match(r"\s*[=@]|\s*[+-](?![\d ])", row["product"])
        assert unguarded(row["product"]) == product
        assert unguarded(row["city"]) == name.strip(" ")
        raw = io.StringIO(newline="")
        write_csv(raw, found)
        assert raw.getvalue().endswith("\r\n")
        assert raw.getvalue().encode("utf-8")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.integers(1, 9)),
        st.tuples(st.just("edit"), st.integers(1, 9)),
        st.tuples(st.just("delete"), st.integers(1, 9)),
        st.tuples(st.just("pull"), st.just(0)),
        st.tuples(st.just("read"), st.integers(1, 3) | st.none()),
        st.tuples(st.just("read changes"), st.integers(1, 3) | st.none()),
    ),
    max_size=30,
)


@given(steps=STEPS)
def test_a_reader_takes_each_order_once_and_learns_of_every_change(
    module_database: Database, steps: list[tuple[str, int]]
) -> None:
    with module_database.connect() as connection:
        shop = RawShop(connection, key=f"reader-{next(KEYS)}")
        placed: dict[int, dict[str, Any]] = {}
        taken: list[int] = []
        known: dict[int, dict[str, Any]] = {}
        cursors = {"read": 0, "read changes": 0}
        totals = itertools.count(100)

        def read(how: str, limit: int | None) -> None:
            found = page(shop, since=cursors[how], changes=how != "read", limit=limit)
            assert found.cursor >= cursors[how]
            cursors[how] = found.cursor
            if how == "read":
                taken.extend(one["order_id"] for one in found.orders)
            for one in found.orders:
                known[one["order_id"]] = {
                    "total": one["total"],
                    "deleted_at": "deleted" in (one["changes"] or {}),
                }

        for what, value in [*steps, ("pull", 0), ("read", None), ("read changes", None)]:
            if what.startswith("read"):
                read(what, value)
            elif what == "pull":
                shop.pull()
            elif what == "place" or value in placed:
                order = placed.setdefault(value, {"total": Decimal(1), "deleted_at": None})
                if what == "edit":
                    order["total"] = Decimal(next(totals))
                if what == "delete":
                    order["deleted_at"] = None if order["deleted_at"] else "2026-01-01Z"
                shop.order(value, **order)
        assert len(taken) == len(set(taken))
        assert set(taken) == shop.feed().keys()
        assert known == {
            one: {**placed[one], "deleted_at": placed[one]["deleted_at"] is not None}
            for one in taken
        }

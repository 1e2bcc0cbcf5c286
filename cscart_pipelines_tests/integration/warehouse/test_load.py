"""Loading: a merge writes exactly what changed, and lines follow their order."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.warehouse.load import Changes, Loader, row_columns
from cscart_pipelines.warehouse.rejects import Rejects
from cscart_pipelines.warehouse.tables import raw as raw_tables
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.examples import examples

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def customer(user_id: int, email: str | None = "a@example.com") -> tuple[Any, ...]:
    values: dict[str, Any] = dict.fromkeys(row_columns(raw_tables.customers))
    values |= {"user_id": user_id, "email": email, "registered_at": MOMENT}
    values["content_hash"] = hashlib.blake2b(repr(values).encode(), digest_size=16).digest()
    return tuple(values.values())


def order(
    order_id: int, status: str = "P", *, lines: int = 1, details: bool = True, total: str = "10.50"
) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
    values: dict[str, Any] = dict.fromkeys(row_columns(raw_tables.orders))
    values |= {
        "order_id": order_id, "is_parent_order": False, "status": status, "total": Decimal(total),
        "ordered_at": MOMENT, "has_details": details, "s_country": "IE" if details else None,
    }  # fmt: skip
    rows = []
    for number in range(lines if details else 0):
        line: dict[str, Any] = dict.fromkeys(row_columns(raw_tables.order_lines))
        line |= {
            "order_id": order_id,
            "item_id": str(number),
            "quantity": 2,
            "price": Decimal("5.25"),
        }
        rows.append(tuple(line.values()))
    values["content_hash"] = hashlib.blake2b(repr((values, rows)).encode(), digest_size=16).digest()
    return tuple(values.values()), rows


def test_merge_says_what_changed_and_writes_only_that(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        loader = Loader(connection, "shop")
        with connection.transaction():
            assert loader.merge(raw_tables.customers, [customer(1), customer(2)]) == Changes(
                2, 0, 0
            )
        versions = connection.execute("SELECT user_id, xmin::text FROM cscart.customers").fetchall()
        with connection.transaction():
            changes = loader.merge(
                raw_tables.customers, [customer(1), customer(2, "new@example.com"), customer(3)]
            )
        assert changes == Changes(inserted=1, updated=1, unchanged=1)
        after = dict(connection.execute("SELECT user_id, xmin::text FROM cscart.customers"))
        assert after[1] == dict(versions)[1], "an unchanged row was written"
        assert after[2] != dict(versions)[2]


def test_the_last_of_several_versions_counts(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection, connection.transaction():
        loader = Loader(connection, "shop")
        assert (
            loader.merge(raw_tables.customers, [customer(1, "x"), customer(1, "y")]).inserted == 1
        )
        assert connection.execute("SELECT email FROM cscart.customers").fetchall() == [("y",)]


def test_integrations_do_not_touch_each_other(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        for name in ("one", "two"):
            with connection.transaction():
                assert Loader(connection, name).merge_orders([order(7)]) == Changes(inserted=1)
        with connection.transaction():
            Loader(connection, "one").merge_orders([order(7, "C", lines=3)])
        found = connection.execute(
            "SELECT o.integration, o.status, count(*) FROM cscart.orders o"
            " JOIN cscart.order_lines USING (integration, order_id) GROUP BY 1, 2 ORDER BY 1"
        )
        assert found.fetchall() == [("one", "C", 3), ("two", "P", 1)]


def test_a_list_row_never_takes_details_away(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        loader = Loader(connection, "shop")
        for version in (order(1, "P", lines=2), order(1, "C", details=False)):
            with connection.transaction():
                loader.merge_orders([version])
        query = (
            "SELECT status, s_country, has_details,"
            " (SELECT count(*) FROM cscart.order_lines) FROM cscart.orders"
        )
        assert connection.execute(query).fetchall() == [("C", "IE", True, 2)]
        with connection.transaction():  # back to the details that were there first
            assert loader.merge_orders([order(1, "P", lines=2)]) == Changes(updated=1)
        assert connection.execute(query).fetchall() == [("P", "IE", True, 2)]


def test_rows_a_sweep_has_not_met_are_buried_and_come_back(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        loader = Loader(connection, "shop")
        with connection.transaction():
            loader.merge(raw_tables.customers, [customer(1), customer(2), customer(3)])
        (started,) = connection.execute("SELECT now()").fetchone() or ()
        with connection.transaction():
            loader.merge(
                raw_tables.customers, [customer(4)]
            )  # appeared while the sweep was running
        with connection.transaction():
            loader.record_seen_ids("customers", 1, [1])
            loader.record_seen_ids("customers", 2, [3])
            assert loader.soft_delete_missing(raw_tables.customers, "customers", started) == 1
        gone = "SELECT user_id FROM cscart.customers WHERE deleted_at IS NOT NULL"
        assert connection.execute(gone).fetchall() == [(2,)]
        assert connection.execute("SELECT count(*) FROM registry.sweep_seen").fetchone() == (0,)
        with connection.transaction():
            assert loader.merge(raw_tables.customers, [customer(2)]) == Changes(updated=1)
        assert connection.execute(gone).fetchall() == []


def test_a_reject_keeps_its_reason_and_is_closed_by_a_later_success(
    warehouse_database: Database,
) -> None:
    with warehouse_database.connect() as connection:
        loader, rejects_of_shop = Loader(connection, "shop"), Rejects(connection, "shop")
        for _ in range(2):
            with connection.transaction():
                rejects_of_shop.add("orders", "5", "total: a number is expected")
        rejects = "SELECT attempts, reason, resolved_at IS NULL FROM cscart.rejects"
        assert connection.execute(rejects).fetchall() == [(2, "total: a number is expected", True)]
        with connection.transaction():
            loader.merge_orders([order(5)])
            assert rejects_of_shop.resolve_loaded("orders", raw_tables.orders) == 1
        assert connection.execute(rejects).fetchall() == [(2, "total: a number is expected", False)]


@examples(15)
@given(
    batches=st.lists(
        st.lists(
            st.tuples(st.integers(1, 6), st.sampled_from("PCO"), st.integers(0, 3)), max_size=8
        ),
        max_size=5,
    )
)
def test_any_sequence_of_merges_ends_as_the_last_versions(
    warehouse_database: Database, batches: list[list[tuple[int, str, int]]]
) -> None:
    expected: dict[int, tuple[str, int]] = {}
    with warehouse_database.connect() as connection:
        connection.execute("TRUNCATE cscart.orders, cscart.order_lines")
        loader = Loader(connection, "shop")
        for batch in batches:
            with connection.transaction():
                changes = loader.merge_orders([order(i, s, lines=n) for i, s, n in batch])
            final = {i: (s, n) for i, s, n in batch}
            assert changes.inserted == len(final.keys() - expected.keys())
            assert changes.unchanged == sum(expected.get(i) == v for i, v in final.items())
            expected |= final
        found = connection.execute(
            "SELECT order_id, status, (SELECT count(*) FROM cscart.order_lines l"
            " WHERE (l.integration, l.order_id) = (o.integration, o.order_id)) FROM cscart.orders o"
        )
        assert {i: (s, n) for i, s, n in found} == expected

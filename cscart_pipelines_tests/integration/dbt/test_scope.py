"""Builds of some integrations: what they write, what they leave alone, and what it adds up to."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from cscart_pipelines.warehouse.contacts import store_contacts
from cscart_pipelines_tests.support.dbt.builds import (
    AS_OF,
    WITHOUT_TESTS,
    Database,
    build,
    dbt_target,
    insert,
    load,
    order,
)
from cscart_pipelines_tests.support.dbt.random_shops import random_shop
from cscart_pipelines_tests.support.dbt.random_visits import add_visits

pytestmark = pytest.mark.begun_first

__all__ = ["dbt_target"]

SEED = 12
Snapshot = dict[str, Counter[tuple[tuple[str, Any], ...]]]
"""Relation -> row -> how often."""


@dataclass
class Warehouse:
    """A database with lists, and what its builds have written."""

    database: Database
    target: Path
    names: list[str] = field(default_factory=list)

    def build(self, as_of: pd.Timestamp, *arguments: str, only: list[str]) -> None:
        """Models only; `build_and_test` also tests the data of these integrations."""
        self.build_and_test(as_of, *WITHOUT_TESTS, *arguments, only=only)

    def build_and_test(self, as_of: pd.Timestamp, *arguments: str, only: list[str]) -> None:
        build(self.database, as_of, *arguments, only=only, target=self.target)

    def rows(self, keys: list[str] | None = None) -> Snapshot:
        """Every row of the built tables and marts, of all integrations or of these."""
        found: Snapshot = {}
        with self.database.connect() as connection:
            for name in self._relations(connection, "'BASE TABLE', 'VIEW'"):
                rows = connection.execute(
                    f"select to_jsonb(kept) from {name} as kept"
                    " where %(keys)s::text[] is null or integration = any(%(keys)s)",
                    {"keys": keys},
                )
                # As JSON, so that 0 is 0.00: how many zeros follow depends on who was added first.
                found[name] = Counter(
                    tuple((column, _plain(value)) for column, value in sorted(row.items()))
                    for (row,) in rows
                )
        return found

    def written_since(self, number: int) -> dict[str, int]:
        """Rows that a transaction after this one has written, by table."""
        with self.database.connect() as connection:
            counts = {
                name: connection.execute(
                    f"select count(*) from {name} where xmin::text::bigint > %s", [number]
                ).fetchone()
                for name in self._relations(connection, "'BASE TABLE'")
            }
        return {name: row[0] for name, row in counts.items() if row and row[0]}

    def transaction(self) -> int:
        with self.database.connect() as connection:
            row = connection.execute("select pg_current_xact_id()::text::bigint").fetchone()
        assert row
        return int(row[0])

    @staticmethod
    def _relations(connection: psycopg.Connection[Any], kinds: str) -> list[str]:
        rows = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
            " join information_schema.columns using (table_schema, table_name)"
            f" where table_schema in ('analytics', 'intermediate') and table_type in ({kinds})"
            " and column_name = 'integration' and table_name <> 'lists' order by 1"
        )
        return [row[0] for row in rows.fetchall()]


@pytest.fixture(scope="module")
def warehouse(module_database: Database, dbt_target: Path) -> Iterator[Warehouse]:
    shops = [add_visits(random_shop(seed), seed) for seed in range(7)]
    load(module_database, shops)
    names = [shop.integration for shop in shops]
    found = Warehouse(module_database, dbt_target, names)
    found.build(AS_OF - pd.Timedelta(days=3), only=names)
    yield found


def test_a_build_of_one_shop_writes_what_has_changed_in_it_and_nothing_else(
    warehouse: Warehouse,
) -> None:
    big, *others = sorted(warehouse.names, key=lambda name: -_orders(warehouse, name))
    as_of = AS_OF - pd.Timedelta(days=3) + pd.Timedelta(minutes=1)
    warehouse.build(as_of, only=[big])
    before = warehouse.rows(others)
    with warehouse.database.connect() as connection:
        connection.execute(
            "update cscart.orders set total = total + 1 where integration = %(one)s and order_id ="
            " (select min(order_id) from analytics.orders where integration = %(one)s"
            "  and is_purchase and is_in_list and ordered_at < %(as_of)s)",
            {"one": big, "as_of": as_of.to_pydatetime()},
        )
        connection.execute(
            "update cscart.orders set status = 'I', total = 0 where integration = %s", [others[0]]
        )
    number = warehouse.transaction()
    warehouse.build(as_of, only=[big])
    assert warehouse.rows(others) == before
    written = warehouse.written_since(number)
    assert written["intermediate.int_orders"] == written["analytics.orders"] == 1
    assert written["intermediate.int_customer_activity"] == 1
    # Per list: one row of each size, and the segments, which tell the moment of the build.
    assert written["analytics.list_metrics"] == 1
    number = warehouse.transaction()
    warehouse.build(as_of, only=[big])
    assert not {
        name: rows
        for name, rows in warehouse.written_since(number).items()
        # The one has no key and is written anew; the other tells of each build.
        if name not in ("intermediate.int_onsite_product_steps", "intermediate.int_builds")
    }


def test_builds_of_some_shops_add_up_to_a_build_from_scratch(warehouse: Warehouse) -> None:
    """After orders, edits, deletions, registrations, consents, statuses and settings; in batches,
    over days and back; and after a build that broke off."""
    draw = random.Random(SEED)
    for hours, breaks_off in ((47, False), (46, True), (71, False)):
        some = draw.sample(warehouse.names, draw.randint(2, 4))
        others = [name for name in warehouse.names if name not in some]
        untouched = warehouse.rows(others)
        with warehouse.database.connect() as connection:
            for name in some:
                _live_on(connection, draw, name)
        as_of = AS_OF + pd.Timedelta(hours=hours - 72)
        if breaks_off:
            warehouse.build(as_of, "--select", "int_orders", "int_subscribers", only=some)
            with warehouse.database.connect() as connection:
                for name in some:
                    _live_on(connection, draw, name)
        warehouse.build_and_test(as_of, only=some)
        assert warehouse.rows(others) == untouched, hours
    with warehouse.database.connect() as connection:
        for name in warehouse.names:
            _live_on(connection, draw, name, settings=False)
    warehouse.build(AS_OF, only=warehouse.names)
    merged = warehouse.rows()
    builds = merged.pop("intermediate.int_builds")
    changed = merged.pop("intermediate.int_changed_people")
    whole = [dict(build)["integration"] for build in builds if dict(build)["is_whole"]]
    assert len(whole) < len(warehouse.names)
    assert changed
    warehouse.build(AS_OF, "--full-refresh", only=warehouse.names)
    anew = warehouse.rows()
    for name in merged:
        if "int_onsite" in name:
            continue  # holds the days that one build reads again
        assert merged[name] == anew[name], name
    assert sum(merged["analytics.segment_changes"].values()) > len(merged["analytics.segments"])


def _live_on(
    connection: psycopg.Connection[Any], draw: random.Random, name: str, *, settings: bool = True
) -> None:
    """Some of what happens to a shop between two builds."""
    connection.execute("set session_replication_role = replica")  # no shop was ever read
    numbers = [
        row[0]
        for row in connection.execute(
            "select order_id from cscart.orders where integration = %s order by 1", [name]
        )
    ]
    known = [
        row[0]
        for row in connection.execute(
            "select distinct email from cscart.orders where integration = %s and email is not null"
            " order by 1",
            [name],
        )
    ]
    for number in draw.sample(numbers, min(len(numbers), 3)):
        change = draw.choice(
            ["status = 'I'", "status = 'P'", "total = total + 7.5", "deleted_at = now()",
             "email = 'moved@post.gr'", "user_id = NULL", "email = NULL", "phone = '6977123456'",
             "ordered_at = ordered_at - interval '29 days'"]
        )  # fmt: skip
        connection.execute(
            f"update cscart.orders set {change} where integration = %s and order_id = %s".encode(),
            [name, number],
        )
    for number in range(draw.randint(0, 4)):
        moment = AS_OF - pd.Timedelta(days=draw.choice([0, 0.5, 29, 30, 31, 180, 400]))
        email = draw.choice([*known, f"new{number}@post.gr"])
        placed = order(max(numbers, default=0) + 1 + number, moment, email=email)
        row = {**placed, "integration": name, "content_hash": b""}
        insert(connection, "cscart.orders", [row])
    # An account is behind another address that it has ordered with, as long as it is there.
    ordered = (
        "select order_id, user_id from cscart.orders as placed join cscart.customers as account"
        " using (integration, user_id) where integration = %s and account.deleted_at is null"
        " and coalesce(placed.email like 'work%%', false) = %s order by order_id limit 1"
    )
    for _, user_id in connection.execute(ordered.encode(), [name, True]).fetchall():
        change = draw.choice(["deleted_at = now()", "firstname = 'Ada ' || random()"])
        change = change if settings else "deleted_at = now()"
        where = "integration = %s and user_id = %s"
        connection.execute(
            f"update cscart.customers set {change} where {where}".encode(), [name, user_id]
        )
    for order_id, _ in connection.execute(ordered.encode(), [name, False]).fetchall():
        connection.execute(
            "update cscart.orders set email = 'work' || order_id || '@post.gr'"
            " where integration = %s and order_id = %s",
            [name, order_id],
        )
    connection.execute(
        "update cscart.customers set email = 'new-address@post.gr', firstname = 'Zoe'"
        " where integration = %s and user_id = (select max(user_id) from cscart.customers"
        "  where integration = %s and deleted_at is null)",
        [name, name],
    )
    connection.execute(
        "delete from cscart.orders where integration = %s and order_id = %s",
        [name, draw.choice(numbers or [0])],
    )
    connection.execute(
        "insert into onsite.consents (integration, event_id, email_sha256, granted, at)"
        " select integration, %s || raw, address_sha256, %s, now() from cscart.email_addresses"
        " where integration = %s and raw = any(%s) and address is not null",
        [str(draw.random()), draw.random() < 0.3, name, draw.sample(known, min(len(known), 2))],
    )
    if settings and draw.random() < 0.3:
        connection.execute(
            "update registry.integrations set include_guests = not include_guests"
            " where integration = %s",
            [name],
        )
    if settings and draw.random() < 0.3:
        connection.execute(
            "update cscart.statuses set payment_received = not payment_received"
            " where integration = %s and status = 'C'",
            [name],
        )
    store_contacts(connection, name, None)


def _plain(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value


def _orders(warehouse: Warehouse, name: str) -> int:
    with warehouse.database.connect() as connection:
        row = connection.execute(
            "select count(*) from cscart.orders where integration = %s", [name]
        ).fetchone()
    assert row
    return int(row[0])

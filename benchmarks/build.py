"""Builds of lists, segments and metrics: first, unchanged, 1 % changed, one list of many.

dbt runs as the product's build runs it, without Dagster; the raw rows are made by SQL. Not here:
loading rows (`load`), a whole run (`tick`).
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import psycopg

from benchmarks.support.measure import Cost, ratio
from benchmarks.support.options import Options
from benchmarks.support.report import Report, Table
from benchmarks.support.temporary_warehouse import TemporaryWarehouse, temporary_warehouse
from cscart_pipelines.dbt_project import (
    BUILT,
    PROJECT_DIR,
    WITHOUT_ARTIFACTS,
    build_folder,
    dbt_executable,
)
from cscart_pipelines.warehouse.contacts import store_contacts

COLUMNS = (
    "orders", "lists", "build", "wall s", "CPU s dbt", "CPU s PG", "rows written", "CPU / first",
)  # fmt: skip
OTHERS = 20
"""Lists beside the one that is built."""

FILL = """
    INSERT INTO cscart.orders (integration, order_id, is_parent_order, status, total, ordered_at,
        has_details, email, firstname, content_hash)
    SELECT %(key)s, number, false, CASE WHEN number %% 11 = 0 THEN 'I' ELSE 'P' END,
        5 + (number * 7919 %% 9000) / 100.0,
        now() - (number * 104729 %% 1300) * interval '1 day'
            - (number %% 86400) * interval '1 second',
        true, 'p' || (number * number %% (%(orders)s / 3 + 1)) || '@post.internal', 'Ada', ''
    FROM generate_series(1::bigint, %(orders)s) AS number
"""
"""About three orders of each buyer, unevenly, in three and a half years."""
CHANGE = """
    UPDATE cscart.orders SET total = total + 1, content_hash = 'x'
    WHERE integration = %s AND order_id %% 100 = 0
"""
WRITTEN = """
    SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_all_tables
    WHERE schemaname IN ('intermediate', 'analytics')
"""


def run(options: Options) -> Report:
    """Builds lists of each size, and one list beside `OTHERS` of the smallest."""
    table = Table("Builds of lists", COLUMNS, note="dbt's start and tests included", group=2)
    for size in options.orders:
        with temporary_warehouse() as home:
            bench = _Bench(home, options)
            bench.fill("one", size)
            first = bench.build("one")
            table.rows.append(bench.row(size, 1, "first", first, first))
            table.rows.append(bench.row(size, 1, "nothing changed", bench.build("one"), first))
            bench.change("one")
            table.rows.append(bench.row(size, 1, "1 % changed", bench.build("one"), first))
            if size != options.orders[0]:
                continue
            for number in range(OTHERS):
                bench.fill(f"other-{number}", size)
            bench.build(*(f"other-{number}" for number in range(OTHERS)))
            bench.change("one")
            beside = bench.build("one")
            table.rows.append(bench.row(size, 1 + OTHERS, "1 % of one changed", beside, first))
    return Report("build", [table])


@dataclass(frozen=True)
class _Built:
    cost: Cost
    written: int


class _Bench:
    """A warehouse with lists."""

    def __init__(self, home: TemporaryWarehouse, options: Options) -> None:
        self._home = home
        self._say = options.say

    def fill(self, key: str, orders: int) -> None:
        """Connects a shop that has so many orders, all of guests."""
        with self._home.warehouse.connect(autocommit=True) as connection:
            connection.execute(
                "INSERT INTO registry.integrations (integration, list_name, url, email)"
                " VALUES (%(key)s, %(key)s, 'https://' || %(key)s || '.example', 'a@shop.example')",
                {"key": key},
            )
            connection.execute(FILL, {"key": key, "orders": orders})
            connection.execute("ANALYZE cscart.orders")
            store_contacts(connection, key, None)

    def change(self, key: str) -> None:
        """Changes every hundredth order."""
        with self._home.warehouse.connect(autocommit=True) as connection:
            connection.execute(CHANGE, [key])

    def build(self, *keys: str) -> _Built:
        """Builds these lists, and no others."""
        self._say(f"building {len(keys)} lists" if len(keys) > 1 else f"building {keys[0]}")
        with self._home.warehouse.connect(autocommit=True) as connection:
            written = _settled(connection)
            started = self._now()
            where = self._home.warehouse.dbt_environment()
            with build_folder(where, "build", self._home.settings.home / "dbt") as target:
                subprocess.run(
                    [dbt_executable(), "--quiet", WITHOUT_ARTIFACTS, "build", *BUILT,
                     "--target-path", str(target), "--log-path", str(target)],
                    cwd=PROJECT_DIR,
                    env={
                        **os.environ,
                        **where,
                        "CSCART_PIPELINES_DBT_INTEGRATIONS": ",".join(keys),
                        "CSCART_PIPELINES_DBT_MODELS": "these",
                    },
                    check=True,
                    capture_output=True,
                )  # fmt: skip
            cost = self._now() - started
            return _Built(cost, _settled(connection) - written)

    def row(
        self, size: int, lists: int, name: str, built: _Built, first: _Built
    ) -> tuple[Any, ...]:
        """Returns the figures of a build beside those of the first."""
        cost = built.cost
        return (size, lists, name, cost.wall, cost.cpu, cost.server, built.written,
                ratio(cost.all_cpu, first.cost.all_cpu))  # fmt: skip

    def _now(self) -> Cost:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = used.ru_utime + used.ru_stime
        return Cost(time.monotonic(), cpu, self._home.server_cpu())


def _settled(connection: psycopg.Connection[Any]) -> int:
    """Rows written until now: PostgreSQL counts them when a session ends, a moment later."""
    last = -1
    while True:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        row = connection.execute(WRITTEN).fetchone()
        assert row
        if row[0] == last:
            return int(last)
        last = row[0]
        time.sleep(1)

"""Our load of orders beside the least that could be done with the same rows.

The same parsed orders with their lines go into the raw tables by `warehouse.load`, and into twins
of these tables by bare COPY and by executemany, in the same chunks, one commit each. The rounds
alternate, so that a busy moment hits all of them. Not here: the shop, parsing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import psycopg
from psycopg import sql
from sqlalchemy import Table as SqlTable

from benchmarks.support.measure import Cost, chunks, now, ratio
from benchmarks.support.options import Options
from benchmarks.support.report import Report, Table
from benchmarks.support.shop import pages
from benchmarks.support.temporary_warehouse import TemporaryWarehouse, temporary_warehouse
from cscart_pipelines.cscart.records.content_hash import content_hash
from cscart_pipelines.cscart.records.orders import parse_order
from cscart_pipelines.warehouse.load import Loader, row_columns
from cscart_pipelines.warehouse.tables import raw as raw_tables

ORDERS = 20_000
CHUNK = 2_000
"""Orders per transaction, as the sync has them."""
COLUMNS = (
    "way", "orders", "rows", "wall s", "CPU s", "CPU s PG", "rows/CPU s", "CPU / bare COPY",
)  # fmt: skip
BARE = "bare COPY"

Order = tuple[tuple[Any, ...], list[tuple[Any, ...]]]


def run(options: Options) -> Report:
    options.say("preparing rows")
    orders = _orders(min(ORDERS, options.orders[-1]))
    with temporary_warehouse() as place, place.warehouse.connect(autocommit=True) as connection:
        ways = _Ways(connection, orders)
        works: dict[str, Callable[[], None]] = {
            BARE: ways.copy,
            "executemany": ways.executemany,
            "our load, new rows": ways.ours,
            "the same, unchanged": ways.ours,
            "the same, 1 % changed": ways.ours_changed,
        }
        found: dict[str, list[Cost]] = {way: [] for way in works}
        for number in range(1 if options.quick else 3):
            ways.clear()
            for way, work in works.items():
                options.say(f"{way}, round {number + 1}")
                found[way].append(_measure(place, work))
    best = {way: min(costs, key=lambda cost: cost.all_cpu) for way, costs in found.items()}
    return Report("load", [_table(best, orders)])


def _orders(count: int) -> list[Order]:
    orders: list[Order] = []
    for body in pages("orders?get_orders_data=1", count, 200):
        for raw in orjson.loads(body)["orders"]:
            row, lines = parse_order(raw)
            orders.append(((*row, content_hash(row, lines)), list(lines)))
    return orders


def _measure(place: TemporaryWarehouse, work: Callable[[], None]) -> Cost:
    started = now(place.server_cpu())
    work()
    return now(place.server_cpu()) - started


def _table(best: dict[str, Cost], orders: list[Order]) -> Table:
    rows = len(orders) + sum(len(lines) for _, lines in orders)
    bare = best[BARE].all_cpu
    note = "the cheapest of several rounds; rows: orders and lines"
    table = Table("Orders with their lines into PostgreSQL", COLUMNS, note=note)
    for way, cost in best.items():
        table.rows.append(
            (way, len(orders), rows, cost.wall, cost.cpu, cost.server,
             ratio(rows, cost.all_cpu), ratio(cost.all_cpu, bare))
        )  # fmt: skip
    return table


class _Ways:
    """The ways to load the same orders."""

    def __init__(self, connection: psycopg.Connection[Any], orders: list[Order]) -> None:
        self._connection = connection
        self._orders = orders
        self._loader = Loader(connection, "bench")
        for table in (raw_tables.orders, raw_tables.order_lines):
            connection.execute(
                sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(_twin(table), _own(table))
            )

    def clear(self) -> None:
        for table in (raw_tables.orders, raw_tables.order_lines):
            self._connection.execute(sql.SQL("TRUNCATE {}, {}").format(_twin(table), _own(table)))

    def ours(self) -> None:
        self._load(self._orders)

    def ours_changed(self) -> None:
        """Every 100th order has another status."""
        place = row_columns(raw_tables.orders).index("status")
        changed = []
        for number, (row, lines) in enumerate(self._orders):
            if number % 100 == 0:
                row = (*row[:place], "X", *row[place + 1 : -1], b"another hash")
            changed.append((row, lines))
        self._load(changed)

    def copy(self) -> None:
        self._empty_twins()
        for table, rows in self._batches():
            columns = _columns(table)
            copy = sql.SQL("COPY {} ({}) FROM STDIN").format(_twin(table), columns)
            with self._connection.transaction(), self._connection.cursor().copy(copy) as stream:
                for row in rows:
                    stream.write_row(row)

    def executemany(self) -> None:
        self._empty_twins()
        for table, rows in self._batches():
            marks = sql.SQL(", ").join([sql.Placeholder()] * (len(row_columns(table)) + 1))
            insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                _twin(table), _columns(table), marks
            )
            with self._connection.transaction(), self._connection.cursor() as cursor:
                cursor.executemany(insert, rows)

    def _load(self, orders: list[Order]) -> None:
        for chunk in chunks(orders, CHUNK):
            with self._connection.transaction():
                self._loader.merge_orders(chunk)

    def _batches(self) -> list[tuple[SqlTable, list[tuple[Any, ...]]]]:
        batches: list[tuple[SqlTable, list[tuple[Any, ...]]]] = []
        for chunk in chunks(self._orders, CHUNK):
            batches.append((raw_tables.orders, [("bench", *row) for row, _ in chunk]))
            lines = [("bench", *line) for _, lines in chunk for line in lines]
            batches.append((raw_tables.order_lines, lines))
        return batches

    def _empty_twins(self) -> None:
        for table in (raw_tables.orders, raw_tables.order_lines):
            self._connection.execute(sql.SQL("TRUNCATE {}").format(_twin(table)))


def _own(table: SqlTable) -> sql.Identifier:
    return sql.Identifier(table.schema or "public", table.name)


def _twin(table: SqlTable) -> sql.Identifier:
    return sql.Identifier("public", f"twin_of_{table.name}")


def _columns(table: SqlTable) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, ("integration", *row_columns(table))))

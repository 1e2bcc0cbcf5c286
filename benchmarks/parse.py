"""What it costs to read a row of an answer: decoding the page, typing the row, hashing it.

Ratios to decoding the same bytes hold on any machine. Not here: network, warehouse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from benchmarks.support.measure import per_row
from benchmarks.support.options import Options
from benchmarks.support.report import Cell, Report, Table
from benchmarks.support.shop import pages
from cscart_pipelines.cscart.records.content_hash import content_hash
from cscart_pipelines.cscart.records.customers import parse_customer
from cscart_pipelines.cscart.records.orders import parse_order

ORDERS = 6_000
"""As many orders, and a third as many customers."""
YARD = 400
"""Orders in the yardstick."""


@dataclass(frozen=True)
class _Kind:
    name: str
    path: str
    entity: str
    page: int
    parse: Callable[[Any], Any]
    hash: Callable[[Any], bytes]


KINDS = (
    _Kind("orders with details", "orders?get_orders_data=1", "orders", 50, parse_order,
          lambda parsed: content_hash(*parsed)),
    _Kind("orders as list rows", "orders", "orders", 500, parse_order,
          lambda parsed: content_hash(*parsed)),
    _Kind("customers", "users", "users", 500, parse_customer, content_hash),
)  # fmt: skip
COLUMNS = (
    "rows", "bytes/row", "decode µs", "parse µs", "hash µs", "sum µs", "sum/decode",
    "rows/CPU s",
)  # fmt: skip


def run(options: Options) -> Report:
    rounds = 3 if options.quick else 7
    table = Table("Reading one row, CPU", COLUMNS, note="the best of several rounds, one thread")
    for kind in KINDS:
        options.say(kind.name)
        table.rows.append(_measure(kind, min(ORDERS, options.orders[-1]), rounds))
    return Report("parse", [table])


def yardstick() -> Callable[[], float]:
    """Microseconds of CPU to read one order with its details, measured whenever called.

    What a machine does in a CPU second changes with the work beside: figures taken in the same
    minute are compared by this one.
    """
    bodies = pages(KINDS[0].path, YARD, KINDS[0].page)

    def read() -> float:
        return sum(_cost(KINDS[0], bodies, rounds=3))

    return read


def _measure(kind: _Kind, orders: int, rounds: int) -> tuple[Cell, ...]:
    bodies = pages(kind.path, orders, kind.page)
    count = sum(len(orjson.loads(body)[kind.entity]) for body in bodies)
    costs = _cost(kind, bodies, rounds)
    size, whole = sum(map(len, bodies)) // count, sum(costs)
    return (kind.name, size, *costs, whole, whole / costs[0], 1e6 / whole)


def _cost(kind: _Kind, bodies: list[bytes], rounds: int) -> tuple[float, float, float]:
    """Microseconds per row: decoding, parsing, hashing."""
    raw = [row for body in bodies for row in orjson.loads(body)[kind.entity]]
    parsed = [kind.parse(row) for row in raw]
    return (
        per_row(lambda: [orjson.loads(body) for body in bodies], len(raw), rounds),
        per_row(lambda: [kind.parse(row) for row in raw], len(raw), rounds),
        per_row(lambda: [kind.hash(row) for row in parsed], len(raw), rounds),
    )

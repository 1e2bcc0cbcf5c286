"""Export of the pulled orders: each once, by cursor, as CSV or as plain data for JSON.

A cursor is a position in the export of one integration; after it come the orders pulled later.
Changes have positions of their own. Not here: which orders are exported (`pull`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TextIO

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from cscart_pipelines.cscart.quantities import json_number
from cscart_pipelines.spreadsheets import Table

ORDER_COLUMNS = (
    "order_number", "order_id", "client_user_id", "status", "ordered_at", "total", "currency",
    "ship_to_name", "company", "address", "city", "state", "zipcode", "country", "phone", "email",
    "shipping_method", "pulled_at", "changed_at", "changes",
)  # fmt: skip
LINE_COLUMNS = (
    "item_id", "product_id", "sku", "product", "quantity", "price", "shipping_method",
)  # fmt: skip
CSV_COLUMNS = (
    "cursor",
    *ORDER_COLUMNS,
    *(f"line_{name}" if name in ORDER_COLUMNS else name for name in LINE_COLUMNS),
)
MONEY = frozenset({"total", "price"})
QUANTITY = "quantity"

_QUERY = """
    SELECT page.{place} AS cursor, {orders}, line.item_id AS line_item_id, {lines}
    FROM (
        SELECT * FROM fulfilment.orders WHERE integration = %(shop)s AND {place} > %(since)s
        ORDER BY {place} LIMIT %(limit)s
    ) AS page
    LEFT JOIN fulfilment.order_lines AS line
        ON line.integration = page.integration AND line.order_number = page.order_number
    ORDER BY page.{place}, line.item_id
"""


@dataclass(frozen=True)
class OrderPage:
    """Orders in the order of their positions, each with its lines under `lines`.

    `cursor`: where to go on; the one asked with if there is nothing after it.
    """

    orders: list[dict[str, Any]]
    cursor: int


def export(
    connection: psycopg.Connection[Any],
    integration_key: str,
    *,
    since: int = 0,
    changes: bool = False,
    limit: int | None = None,
) -> OrderPage:
    """Returns orders after a cursor; with `changes` those that changed after they were pulled.

    An order is as it is now; `changes` maps each column that is not as it was when the order was
    pulled to [then, now], and `lines` to item id -> [line then, line now], null where there was
    none. `deleted` is among them once the shop has deleted the order. Money is Decimal, a quantity
    an int, or a float where it has a fraction.
    """
    place = "change_position" if changes else "position"
    query = _QUERY.format(
        place=place,
        orders=", ".join(f"page.{name}" for name in ORDER_COLUMNS),
        lines=", ".join(f"line.{name} AS line_{name}" for name in LINE_COLUMNS[1:]),
    )
    found: list[dict[str, Any]] = []
    with connection.cursor(row_factory=dict_row) as cursor:
        set_json_loads(_exact_json, cursor)
        # One statement, so that a pull cannot come between orders and lines.
        rows = cursor.execute(
            query.encode(), {"shop": integration_key, "since": since, "limit": limit}
        )
        for row in rows:
            if not found or found[-1]["cursor"] != row["cursor"]:
                found.append(_order(row))
            if row["line_item_id"] is not None:
                line = {name: row[f"line_{name}"] for name in LINE_COLUMNS}
                line[QUANTITY] = json_number(line[QUANTITY])
                found[-1]["lines"].append(line)
    return OrderPage(found, found[-1]["cursor"] if found else since)


def write_csv(stream: TextIO, page: OrderPage, *, header: bool = True, raw: bool = False) -> None:
    """Writes RFC 4180: one row a line, an order without lines in one row.

    Args:
        stream: UTF-8, opened with newline="".
        page: of orders.
        header: write it first.
        raw: alter nothing, for machines; else a cell that a spreadsheet would run as a formula gets
            a guard (`spreadsheets`).
    """
    table = Table(stream, raw=raw)
    if header:
        table.row(CSV_COLUMNS)
    for order in page.orders:
        values = _plain(order)
        if values["changes"] is not None:
            values["changes"] = json.dumps(values["changes"], ensure_ascii=False, sort_keys=True)
        head = [values["cursor"], *(values[name] for name in ORDER_COLUMNS)]
        for line in values["lines"] or [{}]:
            table.row([*head, *(_without_exponent(line.get(name)) for name in LINE_COLUMNS)])


def to_json(page: OrderPage) -> dict[str, Any]:
    """Returns the page for any JSON writer: money as text (exact), times as ISO 8601 UTC."""
    return {"orders": [_plain(order) for order in page.orders], "cursor": page.cursor}


def _without_exponent(value: Any) -> Any:
    """Without an exponent, which Python prints for a very small float."""
    return format(Decimal(str(value)), "f") if isinstance(value, float) else value


def _order(row: Mapping[str, Any]) -> dict[str, Any]:
    order: dict[str, Any] = {"cursor": row["cursor"]}
    order.update((name, row[name]) for name in ORDER_COLUMNS)
    if order["changes"] is not None:
        order["changes"] = _money_in(order["changes"])
    return {**order, "lines": []}


def _exact_json(data: str | bytes) -> Any:
    return json.loads(data, parse_float=Decimal)


def _money_in(changes: dict[str, Any]) -> dict[str, Any]:
    """Money in marks as Decimal: JSON has whole amounts as integers. Quantities as in lines."""

    def exact(name: str, value: Any) -> Any:
        if name == QUANTITY:
            return json_number(Decimal(value))
        return Decimal(value) if name in MONEY and value is not None else value

    values: dict[str, Any] = {
        name: [exact(name, value) for value in pair]
        for name, pair in changes.items()
        if name != "lines"
    }
    if "lines" in changes:
        values["lines"] = {
            item: [line and {name: exact(name, line[name]) for name in line} for line in pair]
            for item, pair in changes["lines"].items()
        }
    return values


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value

"""Where stock rules are kept: those of an integration and those of single SKUs.

Also the CSV of rules for SKUs (`sku,buffer,safety_quantity,cap`). Not here: what a rule does to an
amount (`rules`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any

import psycopg

from cscart_pipelines.cscart.quantities import json_number
from cscart_pipelines.fulfilment.feeds.csv_reader import read_csv
from cscart_pipelines.fulfilment.feeds.fields import required_text
from cscart_pipelines.fulfilment.feeds.text import lines_of
from cscart_pipelines.fulfilment.stock.rules import (
    Buffer,
    RuleBook,
    SkuRules,
    StockRules,
    read_buffer,
    read_cap,
    read_number,
)
from cscart_pipelines.spreadsheets import bare

Connection = psycopg.Connection[Any]
READERS: Mapping[str, Callable[[str], Any]] = {
    "buffer": read_buffer,
    "safety_quantity": read_number,
    "cap": read_cap,
}
"""The rules that a SKU may have of its own, and how they are read."""
COLUMNS = ("sku", *READERS)


def read_rules(connection: Connection, integration: str) -> RuleBook:
    """Returns the rules of the integration and of its SKUs."""
    row = connection.execute(
        "SELECT buffer, safety_quantity, cap, subtract_open_orders, most_to_zero"
        " FROM fulfilment.stock_rules WHERE integration = %s",
        [integration],
    ).fetchone()
    general = StockRules(read_buffer(row[0]), *row[1:]) if row else StockRules()
    by_sku = read_sku_rules(connection, integration)
    folded = {sku.casefold(): rules for sku, rules in by_sku.items()}
    return RuleBook(general, {**folded, **by_sku})


def read_sku_rules(connection: Connection, integration: str) -> dict[str, SkuRules]:
    """Returns the rules of single SKUs, by SKU as it was written."""
    rows = connection.execute(
        "SELECT sku, buffer, safety_quantity, cap FROM fulfilment.sku_stock_rules"
        " WHERE integration = %s ORDER BY sku",
        [integration],
    ).fetchall()
    return {
        sku: SkuRules(None if buffer is None else read_buffer(buffer), safety, cap)
        for sku, buffer, safety, cap in rows
    }


def update_rules(connection: Connection, integration: str, changed: Mapping[str, Any]) -> None:
    """Sets rules of the integration by name; concurrent changes are applied one by one."""
    if not changed:
        return
    names = ("buffer", "safety_quantity", "cap", "subtract_open_orders", "most_to_zero")
    values = {name: _stored(value) for name, value in changed.items()}
    with connection.transaction():
        connection.execute(
            "INSERT INTO fulfilment.stock_rules (integration) VALUES (%s) ON CONFLICT DO NOTHING",
            [integration],
        )
        for name in names:
            if name in values:
                connection.execute(
                    f"UPDATE fulfilment.stock_rules SET {name} = %s WHERE integration = %s",  # noqa: S608
                    [values[name], integration],
                )


def replace_sku_rules(
    connection: Connection, integration: str, rules: Mapping[str, SkuRules]
) -> None:
    """Sets the rules of SKUs; what they had before is replaced as a whole."""
    with connection.transaction():
        delete_sku_rules(connection, integration, rules)
        connection.cursor().executemany(
            "INSERT INTO fulfilment.sku_stock_rules"
            " (integration, sku, buffer, safety_quantity, cap) VALUES (%s, %s, %s, %s, %s)",
            [
                [integration, sku, *(_stored(value) for value in vars(each).values())]
                for sku, each in rules.items()
            ],
        )


def delete_sku_rules(connection: Connection, integration: str, skus: Collection[str]) -> int:
    """Deletes the rules of SKUs, whatever their case. Returns how many there were."""
    return connection.execute(
        "DELETE FROM fulfilment.sku_stock_rules WHERE integration = %s AND lower(sku) = ANY(%s)",
        [integration, [sku.lower() for sku in skus]],
    ).rowcount


def read_sku_file(data: bytes) -> dict[str, SkuRules]:
    """Reads rules of SKUs from CSV; an empty cell is the integration's rule, `none` no cap.

    Raises:
        UnreadableFileError: nothing can be read of the file.
        ValueError: with the line; half a file of rules is worse than the old ones.
    """
    unknown: set[str] = set()
    found: dict[str, SkuRules] = {}
    lines_by_sku: dict[str, int] = {}
    for record in read_csv(lines_of(data), COLUMNS, ("sku",), unknown):
        try:
            if unknown:
                raise ValueError(
                    f"unknown columns: {', '.join(sorted(unknown))}; expected {','.join(COLUMNS)}"
                )
            if record.problem is not None:
                raise ValueError(record.problem)
            cells = {name: bare(str(record.cells.get(name, ""))) for name in READERS}
            sku = required_text(record.cells.get("sku", ""), "sku")
            if (first := lines_by_sku.setdefault(sku.lower(), record.line)) != record.line:
                raise ValueError(f"{sku} has rules in line {first} already")
            rules = {name: READERS[name](text) for name, text in cells.items() if text}
            if not rules:
                raise ValueError(f"{sku} has no rule")
        except ValueError as error:
            raise ValueError(f"line {record.line}: {error}") from None
        found[sku] = SkuRules(**rules)
    return found


def shown(value: Any) -> Any:
    """Returns a rule as plain data: a buffer as text, `none` for no cap of a SKU."""
    if isinstance(value, Decimal):
        return json_number(value) if value.is_finite() else "none"
    return str(value) if isinstance(value, Buffer) else value


def _stored(value: Any) -> Any:
    return str(value) if isinstance(value, Buffer) else value

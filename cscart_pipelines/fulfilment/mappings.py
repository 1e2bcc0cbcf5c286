"""Changes of `fulfilment.carriers` and `fulfilment.sku_map`: one shop's words for both.

All inside the caller's transaction. Not here: how a name finds its code when something is written
(`carriers`, `stock.sku_matching`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg.rows import dict_row

from cscart_pipelines.fulfilment.carriers import CarrierMap
from cscart_pipelines.warehouse.driver import Connection

Row = dict[str, Any]
_BUILT_IN = CarrierMap()
"""CS-Cart's own carriers, of which the shop makes the tracking links itself."""


def set_carrier(connection: Connection, integration: str, name: str, code: str) -> None:
    """Maps a carrier's name to a code of the shop ("" for none); `*` is every other name."""
    delete_carrier(connection, integration, name)
    connection.execute(
        "INSERT INTO fulfilment.carriers (integration, name, code, computes_url)"
        " VALUES (%s, %s, %s, %s)",
        [integration, name, code, _BUILT_IN.code_of(code).computes_url],
    )


def delete_carrier(connection: Connection, integration: str, name: str) -> bool:
    """Removes a name; upper and lower case are the same. False if it was not mapped."""
    deleted = connection.execute(
        "DELETE FROM fulfilment.carriers WHERE integration = %s AND lower(name) = lower(%s)",
        [integration, name],
    )
    return deleted.rowcount > 0


def mark_computes_url(connection: Connection, integration: str, name: str) -> bool:
    """Records that the shop makes the tracking links of a carrier. False if it is not mapped."""
    marked = connection.execute(
        "UPDATE fulfilment.carriers SET computes_url = true"
        " WHERE integration = %s AND lower(name) = lower(%s)",
        [integration, name],
    )
    return marked.rowcount > 0


def carrier_rows(connection: Connection, integration: str) -> list[Row]:
    """name, code and computes_url of each mapped carrier; `*` last."""
    return _rows(
        connection,
        "SELECT name, code, computes_url FROM fulfilment.carriers WHERE integration = %s"
        " ORDER BY name = '*', lower(name)",
        integration,
    )


def set_skus(connection: Connection, integration: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Maps SKUs of the feed to product codes of the shop."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO fulfilment.sku_map (integration, sku, product_code)"
            " VALUES (%s, %s, %s) ON CONFLICT (integration, sku)"
            " DO UPDATE SET product_code = excluded.product_code",
            [(integration, sku, code) for sku, code in pairs],
        )


def delete_sku(connection: Connection, integration: str, sku: str) -> bool:
    """Removes a SKU. False if it was not mapped."""
    deleted = connection.execute(
        "DELETE FROM fulfilment.sku_map WHERE integration = %s AND sku = %s", [integration, sku]
    )
    return deleted.rowcount > 0


def sku_rows(connection: Connection, integration: str) -> list[Row]:
    """Sku and product_code of each mapped SKU."""
    return _rows(
        connection,
        "SELECT sku, product_code FROM fulfilment.sku_map WHERE integration = %s ORDER BY sku",
        integration,
    )


def _rows(connection: Connection, query: str, integration: str) -> list[Row]:
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(query.encode(), [integration]).fetchall()

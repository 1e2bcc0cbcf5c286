"""What the tests of the order feed share: shops in the raw tables, made row by row."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cscart_pipelines.fulfilment.orders.pull import PullReport, pull
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.integrations.settings import check
from cscart_pipelines_tests.conftest import Database

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
_keys = itertools.count(1)


def integration_of(key: str, **values: Any) -> Integration:
    """As the registry reads it; nothing is saved."""
    settings = check(
        {"integration": key, "list_name": key, "url": f"https://{key}.example",
         "email": "admin@shop.example", **values}
    )  # fmt: skip
    return Integration(
        settings, Status.ENABLED, None, NOON, 0, False, {}, None, None, NOON, NOON, NOON
    )


def line(item_id: str = "1", **values: Any) -> dict[str, Any]:
    return {"item_id": item_id, "product_id": 7, "product_code": "BAG", "product": "Bag",
            "quantity": 1, "price": Decimal("10.00"), **values}  # fmt: skip


@dataclass
class RawShop:
    """One integration's raw tables, written as a synchronisation leaves them."""

    connection: psycopg.Connection[Any]
    settings: dict[str, Any] = field(default_factory=dict)
    key: str = field(default_factory=lambda: f"raw-{next(_keys)}")

    @property
    def integration(self) -> Integration:
        return integration_of(self.key, **self.settings)

    def order(
        self, order_id: int, lines: Sequence[Mapping[str, Any]] | None = None, **values: Any
    ) -> None:
        """Writes an order whole; `deleted_at` is no part of its hash, as in the real thing."""
        row = {"is_parent_order": False, "status": "P", "total": Decimal("10.00"),
               "ordered_at": NOON, "has_details": True, **values}  # fmt: skip
        lines = [line()] if lines is None else lines
        told = {k: v for k, v in row.items() if k != "deleted_at"}
        row["content_hash"] = hashlib.sha256(repr((sorted(told.items()), lines)).encode()).digest()
        self._write("orders", {"order_id": order_id, **row}, order_id)
        for each in lines:
            self._write("order_lines", {"order_id": order_id, **each}, None)

    def status(self, letter: str, description: str) -> None:
        self._write(
            "statuses",
            {"type": "O", "status": letter, "description": description, "content_hash": b""},
            None,
        )

    def _write(self, table: str, row: Mapping[str, Any], order_id: int | None) -> None:
        if order_id is not None:
            for name in ("order_lines", "orders"):
                self.connection.execute(
                    f"DELETE FROM cscart.{name} WHERE integration = %s AND order_id = %s",
                    [self.key, order_id],
                )
        names = ["integration", *row]
        self.connection.execute(
            f"INSERT INTO cscart.{table} ({', '.join(names)})"
            f" VALUES ({', '.join(['%s'] * len(names))})",
            [self.key, *row.values()],
        )

    def pull(self) -> PullReport:
        return pull(self.connection, self.integration)

    def feed(self) -> dict[int, dict[str, Any]]:
        """The feed by order id, each order with its lines by item id."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            orders = cursor.execute(
                "SELECT * FROM fulfilment.orders WHERE integration = %s", [self.key]
            ).fetchall()
            lines = cursor.execute(
                "SELECT * FROM fulfilment.order_lines WHERE integration = %s", [self.key]
            ).fetchall()
        return {
            one["order_id"]: {
                **one,
                "lines": {
                    each["item_id"]: each
                    for each in lines
                    if each["order_number"] == one["order_number"]
                },
            }
            for one in orders
        }


def raw_shop(database: Database, **settings: Any) -> RawShop:
    return RawShop(database.open_session(), settings)

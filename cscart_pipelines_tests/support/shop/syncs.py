"""What the tests of synchronisation share: a connected sandbox shop, and what its tables must hold.

The expectation is made from the sandbox's own records, field by field, and knows nothing of the
API or of the code that reads it.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row
from pydantic import SecretStr

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.integrations import settings as integration_settings
from cscart_pipelines.integrations.connection import test_connection as probe_connection
from cscart_pipelines.integrations.lifecycle import Action
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.integrations.sync_runs.lock import SyncSession, acquire
from cscart_pipelines.sandbox.api.render_entities import carrier_info
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.sandbox.shop.model import COUNTRIES
from cscart_pipelines.sandbox.shop.store import Store
from cscart_pipelines.settings import Settings
from cscart_pipelines.sync.batch_sizes import BatchSizes
from cscart_pipelines.sync.context import Listener
from cscart_pipelines.sync.run import ENTITIES, SyncReport, synchronise
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines.warehouse.tables import raw as raw_tables
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.shop.sandboxes import NOW, Clock

SMALL = BatchSizes(
    customers=(4, 2, 1),
    products=(4, 2, 1),
    shipments=(4, 2, 1),
    orders_with_details=(4, 2, 1),
    orders=(4, 2, 1),
    orders_one_by_one=(4, 2, 1),
    newest_shipments=2,
    chunk_rows=6,
)
"""So small that a shop of a dozen orders has several pages and chunks."""
RAW = {
    "customers": raw_tables.customers,
    "orders": raw_tables.orders,
    "order_lines": raw_tables.order_lines,
    "products": raw_tables.products,
    "categories": raw_tables.categories,
    "statuses": raw_tables.statuses,
    "shipments": raw_tables.shipments,
}
LOADER_COLUMNS = ("integration", "content_hash", "loaded_at", "deleted_at")
_numbers = itertools.count(1)


@dataclass
class Connected:
    """A shop that is connected to a warehouse under a key of its own."""

    shop: SandboxShop
    warehouse: Warehouse
    settings: Settings
    clock: Clock
    key: str = field(default_factory=lambda: f"shop-{next(_numbers)}")
    parallel: int = 2
    retries: int = 2

    @property
    def registry(self) -> Registry:
        return Registry(self.warehouse, self.settings)

    @property
    def store(self) -> Store:
        return self.shop.store

    def add(self) -> None:
        """Tests the connection and saves the integration."""
        settings = integration_settings.check(
            {
                "integration": self.key,
                "list_name": self.key,
                "url": self.shop.url,
                "email": self.shop.email,
            }
        )
        key = SecretStr(self.shop.api_key)
        found = probe_connection(settings, key)
        self.registry.add(settings, key, found.model_dump(mode="json"))
        self.shop.requests.clear()

    def client(self) -> ShopClient:
        """One that does not wait before it tries again."""
        return ShopClient(
            self.shop.url,
            self.shop.email,
            self.shop.api_key,
            max_parallel=self.parallel,
            retries=self.retries,
            sleep=lambda seconds: None,
        )

    def session(self, *, full: bool = False) -> SyncSession:
        started = self.registry.get(self.key).first_synced_at is not None
        act = Action.RESYNC if started else Action.START
        return acquire(self.warehouse, self.registry, self.key, act, full=full)

    def sync(
        self,
        *,
        full: bool = False,
        sizes: BatchSizes = SMALL,
        entities: Collection[str] = ENTITIES,
        listener: Listener | None = None,
    ) -> SyncReport:
        """One run; what the shop has seen of it is in `shop.requests`."""
        self.shop.requests.clear()
        session = self.session(full=full)
        with session, self.client() as client:
            return synchronise(session, client, entities=entities, listener=listener, sizes=sizes)

    def later(self, hours: float = 1) -> None:
        self.clock.now += hours * 3600

    # --- what is in the warehouse ----------------------------------------------------------------

    def query(self, text: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.connect(autocommit=True) as connection:
            return connection.execute(text, [self.key, *arguments]).fetchall()

    def live(self, name: str) -> dict[Any, dict[str, Any]]:
        """The live rows of a raw table by key, without the columns of the loader."""
        table = RAW[name]
        query = sql.SQL("SELECT * FROM {} WHERE integration = %s").format(
            sql.Identifier(table.schema or "", table.name)
        )
        with self.warehouse.connect(autocommit=True) as connection:
            connection.row_factory = dict_row  # type: ignore[assignment]
            rows: list[Any] = connection.execute(query, [self.key]).fetchall()
        buried: set[int] = set()
        if name == "order_lines":  # they stay with the tombstone of their order
            query_gone = "SELECT order_id FROM cscart.orders WHERE integration = %s"
            buried = {row[0] for row in self.query(query_gone + " AND deleted_at IS NOT NULL")}
        keys = [c.name for c in table.primary_key.columns if c.name != "integration"]
        return {
            tuple(row[key] for key in keys): {
                k: v for k, v in row.items() if k not in LOADER_COLUMNS
            }
            for row in rows
            if not row.get("deleted_at") and row.get("order_id") not in buried
        }

    def versions(self, name: str) -> dict[Any, Any]:
        """Who wrote each row last (xmin): the same before and after means it was not touched."""
        table = RAW[name]
        keys = [c.name for c in table.primary_key.columns if c.name != "integration"]
        columns = ", ".join([*keys, "xmin::text"])
        rows = self.query(f"SELECT {columns} FROM {table.fullname} WHERE integration = %s")
        return {row[:-1]: row[-1] for row in rows}

    def rejects(self, *, resolved: bool = False) -> dict[str, str]:
        rows = self.query(
            "SELECT entity || ' ' || entity_key, reason FROM cscart.rejects WHERE integration = %s"
            " AND (resolved_at IS NOT NULL) = %s",
            resolved,
        )
        return dict(rows)

    def differences(self, *, without: Collection[str] = ()) -> dict[str, Any]:
        """Where the raw tables and the shop differ; empty if they are equal.

        `without`: names of tables, or of single columns as `table.column`.
        """
        found: dict[str, Any] = {}
        for name, expected in expectation(self.store).items():
            if name in without:
                continue
            actual = self.live(name)
            for key in expected.keys() | actual.keys():
                here, there = actual.get(key), expected.get(key)
                if here is None or there is None:
                    found[f"{name} {key}"] = "is too much" if there is None else "is missing"
                    continue
                for column in here.keys() | there.keys():
                    pair = (here.get(column, "no column"), there.get(column, "no column"))
                    if f"{name}.{column}" not in without and pair[0] != pair[1]:
                        found[f"{name} {key} {column}"] = pair
        return found


@contextmanager
def connected(
    database: Database,
    settings: Settings,
    profile: str = "4.20",
    catalogue: Any = "small",
    *,
    parallel: int = 2,
    retries: int = 2,
    **options: Any,
) -> Iterator[Connected]:
    """A sandbox shop at a clock that stands until it is moved, connected and tested."""
    clock = Clock()
    with SandboxShop(profile, catalogue, clock=clock, **options) as shop:
        made = Connected(
            shop, database.warehouse, settings, clock, parallel=parallel, retries=retries
        )
        made.add()
        yield made


def fill_shop(store: Store, *, customers: int = 9, orders: int = 14) -> None:
    """Customers, guests, shipments and an unfinished checkout, all within the last two days."""
    names = [("Ελένη", "Παπαδοπούλου"), ("Łukasz", "Żółć"), ("René", "O'Hara"), ("田中", "太郎")]
    for number in range(customers):
        first, last = names[number % len(names)]
        store.add_customer(
            f"customer{number}@example.com",
            firstname=first,
            lastname=last,
            phone=f"+30210000{number:04d}",
            last_login=NOW - 1000 * number if number % 2 else 0,
            timestamp=NOW - 86_400 * (customers - number),
        )
    users = sorted(store.customers)[1:]
    for number in range(orders):
        buyer = {"user_id": users[number % len(users)]} if number % 3 else {"user_id": 0}
        if not number % 3:
            buyer |= {"email": f"guest{number}@example.com", "firstname": "Zoë"}  # type: ignore[dict-item]
        store.place_order(
            lines=[(number % 6 + 1, number % 3 + 1), ((number + 2) % 6 + 1, 1)],
            timestamp=NOW - 3600 * (orders - number) * 2,
            country=("GR", "DE", "")[number % 3],
            status="N" if number == 5 else "O",
            **buyer,
        )
    shippable = [o for o in store.orders.values() if o.is_parent_order == "N" and o.status == "O"]
    for order in shippable[:5]:
        store.create_shipment(
            order.order_id, carrier="ups", tracking_number=f"1Z {order.order_id}", timestamp=NOW - 9
        )


# --- what the tables must hold -------------------------------------------------------------------


def expectation(store: Store) -> dict[str, dict[Any, dict[str, Any]]]:
    """Every raw table as the shop's records say, by key."""
    profile = store.profile
    orders = [order for order in store.orders.values() if order.is_parent_order == "N"]
    return {
        "customers": {
            (c.user_id,): {
                "user_id": c.user_id,
                "email": c.email or None,
                "firstname": c.firstname or None,
                "lastname": c.lastname or None,
                "phone": c.phone or None,
                "company": c.company or None,
                "company_id": c.company_id or None,
                "status": c.status,
                "registered_at": _moment(c.timestamp),
                "last_login_at": _moment(c.last_login) if profile.last_login else None,
            }
            for c in store.customers.values()
            if c.user_type == "C"
        },
        "orders": {(order.order_id,): _order(store, order) for order in orders},
        "order_lines": {
            (order.order_id, line.item_id): {
                "order_id": order.order_id,
                "item_id": line.item_id,
                "product_id": line.product_id or None,
                "product_code": line.product_code or None,
                "product": line.product or None,
                "quantity": line.amount,
                "price": line.price,
                "base_price": line.price + line.discount,
                "discount": line.discount,
                "subtotal": line.price * line.amount,
                "company_id": line.company_id or None,
                "shipping_method": store.shippings[order.shipping_id],
            }
            for order in orders
            for line in order.lines
        },
        "products": {
            (p.product_id,): {
                "product_id": p.product_id,
                "product_code": p.product_code or None,
                "product": p.product or None,
                "product_type": p.product_type,
                "parent_product_id": (p.parent_product_id or None)
                if profile.raw_product_fields
                else None,
                "status": p.status,
                "company_id": p.company_id or None,
                "amount": p.amount,
                "price": p.price,
                "list_price": p.list_price,
                "tracking": p.tracking,
                "main_category": (p.main_category or None) if profile.rich_product_rows else None,
                "created_at": _moment(p.timestamp),
                "updated_at": _moment(p.updated_timestamp),
            }
            for p in store.products.values()
            if p.main_category  # the list is joined with categories (reference 11.1)
        },
        "categories": {
            (c.category_id,): {
                "category_id": c.category_id,
                "parent_id": c.parent_id or None,
                "category": c.category,
            }
            for c in store.categories.values()
        },
        "statuses": {
            (s.type, s.status): {
                "type": s.type,
                "status": s.status,
                "status_id": s.status_id,
                "description": s.description,
                "inventory": s.inventory or None,
                "payment_received": True if profile.payment_received and s.paid else None,
            }
            for s in store.statuses
            if s.type == "O"
        },
        "shipments": {
            (s.shipment_id,): {
                "shipment_id": s.shipment_id,
                "order_id": s.order_id if s.order_id in store.orders else None,
                "shipped_at": _moment(s.timestamp),
                "status": s.status,
                "tracking_number": s.tracking_number or None,
                "carrier": s.carrier or None,
                "tracking_url": carrier_info(s.carrier, s.tracking_number)["tracking_url"]
                if s.tracking_number and s.carrier
                else None,
                "shipping_id": s.shipping_id,
                "shipping_method": store.shippings[s.shipping_id],
                "comments": s.comments or None,
                "products": s.products or None,
            }
            for s in store.shipments.values()
        },
    }


def _order(store: Store, order: Any) -> dict[str, Any]:
    profile = store.profile
    to, bill = order.ship_to, order.bill_to
    zero = Decimal(0)
    return {
        "order_id": order.order_id,
        "is_parent_order": False,
        "parent_order_id": order.parent_order_id or None,
        "company_id": order.company_id or None,
        "storefront_id": order.storefront_id if profile.storefront_in_detail else None,
        "user_id": order.user_id or None,
        "issuer_id": order.issuer_id or None,
        "email": order.email or None,
        "firstname": order.firstname or None,
        "lastname": order.lastname or None,
        "phone": order.phone or None,
        "company": order.company or None,
        "status": order.status,
        "total": order.total,
        "ordered_at": _moment(order.timestamp),
        "has_details": True,
        "updated_at": _moment(order.updated_at) if profile.updated_at else None,
        "subtotal": sum((line.price * line.amount for line in order.lines), zero),
        "discount": sum((line.discount * line.amount for line in order.lines), zero),
        "subtotal_discount": order.subtotal_discount,
        "shipping_cost": order.shipping_cost,
        "payment_surcharge": zero,
        "tax_total": zero,
        "promotion_ids": order.promotion_ids or None,
        "secondary_currency": order.secondary_currency,
        "lang_code": order.lang_code,
        "shipping_ids": str(order.shipping_id),
        "shipping_method": store.shippings[order.shipping_id],
        "s_firstname": to.firstname or None,
        "s_lastname": to.lastname or None,
        "s_address": to.address or None,
        "s_address_2": to.address_2 or None,
        "s_city": to.city or None,
        "s_state": to.state or None,
        "s_zipcode": to.zipcode or None,
        "s_country": to.country or None,
        "s_country_name": COUNTRIES.get(to.country) or None,
        "s_phone": to.phone or None,
        "b_country": bill.country or None,
        "b_country_name": COUNTRIES.get(bill.country) or None,
    }


def _moment(epoch: int) -> datetime | None:
    return datetime.fromtimestamp(epoch, UTC) if epoch else None

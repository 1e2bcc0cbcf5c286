"""What the tests of fulfilment share: a connected sandbox shop with orders to ship.

The shop's own record (shipments, statuses, mails, requests) is what tests look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import SecretStr

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.fulfilment.journal import State
from cscart_pipelines.fulfilment.push_session import PushFailedError, PushKind, open_push
from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines.fulfilment.shipments.push import push_shipments
from cscart_pipelines.integrations import settings as integration_settings
from cscart_pipelines.integrations.connection import test_connection as probe_connection
from cscart_pipelines.integrations.lifecycle import Action
from cscart_pipelines.integrations.registry import Registry
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines.sandbox.server import API_KEY, SandboxShop
from cscart_pipelines.sandbox.shop.model import Order
from cscart_pipelines.settings import Settings
from cscart_pipelines.sync.run import synchronise
from cscart_pipelines_tests.conftest import Database

ON = {
    "update_tracking_number": True,
    "update_tracking_url": True,
    "update_stock": True,
    "stock_schedule": "0 * * * *",
    "shipped_status": "C",
}


class NeverWaits(ShopClient):
    """As if the run were cancelled whenever it should wait."""

    def pause(self, seconds: float) -> bool:
        return seconds > 0


@dataclass
class Connected:
    """A sandbox shop and its integration, synchronised and enabled."""

    shop: SandboxShop
    database: Database
    settings: Settings
    key: str = "shop"
    api_key: str = API_KEY

    @property
    def registry(self) -> Registry:
        return Registry(self.database.warehouse, self.settings)

    def client(self, hurried: bool = False, **options: Any) -> ShopClient:
        """Impatient, and never waits between two tries; hurried: nor for what is in doubt."""
        options = {"retries": 2, "read_timeout": 10, "sleep": lambda _: None, **options}
        kind = NeverWaits if hurried else ShopClient
        return kind(self.shop.url, self.shop.email, self.api_key, **options)

    def sync(self, act: Action = Action.RESYNC) -> None:
        warehouse = self.database.warehouse
        with acquire(warehouse, self.registry, self.key, act) as session, self.client() as client:
            synchronise(session, client)

    def order(self, *lines: tuple[int, int], **fields: Any) -> Order:
        """An order of (product id, pieces); two pieces of product 1 without lines."""
        return self.shop.store.place_order(lines=list(lines) or [(1, 2)], **fields)

    def ship(self, number: str, tracking: str, sku: str = "", **fields: Any) -> None:
        """A row into the inbox, by SQL as anybody may."""
        row = {"integration": self.key, "order_number": number, "tracking_number": tracking}
        row |= {"sku": sku, **fields}
        columns, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        self.execute(
            f"INSERT INTO fulfilment.shipments ({columns}) VALUES ({marks})", *row.values()
        )

    def push(
        self, kind: PushKind = "shipments", *, client: dict[str, Any] | None = None, **options: Any
    ) -> PushReport:
        """One push; a report also when it failed. `settle` may be among the options."""
        settle = options.pop("settle", 0.0)
        settings = self.settings.model_copy(update={"write_settle_seconds": settle})
        with (
            self.client(**(client or {})) as line,
            open_push(
                kind, self.database.warehouse, self.registry, settings, self.key,
                client=line, **options,
            ) as context,
        ):  # fmt: skip
            try:
                if kind == "shipments":
                    return push_shipments(context)
                from cscart_pipelines.fulfilment.stock.push import push_stock

                return push_stock(context)
            except PushFailedError as error:
                return error.report

    def execute(self, query: str, *values: Any) -> None:
        with self.database.connect() as connection:
            connection.execute(query.encode(), values)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query.encode(), values).fetchall()

    def inbox(self) -> list[tuple[str, str | None]]:
        """State and reason of every row."""
        return self.rows(
            "SELECT state, reason FROM fulfilment.shipments"
            " ORDER BY received_at, order_number, tracking_number, sku"
        )

    def journal(self) -> Counter[tuple[str, str]]:
        """How many entries of which kind ended how."""
        rows = self.rows("SELECT kind, state FROM fulfilment.journal")
        return Counter((kind, state) for kind, state in rows)

    def settled(self) -> bool:
        """Nothing in the journal is planned or in doubt any more."""
        open_states = {State.PLANNED, State.APPLYING, State.AMBIGUOUS}
        return not any(state in open_states for _, state in self.journal())


Connect = Callable[..., Connected]


@pytest.fixture
def connect(warehouse_database: Database, settings: Settings) -> Iterator[Connect]:
    """Connects a sandbox shop of a version, with fulfilment switched on."""
    with ExitStack() as stack:

        def connect_shop(profile: str = "4.20", key: str = "shop", **options: Any) -> Connected:
            catalogue = options.pop("catalogue", "small")
            multivendor = options.pop("multivendor", False)
            shop = stack.enter_context(SandboxShop(profile, catalogue, multivendor=multivendor))
            values = {"list_name": key, "url": shop.url, "email": shop.email, **ON, **options}
            known = integration_settings.check({"integration": key, **values})
            secret = SecretStr(shop.api_key)
            capabilities = probe_connection(known, secret).model_dump(mode="json")
            made = Connected(shop, warehouse_database, settings, key)
            made.registry.add(known, secret, capabilities)
            made.sync(Action.START)
            shop.requests.clear()
            return made

        yield connect_shop

"""A random but repeatable shop with orders, and what its fulfilment system sends, in two waves.

Everything follows from the seed alone. The second wave completes what the first left open. The
products that orders take their stock from are none of those whose stock is fed, so that amounts do
not depend on who comes first.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cscart_pipelines.fulfilment.models import ShipmentRow, StockRow
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.sandbox.shop.model import Order
from cscart_pipelines.sandbox.shop.store import Store

PREFIX = "CS"
SOLD, STOCKED = 20, 700
CARRIERS = ("UPS", "DHL", "GLS", "FedEx", None)
NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


@dataclass
class World:
    """Fills a shop's store, and keeps what is to be sent to it."""

    seed: int
    orders: int
    shipments: tuple[list[ShipmentRow], list[ShipmentRow]] = field(default_factory=lambda: ([], []))
    respelled: list[ShipmentRow] = field(default_factory=list)
    """Rows of the first wave again, with their tracking numbers written in another way."""
    stock: tuple[list[StockRow], list[StockRow]] = field(default_factory=lambda: ([], []))

    def fill(self, store: Store) -> None:
        """To be called once for each shop; always the same."""
        self.shipments, self.stock, self.respelled = ([], []), ([], []), []
        chance = random.Random(self.seed)
        store.add_category("All")
        for number in range(SOLD + STOCKED):
            store.add_product(
                f"Product {number}",
                chance.randint(1, 90),
                product_code=f"P-{number}",
                amount=100_000 if number < SOLD else chance.randint(1, 50),
                main_category=1,
            )
        for _ in range(self.orders):
            self._order(store, chance)
        for wave in self.stock:
            for number in chance.sample(range(SOLD, SOLD + STOCKED), STOCKED - 50):
                # Always above what the shop has: nobody can take one amount for another.
                amount = chance.randint(51, 99) + (100 if wave is self.stock[1] else 0)
                when = NOON.replace(day=1 + (wave is self.stock[1]))
                wave.append(StockRow(f"P-{number}", Decimal(amount), when, f"stock:{number}"))
            wave.append(StockRow("P-0-UNKNOWN", Decimal(3), NOON))

    def _order(self, store: Store, chance: random.Random) -> None:
        lines: list[Any] = []
        for product in chance.sample(range(1, SOLD + 1), chance.randint(1, 3)):
            lines.append({"product_id": product, "amount": chance.randint(1, 4)})
            if chance.random() < 0.2:  # the same product with other options
                item = str(1_000_000 + product)
                lines.append({"product_id": product, "amount": 2, "item_id": item})
        order = store.place_order(
            lines=lines,
            status=chance.choices("OPI", (80, 12, 8))[0],
            email=f"customer{len(store.orders)}@example.com",
            subtotal_discount=chance.choice((Decimal(0), Decimal("1.50"))),
        )
        kind = chance.choices(("all", "several", "partial", "bad"), (20, 45, 30, 5))[0]
        if kind == "all":
            self._row(chance, 0, order, "A")
        elif kind == "bad":
            self._row(chance, 0, order, "X", order.lines[0].product_code, 999)
            self._row(chance, 0, order, "Y", "NO-SUCH", 1)
        else:
            self._pieces(chance, order, later=kind == "partial")

    def _pieces(self, chance: random.Random, order: Order, *, later: bool) -> None:
        """Every product in one parcel or two; `later`: some of them in the second wave."""
        pieces: dict[str, int] = {}
        for line in order.lines:
            pieces[line.product_code] = pieces.get(line.product_code, 0) + line.amount
        for place, (code, total) in enumerate(pieces.items()):
            wave = int(later and place > 0)
            first = chance.randint(1, total)
            self._row(chance, wave, order, chance.choice((f"{place}", "S")), code, first)
            if first < total:
                wave = int(later)
                self._row(chance, wave, order, f"{place}R", code, total - first)

    def _row(
        self,
        chance: random.Random,
        wave: int,
        order: Order,
        name: str,
        sku: str = "",
        quantity: int | None = None,
    ) -> None:
        # Both waves may send rows of the parcel S; the number alone does not tell which is there.
        tracking = f"T{order.order_id}-{name}" + ("L" if wave and name != "S" else "")
        picker = random.Random(tracking)
        url = f"https://track.example/{tracking}" if picker.random() < 0.3 else None
        row = ShipmentRow(
            f"{PREFIX}{order.order_id}",
            tracking,
            sku,
            None if quantity is None else Decimal(quantity),
            picker.choice(CARRIERS),
            url,
            source=f"wave{wave}",
        )
        self.shipments[wave].append(row)
        if wave == 0 and quantity is not None and chance.random() < 0.1:
            spelled = tracking.lower().replace("-", " ")
            self.respelled.append(
                ShipmentRow(row.order_number, spelled, sku, row.quantity, row.carrier, url)
            )


def shop_state(shop: SandboxShop) -> dict[str, Any]:
    """What a shop is like after all, without what depends on who came first."""
    store = shop.store
    orders = {}
    for key, order in store.orders.items():
        shipments = [
            (s.tracking_number, s.carrier, s.comments, tuple(sorted(s.products.items())))
            for s in store.shipments_of(key)
        ]
        orders[key] = (order.status, order.total, sorted(shipments))
    return {
        "orders": orders,
        "amounts": {key: product.amount for key, product in store.products.items()},
        "mails": sorted((m.kind, m.to, m.order_id or 0, m.subject) for m in shop.mails),
    }

"""Target amounts of products, from a feed or from an undo, and whether they can be written.

Not here: working the amounts out (`rules`), writing them (`writer`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cscart_pipelines.cscart.quantities import json_number
from cscart_pipelines.cscart.stock_reads import ProductStock
from cscart_pipelines.fulfilment.journal import Kind, State
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow, WrittenChange
from cscart_pipelines.fulfilment.stock.inbox import StockLevel
from cscart_pipelines.fulfilment.stock.sku_matching import unwritable_reason
from cscart_pipelines.integrations.limit import Limit

SPLIT = "split by warehouses"
"""Reasons that begin so keep a product from being written again for a while."""
IS_SPLIT = (
    f"{SPLIT}: the shop took the amount and did not change it, as it does with products whose stock"
    " is kept by warehouse"
)


@dataclass(frozen=True)
class StockTarget:
    """The target amount of one product.

    Attributes:
        name: the journal's target: the SKU.
        amount_at: the amount to write, from what the shop has just now.
        level: of the inbox; None for an undo.
    """

    name: str
    product_id: int
    product_code: str
    amount_at: Callable[[Decimal], Decimal]
    level: StockLevel | None = None
    plan: dict[str, Any] | None = None
    """What else the journal shall remember."""
    note: str | None = None
    """Which rules had an effect, or what else an operator should know."""

    @property
    def feed(self) -> int | float | None:
        """Stock on hand as the feed has it; None for an undo."""
        on_hand = self.level.quantity if self.level else None
        return None if on_hand is None else json_number(on_hand)


def write_obstacle(product: ProductStock | None, product_code: str, limit: Limit) -> str | None:
    """Returns why the product, as the shop has it now, is not written to; None if it may be."""
    if product is None:
        return "the shop has no such product any more"
    if product.product_code.strip().casefold() != product_code.strip().casefold():
        return f"the product has another code now: {product.product_code!r}"
    if not limit.takes_company(product.company_id):
        only = ", ".join(map(str, limit.companies))
        return f"the product belongs to company {product.company_id}; taken is only {only}"
    if product.amount is None:
        return "the shop does not show the amount of this product"
    return unwritable_reason(product.tracking, product.product_type)


def preview(
    report: PushReport,
    targets: Iterable[StockTarget],
    shop_stock: dict[int, ProductStock],
    limit: Limit,
) -> None:
    """Adds what `StockWriter.write` would do to the report; nothing is journalled or written."""
    for target in targets:
        product = shop_stock.get(target.product_id)
        reason = write_obstacle(product, target.product_code, limit)
        source = target.level.source if target.level else None
        if reason is not None or product is None or product.amount is None:
            report.refusals.append(RefusedRow(target.name, reason or "", source))
            continue
        before = {"amount": json_number(product.amount)}
        after = {"amount": json_number(target.amount_at(product.amount))}
        if before == after:
            report.unchanged += 1
        else:
            report.changes.append(
                WrittenChange(
                    str(Kind.STOCK),
                    target.name,
                    str(State.PLANNED),
                    before,
                    after,
                    target.note,
                    target.feed,
                )
            )

"""What a run that ended has left in the journal of stock: read back before anything is written.

Not here: unconfirmed writes of the run that is under way (`writer`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from cscart_pipelines.cscart.quantities import from_json, json_number, tidy
from cscart_pipelines.cscart.stock_reads import ProductStock, read_amounts
from cscart_pipelines.fulfilment.journal import Entry, Kind, State
from cscart_pipelines.fulfilment.push_session import PushContext
from cscart_pipelines.fulfilment.report import PushReport, WrittenChange
from cscart_pipelines.fulfilment.stock import inbox as stock_inbox
from cscart_pipelines.fulfilment.stock.rules import explained_by_orders

NEVER_SENT = "planned by a run that ended"
SEEN_IN_SHOP = "written by a run that ended; seen in the shop"
NOT_APPLIED = "not applied"


@dataclass
class UnconfirmedWrites:
    """What is left alone in this push: a write to it may still be on its way."""

    products: set[int] = field(default_factory=set)
    targets: set[str] = field(default_factory=set)

    def holds(self, target: str, product_id: int | None) -> bool:
        """True if a write to the target or the product is unconfirmed."""
        return target in self.targets or product_id in self.products


def reconcile_open_entries(context: PushContext, report: PushReport) -> UnconfirmedWrites:
    """Finishes entries that are seen in the shop, or older than the settling time and not seen.

    Rows of entries that were not applied wait as before.

    Raises:
        ShopError: the shop could not be read.
    """
    context.journal.mark_unanswered(Kind.STOCK)  # nothing of this run is on its way yet
    unconfirmed = UnconfirmedWrites()
    entries: list[Entry] = []
    for entry in context.journal.open_entries(Kind.STOCK):
        if entry.unconfirmed:
            entries.append(entry)
        else:
            context.journal.finish(entry, State.SKIPPED, reason=NEVER_SENT)
    ids = {entry.product_id for entry in entries if entry.product_id is not None}
    shop_stock = read_amounts(context.client, ids)
    for entry in entries:
        if not _reconcile(context, report, entry, shop_stock.get(entry.product_id or 0)):
            unconfirmed.targets.add(entry.target)
            unconfirmed.products |= {entry.product_id} if entry.product_id is not None else set()
    if unconfirmed.targets:
        names = ", ".join(sorted(unconfirmed.targets)[:5])
        more = ", …" if len(unconfirmed.targets) > 5 else ""
        report.notes.append(
            f"an earlier write is still unconfirmed, so nothing is written to: {names}{more}"
        )
    return unconfirmed


def read_unconfirmed(context: PushContext) -> UnconfirmedWrites:
    """Returns the same without changing anything, for a dry run."""
    entries = [entry for entry in context.journal.open_entries(Kind.STOCK) if entry.unconfirmed]
    products = {entry.product_id for entry in entries if entry.product_id is not None}
    return UnconfirmedWrites(products, {entry.target for entry in entries})


def _reconcile(
    context: PushContext, report: PushReport, entry: Entry, product: ProductStock | None
) -> bool:
    now = None if product is None else product.amount
    planned = from_json(entry.plan["amount"])
    before = (entry.before or {}).get("amount")
    old = (entry.seconds_since_sent or 0.0) >= context.settling_seconds
    if now == planned:
        _verified(context, report, entry, now, SEEN_IN_SHOP)
    elif not old:
        return False
    elif (
        now is not None
        and before is not None
        and explained_by_orders(from_json(before), planned, now)
    ):
        _verified(
            context, report, entry, now, f"{SEEN_IN_SHOP}, {tidy(planned - now)} ordered since"
        )
    else:
        context.journal.finish(entry, State.FAILED, reason=NOT_APPLIED)
    return True


def _verified(
    context: PushContext, report: PushReport, entry: Entry, now: Decimal, reason: str
) -> None:
    after: dict[str, Any] = {"amount": json_number(now)}
    with context.journal.transaction() as connection:
        context.journal.finish(entry, State.VERIFIED, after=after, reason=reason)
        if (row := entry.plan.get("row")) is not None:
            stock_inbox.update_state(
                connection, entry.integration, entry.target, row, "done", journal_id=entry.id
            )
    report.changes.append(
        WrittenChange(
            str(Kind.STOCK), entry.target, str(State.VERIFIED), entry.before, after, reason
        )
    )

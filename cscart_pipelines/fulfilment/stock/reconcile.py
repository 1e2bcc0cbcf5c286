"""What a run that died has left in the journal of stock: looked up before anything is written.

Not here: doubts of the run that is under way (`stock_writer`).
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
from cscart_pipelines.fulfilment.stock.rules import orders_explain

NEVER_SENT = "planned by a run that ended"
SEEN = "written by a run that ended; seen in the shop"
NOT_APPLIED = "not applied"


@dataclass
class UnconfirmedWrites:
    """What is left alone in this push: perhaps a write to it is still on its way."""

    products: set[int] = field(default_factory=set)
    targets: set[str] = field(default_factory=set)

    def holds(self, target: str, product_id: int | None) -> bool:
        return target in self.targets or product_id in self.products


def settle_open(context: PushContext, report: PushReport) -> UnconfirmedWrites:
    """Ends what can be ended: seen in the shop, or older than the settling time and not seen.

    Rows of entries that were not applied wait as before. Raises ShopError.
    """
    context.journal.doubt_unanswered(Kind.STOCK)  # nothing of this run is on its way yet
    doubtful = UnconfirmedWrites()
    doubts: list[Entry] = []
    for entry in context.journal.open_entries(Kind.STOCK):
        if entry.in_doubt:
            doubts.append(entry)
        else:
            context.journal.finish(entry, State.SKIPPED, reason=NEVER_SENT)
    ids = {entry.product_id for entry in doubts if entry.product_id is not None}
    live = read_amounts(context.client, ids)
    for entry in doubts:
        if not _settle(context, report, entry, live.get(entry.product_id or 0)):
            doubtful.targets.add(entry.target)
            doubtful.products |= {entry.product_id} if entry.product_id is not None else set()
    if doubtful.targets:
        names = ", ".join(sorted(doubtful.targets)[:5])
        more = ", …" if len(doubtful.targets) > 5 else ""
        report.notes.append(
            f"an earlier write is still in doubt, so nothing is written to: {names}{more}"
        )
    return doubtful


def still_open(context: PushContext) -> UnconfirmedWrites:
    """The same without changing anything: everything in doubt counts as such. For a dry run."""
    doubts = [entry for entry in context.journal.open_entries(Kind.STOCK) if entry.in_doubt]
    products = {entry.product_id for entry in doubts if entry.product_id is not None}
    return UnconfirmedWrites(products, {entry.target for entry in doubts})


def _settle(
    context: PushContext, report: PushReport, entry: Entry, product: ProductStock | None
) -> bool:
    now = None if product is None else product.amount
    planned = from_json(entry.plan["amount"])
    before = (entry.before or {}).get("amount")
    old = (entry.seconds_since_sent or 0.0) >= context.settle
    if now == planned:
        _verified(context, report, entry, now, SEEN)
    elif not old:
        return False
    elif now is not None and before is not None and orders_explain(from_json(before), planned, now):
        _verified(context, report, entry, now, f"{SEEN}, {tidy(planned - now)} ordered since")
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
            stock_inbox.settle(
                connection, entry.integration, entry.target, row, "done", journal_id=entry.id
            )
    report.changes.append(
        WrittenChange(
            str(Kind.STOCK), entry.target, str(State.VERIFIED), entry.before, after, reason
        )
    )

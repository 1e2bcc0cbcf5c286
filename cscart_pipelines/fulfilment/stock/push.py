"""Stock on hand into the shop: which rows, which products, which amounts, and whether at all.

One push settles what an earlier run left open, matches rows to products, works the amounts out,
compares them with the shop, asks the circuit breaker, and writes what differs. Not here: each of
those steps (`stock_doubts`, `stock_matching`, `stock_rules`, `stock_breaker`, `stock_writer`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from cscart_pipelines.cscart.errors import ShopError
from cscart_pipelines.cscart.stock_reads import ProductStock, read_amounts
from cscart_pipelines.fulfilment.models import StockRow
from cscart_pipelines.fulfilment.push_session import PushContext, count, finish
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow
from cscart_pipelines.fulfilment.stock import circuit_breaker
from cscart_pipelines.fulfilment.stock import inbox as stock_inbox
from cscart_pipelines.fulfilment.stock.inbox import RELEASED, Level
from cscart_pipelines.fulfilment.stock.open_orders import (
    OpenOrders,
    read_open_orders,
    stock_holding_statuses,
)
from cscart_pipelines.fulfilment.stock.reconcile import UnconfirmedWrites, settle_open, still_open
from cscart_pipelines.fulfilment.stock.rule_book import read_rules
from cscart_pipelines.fulfilment.stock.rules import RefusedLevelError, amount_for
from cscart_pipelines.fulfilment.stock.sku_matching import (
    UNKNOWN,
    Catalogue,
    CatalogueProduct,
    NoMatchError,
    read_catalogue,
    unfit,
)
from cscart_pipelines.fulfilment.stock.targets import SPLIT, StockTarget, preview
from cscart_pipelines.fulfilment.stock.writer import StockWriter

SPLIT_FOR_DAYS = 7
"""So long a product that was found split by warehouses is not tried again."""


def push_stock(
    context: PushContext, rows: list[StockRow] | None = None, *, release: bool = False
) -> PushReport:
    """Brings the inbox of stock levels into the shop, at most `context.limit` of them.

    `rows`: instead of the inbox, in a dry run only. `release`: what is held now, or `rows`, is let
    through the circuit breaker; what merely waits is judged as always.

    Raises ShopError when the shop is in trouble (the rest waits; the report so far is in
    `context.begun`), and PushFailedError with the report when something failed, is in doubt, or is
    held.
    """
    if rows is not None and not context.dry_run:
        raise ValueError("rows are for a dry run; for real they go through the inbox")
    started, calls = time.monotonic(), context.client.stats.calls
    push = _StockPush(context)
    context.begun.append(push.report)
    try:
        push.run(rows, release=release)
    except ShopError:
        if not context.dry_run:
            waiting = stock_inbox.waiting_count(context.journal.connection, push.report.integration)
            push.report.waiting = waiting
        count(push.report, context.client, started, calls)
        raise
    return finish(push.report, context.client, started, calls)


class _StockPush:
    def __init__(self, context: PushContext) -> None:
        self._context = context
        self._connection = context.journal.connection
        self._key = context.integration.key
        self._rules = read_rules(self._connection, self._key)
        self.report = PushReport(self._key, "stock", dry_run=context.dry_run)

    def run(self, rows: list[StockRow] | None, *, release: bool) -> None:
        dry_run = self._context.dry_run
        doubtful = still_open(self._context) if dry_run else settle_open(self._context, self.report)
        if release and not dry_run:
            with self._context.journal.transaction() as connection:
                stock_inbox.release(connection, self._key)
        levels = self._levels(rows, release=release)
        if not levels:
            return
        catalogue = read_catalogue(self._connection, self._key)
        wishes = self._wishes(self._matched(levels, catalogue, doubtful), catalogue)
        now, later = self._limited(wishes)
        live = read_amounts(self._context.client, [wish.product_id for wish in now])
        judged = [wish for wish in wishes if wish.level and not wish.level.released]
        if (reason := self._held(catalogue, judged, live)) is not None:
            self.report.held = reason
            if not dry_run:  # in a dry run people want to see what it is about
                self._hold(judged, reason)
                held = {wish.target for wish in judged}
                now = [wish for wish in now if wish.target not in held]
                later = [wish for wish in later if wish.target not in held]
        self.report.waiting += len(later)
        if dry_run:
            preview(self.report, now, live, self._context.settings.limit)
        else:
            StockWriter(self._context, self.report).write(now, live)

    # --- which rows, which products --------------------------------------------------------------

    def _levels(self, rows: list[StockRow] | None, *, release: bool) -> list[Level]:
        """A dry run of a release has marked nothing: here the levels look as if it had."""
        if rows is None:
            levels = stock_inbox.candidates(self._connection, self._key, held=release)
            return [replace(o, reason=RELEASED) if o.state == "held" else o for o in levels]
        received, reason = datetime.now(UTC), RELEASED if release else None
        return [
            Level(r.sku, r.quantity, r.as_of or received, r.source, reason=reason) for r in rows
        ]

    def _matched(
        self, levels: Sequence[Level], catalogue: Catalogue, doubtful: UnconfirmedWrites
    ) -> list[tuple[Level, CatalogueProduct]]:
        """The levels that may be written, with their products; the others are refused or wait."""
        found: list[tuple[Level, CatalogueProduct]] = []
        refused: list[tuple[Level, str]] = []
        split = self._split_products()
        for level in levels:
            try:
                product = catalogue.match(level.sku)
            except NoMatchError as error:
                if level.state != "refused" or not str(error).startswith(UNKNOWN):
                    refused.append((level, str(error)))
                continue
            if doubtful.holds(level.sku, product.product_id):
                self.report.waiting += 1
            elif product.product_id in split:
                refused.append((level, f"{SPLIT}, as was found on {split[product.product_id]}"))
            else:
                found.append((level, product))
        # Two SKUs of one product contradict each other, even where they agree today.
        skus: dict[int, list[str]] = {}
        for level, product in found:
            skus.setdefault(product.product_id, []).append(level.sku)
        for level, product in found:
            if others := [sku for sku in skus[product.product_id] if sku != level.sku]:
                reason = f"another SKU is the same product: {', '.join(others[:5])}"
                refused.append((level, reason))
        self._refuse(refused)
        return [(level, p) for level, p in found if len(skus[p.product_id]) == 1]

    def _split_products(self) -> dict[int, str]:
        """Products found split by warehouses lately, with the day."""
        rows = self._connection.execute(
            "SELECT product_id, max(finished_at) FROM fulfilment.journal WHERE integration = %s"
            " AND kind = 'stock' AND state = 'skipped' AND starts_with(reason, %s)"
            " AND finished_at > clock_timestamp() - make_interval(days => %s) GROUP BY product_id",
            [self._key, SPLIT, SPLIT_FOR_DAYS],
        ).fetchall()
        return {product_id: f"{when.astimezone(UTC):%Y-%m-%d}" for product_id, when in rows}

    def _refuse(self, refused: Sequence[tuple[Level, str]]) -> None:
        if not refused:
            return
        self.report.refusals += [RefusedRow(each.sku, why, each.source) for each, why in refused]
        self._mark([(level, "refused", why) for level, why in refused])

    def _mark(self, outcomes: Sequence[tuple[Level, str, str | None]]) -> None:
        if not self._context.dry_run:
            with self._context.journal.transaction() as connection:
                stock_inbox.settle_all(connection, self._key, outcomes)

    # --- which amounts ---------------------------------------------------------------------------

    def _wishes(
        self, matched: Sequence[tuple[Level, CatalogueProduct]], catalogue: Catalogue
    ) -> list[StockTarget]:
        orders = self._orders(matched)
        wishes: list[StockTarget] = []
        refused: list[tuple[Level, str]] = []
        for level, product in matched:
            ordered = orders.pieces(product.product_id, level.as_of)
            try:
                rules = self._rules.of(level.sku, product.product_code)
                amount = amount_for(level.quantity, rules, ordered, fractions=catalogue.fractions)
            except RefusedLevelError as error:
                refused.append((level, str(error)))
                continue
            wishes.append(
                StockTarget(
                    level.sku,
                    product.product_id,
                    product.product_code,
                    _always(amount.value),
                    level,
                    note=amount.note,
                )
            )
        self._refuse(refused)
        return wishes

    def _orders(self, matched: Sequence[tuple[Level, CatalogueProduct]]) -> OpenOrders:
        if not self._rules.general.subtract_open_orders or not matched:
            return OpenOrders()
        found = read_open_orders(
            self._context.client,
            self._context.integration.capabilities or {},
            stock_holding_statuses(self._connection, self._key),
            min(level.as_of for level, _ in matched),
        )
        self.report.notes += found.notes
        return found

    def _limited(self, wishes: list[StockTarget]) -> tuple[list[StockTarget], list[StockTarget]]:
        most = len(wishes) if self._context.limit is None else self._context.limit
        return wishes[:most], wishes[most:]

    # --- whether at all --------------------------------------------------------------------------

    def _held(
        self, catalogue: Catalogue, judged: Sequence[StockTarget], live: dict[int, ProductStock]
    ) -> str | None:
        """Judged is what the feed says, before any rule; and everything that waits, not only what
        the limit lets through now: a feed that empties the shop is not let through in slices."""
        amounts = {
            product.product_id: product.amount
            for product in catalogue.products
            if unfit(product.tracking, product.product_type) is None
        }
        amounts |= {product_id: product.amount for product_id, product in live.items()}
        on_hand = {
            wish.product_id: wish.level.quantity
            for wish in judged
            if wish.level and wish.level.quantity is not None
        }
        return circuit_breaker.judge(amounts, on_hand, self._rules.general.most_to_zero).held

    def _hold(self, judged: Sequence[StockTarget], reason: str) -> None:
        self.report.waiting += len(judged)
        with self._context.journal.transaction() as connection:
            stock_inbox.hold(connection, self._key, [w.level for w in judged if w.level], reason)


def _always(amount: Decimal) -> Callable[[Decimal], Decimal]:
    return lambda _now: amount

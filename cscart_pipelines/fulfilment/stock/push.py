"""Push of stock levels to one shop: which rows, products and amounts, and whether at all.

A push reconciles what an earlier run left open, matches rows to products, works the amounts out,
compares them with the shop, asks the circuit breaker, and writes what differs. Not here: the steps
(`reconcile`, `sku_matching`, `rules`, `circuit_breaker`, `writer`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from cscart_pipelines.cscart.errors import ShopError
from cscart_pipelines.cscart.stock_reads import ProductStock, read_amounts
from cscart_pipelines.fulfilment.models import StockRow
from cscart_pipelines.fulfilment.push_session import PushContext, finish, record_cost
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow
from cscart_pipelines.fulfilment.stock import circuit_breaker
from cscart_pipelines.fulfilment.stock import inbox as stock_inbox
from cscart_pipelines.fulfilment.stock.inbox import RELEASED, StockLevel
from cscart_pipelines.fulfilment.stock.open_orders import (
    OpenOrders,
    read_open_orders,
    stock_holding_statuses,
)
from cscart_pipelines.fulfilment.stock.reconcile import (
    UnconfirmedWrites,
    read_unconfirmed,
    reconcile_open_entries,
)
from cscart_pipelines.fulfilment.stock.rule_book import read_rules
from cscart_pipelines.fulfilment.stock.rules import RefusedLevelError, amount_for
from cscart_pipelines.fulfilment.stock.sku_matching import (
    UNKNOWN,
    Catalogue,
    CatalogueProduct,
    NoMatchError,
    read_catalogue,
    unwritable_reason,
)
from cscart_pipelines.fulfilment.stock.targets import SPLIT, StockTarget, preview
from cscart_pipelines.fulfilment.stock.writer import StockWriter

SPLIT_RETRY_DAYS = 7
"""Days for which a product that was found split by warehouses is not tried again."""


def push_stock(
    context: PushContext, rows: list[StockRow] | None = None, *, release: bool = False
) -> PushReport:
    """Pushes the inbox of stock levels to the shop, at most `context.limit` of them.

    Args:
        context: of the push session.
        rows: instead of the inbox; in a dry run only.
        release: what is held now, or `rows`, passes the circuit breaker; waiting rows do not.

    Raises:
        ShopError: the shop does not work. The rest waits; the report so far is in
            `context.reports`.
        PushFailedError: with the report, when something failed, is unconfirmed, or is held.
    """
    if rows is not None and not context.dry_run:
        raise ValueError("rows are for a dry run; for real they go through the inbox")
    started, calls = time.monotonic(), context.client.stats.calls
    push = _StockPush(context)
    context.reports.append(push.report)
    try:
        push.run(rows, release=release)
    except ShopError:
        if not context.dry_run:
            waiting = stock_inbox.waiting_count(context.journal.connection, push.report.integration)
            push.report.waiting = waiting
        record_cost(push.report, context.client, started, calls)
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
        unconfirmed = (
            read_unconfirmed(self._context)
            if dry_run
            else reconcile_open_entries(self._context, self.report)
        )
        if release and not dry_run:
            with self._context.journal.transaction() as connection:
                stock_inbox.release(connection, self._key)
        levels = self._levels(rows, release=release)
        if not levels:
            return
        catalogue = read_catalogue(self._connection, self._key)
        targets = self._targets(self._matched(levels, catalogue, unconfirmed), catalogue)
        now, later = self._split_at_limit(targets)
        shop_stock = read_amounts(self._context.client, [target.product_id for target in now])
        unreleased = [target for target in targets if target.level and not target.level.released]
        if (reason := self._hold_reason(catalogue, unreleased, shop_stock)) is not None:
            self.report.held = reason
            if not dry_run:  # a dry run shows what would be held
                self._hold(unreleased, reason)
                held = {target.name for target in unreleased}
                now = [target for target in now if target.name not in held]
                later = [target for target in later if target.name not in held]
        self.report.waiting += len(later)
        if dry_run:
            preview(self.report, now, shop_stock, self._context.settings.limit)
        else:
            StockWriter(self._context, self.report).write(now, shop_stock)

    # --- which rows, which products --------------------------------------------------------------

    def _levels(self, rows: list[StockRow] | None, *, release: bool) -> list[StockLevel]:
        """The levels to push; in a dry run of a release, which marks nothing, as if released."""
        if rows is None:
            levels = stock_inbox.candidates(self._connection, self._key, held=release)
            return [replace(o, reason=RELEASED) if o.state == "held" else o for o in levels]
        received, reason = datetime.now(UTC), RELEASED if release else None
        return [
            StockLevel(r.sku, r.quantity, r.as_of or received, r.source, reason=reason)
            for r in rows
        ]

    def _matched(
        self, levels: Sequence[StockLevel], catalogue: Catalogue, unconfirmed: UnconfirmedWrites
    ) -> list[tuple[StockLevel, CatalogueProduct]]:
        """The levels that may be written, with their products; the others are refused or wait."""
        found: list[tuple[StockLevel, CatalogueProduct]] = []
        refused: list[tuple[StockLevel, str]] = []
        split = self._split_products()
        for level in levels:
            try:
                product = catalogue.match(level.sku)
            except NoMatchError as error:
                if level.state != "refused" or not str(error).startswith(UNKNOWN):
                    refused.append((level, str(error)))
                continue
            if unconfirmed.holds(level.sku, product.product_id):
                self.report.waiting += 1
            elif product.product_id in split:
                refused.append((level, f"{SPLIT}, as was found on {split[product.product_id]}"))
            else:
                found.append((level, product))
        outdated = self._outdated(found, catalogue)
        refused += outdated.items()
        found = [each for each in found if each[0] not in outdated]
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

    def _outdated(
        self, found: Sequence[tuple[StockLevel, CatalogueProduct]], catalogue: Catalogue
    ) -> dict[StockLevel, str]:
        """Levels of products that have a newer count, under another SKU; with the reason.

        A SKU that was unknown may have been mapped since, to a product that is fed by its code.
        """
        if not found:
            return {}
        oldest = min(level.as_of for level, _ in found)
        newer: dict[int, tuple[datetime, str]] = {}
        for sku, as_of in stock_inbox.counted_after(self._connection, self._key, oldest):
            with contextlib.suppress(NoMatchError):
                product_id = catalogue.match(sku).product_id
                newer[product_id] = max((as_of, sku), newer.get(product_id, (as_of, sku)))
        outdated: dict[StockLevel, str] = {}
        for level, product in found:
            as_of, sku = newer.get(product.product_id, (level.as_of, level.sku))
            if as_of > level.as_of and sku != level.sku:
                when = f"{as_of.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
                outdated[level] = f"older than what {sku} says of the same product (counted {when})"
        return outdated

    def _split_products(self) -> dict[int, str]:
        """Products found split by warehouses lately, with the day."""
        rows = self._connection.execute(
            "SELECT product_id, max(finished_at) FROM fulfilment.journal WHERE integration = %s"
            " AND kind = 'stock' AND state = 'skipped' AND starts_with(reason, %s)"
            " AND finished_at > clock_timestamp() - make_interval(days => %s) GROUP BY product_id",
            [self._key, SPLIT, SPLIT_RETRY_DAYS],
        ).fetchall()
        return {product_id: f"{when.astimezone(UTC):%Y-%m-%d}" for product_id, when in rows}

    def _refuse(self, refused: Sequence[tuple[StockLevel, str]]) -> None:
        if not refused:
            return
        self.report.refusals += [RefusedRow(each.sku, why, each.source) for each, why in refused]
        self._update_states([(level, "refused", why) for level, why in refused])

    def _update_states(self, outcomes: Sequence[tuple[StockLevel, str, str | None]]) -> None:
        if not self._context.dry_run:
            with self._context.journal.transaction() as connection:
                stock_inbox.update_states(connection, self._key, outcomes)

    # --- which amounts ---------------------------------------------------------------------------

    def _targets(
        self, matched: Sequence[tuple[StockLevel, CatalogueProduct]], catalogue: Catalogue
    ) -> list[StockTarget]:
        orders = self._orders(matched)
        targets: list[StockTarget] = []
        refused: list[tuple[StockLevel, str]] = []
        for level, product in matched:
            ordered = orders.pieces(product.product_id, level.as_of)
            try:
                rules = self._rules.of(level.sku, product.product_code)
                amount = amount_for(level.quantity, rules, ordered, fractions=catalogue.fractions)
            except RefusedLevelError as error:
                refused.append((level, str(error)))
                continue
            targets.append(
                StockTarget(
                    level.sku,
                    product.product_id,
                    product.product_code,
                    _constant(amount.value),
                    level,
                    note=amount.note,
                )
            )
        self._refuse(refused)
        return targets

    def _orders(self, matched: Sequence[tuple[StockLevel, CatalogueProduct]]) -> OpenOrders:
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

    def _split_at_limit(
        self, targets: list[StockTarget]
    ) -> tuple[list[StockTarget], list[StockTarget]]:
        most = len(targets) if self._context.limit is None else self._context.limit
        return targets[:most], targets[most:]

    # --- whether at all --------------------------------------------------------------------------

    def _hold_reason(
        self,
        catalogue: Catalogue,
        unreleased: Sequence[StockTarget],
        shop_stock: dict[int, ProductStock],
    ) -> str | None:
        """Why the circuit breaker holds the feed; None if it does not.

        It sees what the feed says, before any rule, and everything that waits, not only what the
        limit lets through now: a feed that empties the shop is not let through in slices.
        """
        amounts = {
            product.product_id: product.amount
            for product in catalogue.products
            if unwritable_reason(product.tracking, product.product_type) is None
        }
        amounts |= {product_id: product.amount for product_id, product in shop_stock.items()}
        on_hand = {
            target.product_id: target.level.quantity
            for target in unreleased
            if target.level and target.level.quantity is not None
        }
        return circuit_breaker.evaluate(amounts, on_hand, self._rules.general.most_to_zero).held

    def _hold(self, unreleased: Sequence[StockTarget], reason: str) -> None:
        self.report.waiting += len(unreleased)
        with self._context.journal.transaction() as connection:
            stock_inbox.hold(
                connection,
                self._key,
                [target.level for target in unreleased if target.level],
                reason,
            )


def _constant(amount: Decimal) -> Callable[[Decimal], Decimal]:
    return lambda _now: amount

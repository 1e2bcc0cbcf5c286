"""Amounts into the shop, exactly once each: journal, write, read back, again where it is safe.

Takes targets from a feed or an undo. A chunk of products costs one request to read, one per write,
and one to read back. Not here: which amounts (`push`, `undo`), and what a run that ended has left
(`reconcile`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

from cscart_pipelines.cscart.errors import (
    AmbiguousWriteError,
    NotFoundError,
    RejectedWriteError,
    ShopError,
)
from cscart_pipelines.cscart.quantities import from_json, json_number, tidy
from cscart_pipelines.cscart.stock_reads import PAGE, ProductStock, read_amounts
from cscart_pipelines.cscart.writes import set_amount
from cscart_pipelines.fulfilment.journal import Entry, Kind, State
from cscart_pipelines.fulfilment.push_session import PushContext
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow, WrittenChange
from cscart_pipelines.fulfilment.stock import inbox as stock_inbox
from cscart_pipelines.fulfilment.stock.inbox import StockLevel
from cscart_pipelines.fulfilment.stock.rules import explained_by_orders
from cscart_pipelines.fulfilment.stock.targets import IS_SPLIT, StockTarget, write_obstacle

PUSH_ENDED = "not sent: the push ended before"
MAX_ATTEMPTS = 3


class _Attempt:
    """A target on its way."""

    def __init__(self, target: StockTarget, entry: Entry, before: Decimal) -> None:
        self.target = target
        self.entry = entry
        self.before = before
        self.answered = False
        self.without_effect = 0
        """Writes that were answered with 200 and read back as the amount from before."""
        self.error: Exception | None = None

    @property
    def rejected(self) -> bool:
        """The shop has refused it. An add-on may do so after it was done: reading decides."""
        return isinstance(self.error, RejectedWriteError | NotFoundError)

    @property
    def planned(self) -> Decimal:
        return from_json(self.entry.plan["amount"])


class StockWriter:
    """Writes the targets of one push; outcomes go into the report as they are known.

    What reading back means: the planned amount is the write. After an answer of 200, the amount
    from before is perhaps a sale of the difference, so it is written again; twice so, the shop
    takes the write and does nothing, as with products split by warehouse (reference 11.5). Another
    amount means orders in between where nothing else explains it (`explained_by_orders`), else it
    is written again. Without an answer, the amount from before or an unexplained one may change
    yet: it is read again when the settling time is over, and only then written again.
    """

    def __init__(self, context: PushContext, report: PushReport) -> None:
        self._context = context
        self._journal = context.journal
        self._key = context.integration.key
        self._report = report
        self._unconfirmed: list[_Attempt] = []
        self._stopped = threading.Event()

    def write(self, targets: Sequence[StockTarget], seen: dict[int, ProductStock]) -> None:
        """Writes all targets.

        Args:
            targets: with the amounts.
            seen: the products as read before the circuit breaker was asked.

        Raises:
            ShopError: it ended the push; what was not written then waits.
        """
        chunks = [targets[start : start + PAGE] for start in range(0, len(targets), PAGE)]
        for chunk in chunks:
            if self._context.client.closed:
                break  # the run is cancelled: the rest waits
            # A single chunk was read a moment ago; the later of several were not.
            fresh = len(chunks) == 1
            ids = [target.product_id for target in chunk]
            self._chunk(chunk, seen if fresh else read_amounts(self._context.client, ids))
        self._recheck_unconfirmed()
        for attempt in self._unconfirmed:
            self._report_change(attempt.entry, attempt.target, State.AMBIGUOUS)

    # --- one chunk -------------------------------------------------------------------------------

    def _chunk(self, targets: Sequence[StockTarget], shop_stock: dict[int, ProductStock]) -> None:
        attempts: list[_Attempt] = []
        with self._journal.transaction() as connection:
            done: list[tuple[StockLevel, str, str | None]] = []
            for target in targets:
                product = shop_stock.get(target.product_id)
                reason = write_obstacle(product, target.product_code, self._context.settings.limit)
                if reason is not None or product is None or product.amount is None:
                    self._report_refusal(target, reason or "")
                    done += [(target.level, "refused", reason)] if target.level else []
                    continue
                now = product.amount
                amount = target.amount_at(now)
                if now == amount:
                    self._report.unchanged += 1
                    done += [(target.level, "done", None)] if target.level else []
                else:
                    entry = self._journal.plan(
                        Kind.STOCK,
                        target.name,
                        self._plan(target, amount),
                        before={"amount": json_number(now)},
                        product_id=target.product_id,
                    )
                    attempts.append(_Attempt(target, entry, now))
            stock_inbox.update_states(connection, self._key, done)
        self._send_all(attempts)

    def _plan(self, target: StockTarget, amount: Decimal) -> dict[str, Any]:
        row = {"row": target.level.key, "feed": target.feed} if target.level else {}
        return {
            "amount": json_number(amount),
            "product_code": target.product_code,
            **row,
            **(target.plan or {}),
        }

    def _send_all(self, attempts: Sequence[_Attempt]) -> None:
        """Send, then read back. Raises the error that ends the push."""
        if not attempts:
            return
        with ThreadPoolExecutor(self._context.client.max_parallel, "stock") as threads:
            futures = [threads.submit(self._send, attempt) for attempt in attempts]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self._stopped.set()  # what was not sent yet is not sent any more
                raise
        shop_error: ShopError | None = None
        sent: list[_Attempt] = []
        for attempt in attempts:
            error = attempt.error
            if attempt.entry.state is State.PLANNED:
                attempt.entry = self._journal.finish(
                    attempt.entry, State.SKIPPED, reason=PUSH_ENDED
                )
            elif error is None or isinstance(error, AmbiguousWriteError) or attempt.rejected:
                sent.append(attempt)
            else:
                self._finish(attempt, State.FAILED, f"not applied: {error}")
                shop_error = shop_error or (error if isinstance(error, ShopError) else None)
        self._read_back(sent)
        if shop_error is not None:
            raise shop_error

    def _send(self, attempt: _Attempt) -> None:
        if self._stopped.is_set() or self._context.client.closed:  # the run is cancelled
            return
        attempt.answered, attempt.error = False, None
        attempt.entry = self._journal.applying(attempt.entry)
        try:
            set_amount(
                self._context.client,
                attempt.target.product_id,
                attempt.planned,
                before_resend=partial(self._journal.record_resend, attempt.entry),
            )
            attempt.answered = True
        except AmbiguousWriteError as error:
            attempt.error = error
            attempt.entry = self._journal.ambiguous(attempt.entry, str(error))
        except RejectedWriteError as error:
            attempt.error = error
        except ShopError as error:
            # Surely not applied. Only a missing product says nothing about the shop.
            attempt.error = error
            if not isinstance(error, NotFoundError):
                self._stopped.set()

    # --- what became of it -----------------------------------------------------------------------

    def _read_back(self, sent: Sequence[_Attempt]) -> None:
        if not sent:
            return
        try:
            shop_stock = read_amounts(
                self._context.client, [each.target.product_id for each in sent]
            )
        except ShopError as error:
            for attempt in sent:
                reason = f"not read back: {error}"
                attempt.entry = self._journal.ambiguous(attempt.entry, reason)
            raise
        for attempt in sent:
            if not self._resolved(attempt, shop_stock.get(attempt.target.product_id)):
                self._unconfirmed.append(attempt)

    def _resolved(
        self, attempt: _Attempt, product: ProductStock | None, *, late: bool = False
    ) -> bool:
        """Finishes the entry if the shop tells how it ended. `late`: nothing is on its way now."""
        now = None if product is None else product.amount
        if attempt.rejected and now != attempt.planned:
            self._finish(attempt, State.FAILED, str(attempt.error), row="refused")
            return True
        if product is None or now is None:
            if attempt.answered or late:
                limit = self._context.settings.limit
                reason = write_obstacle(product, attempt.target.product_code, limit)
                reason = reason or "no amount was read back"
                self._finish(attempt, State.FAILED, reason, row="refused")
                return True
            return False
        after = {"amount": json_number(now)}
        if now == attempt.planned:
            note = attempt.target.note
            if attempt.rejected:
                note = f"{attempt.error}; the product has it all the same"
            self._finish(attempt, State.VERIFIED, note, after=after, row="done")
        elif (attempt.answered or late) and explained_by_orders(
            attempt.before, attempt.planned, now
        ):
            note = f"{tidy(attempt.planned - now)} fewer when it was read back: ordered in between"
            self._finish(attempt, State.VERIFIED, note, after=after, row="done")
        elif attempt.answered and now == attempt.before and not late and attempt.without_effect:
            self._finish(attempt, State.SKIPPED, IS_SPLIT, after=after, row="refused")
        else:
            if attempt.answered and not late:
                attempt.without_effect += now == attempt.before
                reason = f"the shop showed {now} when {attempt.planned} had been written"
                attempt.entry = self._journal.ambiguous(attempt.entry, reason)
            return False
        return True

    def _recheck_unconfirmed(self) -> None:
        """Reads unconfirmed writes again when they have settled; repeats them if need be."""
        while self._unconfirmed:
            if self._closed_while_waiting():
                return  # the run is cancelled: the next one reads them
            unconfirmed = self._unconfirmed
            shop_stock = read_amounts(
                self._context.client, [each.target.product_id for each in unconfirmed]
            )
            self._unconfirmed = []
            retries: list[_Attempt] = []
            for attempt in unconfirmed:
                product = shop_stock.get(attempt.target.product_id)
                if self._resolved(attempt, product, late=True):
                    continue
                if attempt.entry.attempts >= MAX_ATTEMPTS:
                    reason = f"not applied in {MAX_ATTEMPTS} attempts"
                    self._finish(attempt, State.FAILED, reason)
                elif product is not None and product.amount is not None:
                    retries.append(self._replanned(attempt, product.amount))
            for start in range(0, len(retries), PAGE):
                self._send_all(retries[start : start + PAGE])

    def _replanned(self, attempt: _Attempt, now: Decimal) -> _Attempt:
        plan = self._plan(attempt.target, attempt.target.amount_at(now))
        attempt.entry = self._journal.replan(
            attempt.entry, plan, before={"amount": json_number(now)}
        )
        attempt.before = now
        return attempt

    def _closed_while_waiting(self) -> bool:
        """Waits until unanswered writes are settled. True if the client was closed meanwhile."""
        silent = {each.entry.id for each in self._unconfirmed if not each.answered}
        since = [
            entry.seconds_since_sent or 0.0
            for entry in self._journal.open_entries(Kind.STOCK)
            if entry.id in silent
        ]
        left = self._context.settling_seconds - min(since, default=self._context.settling_seconds)
        return left > 0 and self._context.client.pause(left)

    def _finish(
        self,
        attempt: _Attempt,
        state: State,
        reason: str | None,
        *,
        after: dict[str, Any] | None = None,
        row: str | None = None,
    ) -> None:
        """The end of an entry, and in the same transaction that of its row."""
        target = attempt.target
        with self._journal.transaction() as connection:
            entry = self._journal.finish(attempt.entry, state, after=after, reason=reason)
            if row is not None and target.level is not None:
                why = reason if row == "refused" else None
                stock_inbox.update_state(
                    connection, self._key, target.level.sku, target.level.key, row, why,
                    journal_id=entry.id,
                )  # fmt: skip
        attempt.entry = entry
        self._report_change(entry, target, state)
        if row == "refused":
            self._report_refusal(target, reason or "")

    def _report_change(self, entry: Entry, target: StockTarget, state: State) -> None:
        after = entry.after or {"amount": entry.plan["amount"]}
        note = entry.reason or target.note
        self._report.changes.append(
            WrittenChange(
                str(Kind.STOCK), target.name, str(state), entry.before, after, note, target.feed
            )
        )

    def _report_refusal(self, target: StockTarget, reason: str) -> None:
        source = target.level.source if target.level else None
        self._report.refusals.append(RefusedRow(target.name, reason, source))

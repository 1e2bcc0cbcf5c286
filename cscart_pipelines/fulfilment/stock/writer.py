"""Amounts into the shop, exactly once each: journal, write, read back, and again where it is safe.

Takes products with the amounts wanted, whoever wants them (a feed, an undo). A chunk of products
costs one request to read, one per write, and one to read back. Not here: which amounts (`stock`,
`undo`), and what a run that died has left (`stock_doubts`).

What reading back means. The planned amount: the write is there. After an answer of 200, the amount
from before: perhaps a sale of the difference, so it is written again; twice so, the shop takes
the write and does nothing, as it does with products split by warehouse (reference 11.5). Another
amount: orders came in between, where nothing else explains it (`orders_explain`); otherwise it is
written again. After no answer, the amount from before or one that nothing explains: the write may
still be on its way, so it is looked at again when the settling time is over, and only then written
again.
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
from cscart_pipelines.fulfilment.stock.inbox import Level
from cscart_pipelines.fulfilment.stock.rules import orders_explain
from cscart_pipelines.fulfilment.stock.targets import IS_SPLIT, StockTarget, obstacle

CUT_SHORT = "not sent: the push ended before"
MOST_ATTEMPTS = 3


class _Attempt:
    """A wish on its way."""

    def __init__(self, wish: StockTarget, entry: Entry, before: Decimal) -> None:
        self.wish = wish
        self.entry = entry
        self.before = before
        self.answered = False
        self.without_effect = 0
        """Writes that were answered with 200 and read back as the amount from before."""
        self.error: Exception | None = None

    @property
    def planned(self) -> Decimal:
        return from_json(self.entry.plan["amount"])


class StockWriter:
    """Writes the wishes of one push. Outcomes go into the report as they are known."""

    def __init__(self, context: PushContext, report: PushReport) -> None:
        self._context = context
        self._journal = context.journal
        self._key = context.integration.key
        self._report = report
        self._doubts: list[_Attempt] = []
        self._stop = threading.Event()

    def write(self, wishes: Sequence[StockTarget], seen: dict[int, ProductStock]) -> None:
        """All of them. `seen`: the products as read before the push was judged.

        Raises the ShopError that ended the push; what was not written then waits.
        """
        chunks = [wishes[start : start + PAGE] for start in range(0, len(wishes), PAGE)]
        for chunk in chunks:
            if self._context.client.closed:
                break  # the run is cancelled: the rest waits
            # A single chunk was read a moment ago; the later of several were not.
            fresh = len(chunks) == 1
            ids = [wish.product_id for wish in chunk]
            self._chunk(chunk, seen if fresh else read_amounts(self._context.client, ids))
        self._look_again()
        for attempt in self._doubts:
            self._say(attempt.entry, attempt.wish, State.AMBIGUOUS)

    # --- one chunk -------------------------------------------------------------------------------

    def _chunk(self, wishes: Sequence[StockTarget], live: dict[int, ProductStock]) -> None:
        attempts: list[_Attempt] = []
        with self._journal.transaction() as connection:
            done: list[tuple[Level, str, str | None]] = []
            for wish in wishes:
                product = live.get(wish.product_id)
                reason = obstacle(product, wish.product_code, self._context.settings.limit)
                if reason is not None or product is None or product.amount is None:
                    self._refused(wish, reason or "")
                    done += [(wish.level, "refused", reason)] if wish.level else []
                    continue
                now = product.amount
                amount = wish.amount_at(now)
                if now == amount:
                    self._report.unchanged += 1
                    done += [(wish.level, "done", None)] if wish.level else []
                else:
                    entry = self._journal.plan(
                        Kind.STOCK,
                        wish.target,
                        self._plan(wish, amount),
                        before={"amount": json_number(now)},
                        product_id=wish.product_id,
                    )
                    attempts.append(_Attempt(wish, entry, now))
            stock_inbox.settle_all(connection, self._key, done)
        self._send_all(attempts)

    def _plan(self, wish: StockTarget, amount: Decimal) -> dict[str, Any]:
        row = {"row": wish.level.key, "feed": wish.feed} if wish.level else {}
        return {
            "amount": json_number(amount),
            "product_code": wish.product_code,
            **row,
            **(wish.plan or {}),
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
                self._stop.set()  # what was not sent yet is not sent any more
                raise
        trouble: ShopError | None = None
        sent: list[_Attempt] = []
        for attempt in attempts:
            error = attempt.error
            if attempt.entry.state is State.PLANNED:
                attempt.entry = self._journal.finish(attempt.entry, State.SKIPPED, reason=CUT_SHORT)
            elif error is None or isinstance(error, AmbiguousWriteError):
                sent.append(attempt)
            elif isinstance(error, RejectedWriteError | NotFoundError):
                self._finish(attempt, State.FAILED, str(error), row="refused")
            else:
                self._finish(attempt, State.FAILED, f"not applied: {error}")
                trouble = trouble or (error if isinstance(error, ShopError) else None)
        self._read_back(sent)
        if trouble is not None:
            raise trouble

    def _send(self, attempt: _Attempt) -> None:
        if self._stop.is_set() or self._context.client.closed:  # the run is cancelled
            return
        attempt.answered, attempt.error = False, None
        attempt.entry = self._journal.applying(attempt.entry)
        try:
            set_amount(
                self._context.client,
                attempt.wish.product_id,
                attempt.planned,
                again=partial(self._journal.sent_again, attempt.entry),
            )
            attempt.answered = True
        except AmbiguousWriteError as error:
            attempt.error = error
            attempt.entry = self._journal.ambiguous(attempt.entry, str(error))
        except RejectedWriteError as error:
            attempt.error = error
        except ShopError as error:
            # Surely not applied. Only a product that is gone is its own trouble, not the shop's.
            attempt.error = error
            if not isinstance(error, NotFoundError):
                self._stop.set()

    # --- what became of it -----------------------------------------------------------------------

    def _read_back(self, sent: Sequence[_Attempt]) -> None:
        if not sent:
            return
        try:
            live = read_amounts(self._context.client, [each.wish.product_id for each in sent])
        except ShopError as error:
            for attempt in sent:
                reason = f"not read back: {error}"
                attempt.entry = self._journal.ambiguous(attempt.entry, reason)
            raise
        for attempt in sent:
            if not self._settled(attempt, live.get(attempt.wish.product_id)):
                self._doubts.append(attempt)

    def _settled(
        self, attempt: _Attempt, product: ProductStock | None, *, late: bool = False
    ) -> bool:
        """Finishes the entry if the shop tells how it ended. `late`: nothing is on its way now."""
        now = None if product is None else product.amount
        if product is None or now is None:
            if attempt.answered or late:
                limit = self._context.settings.limit
                reason = obstacle(product, attempt.wish.product_code, limit)
                reason = reason or "no amount was read back"
                self._finish(attempt, State.FAILED, reason, row="refused")
                return True
            return False
        after = {"amount": json_number(now)}
        if now == attempt.planned:
            self._finish(attempt, State.VERIFIED, attempt.wish.note, after=after, row="done")
        elif (attempt.answered or late) and orders_explain(attempt.before, attempt.planned, now):
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

    def _look_again(self) -> None:
        """Those in doubt, when nothing can be on its way any more; written again if need be."""
        while self._doubts:
            if self._waited_in_vain():
                return  # the run is cancelled: the next one looks
            doubts = self._doubts
            live = read_amounts(self._context.client, [each.wish.product_id for each in doubts])
            self._doubts = []
            again: list[_Attempt] = []
            for attempt in doubts:
                product = live.get(attempt.wish.product_id)
                if self._settled(attempt, product, late=True):
                    continue
                if attempt.entry.attempts >= MOST_ATTEMPTS:
                    reason = f"not applied in {MOST_ATTEMPTS} attempts"
                    self._finish(attempt, State.FAILED, reason)
                elif product is not None and product.amount is not None:
                    again.append(self._replanned(attempt, product.amount))
            for start in range(0, len(again), PAGE):
                self._send_all(again[start : start + PAGE])

    def _replanned(self, attempt: _Attempt, now: Decimal) -> _Attempt:
        plan = self._plan(attempt.wish, attempt.wish.amount_at(now))
        attempt.entry = self._journal.replan(
            attempt.entry, plan, before={"amount": json_number(now)}
        )
        attempt.before = now
        return attempt

    def _waited_in_vain(self) -> bool:
        """Until the last unanswered write is settled. True if the client was closed meanwhile."""
        silent = {each.entry.id for each in self._doubts if not each.answered}
        since = [
            entry.seconds_since_sent or 0.0
            for entry in self._journal.open_entries(Kind.STOCK)
            if entry.id in silent
        ]
        left = self._context.settle - min(since, default=self._context.settle)
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
        wish = attempt.wish
        with self._journal.transaction() as connection:
            entry = self._journal.finish(attempt.entry, state, after=after, reason=reason)
            if row is not None and wish.level is not None:
                why = reason if row == "refused" else None
                stock_inbox.settle(
                    connection, self._key, wish.level.sku, wish.level.key, row, why,
                    journal_id=entry.id,
                )  # fmt: skip
        attempt.entry = entry
        self._say(entry, wish, state)
        if row == "refused":
            self._refused(wish, reason or "")

    def _say(self, entry: Entry, wish: StockTarget, state: State) -> None:
        after = entry.after or {"amount": entry.plan["amount"]}
        note = entry.reason or wish.note
        self._report.changes.append(
            WrittenChange(
                str(Kind.STOCK), wish.target, str(state), entry.before, after, note, wish.feed
            )
        )

    def _refused(self, wish: StockTarget, reason: str) -> None:
        source = wish.level.source if wish.level else None
        self._report.refusals.append(RefusedRow(wish.target, reason, source))

"""An order's status after its parcels are in: owed in the journal, written alone, read back.

Exactly once, as parcels are (`order_push`). Shops up to 4.7 recalculate an order when its status is
written, so there it travels with the last parcel (reference 8.8, 9.2). Not here: which status
(`order_status`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial

from cscart_pipelines.cscart import writes
from cscart_pipelines.cscart.errors import (
    AmbiguousWriteError,
    PermanentShopError,
    RejectedWriteError,
    TransientShopError,
)
from cscart_pipelines.cscart.order_fulfilment import ShippableOrder, read_order
from cscart_pipelines.fulfilment.journal import Entry, Kind, State
from cscart_pipelines.fulfilment.push_session import PushContext
from cscart_pipelines.fulfilment.shipments.order_status import TargetStatus, target_status

MOST_ATTEMPTS = 3
"""Times that a write without an answer is tried; then a person must look."""
NO_VEHICLE = (
    "left alone: this version of CS-Cart would recalculate the order, and no parcel was left that"
    " could carry the status"
)


class InDoubtError(Exception):
    """Something of the order may be on its way: look again after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"look again in {seconds:.0f} s")
        self.seconds = seconds


class StatusPush:
    """The status of one order. `statuses`: letter to description and inventory flag. `ages`: entry
    id to seconds since it was sent, or since its answer was given up on, by the time when the
    reading of the order began."""

    def __init__(
        self,
        context: PushContext,
        statuses: Mapping[str, tuple[str | None, str | None]],
        order_id: int,
        number: str,
        ages: Mapping[int, float],
    ) -> None:
        self._context = context
        self._journal = context.journal
        self._statuses = statuses
        self._order_id = order_id
        self._number = number
        self._ages = ages
        self.finished: list[Entry] = []

    def wish(self, order: ShippableOrder, left: Decimal) -> TargetStatus:
        """The status the order should have when so many pieces are left to ship."""
        return target_status(order.status, left, self._context.settings, self._statuses)

    def owed(self) -> Entry | None:
        """The status entry of this order that is not finished."""
        owed = self._journal.open_entries(Kind.ORDER_STATUS, order_id=self._order_id)
        return owed[0] if owed else None

    def owe(self, order: ShippableOrder, left: Decimal) -> None:
        """From now on the order's status is owed, whoever lives to write it. `left`: pieces that
        will be left when the parcels of this transaction are in."""
        settings = self._context.settings
        if not (settings.shipped_status or settings.partially_shipped_status):
            return
        intended = {"to": self.wish(order, left).letter, "on_board": self._context.recalculates}
        owed = self.owed()
        if owed is None:
            before = {"status": order.status, "total": str(order.total)}
            self._journal.plan(
                Kind.ORDER_STATUS, self._number, intended, before=before, order_id=self._order_id
            )
        elif owed.state is State.PLANNED:
            self._journal.replan(owed, intended)

    def on_board(self) -> str | None:
        """The status that travels with the order's last parcel, in shops that re-price otherwise.

        The journal says so before it is sent.
        """
        owed = self.owed()
        if not (self._context.recalculates and owed and owed.plan.get("to")):
            return None
        self._journal.applying(owed)
        return str(owed.plan["to"])

    def settle(self, order: ShippableOrder) -> None:
        """What became of a status in doubt, before anything more is done to the order: what is
        shipped next owes another one. Raises InDoubtError."""
        owed = self.owed()
        if owed is not None and owed.in_doubt:
            self._settle(owed, order, self._ages.get(owed.id, 0.0))

    def write(self, order: ShippableOrder) -> None:
        """Writes the status that is owed, now that the tracking is in. Raises InDoubtError."""
        self.settle(order)  # it may have travelled with a parcel just now
        owed = self.owed()
        if owed is None:
            return
        wish = self.wish(order, order.left)
        if wish.letter is None or self._context.recalculates:
            reason = NO_VEHICLE if wish.letter else wish.reason
            self.finished.append(self._journal.finish(owed, State.SKIPPED, reason=reason))
            return
        before = {"status": order.status, "total": str(order.total)}
        planned = self._journal.replan(owed, {"to": wish.letter}, before=before)
        self._write(planned, wish.letter)

    def _write(self, planned: Entry, letter: str) -> None:
        client, settings = self._context.client, self._context.settings
        entry = self._journal.applying(planned)
        try:
            writes.set_order_status(
                client,
                self._order_id,
                letter,
                notify_customer=settings.notify_customer,
                again=partial(self._journal.sent_again, entry),
            )
        except AmbiguousWriteError as error:
            entry = self._journal.ambiguous(entry, str(error))
        except RejectedWriteError as error:
            self.finished.append(self._journal.finish(entry, State.FAILED, reason=str(error)))
            return
        except (TransientShopError, PermanentShopError):
            self._journal.replan(entry)
            raise
        else:
            entry = self._journal.answered(entry, {"answered": True})
        order = read_order(client, self._order_id)
        if not self._settle(entry, order, entry.seconds_since_sent or 0.0):
            raise InDoubtError(0)  # not applied: once more from the start

    def _settle(self, entry: Entry, order: ShippableOrder, age: float) -> bool:
        """True when the entry is finished; else it may be written again. Raises InDoubtError."""
        journal, letter = self._journal, entry.plan.get("to")
        answered = bool((entry.after or {}).get("answered"))
        after = {"status": order.status, "total": str(order.total)}
        if order.updated_at is not None:  # tells the feed of orders this write from later changes
            after["updated_at"] = order.updated_at.isoformat()
        if order.status == letter:
            total = (entry.before or {}).get("total", after["total"])
            note = (
                None if total == after["total"] else f"the total went from {total} to {order.total}"
            )
            self.finished.append(journal.finish(entry, State.VERIFIED, after=after, reason=note))
            return True
        rest = self._context.settle - max(age, 0.0)
        if not answered and entry.plan.get("on_board"):
            # It went with a parcel that is settled by now: if that one arrived, so did this.
            journal.replan(entry)
            return False
        if not answered and rest > 0:
            raise InDoubtError(max(rest, 0.1))
        if not answered and entry.attempts < MOST_ATTEMPTS:
            journal.replan(entry)
            return False
        if answered:
            reason = f"the shop took the status {letter} and has {order.status}"
            if order.status == "B":
                reason += ": too little stock for a status that takes it"
        else:
            reason = f"not applied in {entry.attempts} attempts: {entry.reason}"
        self.finished.append(journal.finish(entry, State.FAILED, after=after, reason=reason))
        return True

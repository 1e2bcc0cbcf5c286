"""An order's status after its shipments: queued in the journal, written alone, read back.

Exactly once, as shipments are (`order`). Shops up to 4.7 re-price an order when its status is
written, so there it is sent with the last shipment (reference 8.8, 9.2). Not here: which status
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
from cscart_pipelines.fulfilment.shipments.order_snapshot import OrderSnapshot
from cscart_pipelines.fulfilment.shipments.order_status import TargetStatus, target_status

MAX_ATTEMPTS = 3
"""Times that a write without an answer is tried; then a person must check it."""
NO_SHIPMENT_LEFT = (
    "left as it is: this version of CS-Cart would recalculate the order, and no parcel was left to"
    " send the status with"
)
NOTHING_SHIPPED = "order status left as it is: nothing of the order has shipped"


class UnconfirmedWriteError(Exception):
    """A write to the order may still be on its way: read again after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"read again in {seconds:.0f} s")
        self.seconds = seconds


class StatusPush:
    """The status of one order.

    Args:
        context: of the push.
        statuses: letter to description and inventory flag.
        order_id: the order.
        number: its order number.
        ages: entry id to seconds since it was sent, or since its answer was given up on, when the
            reading of the order began.
    """

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

    def target(self, order: ShippableOrder, left: Decimal) -> TargetStatus:
        """Returns the status the order should have when `left` pieces are left to ship."""
        return target_status(order.status, left, self._context.settings, self._statuses)

    def pending_entry(self) -> Entry | None:
        """Returns the status entry of this order that is not finished."""
        pending = self._journal.open_entries(Kind.ORDER_STATUS, order_id=self._order_id)
        return pending[0] if pending else None

    def queue(self, order: ShippableOrder, left: Decimal) -> None:
        """Queues the status update in the journal, within the caller's transaction.

        `left`: pieces that will be left when the shipments of this transaction are in.
        """
        settings = self._context.settings
        if not (settings.shipped_status or settings.partially_shipped_status):
            return
        intended = {
            "to": self.target(order, left).letter,
            "with_shipment": self._context.reprices_orders,
        }
        pending = self.pending_entry()
        if pending is None:
            before = {"status": order.status, "total": str(order.total)}
            self._journal.plan(
                Kind.ORDER_STATUS, self._number, intended, before=before, order_id=self._order_id
            )
        elif pending.state is State.PLANNED:
            self._journal.replan(pending, intended)

    def status_with_shipment(self) -> str | None:
        """Returns the status to send with the order's last shipment, where it re-prices otherwise.

        The journal says `applying` before it is sent.
        """
        pending = self.pending_entry()
        if not (self._context.reprices_orders and pending and pending.plan.get("to")):
            return None
        self._journal.applying(pending)
        return str(pending.plan["to"])

    def reconcile(self, order: ShippableOrder) -> None:
        """Finds out what became of an unconfirmed status before anything more is done.

        Raises:
            UnconfirmedWriteError: it may still be on its way.
        """
        pending = self.pending_entry()
        if pending is not None and pending.unconfirmed:
            self._reconcile(pending, order, self._ages.get(pending.id, 0.0))

    def write(self, snapshot: OrderSnapshot) -> None:
        """Writes the queued status, now that the shipments are in.

        Raises:
            UnconfirmedWriteError: it is not known yet whether it was applied.
        """
        order = snapshot.order
        self.reconcile(order)  # it may have travelled with a parcel just now
        pending = self.pending_entry()
        if pending is None:
            return
        if not (snapshot.shipments or order.shipment_ids):
            # The parcels it was queued with were refused, or their rows were deleted.
            self.finished.append(
                self._journal.finish(pending, State.SKIPPED, reason=NOTHING_SHIPPED)
            )
            return
        target = self.target(order, order.left)
        if target.letter is None or self._context.reprices_orders:
            reason = NO_SHIPMENT_LEFT if target.letter else target.reason
            self.finished.append(self._journal.finish(pending, State.SKIPPED, reason=reason))
            return
        before = {"status": order.status, "total": str(order.total)}
        planned = self._journal.replan(pending, {"to": target.letter}, before=before)
        self._write(planned, target.letter)

    def _write(self, planned: Entry, letter: str) -> None:
        client, settings = self._context.client, self._context.settings
        entry = self._journal.applying(planned)
        try:
            writes.set_order_status(
                client,
                self._order_id,
                letter,
                notify_customer=settings.notify_customer,
                before_resend=partial(self._journal.record_resend, entry),
            )
        except AmbiguousWriteError as error:
            entry = self._journal.ambiguous(entry, str(error))
        except RejectedWriteError as error:
            # An add-on may refuse what the shop has done already: reading decides.
            entry = self._journal.answered(entry, {"rejected": str(error)})
        except (TransientShopError, PermanentShopError):
            self._journal.replan(entry)
            raise
        else:
            entry = self._journal.answered(entry, {"answered": True})
        order = read_order(client, self._order_id)
        if not self._reconcile(entry, order, entry.seconds_since_sent or 0.0):
            raise UnconfirmedWriteError(0)  # not applied: once more from the start

    def _reconcile(self, entry: Entry, order: ShippableOrder, age: float) -> bool:
        """Returns True when the entry is finished; else it may be written again."""
        journal, letter = self._journal, entry.plan.get("to")
        answered = bool((entry.after or {}).get("answered"))
        rejected = (entry.after or {}).get("rejected")
        after = {"status": order.status, "total": str(order.total)}
        if order.updated_at is not None:  # for the order export: this write and later changes
            after["updated_at"] = order.updated_at.isoformat()
        if order.status == letter:
            total = (entry.before or {}).get("total", after["total"])
            notes = [f"{rejected}; the order has it all the same"] if rejected else []
            if total != after["total"]:
                notes.append(f"the total went from {total} to {order.total}")
            note = "; ".join(notes) or None
            self.finished.append(journal.finish(entry, State.VERIFIED, after=after, reason=note))
            return True
        if rejected:
            self.finished.append(journal.finish(entry, State.FAILED, reason=str(rejected)))
            return True
        rest = self._context.settling_seconds - max(age, 0.0)
        if not answered and entry.plan.get("with_shipment"):
            # It was sent with a parcel that is settled by now: if that one arrived, so did this.
            journal.replan(entry)
            return False
        if not answered and rest > 0:
            raise UnconfirmedWriteError(max(rest, 0.1))
        if not answered and entry.attempts < MAX_ATTEMPTS:
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

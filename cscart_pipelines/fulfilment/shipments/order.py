"""One order's parcels into the shop, and then its status: read, plan, journal, apply, read back.

Exactly once, at whatever instant this dies: what was perhaps sent is `applying` or `ambiguous` in
the journal and is looked for in the shop before anything else is done to the order. Not seen and
young, it stays in doubt and the order is left alone; not seen when the settling time is over, which
begins when the answer was lost or when a dead sender's entry is first found, it counts as not
applied, and its rows are planned anew. Not here: which orders (`tracking`), what fits into a
parcel (`parcels`), which status (`order_status`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from cscart_pipelines.cscart import writes
from cscart_pipelines.cscart.errors import (
    AmbiguousWriteError,
    NotFoundError,
    PermanentShopError,
    RejectedWriteError,
    TransientShopError,
)
from cscart_pipelines.cscart.order_fulfilment import (
    ShipmentSeen,
    ShippableOrder,
    read_order,
    read_shipments,
)
from cscart_pipelines.cscart.quantities import json_numbers, tidy, total
from cscart_pipelines.fulfilment.journal import Entry, Kind, State
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.push_session import PushContext
from cscart_pipelines.fulfilment.shipments import inbox as shipments_inbox
from cscart_pipelines.fulfilment.shipments.order_snapshot import OrderSnapshot, read_snapshot
from cscart_pipelines.fulfilment.shipments.order_status import TargetStatus
from cscart_pipelines.fulfilment.shipments.outcome import outcome_of
from cscart_pipelines.fulfilment.shipments.parcels.parcel import own_shipments
from cscart_pipelines.fulfilment.shipments.parcels.plan import Adopted, OrderPlan, Parcel, plan
from cscart_pipelines.fulfilment.shipments.reference_data import ReferenceData
from cscart_pipelines.fulfilment.shipments.status_update import (
    MOST_ATTEMPTS,
    InDoubtError,
    StatusPush,
)


class OrderPush:
    """The work on one order. `numbers`: its order number in all spellings that the inbox has."""

    def __init__(
        self, context: PushContext, maps: ReferenceData, order_id: int, numbers: Sequence[str]
    ) -> None:
        self._context = context
        self._journal = context.journal
        self._maps = maps
        self._order_id = order_id
        self._numbers = list(numbers)
        self._number = f"{context.settings.order_prefix}{order_id}"
        self._ages: dict[int, float] = {}
        self._status = StatusPush(context, maps.statuses, order_id, self._number, self._ages)
        self.finished: list[Entry] = self._status.finished
        """Entries that this push brought to an end, and those it left in doubt."""
        self.refused: list[tuple[ShipmentRow, str]] = []
        self.notes: list[str] = []

    def look(self) -> OrderSnapshot:
        """Raises as `order_look.look`."""
        doubtful = any(entry.in_doubt for entry in self._before_reading())
        return read_snapshot(self._context.client, self._order_id, doubtful=doubtful)

    def run(self) -> None:
        """All that can be done for the order now. Raises InDoubtError, and what `look` raises."""
        self._journal.doubt_unanswered(Kind.SHIPMENT, Kind.ORDER_STATUS, order_id=self._order_id)
        try:
            looked = self.look()
        except NotFoundError:
            self._refuse_all(f"the shop has no order {self._order_id}")
            return
        self._settle_shipments(looked)
        self._status.settle(looked.order)
        if reason := self._outside(looked):
            self._refuse_all(reason)
            return
        entries = self._plan(looked)
        if entries:
            self._apply(entries)
            client = self._context.client
            self._before_reading()
            shipments = read_shipments(client, self._order_id)
            self._settle_shipments(OrderSnapshot(looked.order, shipments))
            if self._journal.open_entries(Kind.SHIPMENT, order_id=self._order_id):
                raise InDoubtError(0)  # something was not applied: once more from the start
            if self._status.owed() is not None:
                # The moment before the status is written; somebody may have cancelled meanwhile.
                looked = OrderSnapshot(read_order(client, self._order_id), shipments)
        self._status.write(looked.order)

    def preview(self, rows: Sequence[ShipmentRow]) -> tuple[OrderPlan, TargetStatus, OrderSnapshot]:
        """What `run` would do with these rows; reads the shop and writes nothing at all."""
        looked = self.look()
        if reason := self._outside(looked):
            refused = OrderPlan(refusals=[(row, reason) for row in rows])
            return refused, TargetStatus(None, reason), looked
        made = self._planned(looked, rows)
        return made, self._status.wish(looked.order, _left_after(looked.order, made)), looked

    def _outside(self, looked: OrderSnapshot) -> str | None:
        """Why the order is not written to: another company's or storefront's."""
        order = looked.order
        return self._context.settings.limit.why_outside(order.company_id, order.storefront_id)

    # --- shipments -------------------------------------------------------------------------------

    def _planned(self, looked: OrderSnapshot, rows: Sequence[ShipmentRow]) -> OrderPlan:
        return plan(
            self._number,
            looked.order,
            looked.shipments,
            list(rows),
            self._journal.of_order(self._order_id),
            self._context.settings,
            self._maps.carriers,
            self._maps.skus,
            fractions=self._maps.fractions,
        )

    def _plan(self, looked: OrderSnapshot) -> list[Entry]:
        """Everything that waits for this order, judged and journalled in one transaction."""
        journal, key = self._journal, self._context.integration.key
        with journal.transaction() as connection:
            left_over = {}
            for entry in journal.open_entries(Kind.SHIPMENT, order_id=self._order_id):
                # Planned by a run that ended, or surely not applied: its rows are planned anew.
                left_over[entry.target] = entry
                self._numbers += shipments_inbox.settle_taken(
                    connection, key, entry.id, "waiting", None
                )
            rows = shipments_inbox.waiting_rows(connection, key, self._numbers, lock=True)
            made = self._planned(looked, rows)
            for row, reason in made.refusals:
                shipments_inbox.settle(connection, key, [row], "refused", reason)
            for adopted in made.adopted:
                shipments_inbox.settle(connection, key, adopted.rows, "done", adopted.reason)
                self._adopt(adopted, left_over)
            entries = [self._journalled(looked, parcel, left_over) for parcel in made.parcels]
            for entry, parcel in zip(entries, made.parcels, strict=True):
                shipments_inbox.take(connection, key, parcel.rows, entry.id)
            for entry in left_over.values():
                journal.finish(entry, State.SKIPPED, reason="planned anew")
            # For a repeated row of ours the status was owed, and written, when it was shipped.
            ours = own_shipments(journal.of_order(self._order_id))
            if entries or any(each.shipment_id not in ours for each in made.adopted):
                self._status.owe(looked.order, _left_after(looked.order, made))
        self.refused += made.refusals
        self.notes += made.notes
        return entries

    def _adopt(self, adopted: Adopted, left_over: dict[str, Entry]) -> None:
        """The shop has it already: by somebody's hand, or an attempt of ours that came late."""
        target = f"{self._number} {adopted.tracking}"
        ours = left_over.pop(target, None)
        entry = ours or self._journal.plan(
            Kind.SHIPMENT, target, {}, order_id=self._order_id, tracking=adopted.tracking
        )
        state = State.VERIFIED if ours and ours.attempts else State.SKIPPED
        after = {"shipment_id": adopted.shipment_id}
        self._done(self._journal.finish(entry, state, after=after, reason=adopted.reason))

    def _journalled(
        self, looked: OrderSnapshot, parcel: Parcel, left_over: dict[str, Entry]
    ) -> Entry:
        target = f"{self._number} {parcel.tracking}"
        before = {
            "shipment_ids": [seen.shipment_id for seen in looked.shipments],
            "left": looked.order.left_by_item,
            "status": looked.order.status,
        }
        known = left_over.pop(target, None)
        if known is not None:  # its attempts count
            return self._journal.replan(known, parcel.to_json(), before=before)
        return self._journal.plan(
            Kind.SHIPMENT,
            target,
            parcel.to_json(),
            before=before,
            order_id=self._order_id,
            tracking=parcel.tracking,
        )

    def _apply(self, entries: Sequence[Entry]) -> None:
        """Sends the parcels one after the other; the first trouble ends it, reading decides."""
        for place, planned in enumerate(entries):
            parcel = Parcel.from_json(planned.plan)
            status = self._status.on_board() if place == len(entries) - 1 else None
            entry = self._journal.applying(planned)
            try:
                shipment_id = writes.create_shipment(
                    self._context.client,
                    order_id=self._order_id,
                    shipping_id=parcel.shipping_id,
                    quantities=parcel.quantities,
                    tracking_number=parcel.tracking_number,
                    carrier=parcel.carrier,
                    comments=parcel.comments,
                    shipped_at=parcel.shipped_at,
                    notify_customer=self._context.settings.notify_customer,
                    order_status=status,
                    again=partial(self._journal.sent_again, entry),
                )
            except AmbiguousWriteError as error:
                self._journal.ambiguous(entry, str(error))
                return
            except RejectedWriteError as error:
                # An earlier attempt may have arrived meanwhile: reading decides.
                self._journal.answered(entry, {"rejected": str(error)})
                if self._context.recalculates:
                    return  # the status on board of the last parcel counts on all of them
            except (TransientShopError, PermanentShopError):
                self._journal.replan(entry)  # it never got as far as being carried out
                raise
            else:
                self._journal.answered(entry, {"shipment_id": shipment_id})

    def _before_reading(self) -> list[Entry]:
        """What is open, with its age: a write that came after the reading must not seem old."""
        entries = self._journal.open_entries(
            Kind.SHIPMENT, Kind.ORDER_STATUS, order_id=self._order_id
        )
        self._ages.update({entry.id: entry.seconds_since_sent or 0.0 for entry in entries})
        return entries

    def _settle_shipments(self, looked: OrderSnapshot) -> None:
        """What became of shipments in doubt. Raises InDoubtError if one is still on its way."""
        wait = 0.0
        for entry in self._journal.open_entries(Kind.SHIPMENT, order_id=self._order_id):
            if entry.in_doubt:
                wait = max(wait, self._settle_shipment(entry, looked))
        if wait > 0:
            raise InDoubtError(wait)

    def _settle_shipment(self, entry: Entry, looked: OrderSnapshot) -> float:
        """Seconds that the entry must still be left alone."""
        found = outcome_of(
            entry,
            looked.shipments,
            age=self._ages.get(entry.id, 0.0),
            settle=self._context.settle,
            most=MOST_ATTEMPTS,
        )
        if found.seen is not None:
            self._end(entry, State.VERIFIED, "done", found.note, after=_after(found.seen))
        elif found.failed is not None:
            self._end(entry, State.FAILED, "refused", found.failed)
        elif found.wait <= 0:
            self._journal.replan(entry)
        return found.wait

    def _end(
        self,
        entry: Entry,
        state: State,
        rows: str,
        reason: str | None,
        *,
        after: dict[str, object] | None = None,
    ) -> None:
        """The end of an entry, and in the same transaction that of its rows."""
        with self._journal.transaction() as connection:
            key = self._context.integration.key
            shipments_inbox.settle_taken(connection, key, entry.id, rows, reason)
            self._done(self._journal.finish(entry, state, after=after, reason=reason))

    # --- the books -------------------------------------------------------------------------------

    def _done(self, entry: Entry) -> None:
        self.finished.append(entry)

    def _refuse_all(self, reason: str) -> None:
        journal, key = self._journal, self._context.integration.key
        with journal.transaction() as connection:
            for entry in journal.open_entries(
                Kind.SHIPMENT, Kind.ORDER_STATUS, order_id=self._order_id
            ):
                shipments_inbox.settle_taken(connection, key, entry.id, "refused", reason)
                self._done(journal.finish(entry, State.FAILED, reason=reason))
            rows = shipments_inbox.waiting_rows(connection, key, self._numbers, lock=True)
            shipments_inbox.settle(connection, key, rows, "refused", reason)
        self.refused += [(row, reason) for row in rows]


def _left_after(order: ShippableOrder, made: OrderPlan) -> Decimal:
    return tidy(order.left - total(parcel.pieces for parcel in made.parcels))


def _after(seen: ShipmentSeen) -> dict[str, object]:
    return {
        "shipment_id": seen.shipment_id,
        "tracking_number": seen.tracking_number,
        "carrier": seen.carrier,
        "tracking_url": seen.tracking_url,
        "shipping_id": seen.shipping_id,
        "quantities": json_numbers(seen.quantities),
    }

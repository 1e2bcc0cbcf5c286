"""One order's shipments into the shop, and then its status: read, plan, journal, apply, read back.

Exactly once, whenever the process dies: what was perhaps sent is in the journal, and is looked for
in the shop before anything else is done to the order. Not seen, it stays unconfirmed until the
settling time is over; then it counts as not applied, and its rows are planned anew. Not here: which
orders (`push`), what fits into a parcel (`parcels/plan`), which status (`order_status`).
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
    MAX_ATTEMPTS,
    StatusPush,
    UnconfirmedWriteError,
)


class OrderPush:
    """The work on one order.

    Args:
        context: of the push.
        reference_data: shared by all orders of the push.
        order_id: the order.
        numbers: its order number in all spellings that the inbox has.
    """

    def __init__(
        self,
        context: PushContext,
        reference_data: ReferenceData,
        order_id: int,
        numbers: Sequence[str],
    ) -> None:
        self._context = context
        self._journal = context.journal
        self._reference_data = reference_data
        self._order_id = order_id
        self._numbers = list(numbers)
        self._number = f"{context.settings.order_prefix}{order_id}"
        self._ages: dict[int, float] = {}
        self._status = StatusPush(
            context, reference_data.statuses, order_id, self._number, self._ages
        )
        self.finished: list[Entry] = self._status.finished
        """Entries that this push brought to an end, and those it left unconfirmed."""
        self.refused: list[tuple[ShipmentRow, str]] = []
        self.notes: list[str] = []

    def read(self) -> OrderSnapshot:
        """Reads the order and its shipments. Raises as `order_snapshot.read_snapshot`."""
        unconfirmed = any(entry.unconfirmed for entry in self._read_open_entries())
        return read_snapshot(self._context.client, self._order_id, unconfirmed=unconfirmed)

    def run(self) -> None:
        """Does all that can be done for the order now.

        Raises:
            UnconfirmedWriteError: a write may still be on its way.
            ShopError: the shop could not be read or written to.
            UnreadableRowError: the shop's answer is not an order or a shipment.
        """
        self._journal.mark_unanswered(Kind.SHIPMENT, Kind.ORDER_STATUS, order_id=self._order_id)
        try:
            snapshot = self.read()
        except NotFoundError:
            self._refuse_all(f"the shop has no order {self._order_id}")
            return
        self._reconcile_shipments(snapshot)
        self._status.reconcile(snapshot.order)
        if reason := self._out_of_scope(snapshot):
            self._refuse_all(reason)
            return
        entries = self._plan_and_journal(snapshot)
        if entries:
            self._apply(entries)
            client = self._context.client
            self._read_open_entries()
            shipments = read_shipments(client, self._order_id)
            self._reconcile_shipments(OrderSnapshot(snapshot.order, shipments))
            if self._journal.open_entries(Kind.SHIPMENT, order_id=self._order_id):
                # Something was not applied: once more from the start.
                raise UnconfirmedWriteError(0)
            if self._status.pending_entry() is not None:
                # Read just before the status is written: the order may be cancelled meanwhile.
                snapshot = OrderSnapshot(read_order(client, self._order_id), shipments)
        self._status.write(snapshot)

    def preview(self, rows: Sequence[ShipmentRow]) -> tuple[OrderPlan, TargetStatus, OrderSnapshot]:
        """Returns what `run` would do with these rows; reads the shop and writes nothing at all."""
        snapshot = self.read()
        if reason := self._out_of_scope(snapshot):
            refused = OrderPlan(refusals=[(row, reason) for row in rows])
            return refused, TargetStatus(None, reason), snapshot
        made = self._make_plan(snapshot, rows)
        return (
            made,
            self._status.target(snapshot.order, _left_after(snapshot.order, made)),
            snapshot,
        )

    def _out_of_scope(self, snapshot: OrderSnapshot) -> str | None:
        """Why the order is not written to: it is another company's or storefront's."""
        order = snapshot.order
        return self._context.settings.limit.why_outside(order.company_id, order.storefront_id)

    # --- shipments -------------------------------------------------------------------------------

    def _make_plan(self, snapshot: OrderSnapshot, rows: Sequence[ShipmentRow]) -> OrderPlan:
        return plan(
            self._number,
            snapshot.order,
            snapshot.shipments,
            list(rows),
            self._journal.entries_of_order(self._order_id),
            self._context.settings,
            self._reference_data.carriers,
            self._reference_data.skus,
            fractions=self._reference_data.fractions,
        )

    def _plan_and_journal(self, snapshot: OrderSnapshot) -> list[Entry]:
        """Plans and journals all rows that wait for this order, in one transaction."""
        journal, key = self._journal, self._context.integration.key
        with journal.transaction() as connection:
            leftover_entries = {}
            for entry in journal.open_entries(Kind.SHIPMENT, order_id=self._order_id):
                # Planned by a run that ended, or surely not applied: its rows are planned anew.
                leftover_entries[entry.target] = entry
                self._numbers += shipments_inbox.update_rows_of_entry(
                    connection, key, entry.id, "waiting", None
                )
            rows = shipments_inbox.waiting_rows(connection, key, self._numbers, lock=True)
            made = self._make_plan(snapshot, rows)
            for row, reason in made.refusals:
                shipments_inbox.update_state(connection, key, [row], "refused", reason)
            for adopted in made.adopted:
                shipments_inbox.update_state(connection, key, adopted.rows, "done", adopted.reason)
                self._adopt(adopted, leftover_entries)
            entries = [
                self._journal_parcel(snapshot, parcel, leftover_entries) for parcel in made.parcels
            ]
            for entry, parcel in zip(entries, made.parcels, strict=True):
                shipments_inbox.mark_taken(connection, key, parcel.rows, entry.id)
            for entry in leftover_entries.values():
                journal.finish(entry, State.SKIPPED, reason="planned anew")
            # For a repeated row of ours the status was queued, and written, when it was shipped.
            ours = own_shipments(journal.entries_of_order(self._order_id))
            if entries or any(each.shipment_id not in ours for each in made.adopted):
                self._status.queue(snapshot.order, _left_after(snapshot.order, made))
        self.refused += made.refusals
        self.notes += made.notes
        return entries

    def _adopt(self, adopted: Adopted, leftover_entries: dict[str, Entry]) -> None:
        """The shop has the parcel: from its admin panel, or a late attempt of ours."""
        target = f"{self._number} {adopted.tracking}"
        ours = leftover_entries.pop(target, None)
        entry = ours or self._journal.plan(
            Kind.SHIPMENT, target, {}, order_id=self._order_id, tracking=adopted.tracking
        )
        state = State.VERIFIED if ours and ours.attempts else State.SKIPPED
        after = {"shipment_id": adopted.shipment_id}
        self._record(self._journal.finish(entry, state, after=after, reason=adopted.reason))

    def _journal_parcel(
        self, snapshot: OrderSnapshot, parcel: Parcel, leftover_entries: dict[str, Entry]
    ) -> Entry:
        target = f"{self._number} {parcel.tracking}"
        before = {
            "shipment_ids": [seen.shipment_id for seen in snapshot.shipments],
            "left": snapshot.order.left_by_item,
            "status": snapshot.order.status,
        }
        known = leftover_entries.pop(target, None)
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
        """Sends the parcels one after the other; the first error ends it, reading back decides."""
        for place, planned in enumerate(entries):
            parcel = Parcel.from_json(planned.plan)
            status = self._status.status_with_shipment() if place == len(entries) - 1 else None
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
                    before_resend=partial(self._journal.record_resend, entry),
                )
            except AmbiguousWriteError as error:
                self._journal.ambiguous(entry, str(error))
                return
            except RejectedWriteError as error:
                # An earlier attempt may have arrived meanwhile: reading decides.
                self._journal.answered(entry, {"rejected": str(error)})
                if self._context.reprices_orders:
                    return  # the status sent with the last parcel needs all of them
            except (TransientShopError, PermanentShopError):
                self._journal.replan(entry)  # it never got as far as being carried out
                raise
            else:
                self._journal.answered(entry, {"shipment_id": shipment_id})

    def _read_open_entries(self) -> list[Entry]:
        """Open entries with their age before the shop is read: a later write must not seem old."""
        entries = self._journal.open_entries(
            Kind.SHIPMENT, Kind.ORDER_STATUS, order_id=self._order_id
        )
        self._ages.update({entry.id: entry.seconds_since_sent or 0.0 for entry in entries})
        return entries

    def _reconcile_shipments(self, snapshot: OrderSnapshot) -> None:
        """Finds out what became of unconfirmed shipments.

        Raises:
            UnconfirmedWriteError: one may still be on its way.
        """
        wait = 0.0
        for entry in self._journal.open_entries(Kind.SHIPMENT, order_id=self._order_id):
            if entry.unconfirmed:
                wait = max(wait, self._reconcile_shipment(entry, snapshot))
        if wait > 0:
            raise UnconfirmedWriteError(wait)

    def _reconcile_shipment(self, entry: Entry, snapshot: OrderSnapshot) -> float:
        """Returns the seconds for which the entry must still be left alone."""
        found = outcome_of(
            entry,
            snapshot.shipments,
            age=self._ages.get(entry.id, 0.0),
            settle=self._context.settling_seconds,
            most=MAX_ATTEMPTS,
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
            shipments_inbox.update_rows_of_entry(connection, key, entry.id, rows, reason)
            self._record(self._journal.finish(entry, state, after=after, reason=reason))

    # --- records -------------------------------------------------------------------------------

    def _record(self, entry: Entry) -> None:
        self.finished.append(entry)

    def _refuse_all(self, reason: str) -> None:
        journal, key = self._journal, self._context.integration.key
        with journal.transaction() as connection:
            for entry in journal.open_entries(
                Kind.SHIPMENT, Kind.ORDER_STATUS, order_id=self._order_id
            ):
                shipments_inbox.update_rows_of_entry(connection, key, entry.id, "refused", reason)
                self._record(journal.finish(entry, State.FAILED, reason=reason))
            rows = shipments_inbox.waiting_rows(connection, key, self._numbers, lock=True)
            shipments_inbox.update_state(connection, key, rows, "refused", reason)
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

"""What a push of shipments would do: reads the shop, writes and journals nothing.

Not here: doing it (`push`).
"""

from __future__ import annotations

from collections.abc import Sequence

from cscart_pipelines.cscart.coerce import UnreadableRowError
from cscart_pipelines.cscart.errors import NotFoundError, ShopError
from cscart_pipelines.cscart.quantities import json_numbers
from cscart_pipelines.fulfilment.journal import State
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.push_session import SHOP_WIDE_ERRORS, PushContext
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow, WrittenChange
from cscart_pipelines.fulfilment.shipments import inbox as shipments_inbox
from cscart_pipelines.fulfilment.shipments.order import OrderPush
from cscart_pipelines.fulfilment.shipments.order_lookup import match_orders
from cscart_pipelines.fulfilment.shipments.reference_data import ReferenceData, read_reference_data


def preview(
    context: PushContext, report: PushReport, rows: Sequence[ShipmentRow] | None = None
) -> None:
    """Completes the report with what would be done.

    Args:
        context: of the dry run.
        report: gets changes, refusals and notes.
        rows: instead of what waits in the inbox.

    Raises:
        ShopError: the shop as a whole does not work.
    """
    connection, key = context.journal.connection, context.integration.key
    if rows is None:
        numbers = shipments_inbox.waiting_numbers(connection, key)
        rows = shipments_inbox.waiting_rows(connection, key, numbers)
    numbers = list(dict.fromkeys(row.order_number for row in rows))
    matched = match_orders(connection, key, context.settings.order_prefix, numbers)
    orders: dict[int, list[ShipmentRow]] = {}
    for row in rows:
        order_id = matched.orders.get(row.order_number)
        if order_id is None:
            report.refusals.append(refusal(row, matched.foreign[row.order_number]))
        elif order_id in orders or not context.limit_reached(len(orders)):
            orders.setdefault(order_id, []).append(row)
        else:
            report.waiting += 1
    reference_data = read_reference_data(connection, key)
    for order_id, its_rows in orders.items():
        _preview_one(context, report, reference_data, order_id, its_rows)


def refusal(row: ShipmentRow, reason: str) -> RefusedRow:
    """Returns the refusal of a row of the inbox."""
    return RefusedRow(f"{row.order_number} {row.tracking_number}".strip(), reason, row.source)


def _preview_one(
    context: PushContext,
    report: PushReport,
    reference_data: ReferenceData,
    order_id: int,
    rows: list[ShipmentRow],
) -> None:
    push = OrderPush(context, reference_data, order_id, [])
    try:
        plan, target, snapshot = push.preview(rows)
    except SHOP_WIDE_ERRORS:
        raise
    except NotFoundError:
        reason = f"the shop has no order {order_id}"
        report.refusals += [refusal(row, reason) for row in rows]
        return
    except (ShopError, UnreadableRowError) as error:
        report.refusals += [refusal(row, str(error)) for row in rows]
        return
    number = f"{context.settings.order_prefix}{order_id}"
    planned = str(State.PLANNED)
    for parcel in plan.parcels:
        report.changes.append(
            WrittenChange(
                "shipment",
                f"{number} {parcel.tracking}",
                planned,
                {"left": snapshot.order.left_by_item},
                {
                    "tracking_number": parcel.tracking_number,
                    "carrier": parcel.carrier,
                    "shipping_id": parcel.shipping_id,
                    "quantities": json_numbers(parcel.quantities),
                },
            )
        )
    if target.letter is not None and (plan.parcels or plan.adopted):
        before, after = {"status": snapshot.order.status}, {"status": target.letter}
        report.changes.append(WrittenChange("order_status", number, planned, before, after))
    report.unchanged += len(plan.adopted)
    report.refusals += [refusal(row, reason) for row, reason in plan.refusals]
    report.notes += [n for n in plan.notes if n not in report.notes]

"""What a push of tracking numbers would do: reads the shop, writes and journals nothing.

Not here: doing it (`tracking`).
"""

from __future__ import annotations

from collections.abc import Sequence

from cscart_pipelines.cscart.coerce import UnreadableRowError
from cscart_pipelines.cscart.errors import NotFoundError, ShopError
from cscart_pipelines.cscart.quantities import json_numbers
from cscart_pipelines.fulfilment.journal import State
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.push_session import SHOP_TROUBLE, PushContext
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow, WrittenChange
from cscart_pipelines.fulfilment.shipments import inbox as shipments_inbox
from cscart_pipelines.fulfilment.shipments.order import OrderPush
from cscart_pipelines.fulfilment.shipments.order_lookup import match_orders
from cscart_pipelines.fulfilment.shipments.reference_data import ReferenceData, read_reference_data


def preview(
    context: PushContext, report: PushReport, rows: Sequence[ShipmentRow] | None = None
) -> None:
    """Completes the report with what would be done. `rows`: instead of what waits in the inbox.

    Raises ShopError when the shop as a whole is in trouble.
    """
    connection, key = context.journal.connection, context.integration.key
    if rows is None:
        numbers = shipments_inbox.waiting_numbers(connection, key)
        rows = shipments_inbox.waiting_rows(connection, key, numbers)
    numbers = list(dict.fromkeys(row.order_number for row in rows))
    meant = match_orders(connection, key, context.settings.order_prefix, numbers)
    orders: dict[int, list[ShipmentRow]] = {}
    for row in rows:
        order_id = meant.orders.get(row.order_number)
        if order_id is None:
            report.refusals.append(refusal(row, meant.foreign[row.order_number]))
        elif order_id in orders or not context.full(len(orders)):
            orders.setdefault(order_id, []).append(row)
        else:
            report.waiting += 1
    maps = read_reference_data(connection, key)
    for order_id, its_rows in orders.items():
        _preview_one(context, report, maps, order_id, its_rows)


def refusal(row: ShipmentRow, reason: str) -> RefusedRow:
    """Of a row of the inbox."""
    return RefusedRow(f"{row.order_number} {row.tracking_number}".strip(), reason, row.source)


def _preview_one(
    context: PushContext,
    report: PushReport,
    maps: ReferenceData,
    order_id: int,
    rows: list[ShipmentRow],
) -> None:
    push = OrderPush(context, maps, order_id, [])
    try:
        made, wish, looked = push.preview(rows)
    except SHOP_TROUBLE:
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
    for parcel in made.parcels:
        report.changes.append(
            WrittenChange(
                "shipment",
                f"{number} {parcel.tracking}",
                planned,
                {"left": looked.order.left_by_item},
                {
                    "tracking_number": parcel.tracking_number,
                    "carrier": parcel.carrier,
                    "shipping_id": parcel.shipping_id,
                    "quantities": json_numbers(parcel.quantities),
                },
            )
        )
    if wish.letter is not None and (made.parcels or made.adopted):
        before, after = {"status": looked.order.status}, {"status": wish.letter}
        report.changes.append(WrittenChange("order_status", number, planned, before, after))
    report.unchanged += len(made.adopted)
    report.refusals += [refusal(row, reason) for row, reason in made.refusals]
    report.notes += [n for n in made.notes if n not in report.notes]

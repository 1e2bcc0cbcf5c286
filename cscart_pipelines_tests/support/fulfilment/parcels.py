"""Orders, shipments, rows and journal entries for the tests of planning, and a shop that applies
a plan as CS-Cart does: without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cscart_pipelines.cscart.order_fulfilment import ShipmentSeen, ShippableLine, ShippableOrder
from cscart_pipelines.cscart.quantities import from_json, tidy
from cscart_pipelines.fulfilment.carriers import CarrierMap
from cscart_pipelines.fulfilment.journal import Entry, Kind, State
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.shipments.parcels.plan import OrderPlan, Parcel, plan
from cscart_pipelines.integrations.settings import IntegrationSettings, check

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://track.example/p?n=1&x=2"


def settings(**values: Any) -> IntegrationSettings:
    return check({
        "integration": "shop", "list_name": "shop", "url": "https://shop.example",
        "email": "a@shop.example", "update_tracking_number": True, **values,
    })  # fmt: skip


NUMBER_OFF = settings(update_tracking_number=False, update_tracking_url=True)


def order(*lines: tuple[str, str, float, float], **values: Any) -> ShippableOrder:
    """Lines are item id, product code, ordered, left."""
    made = ShippableOrder(
        order_id=1001, status="P", is_parent=False, parent_order_id=None, ordered_at=NOW,
        updated_at=None, total=Decimal("10.00"), shipping_id=2, shipment_ids=(),
        lines=tuple(
            ShippableLine(item, 1, code, "A product", from_json(ordered), from_json(left))
            for item, code, ordered, left in lines or (("11", "A", 2, 2), ("22", "B", 1, 1))
        ),
    )  # fmt: skip
    return replace(made, **values)


def seen(shipment_id: int, tracking: str = "", **values: Any) -> ShipmentSeen:
    given = {"order_id": 1001, "tracking_number": tracking, "carrier": "", "tracking_url": "",
             "comments": "", "shipped_at": None, "quantities": {}, **values}  # fmt: skip
    given["quantities"] = {item: from_json(n) for item, n in given["quantities"].items()}
    return ShipmentSeen(shipment_id=shipment_id, **given)


def row(
    tracking: str = "1Z1", sku: str = "A", quantity: int | str | None = 1, **values: Any
) -> ShipmentRow:
    pieces = None if quantity is None else Decimal(quantity)
    return ShipmentRow("CS1001", tracking, sku, pieces, **values)


def entry(
    parcel: Parcel, shipment_id: int | None, state: State = State.VERIFIED, number: int = 1
) -> Entry:
    after = None if shipment_id is None else {"shipment_id": shipment_id}
    return Entry(
        id=number, integration="shop", kind=Kind.SHIPMENT, target=f"CS1001 {parcel.tracking}",
        state=state, order_id=1001, product_id=None, tracking=parcel.tracking,
        plan=parcel.to_json(), before=None, after=after, reason=None, attempts=1, run_id="r",
        created_at=NOW, sent_at=NOW, finished_at=NOW, seconds_since_sent=1.0,
    )  # fmt: skip


def planned(
    rows: Sequence[ShipmentRow],
    an_order: ShippableOrder | None = None,
    shipments: Sequence[ShipmentSeen] = (),
    history: Sequence[Entry] = (),
    some_settings: IntegrationSettings | None = None,
    carriers: CarrierMap | None = None,
    sku_map: Mapping[str, str] | None = None,
    *,
    fractions: bool = False,
) -> OrderPlan:
    made = plan(
        "CS1001",
        an_order or order(),
        list(shipments),
        list(rows),
        list(history),
        some_settings or settings(),
        carriers or CarrierMap(),
        sku_map or {},
        fractions=fractions,
    )
    ended = [each for parcel in made.parcels for each in parcel.rows]
    ended += [each for adopted in made.adopted for each in adopted.rows]
    ended += [each for each, _ in made.refusals]
    assert sorted(map(repr, ended)) == sorted(map(repr, rows)), "a row ends in exactly one place"
    return made


def only_reason(made: OrderPlan) -> str:
    """The one refusal of a plan that has nothing else."""
    assert not made.parcels and not made.adopted and len(made.refusals) == 1, made
    return made.refusals[0][1]


def apply(
    made: OrderPlan, an_order: ShippableOrder, shipments: Sequence[ShipmentSeen] = ()
) -> tuple[ShippableOrder, list[ShipmentSeen], list[Entry]]:
    """The shop and the journal after everything planned was posted and read back."""
    after, entries = list(shipments), []
    for parcel in made.parcels:
        key = 300 + len(after) + 1
        after.append(
            seen(
                key,
                parcel.tracking_number,
                carrier=parcel.carrier,
                comments=parcel.comments,
                quantities=dict(parcel.quantities),
            )
        )
        entries.append(entry(parcel, key, number=key))
        an_order = replace(
            an_order,
            shipment_ids=(*an_order.shipment_ids, key),
            lines=tuple(
                replace(line, left=tidy(line.left - parcel.quantities.get(line.item_id, 0)))
                for line in an_order.lines
            ),
        )
    return an_order, after, entries

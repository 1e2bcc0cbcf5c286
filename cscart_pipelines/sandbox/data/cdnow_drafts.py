"""Orders of the CDNOW shop before they have numbers.

Shared by cdnow.py (purchases) and cdnow_extras.py (the rest); nothing is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cscart_pipelines.sandbox.data.cdnow_people import Person
from cscart_pipelines.sandbox.shop.model import Order

DAY = 86_400


@dataclass(slots=True)
class Draft:
    """An order that waits for its number; `account` is the person's number, None for a guest."""

    order: Order
    account: int | None


def order_of(who: Person, moment: int, status: str, **fields: object) -> Order:
    """An order of this person without number; `fields` as in the model."""
    return Order(
        order_id=0,
        email=who.email,
        firstname=who.firstname,
        lastname=who.lastname,
        phone=who.phone,
        status=status,
        timestamp=moment,
        ship_to=who.address,
        bill_to=replace(who.address),
        **fields,  # type: ignore[arg-type]
    )

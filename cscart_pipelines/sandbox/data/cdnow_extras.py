"""What CDNOW lacks and a shop has: orders that are no purchases, customers who never bought.

All made up and seeded; nothing here has a settled status, so purchases and revenue stay CDNOW's.
"""

from __future__ import annotations

import random
from decimal import Decimal

from cscart_pipelines.sandbox.data.cdnow_catalogue import cut_lines
from cscart_pipelines.sandbox.data.cdnow_drafts import DAY, Draft, order_of
from cscart_pipelines.sandbox.data.cdnow_people import Person, person
from cscart_pipelines.sandbox.shop.model import Product

FIRST_NEVER_BUYER = 3001
NEVER_BUYERS = 180
NEW_NEVER_BUYERS = 60  # of them, registered in the last 30 days
COUNTS = {"I": 160, "F": 80, "D": 50, "B": 12, "N": 150}
OPEN_ORDERS = 40


def add_extras(
    people: dict[int, Person],
    registered: dict[int, int],
    purchases: list[Draft],
    products: list[Product],
    *,
    start: int,
    end: int,
) -> list[Draft]:
    """Adds the never-buyers to `people` and `registered`; returns the orders that are none.

    `start` and `end` (epoch seconds) bound the purchases; `end` is today's first moment.
    """
    dice = random.Random("extras")  # noqa: S311 - repeatable, not secret
    for number in range(FIRST_NEVER_BUYER, FIRST_NEVER_BUYER + NEVER_BUYERS):
        people[number] = person(number)
        new = number < FIRST_NEVER_BUYER + NEW_NEVER_BUYERS
        back = dice.randrange(3600, 29 * DAY) if new else dice.randrange(31 * DAY, end - start)
        registered[number] = end - back
    bought: dict[str, list[int]] = {}
    for draft in purchases:
        bought.setdefault(draft.order.email.lower(), []).append(draft.order.timestamp)

    def recovered(email: str, moment: int) -> bool:
        return any(moment <= each <= moment + DAY for each in bought.get(email, ()))

    made: list[Draft] = []
    for draft in purchases:
        # A checkout begun and left, and finished within a day.
        if dice.random() < 0.03:
            who = people[draft.account] if draft.account is not None else None
            if who is None:
                continue
            moment = draft.order.timestamp - dice.randrange(20 * 60, 20 * 3600)
            made.append(_order(dice, who, moment, "N", products, registered, draft.order.total))
    numbers = sorted(registered)
    for status, count in COUNTS.items():
        for _ in range(count):
            number = dice.choice(numbers)
            earliest = max(registered[number] + 60, start)
            moment = dice.randrange(earliest, end) if earliest < end else end - 1
            if status == "N" and recovered(people[number].email.lower(), moment):
                continue
            made.append(_order(dice, people[number], moment, status, products, registered))
    for _ in range(OPEN_ORDERS):
        number = dice.choice(numbers)
        moment = max(registered[number] + 60, end - dice.randrange(60, 5 * DAY))
        made.append(_order(dice, people[number], min(moment, end - 1), "O", products, registered))
    return made


def _order(
    dice: random.Random,
    who: Person,
    moment: int,
    status: str,
    products: list[Product],
    registered: dict[int, int],
    value: Decimal | None = None,
) -> Draft:
    pieces = dice.randint(1, 4)
    value = value or Decimal(dice.randrange(999, 9000)) / 100
    lines = cut_lines(dice, products, who.number % 10, pieces, value, discounted=False)
    order = order_of(who, moment, status, lines=lines, updated_at=moment)
    order.total = order.subtotal
    account = who.number if registered.get(who.number, moment + 1) <= moment else None
    return Draft(order, account)

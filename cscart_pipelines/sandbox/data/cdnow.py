"""The CDNOW sample as a shop: 6,919 purchases of 2,357 customers, up to yesterday.

*Real* (CDNOW, 1/10th systematic sample of the first quarter 1997 cohort, to June 1998; a data file
of the PyPI package ``lifetimes``): who bought on which day, how many CDs, for how many dollars. All
days are moved by the same whole number of days so that the last purchase was yesterday; the value
is the order's exact `total`, the number of CDs the sum of its quantities. These orders have a
settled status (P or C), so purchases, buyers and revenue of the shop are those of the file.

*Made*, from generators seeded by the customer's and the purchase's number: names, addresses,
countries, e-mail addresses, phones (a third has none), the time of day, which albums, discounts,
accounts (one buyer in twelve is a guest), registration days, and everything in cdnow_extras.py:
customers who never bought, and orders that are no purchases.

Orders of the first month carry `updated_at` 0, as orders older than an upgrade do (reference 8.6).
Only the data file is opened; the package is not imported.
"""

from __future__ import annotations

import importlib.metadata
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from cscart_pipelines.sandbox.data.cdnow_catalogue import CATEGORIES, cut_lines, fill_catalogue
from cscart_pipelines.sandbox.data.cdnow_drafts import DAY, Draft, order_of
from cscart_pipelines.sandbox.data.cdnow_extras import add_extras
from cscart_pipelines.sandbox.data.cdnow_people import Person, person
from cscart_pipelines.sandbox.shop.model import Product, Shipment
from cscart_pipelines.sandbox.shop.store import Store

DATA_FILE = "lifetimes/datasets/CDNOW_sample.txt"


@dataclass(frozen=True, slots=True)
class Purchase:
    """One line of the file; `number` counts the lines from 1, `day` is not moved yet."""

    number: int
    customer: int
    day: date
    pieces: int
    value: Decimal


def read_sample() -> list[Purchase]:
    """The 6,919 purchases as in the file. Raises PackageNotFoundError without `lifetimes`."""
    found = importlib.metadata.distribution("lifetimes").locate_file(DATA_FILE)
    purchases = []
    for number, line in enumerate(Path(str(found)).read_text().splitlines(), 1):
        _, customer, day, pieces, value = line.split()
        when = datetime.strptime(day, "%Y%m%d").date()
        purchases.append(Purchase(number, int(customer), when, int(pieces), Decimal(value)))
    return purchases


def fill_store(store: Store, *, today: date | None = None) -> None:
    """Fills an empty store.

    Args:
        store: The store.
        today: The day (UTC), by default of the store's clock. The same day gives the same shop in
            every version.
    """
    today = today or datetime.fromtimestamp(store.clock(), UTC).date()
    sample = read_sample()
    shift = today - timedelta(days=1) - max(each.day for each in sample)
    end = _epoch(today)
    start = _epoch(min(each.day for each in sample) + shift)
    products = fill_catalogue(store, start - 90 * DAY)
    people = {number: person(number) for number in {each.customer for each in sample}}
    first: dict[int, int] = {}
    drafts: list[Draft] = []
    same_day: Counter[tuple[int, date]] = Counter()
    for each in sample:
        turn = same_day[each.customer, each.day]
        same_day[each.customer, each.day] += 1
        draft = _purchase(each, people[each.customer], products, shift, turn, end)
        if draft.order.timestamp < start + 30 * DAY:
            draft.order.updated_at = 0
        first.setdefault(each.customer, draft.order.timestamp)
        first[each.customer] = min(first[each.customer], draft.order.timestamp)
        drafts.append(draft)
    registered = {
        number: moment - _before_first(number)
        for number, moment in first.items()
        if not is_guest(number)
    }
    drafts += add_extras(people, registered, drafts, products, start=start, end=end)
    accounts = _accounts(store, people, registered, drafts)
    _number(store, drafts, accounts, end)


def is_guest(number: int) -> bool:
    """One buyer in twelve has no account."""
    return number % 12 == 5


def _purchase(
    each: Purchase,
    who: Person,
    products: list[Product],
    shift: timedelta,
    turn: int,
    end: int,
) -> Draft:
    dice = random.Random(f"purchase {each.number}")  # noqa: S311 - repeatable, not secret
    # From 7 to 20 o'clock UTC, so that the day is the same in Europe's time zones.
    moment = _epoch(each.day + shift) + 7 * 3600 + dice.randrange(12 * 3600) + turn * 60
    seeker = each.customer % 15 == 0
    discounted = each.value > 0 and dice.random() < (0.7 if seeker else 0.1)
    favourite = each.customer % len(CATEGORIES)
    lines = cut_lines(dice, products, favourite, each.pieces, each.value, discounted=discounted)
    age = end - moment
    status = "P" if age < 14 * DAY or dice.random() < 0.08 else "C"
    changed = min(end - 1, moment + dice.randrange(3600, 5 * DAY))
    order = order_of(who, moment, status, lines=lines, updated_at=max(moment, changed))
    order.total = each.value
    order.promotion_ids = "3" if discounted else ""
    if each.number % 50 == 0:
        order.notes = "Please ring &quot;Shop&quot; &amp; wait"
    guest = is_guest(each.customer) or (each.customer % 40 == 7 and dice.random() < 0.5)
    if guest and dice.random() < 0.3:
        order.email = order.email.upper()
    return Draft(order, None if guest else each.customer)


def _before_first(number: int) -> int:
    dice = random.Random(f"registered {number}")  # noqa: S311 - repeatable, not secret
    return dice.randrange(120, 3600) if dice.random() < 0.6 else dice.randrange(3600, 60 * DAY)


def _accounts(
    store: Store, people: dict[int, Person], registered: dict[int, int], drafts: list[Draft]
) -> dict[int, int]:
    """Accounts in the order of registration: person number to user id."""
    last_seen: dict[int, int] = {}
    for draft in drafts:
        if draft.account is not None:
            seen = last_seen.get(draft.account, 0)
            last_seen[draft.account] = max(seen, draft.order.timestamp)
    accounts: dict[int, int] = {}
    for number, moment in sorted(registered.items(), key=lambda item: (item[1], item[0])):
        who = people[number]
        made = store.add_customer(
            who.email,
            firstname=who.firstname,
            lastname=who.lastname,
            phone=who.phone,
            timestamp=moment,
            last_login=last_seen.get(number, moment),
            address=who.address,
        )
        accounts[number] = made.user_id
    return accounts


def _number(store: Store, drafts: list[Draft], accounts: dict[int, int], end: int) -> None:
    """Order numbers by time, from 1001; recent complete orders get their shipment."""
    drafts.sort(key=lambda draft: draft.order.timestamp)  # stable: ties keep the file's order
    for order_id, draft in enumerate(drafts, 1001):
        order = draft.order
        order.order_id = order_id
        order.user_id = accounts[draft.account] if draft.account is not None else 0
        store.add_order(order)
        if order.status == "C" and order.timestamp > end - 60 * DAY:
            made = Shipment(
                store.next_shipment_id(),
                order_id,
                order.updated_at,
                carrier="dhl",
                tracking_number=f"JD{order_id:010d}",
                status="S",
                products={line.item_id: line.amount for line in order.lines},
            )
            store.add_shipment(made)


def _epoch(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())

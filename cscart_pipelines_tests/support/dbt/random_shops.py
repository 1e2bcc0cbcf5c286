"""Small made-up shops with everything that makes shops hard, the same on every run.

Moments sit on and beside the borders of the windows; addresses differ in case and blanks; orders
are parents, incomplete, deleted, free, by guests, by accounts with another address.
"""

from __future__ import annotations

import random

import pandas as pd

from cscart_pipelines_tests.support.dbt.builds import AS_OF, Row, Shop, order

ZONES = ["UTC", "Europe/Athens", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]
PHONES: dict[str, dict[str, str]] = {
    "+30 691 234 5678": {"": "+306912345678"},
    "６９１２３４５６７８": {"GR": "+306912345678", "IN": "+916912345678"},
    "07400 123456": {"GB": "+447400123456", "IN": "+917400123456"},
    "(202) 555-0143": {"US": "+12025550143", "NZ": "+642025550143"},
    **{
        text: {}
        for text in ("+44 20 7946 0000", "12345", "", "0000000", "306912345678.0", "after 5")
    },
}
"""What is meant by a phone, by the country of its owner; "" for every country."""
ODD = ["not an address", "half@way", "ada-lovelace-1700000000@example.com", None]
"""Beside addresses that can be written to."""
BORDERS = [0, 1, 29, 30, 31, 40, 60, 89, 90, 91, 180, 181, 364, 365, 366, 500]


def random_shop(seed: int) -> Shop:
    draw = random.Random(seed)
    zone = draw.choice(ZONES)
    people = draw.choice([1, 2, 5, 25, 60])
    shop = Shop(
        f"random-{seed:02d}",
        {
            "timezone": zone,
            "include_guests": draw.random() < 0.7,
            "settled_statuses": draw.choice([None, None, ["P", "C"], ["P", "C", "O"]]),
            "refund_statuses": draw.choice([[], ["X"], ["X", "C"]]),
        },
    )
    for status in "PCOFDIX":
        paid = {"P": True, "C": True, "X": draw.random() < 0.5}.get(status, False)
        shop.statuses.append(
            {"type": "O", "status": status, "description": f"Status {status}"}
            | {"payment_received": paid if seed % 3 else None}
        )
    emails = [f"person{i}@post.gr" for i in range(people)] + ODD
    for user_id, email in enumerate(emails, start=1):
        if draw.random() < 0.6:
            shop.customers.append(_customer(draw, user_id, email, zone))
    if people > 2:  # an account per storefront, same address
        shop.customers.append(_customer(draw, 900, emails[0], zone))
    for product_id in range(1, 7):
        shop.products.append({"product_id": product_id, "main_category": draw.choice([1, 2, 9])})
    shop.categories = [
        {"category_id": 1, "category": "Tea"},
        {"category_id": 2, "category": "Coffee"},
    ]
    for order_id in range(1, people * 4 + 1):
        _order(draw, shop, order_id, emails, zone)
    return shop


def _spell(draw: random.Random, email: str | None) -> str | None:
    if not email:
        return draw.choice([None, " "])
    around = [f" {email} ", f"<{email}>,", f"\u00a0{email}\u200b"]
    return draw.choice([email, email.upper(), *around])


def _moment(draw: random.Random, zone: str) -> pd.Timestamp:
    """On a border of a window, a moment beside one, or anywhere in two years."""
    local = AS_OF.tz_convert(zone).tz_localize(None)
    if draw.random() < 0.5:
        moment = local - pd.Timedelta(days=draw.choice(BORDERS))
        moment += pd.Timedelta(microseconds=draw.choice([-1, 0, 0, 1]))
    else:
        moment = local - pd.Timedelta(minutes=draw.randrange(-1000, 1_000_000))
    return moment.tz_localize(zone, ambiguous=False, nonexistent="shift_forward").tz_convert("UTC")


def _customer(draw: random.Random, user_id: int, email: str | None, zone: str) -> Row:
    return {
        "user_id": user_id,
        "email": _spell(draw, email),
        "firstname": draw.choice(["Ada", None]),
        "phone": draw.choice([*PHONES, None]),
        "registered_at": _moment(draw, zone).to_pydatetime() if draw.random() < 0.9 else None,
        "deleted_at": _moment(draw, zone).to_pydatetime() if draw.random() < 0.15 else None,
    }


def _order(
    draw: random.Random, shop: Shop, order_id: int, emails: list[str | None], zone: str
) -> None:
    email = draw.choice(emails)
    accounts = [row["user_id"] for row in shop.customers]
    own = [r["user_id"] for r in shop.customers if (r["email"] or "").strip().lower() == email]
    user = draw.choice([None, own[0] if own else None, *draw.sample(accounts, min(1, len(own)))])
    at = _moment(draw, zone)
    if shop.orders and draw.random() < 0.1:  # the same moment, or within a day after another one
        at = pd.Timestamp(shop.orders[-1]["ordered_at"]) + pd.Timedelta(
            hours=draw.choice([0, 23, 24, 25])
        )
        email = shop.orders[-1].get("email") or email
    shop.orders.append(
        order(
            order_id,
            at,
            user_id=user,
            email=_spell(draw, email),
            status=draw.choice("PPPPCCCOFDIXNNT"),
            is_parent_order=draw.random() < 0.05,
            total=f"{draw.choice([0, 5, 10, 10, 19.9, 333.33, 1000]):.2f}",
            discount=draw.choice([None, "0", "1.50"]),
            subtotal_discount=draw.choice([None, None, "2"]),
            phone=draw.choice([None, None, *PHONES]),
            s_phone=draw.choice([None, None, None, *PHONES]),
            s_country=draw.choice(["GR", "gb", "", None]),
            b_country=draw.choice(["DE", None]),
            deleted_at=at.to_pydatetime() if draw.random() < 0.05 else None,
        )
    )
    for item in range(draw.randrange(4)):
        shop.order_lines.append(
            {
                "order_id": order_id,
                "item_id": str(item),
                "product_id": draw.randrange(1, 9),
                "quantity": 1,
                "price": "2.50",
            }
        )

"""Made-up visits to the shops of `random_shops`, the same on every run.

Silences sit on and beside the half hour that ends a session, moments on and beside the borders of
windows and days; one browser is several people, or becomes one late; products and orders are told
that no shop has.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from datetime import UTC
from typing import Any

import pandas as pd

from cscart_pipelines_tests.support.dbt.builds import AS_OF, Row, Shop

NAMES = [
    "page_view", "page_view", "view_item", "view_item", "view_item_list", "search", "add_to_cart",
    "begin_checkout", "purchase", "purchase", "login",
]  # fmt: skip
STEPS = ["0us", "1us", "10s", "5min", "1799999999us", "30min", "1800000001us", "9h", "3D"]
BORDERS = ["0min", "59min", "60min", "61min", "5h", "1D", "6D", "7D", "8D", "13D", "14D", "15D"]
STRANGER = "stranger@post.gr"


def hashed(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def add_visits(shop: Shop, seed: int) -> Shop:
    """Fills the shop's catalogue codes, events and known visitors."""
    draw = random.Random(seed + 10_000)
    for product in shop.products:
        product["product_code"] = draw.choice(["TEA", " TEA ", "MUG", f"P{seed}", "", None])
        product["deleted_at"] = AS_OF.to_pydatetime() if draw.random() < 0.3 else None
    _split(draw, shop)
    people = sorted(
        {
            (row.get("email") or "").strip().lower()
            for row in [*shop.customers, *shop.orders]
            if (row.get("email") or "").strip()
        }
    )
    zone = str(shop.settings["timezone"])
    for number in range(draw.choice([0, 1, 4, 12, 30])):
        visitor = f"visitor-of-{shop.integration}-{number:03d}"
        known = [hashed(draw.choice([*people, *people, STRANGER])) for _ in range(3)]
        addresses = known[: draw.choice([0, 1, 1, 1, 2, 3])]
        _visit(draw, shop, visitor, addresses, zone)
    return shop


def _split(draw: random.Random, shop: Shop) -> None:
    """Parts of split orders name their parent."""
    parents = [row["order_id"] for row in shop.orders if row["is_parent_order"]]
    for row in shop.orders:
        if parents and not row["is_parent_order"] and draw.random() < 0.2:
            row["parent_order_id"] = draw.choice(parents)


def _start(draw: random.Random, zone: str) -> pd.Timestamp:
    local = AS_OF.tz_convert(zone).tz_localize(None)
    chosen = draw.random()
    if chosen < 0.5:
        moment = local - pd.Timedelta(draw.choice(BORDERS))
    elif chosen < 0.7:
        moment = local.normalize() - pd.Timedelta(days=draw.randrange(10))
    else:
        moment = local - pd.Timedelta(minutes=draw.randrange(100_000))
    moment += pd.Timedelta(microseconds=draw.choice([-1, 0, 0, 1]))
    return moment.tz_localize(zone, ambiguous=False, nonexistent="shift_forward").tz_convert("UTC")


def _visit(draw: random.Random, shop: Shop, visitor: str, addresses: list[str], zone: str) -> None:
    at = _start(draw, zone)
    for _ in range(draw.randrange(1, 15)):
        name = draw.choice(NAMES)
        shop.events.append(
            {
                "event_id": str(uuid.UUID(int=draw.getrandbits(128))),
                "day": at.date(),
                "name": name,
                "occurred_at": at.to_pydatetime(),
                "client_at": at.to_pydatetime(),
                "visitor_id": visitor,
                "email_sha256": draw.choice([None, None, *addresses]),
                "page": draw.choice(["/", "/tea.html", None]),
                "referrer": draw.choice(["www.search.example", None]),
                "device": draw.choice(["phone", "desktop"]),
                "items": _items(draw) if draw.random() < 0.9 else None,
                "order_id": _order(draw, shop) if name == "purchase" else None,
            }
        )
        at = _start(draw, zone) if draw.random() < 0.1 else at + pd.Timedelta(draw.choice(STEPS))
    # Also what dropped events said; some visitors are known by nothing else.
    own = [e for e in shop.events if e["visitor_id"] == visitor]
    for address in sorted({*addresses, *draw.sample([hashed(STRANGER)], draw.randrange(2))}):
        named = [e["occurred_at"] for e in own if e["email_sha256"] == address]
        before = [
            draw.choice([*(e["occurred_at"] for e in own), _start(draw, zone).to_pydatetime()])
            for _ in range(2)
        ]
        if named or draw.random() < 0.7:
            shop.visitors.append(
                {
                    "visitor_id": visitor,
                    "email_sha256": address,
                    "first_at": min(*named, *before).astimezone(UTC),
                    "last_at": max(*named, *before).astimezone(UTC),
                }
            )


def _items(draw: random.Random) -> Any:
    items: list[Row] = [
        {
            "product_id": draw.choice(["1", "2", "3", "99", "x7", ""]),
            "sku": draw.choice(["TEA", "MUG", "NEW", "99", ""]),
            "quantity": draw.choice([1, 2, 1_000_000]),
        }
        for _ in range(draw.choice([0, 1, 1, 2, 3]))
    ]
    for item in items:
        for key in ("product_id", "sku", "quantity"):
            if draw.random() < 0.3:
                del item[key]
    if draw.random() < 0.1:  # the collector lets none of this through
        return draw.choice([{"sku": "TEA"}, "TEA", [["TEA"]], [{"sku": 7, "quantity": "many"}]])
    return items


def _order(draw: random.Random, shop: Shop) -> str:
    known = [str(row["order_id"]) for row in shop.orders]
    return draw.choice([*draw.sample(known, min(4, len(known))), "987654", "CS-1", "0" * 30])

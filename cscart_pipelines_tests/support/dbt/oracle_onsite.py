"""What the models should say of visits, computed event by event from the raw rows.

Written from the descriptions of the models, sharing nothing with the SQL. People and orders are
those of `oracle`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import pandas as pd

from cscart_pipelines_tests.support.dbt.builds import Row
from cscart_pipelines_tests.support.dbt.oracle import Oracle
from cscart_pipelines_tests.support.dbt.oracle_people import faulty, usable
from cscart_pipelines_tests.support.dbt.random_visits import hashed

SILENCE = pd.Timedelta(minutes=30)


@dataclass
class Event:
    raw: Row
    at: pd.Timestamp
    identity: str | None
    session: int = 0

    @property
    def name(self) -> str:
        return str(self.raw["name"])

    @property
    def order_id(self) -> int | None:
        told = self.raw.get("order_id") or ""
        return int(told) if told.isdigit() and len(told) <= 18 else None


@dataclass
class Purchase:
    event: Event
    orders: list[Any]
    """The orders behind it: none that the warehouse does not have, more where it was split."""

    @property
    def revenue(self) -> float:
        return float(sum(order.total for order in self.orders if order.purchase))

    @property
    def stands(self) -> bool:
        return not self.orders or any(alive(order) for order in self.orders)


def alive(order: Any) -> bool:
    return bool(order.counted and not order.cancelled and not order.failed)


@dataclass
class Step:
    """What happened to a product on a day."""

    viewed: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)
    bought: set[str] = field(default_factory=set)
    visitors: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    pieces: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    revenue: float = 0.0


class Visits:
    """Of one shop, as one build that has read all of it should see them."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.shop = oracle.shop
        meant = {
            text: usable(email) or faulty(email) or ""
            for row in [*oracle.shop.customers, *oracle.shop.orders]
            if (email := row.get("email"))
            # As a browser would have it, and the address itself.
            for text in (email.strip().lower(), usable(email) or email)
        }
        self.by_hash = {hashed(text): who for text, who in meant.items() if who in oracle.live}

    def day(self, at: pd.Timestamp) -> str:
        return str(self.oracle.local(at).date())

    @cached_property
    def sightings(self) -> dict[str, list[tuple[pd.Timestamp, str]]]:
        found: dict[str, list[tuple[pd.Timestamp, str]]] = defaultdict(list)
        for row in self.shop.visitors:
            for moment in (row["first_at"], row["last_at"]):
                found[row["visitor_id"]].append((pd.Timestamp(moment), row["email_sha256"]))
        for row in self.shop.events:
            if row["email_sha256"]:
                seen = (pd.Timestamp(row["occurred_at"]), row["email_sha256"])
                found[row["visitor_id"]].append(seen)
        return {
            visitor: sorted(one for one in seen if one[0] < self.oracle.as_of)
            for visitor, seen in found.items()
        }

    def _owner(self, raw: Row, at: pd.Timestamp) -> str | None:
        if raw["email_sha256"]:
            return str(raw["email_sha256"])
        seen = self.sightings.get(raw["visitor_id"], [])
        before = [one for one in seen if one[0] <= at]
        return before[-1][1] if before else seen[0][1] if seen else None

    @cached_property
    def events(self) -> dict[str, list[Event]]:
        """Of each visitor, in order and with the numbers of their sessions."""
        found: dict[str, list[Event]] = defaultdict(list)
        for raw in self.shop.events:
            at = pd.Timestamp(raw["occurred_at"])
            if at < self.oracle.as_of:
                owner = self._owner(raw, at)
                found[raw["visitor_id"]].append(Event(raw, at, self.by_hash.get(owner or "")))
        for events in found.values():
            events.sort(
                key=lambda e: (
                    e.at,
                    e.raw["email_sha256"] is None,
                    e.raw["email_sha256"] or "",
                    e.raw["event_id"],
                )
            )
            for before, event in pairwise(events):
                event.session = before.session + (event.at - before.at >= SILENCE)
        return found

    @cached_property
    def purchases(self) -> list[Purchase]:
        told = [e for events in self.events.values() for e in events if e.name == "purchase"]
        found, met = [], set()
        for event in sorted(told, key=lambda e: (e.at, e.raw["event_id"])):
            number = event.order_id
            if number in met:
                continue
            if number is not None:
                met.add(number)
            orders = [
                order
                for order in self.oracle.orders.itertuples()
                if number in (order.order_id, order.raw.get("parent_order_id"))
                and number is not None
                and not order.raw["is_parent_order"]
            ]
            found.append(Purchase(event, orders))
        return found

    @cached_property
    def sessions(self) -> dict[tuple[str, pd.Timestamp], Row]:
        groups: dict[tuple[str, int], list[Event]] = defaultdict(list)
        for visitor, events in self.events.items():
            for event in events:
                groups[visitor, event.session].append(event)
        found = {}
        for (visitor, number), events in groups.items():
            names = [event.name for event in events]
            known = sorted(
                (e.at, e.raw["event_id"], e.identity) for e in events if e.identity is not None
            )
            bought = [
                p
                for p in self.purchases
                if (p.event.raw["visitor_id"], p.event.session) == (visitor, number)
            ]
            settled = {o.order_id for p in bought for o in p.orders if o.purchase}
            found[visitor, events[0].at] = {
                "ended_at": events[-1].at,
                "day": self.day(events[0].at),
                "identity": known[-1][2] if known else None,
                "events": len(events),
                "page_views": names.count("page_view"),
                "product_views": names.count("view_item"),
                "searches": names.count("search"),
                "adds_to_cart": names.count("add_to_cart"),
                "checkouts": names.count("begin_checkout"),
                "purchases": len(bought),
                "settled_orders": len(settled),
                "revenue": sum(p.revenue for p in bought),
                "landing_page": events[0].raw["page"],
                "referrer": events[0].raw["referrer"],
                "device": events[0].raw["device"],
            }
        return found

    @cached_property
    def daily(self) -> dict[str, Row]:
        """Without the days on which nobody came."""
        groups: dict[str, list[tuple[str, Row]]] = defaultdict(list)
        for (visitor, _), session in self.sessions.items():
            groups[session["day"]].append((visitor, session))
        sums = ["page_views", "product_views", "adds_to_cart", "checkouts", "purchases", "revenue"]
        return {
            day: {
                "sessions": len(rows),
                "visitors": len({visitor for visitor, _ in rows}),
                "known_people": len({s["identity"] for _, s in rows} - {None}),
                "conversion": sum(s["purchases"] > 0 for _, s in rows) / len(rows),
            }
            | {name: sum(s[name] for _, s in rows) for name in sums}
            for day, rows in groups.items()
        }

    # --- products ------------------------------------------------------------------------------

    def _product(self, told_id: str | None, told_sku: str | None) -> tuple[str, bool] | None:
        for product in self.shop.products:
            if told_id is not None and str(product["product_id"]) == told_id:
                return told_id, True
        same_code = [
            product
            for product in self.shop.products
            if told_sku and (product["product_code"] or "").strip() == told_sku
        ]
        if same_code:
            best = min(same_code, key=lambda p: (p["deleted_at"] is not None, p["product_id"]))
            return str(best["product_id"]), True
        told = told_id or told_sku
        return (told, False) if told else None

    @staticmethod
    def _told(event: Event) -> list[tuple[str | None, str | None, int]]:
        items = event.raw["items"]
        return [
            (
                str(item.get("product_id") or "") or None,
                str(item.get("sku") or "") or None,
                quantity if isinstance(quantity := item.get("quantity", 1), int) else 1,
            )
            for item in (items if isinstance(items, list) else [])
            if isinstance(item, dict)
        ]

    @cached_property
    def funnel(self) -> dict[tuple[str, str, bool], Step]:
        found: dict[tuple[str, str, bool], Step] = defaultdict(Step)

        def note(event: Event, step: str, told: Any, quantity: int, money: float = 0.0) -> None:
            if product := self._product(*told):
                row = found[self.day(event.at), *product]
                getattr(row, step).add(event.raw["event_id"])
                row.visitors[step].add(event.raw["visitor_id"])
                row.pieces[step] += quantity
                row.revenue += money

        for events in self.events.values():
            for event in events:
                step = {"view_item": "viewed", "add_to_cart": "added"}.get(event.name)
                for product_id, sku, quantity in self._told(event) if step else []:
                    note(event, str(step), (product_id, sku), quantity)
        lines = defaultdict(list)
        for line in self.shop.order_lines:
            lines[line["order_id"]].append(line)
        for purchase in self.purchases:
            for order in purchase.orders:
                for line in lines[order.order_id]:
                    money = float(line["price"]) * line["quantity"] if order.purchase else 0.0
                    told = (str(line["product_id"]), line.get("product_code"))
                    note(purchase.event, "bought", told, line["quantity"], money)
            if not purchase.orders:
                for product_id, sku, quantity in self._told(purchase.event):
                    note(purchase.event, "bought", (product_id, sku), quantity)
        return found

    # --- people --------------------------------------------------------------------------------

    @cached_property
    def last_seen(self) -> dict[str, pd.Timestamp]:
        found: dict[str, pd.Timestamp] = {}
        seen = [(e.identity, e.at) for events in self.events.values() for e in events]
        seen += [
            (self.by_hash.get(row["email_sha256"]), pd.Timestamp(row["last_at"]))
            for row in self.shop.visitors
        ]
        for identity, at in seen:
            if identity is not None:
                found[identity] = max(at, found.get(identity, at))
        return found

    @cached_property
    def bought(self) -> dict[str, list[pd.Timestamp]]:
        """When somebody ordered: open orders too, cancelled and failed ones not."""
        found: dict[str, list[pd.Timestamp]] = defaultdict(list)
        for order in self.oracle.mine.itertuples():
            if alive(order):
                found[order.identity].append(order.at)
        for purchase in self.purchases:
            if purchase.stands and purchase.event.identity:
                found[purchase.event.identity].append(purchase.event.at)
        return found

    def _left(self, names: set[str], days: int, minutes: int = 0) -> set[str]:
        """Whose last such event in the window has no order since."""
        last: dict[str, pd.Timestamp] = {}
        for event in (e for events in self.events.values() for e in events):
            fresh = self.oracle.as_of - event.at < pd.Timedelta(minutes=minutes)
            if not event.identity or event.name not in names or fresh:
                continue
            if self.oracle.within(event.at, days):
                last[event.identity] = max(event.at, last.get(event.identity, event.at))
        return {
            identity
            for identity, at in last.items()
            if not any(moment >= at for moment in self.bought[identity])
        }

    @cached_property
    def segments(self) -> dict[str, set[str]]:
        return {
            "viewed_not_purchased": self._left({"view_item"}, 14),
            "cart_abandoners": self._left({"add_to_cart", "begin_checkout"}, 7, minutes=60),
        }


def visits_of(oracle: Oracle) -> Visits:
    """Worked out once."""
    visits: Visits = oracle.__dict__.setdefault("visits", Visits(oracle))
    return visits

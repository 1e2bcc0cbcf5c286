"""What the models should say of orders and people, computed with pandas from the raw rows.

Written from the catalogue, sharing nothing with the SQL; slow and plain on purpose. Numbers of
whole lists are in `oracle`, who is in which segment in `oracle_segments`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from cscart_pipelines_tests.support.dbt.builds import Row, Shop
from cscart_pipelines_tests.support.dbt.random_shops import PHONES

DAY = pd.Timedelta(days=1)
ORDER_COLUMNS = [
    "order_id",
    "user_id",
    "raw",
    "identity",
    "at",
    "total",
    "status",
    "counted",
    "incomplete",
    "purchase",
    "refunded",
    "cancelled",
    "failed",
    "discounted",
]
FACT_COLUMNS = [
    "identity",
    "can_email",
    "can_sms",
    "is_guest",
    "purchases",
    "first_purchase_at",
    "second_purchase_at",
    "last_purchase_at",
    "purchases_30d",
    "purchases_90d",
    "purchases_365d",
    "revenue",
    "net_revenue",
    "revenue_365d",
    "average_order_value",
    "days_since_last_purchase",
    "mean_days_between_purchases",
    "list_median_days_between_purchases",
    "ended_gap_days",
    "orders",
    "gross",
    "cancelled_orders",
    "failed_payment_orders",
    "refunded_orders",
    "refunded_total",
    "discounted_purchases",
    "incomplete_orders",
]


ZONES = {
    "Europe/Athens": "GR", "America/New_York": "US", "Asia/Kolkata": "IN", "Pacific/Auckland": "NZ",
}  # fmt: skip


def usable(email: str | None) -> str | None:
    """Of the few spellings that the made-up shops have."""
    text = (email or "").strip(" \u00a0\u200b<>,").lower()
    found = re.fullmatch(r"[^@\s]+@([^@\s]+\.[^@.\s]{2,})", text)
    return text if found and found[1] != "example.com" else None


def faulty(email: str | None) -> str | None:
    text = (email or "").strip(" \u00a0\u200b").lower()
    return text if "@" in text and "@example.com" not in text and not usable(text) else None


def country_of(order: Row) -> str:
    given = [(order.get(name) or "").upper() for name in ("s_country", "b_country")]
    return next((code for code in given if len(code) == 2), "")


def ratio(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else float("nan")


@dataclass
class People:
    shop: Shop
    as_of: pd.Timestamp

    def local(self, moment: Any) -> pd.Timestamp:
        return pd.Timestamp(moment).tz_convert(self.zone).tz_localize(None)

    def days(self, first: Any, last: Any) -> float:
        return (self.local(last) - self.local(first)) / DAY

    def within(self, moment: Any, days: int) -> bool:
        """[as_of - days, as_of) on the shop's clock."""
        if moment is None or pd.isna(moment):
            return False
        return bool(0 < self.days(moment, self.as_of) <= days)

    @cached_property
    def zone(self) -> str:
        return str(self.shop.settings.get("timezone", "UTC"))

    @cached_property
    def guests(self) -> bool:
        return bool(self.shop.settings.get("include_guests", True))

    @cached_property
    def settled(self) -> set[str]:
        paid = {
            row["status"]
            for row in self.shop.statuses
            if row["type"] == "O" and row.get("payment_received") and not row.get("deleted_at")
        }
        return set(self.shop.settings.get("settled_statuses") or paid or {"P", "C"}) - {"N", "T"}

    @cached_property
    def refunds(self) -> set[str]:
        return set(self.shop.settings.get("refund_statuses") or ()) - {"N", "T"}

    # --- who a row is about --------------------------------------------------------------------

    @cached_property
    def countries(self) -> dict[int, str]:
        """Of each account: that of its newest order which has one."""
        placed = sorted(self.shop.orders, key=lambda row: (row["ordered_at"], row["order_id"]))
        return {row["user_id"]: country_of(row) for row in placed if country_of(row)}

    def mobile_of(self, row: Row) -> str | None:
        order = "order_id" in row
        country = country_of(row) if order else self.countries.get(row["user_id"])
        for name in ("phone", "s_phone"):
            meant = PHONES.get(row.get(name) or "", {})
            if found := meant.get("") or meant.get(country or ZONES.get(self.zone, "none")):
                return found
        return None

    def identity_of(self, account: Row) -> str | None:
        email = account.get("email")
        return usable(email) or self.mobile_of(account) or faulty(email)

    def _owner(self, order: Row, account: Row) -> str | None:
        """The e-mail before the mobile, the order's own before the account's."""
        for read in (usable, None, faulty):
            for row in (order, account):
                found = None
                if row:
                    found = self.mobile_of(row) if read is None else read(row.get("email"))
                if found:
                    return found
        return None

    # --- orders --------------------------------------------------------------------------------

    @cached_property
    def orders(self) -> pd.DataFrame:
        accounts = {row["user_id"]: row for row in self.shop.customers}
        rows = []
        for raw in self.shop.orders:
            gone = raw["is_parent_order"] or raw.get("deleted_at") is not None
            counted = not gone and raw["status"] not in "NT"
            discount = float(raw.get("discount") or 0) + float(raw.get("subtotal_discount") or 0)
            rows.append(
                {
                    "order_id": raw["order_id"],
                    "user_id": raw.get("user_id"),
                    "raw": raw,
                    "identity": self._owner(raw, accounts.get(raw.get("user_id"), {})),
                    "at": pd.Timestamp(raw["ordered_at"]),
                    "total": float(raw["total"]),
                    "status": raw["status"],
                    "counted": counted,
                    "incomplete": not gone and raw["status"] == "N",
                    "purchase": counted and raw["status"] in self.settled,
                    "refunded": counted and raw["status"] in self.refunds,
                    "cancelled": counted and raw["status"] == "I",
                    "failed": counted and raw["status"] in "FD",
                    "discounted": discount > 0,
                }
            )
        table = pd.DataFrame(rows, columns=ORDER_COLUMNS).sort_values(["at", "order_id"])
        bought = table[table.purchase.astype(bool) & table.identity.notna()]
        table["sequence"] = bought.groupby("identity").cumcount() + 1
        return table.reset_index(drop=True)

    # --- people --------------------------------------------------------------------------------

    @cached_property
    def subscribers(self) -> dict[str, Row]:
        counted = self.orders[self.orders.counted.astype(bool) & self.orders.identity.notna()]
        by_identity = dict(list(counted.groupby("identity")))
        accounts: dict[str, list[Row]] = {}
        for row in self.shop.customers:
            if identity := self.identity_of(row):
                accounts.setdefault(identity, []).append(row)
        found = {}
        for identity in accounts.keys() | by_identity.keys():
            orders = by_identity.get(identity)
            own = min(
                accounts.get(identity, []),
                key=lambda a: (
                    a.get("deleted_at") is not None,
                    pd.Timestamp(a.get("registered_at") or "2200-01-01T00:00:00Z"),
                    a["user_id"],
                ),
                default=None,
            )
            if own and own.get("deleted_at") and self.guests and orders is not None:
                own = None if orders["at"].max() > pd.Timestamp(own["deleted_at"]) else own
            if own is None and not self.guests:
                continue
            found[identity] = self._subscriber(identity, own, orders)
        return found

    def _subscriber(self, identity: str, own: Row | None, orders: Any) -> Row:
        first = None if orders is None else orders["at"].min()
        registered = own.get("registered_at") if own else None
        seen = [pd.Timestamp(moment) for moment in (registered, first) if moment is not None]
        if own and not self.guests and registered is not None:
            seen = [pd.Timestamp(registered)]
        mobile = self.mobile_of(own) if own else None
        if mobile is None and orders is not None:
            for raw in orders["raw"]:
                mobile = self.mobile_of(raw) or mobile
        return {
            "customer_id": own["user_id"] if own else self._bridged(identity, orders),
            "mobile": mobile,
            "email": usable(identity),
            "email_subscribed": usable(identity) is not None,
            "mobile_subscribed": mobile is not None,
            "registered_at": pd.Timestamp(registered) if registered else None,
            "subscribed_at": min(seen, default=None),
            "deleted": bool(own and own.get("deleted_at")),
        }

    def _bridged(self, identity: str, orders: Any) -> int | None:
        """The live account with another address that ordered last with this one."""
        live = {
            a["user_id"]
            for a in self.shop.customers
            if not a.get("deleted_at") and self.identity_of(a) != identity
        }
        known = orders[orders.user_id.isin(live)] if orders is not None else None
        if known is None or known.empty:
            return None
        last = known.groupby("user_id")["at"].max()
        return int(min(last[last == last.max()].index))

    @cached_property
    def live(self) -> dict[str, Row]:
        return {k: v for k, v in self.subscribers.items() if not v["deleted"]}

    @cached_property
    def mine(self) -> pd.DataFrame:
        """Orders of the list's subscribers before as_of."""
        return self.orders[self.orders.identity.isin(self.live) & (self.orders["at"] < self.as_of)]

    @cached_property
    def purchases(self) -> pd.DataFrame:
        bought = self.mine[self.mine.purchase.astype(bool)].copy()
        before = bought.groupby("identity")["at"].shift()
        bought["gap"] = [
            self.days(b, a) if pd.notna(b) else np.nan
            for b, a in zip(before, bought["at"], strict=True)
        ]
        bought["local"] = [self.local(moment) for moment in bought["at"]]
        bought["ago"] = [self.days(moment, self.as_of) for moment in bought["at"]]
        return bought

    @cached_property
    def facts(self) -> pd.DataFrame:
        purchases = dict(iter(self.purchases.groupby("identity")))
        orders = dict(iter(self.mine.groupby("identity")))
        median_gap = self.purchases.gap.median()
        rows = []
        for identity, person in self.live.items():
            bought = purchases.get(identity, self.purchases.iloc[:0])
            all_orders = orders.get(identity, self.mine.iloc[:0])
            counted = all_orders[all_orders.counted.astype(bool)]
            waiting = all_orders[all_orders.incomplete.astype(bool)] if len(all_orders) else counted
            n = len(bought)
            year = bought[bought.ago <= 365]
            first, last = bought["at"].min(), bought["at"].max()
            rows.append(
                {
                    "identity": identity,
                    "can_email": person["email_subscribed"],
                    "can_sms": person["mobile_subscribed"],
                    "is_guest": person["customer_id"] is None,
                    "purchases": n,
                    "first_purchase_at": first,
                    "second_purchase_at": bought["at"].iloc[1] if n > 1 else pd.NaT,
                    "last_purchase_at": last,
                    "purchases_30d": int((bought.ago <= 30).sum()),
                    "purchases_90d": int((bought.ago <= 90).sum()),
                    "purchases_365d": len(year),
                    "revenue": bought.total.sum(),
                    "net_revenue": bought.total[~bought.refunded.astype(bool)].sum(),
                    "revenue_365d": year.total.sum(),
                    "average_order_value": ratio(bought.total.sum(), n),
                    "days_since_last_purchase": bought.ago.min() if n else np.nan,
                    "mean_days_between_purchases": self.days(first, last) / (n - 1)
                    if n > 1
                    else np.nan,
                    "list_median_days_between_purchases": median_gap,
                    "ended_gap_days": bought.gap[bought.ago <= 30].max() if n else np.nan,
                    "orders": len(counted),
                    "gross": counted.total.sum(),
                    "cancelled_orders": int(counted.cancelled.sum()),
                    "failed_payment_orders": int(counted.failed.sum()),
                    "refunded_orders": int(counted.refunded.sum()),
                    "refunded_total": counted.total[counted.refunded.astype(bool)].sum(),
                    "discounted_purchases": int(bought.discounted.sum()),
                    "incomplete_orders": len(waiting),
                }
            )
        return pd.DataFrame(rows, columns=FACT_COLUMNS).set_index("identity")

"""Who should be in which segment: the rules of the catalogue in pandas (see `oracle`)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cscart_pipelines_tests.support.dbt.oracle import GRID, Oracle
from cscart_pipelines_tests.support.dbt.oracle_onsite import visits_of

Members = dict[str, set[str]]


def simple_segments(oracle: Oracle) -> Members:
    """Segments that look at one person at a time, Apifon's seven first."""
    f, people = oracle.facts, oracle.live
    registered = {i for i, person in people.items() if oracle.within(person["registered_at"], 30)}
    fresh = {i for i, person in people.items() if oracle.within(person["subscribed_at"], 30)}
    abandoned = {i for i, recovered in oracle._checkouts(30) if not recovered}

    def where(condition: pd.Series) -> set[str]:
        return set(f.index[condition.astype(bool)])

    undone = (f.cancelled_orders + f.refunded_orders) / f.orders.replace(0, np.nan)
    return {
        "new_customers": registered,
        "recent_buyers_30": where(f.days_since_last_purchase <= 30),
        "recent_buyers_90": where(f.days_since_last_purchase <= 90),
        "non_buyers_30": where(~(f.days_since_last_purchase <= 30)),
        "non_buyers_90": where(~(f.days_since_last_purchase <= 90)),
        "frequent_buyers": where(f.purchases_365d >= 3),
        "lapsed_customers": where((f.purchases >= 1) & (f.days_since_last_purchase > 180)),
        "never_purchased": where(f.purchases == 0),
        "subscribed_no_purchase": where((f.purchases == 0) & (f.can_email | f.can_sms)) & fresh,
        "first_time_30": where((f.purchases == 1) & (f.days_since_last_purchase <= 30)),
        "one_and_done": where((f.purchases == 1) & (f.days_since_last_purchase > 60)),
        "repeat_customers": where(f.purchases >= 2),
        "loyal_customers": where(f.purchases >= 3),
        "guest_customers": where(f.is_guest),
        "uncontactable_buyers": where((f.purchases >= 1) & ~f.can_email & ~f.can_sms),
        "just_ordered": where(f.days_since_last_purchase <= 30),
        "reactivated": where(f.ended_gap_days > 180),
        "refund_or_cancel_prone": where((f.orders >= 3) & (undone >= 0.3)),
        "abandoned_checkout": abandoned,
    }


def list_segments(oracle: Oracle) -> Members:
    """Segments that hold people against their list."""
    f = oracle.facts[oracle.facts.purchases >= 1]
    gaps = oracle.purchases.gap.dropna()
    found: dict[str, pd.Series] = {}

    list_value = f.revenue.sum() / f.purchases.sum() if len(f) else np.nan
    low, high = (
        f.average_order_value < 0.67 * list_value - 1e-9,
        f.average_order_value > 1.5 * list_value + 1e-9,
    )
    found |= {"aov_low": low, "aov_high": high, "aov_mid": ~low & ~high}

    limits = [40.0, 90.0, 180.0]
    if (f.purchases >= 2).sum() >= 100:
        limits = [float(np.quantile(gaps, q)) for q in (0.5, 0.75, 0.9)]
    band = pd.Series(
        ["recent" if d < limits[0] else "needs_nurturing" if d < limits[1]
         else "at_risk" if d <= limits[2] else "about_to_lose" for d in f.days_since_last_purchase],
        index=f.index, dtype=object,
    )  # fmt: skip
    for name in ("recent", "needs_nurturing", "at_risk", "about_to_lose"):
        found[f"lifecycle_{name}"] = band == name
    rich = f.average_order_value >= list_value - 1e-9
    found |= {
        "champions": (band == "recent") & (f.purchases >= 2) & rich,
        "loyalists": (band == "recent") & (f.purchases >= 2) & ~rich,
        "high_potential": (band == "recent") & (f.purchases == 1) & rich,
    }

    m, s = (90.0, 45.0) if gaps.empty else (gaps.mean(), gaps.std() if len(gaps) > 1 else 0.0)
    late = f.days_since_last_purchase > 30
    found |= {
        "active_by_interval": late & (f.days_since_last_purchase <= m + s),
        "slipping_away": late
        & (f.days_since_last_purchase > m + s)
        & (f.days_since_last_purchase <= m + 2 * s),
        "lost_by_interval": late
        & (f.days_since_last_purchase > m + s)
        & (f.days_since_last_purchase > m + 2 * s),
    }
    own = f.mean_days_between_purchases.where(
        f.purchases >= 3, f.list_median_days_between_purchases
    )
    twice = f.purchases >= 2
    found |= {
        "on_track": twice & (f.days_since_last_purchase <= own),
        "overdue": twice
        & (f.days_since_last_purchase > own)
        & (f.days_since_last_purchase <= 3 * own),
        "inactive": twice & (f.days_since_last_purchase > 3 * own),
    }

    vip = (f.revenue_365d > f.revenue_365d.mean() + 1.5 * f.revenue_365d.std()) & (
        f.purchases_365d >= f.purchases_365d.mean()
    )
    if not vip.any() and len(f):
        vip = (f.net_revenue >= np.quantile(f.net_revenue, 0.9)) & (
            f.net_revenue > f.net_revenue.mean() + 1e-9
        )
    small = f.revenue_365d.mean() - 1.5 * f.revenue_365d.std()
    found["small_spenders"] = f.purchases < 1
    if small > 0:
        found["small_spenders"] = f.revenue_365d < small
    elif len(f):
        found["small_spenders"] = (
            f.average_order_value <= np.quantile(f.average_order_value, 0.2) + 1e-9
        ) & (f.average_order_value < f.average_order_value.mean() - 1e-9)
    found["vip"] = vip
    top = oracle.rfm.monetary_score.reindex(f.index) == 5
    found["at_risk_high_value"] = (found["overdue"] | found["lifecycle_at_risk"]) & (vip | top)

    share = f.discounted_purchases / f.purchases
    seeks = (share >= share.mean() + 1.5 * share.std() - 1e-9) | (share >= 0.5)
    found["discount_seekers"] = (f.purchases >= 2) & (f.discounted_purchases > 0) & seeks

    members = {key: set(f.index[chosen.astype(bool)]) for key, chosen in found.items()}
    for group in {cell for row in GRID for cell in row}:
        members[group] = set(oracle.rfm.index[oracle.rfm.rfm_group == group])
    return members


def affinities(oracle: Oracle) -> set[tuple[str, str]]:
    """(identity, category) of `category_affinity`."""
    shop = oracle.shop
    names = {c["category_id"]: c["category"] for c in shop.categories}
    category = {
        p["product_id"]: names.get(p["main_category"], str(p["main_category"]))
        for p in shop.products
        if p.get("main_category") is not None
    }
    owner = dict(zip(oracle.purchases.order_id, oracle.purchases.identity, strict=True))
    lines = pd.DataFrame(
        [
            (owner[line["order_id"]], category.get(line.get("product_id")), line["order_id"])
            for line in shop.order_lines
            if line["order_id"] in owner
        ],
        columns=["identity", "category", "order_id"],
    )
    found = set()
    for identity, own in lines.groupby("identity"):
        for name, rows in own.dropna(subset="category").groupby("category"):
            if rows.order_id.nunique() >= 2 and len(rows) / len(own) >= 0.4:
                found.add((str(identity), str(name)))
    return found


def expected_members(oracle: Oracle) -> Members:
    return simple_segments(oracle) | list_segments(oracle) | visits_of(oracle).segments

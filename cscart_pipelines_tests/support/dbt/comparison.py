"""Holds what dbt built against the oracle, table by table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cscart_pipelines_tests.support.dbt.builds import Database, frame
from cscart_pipelines_tests.support.dbt.oracle import Oracle
from cscart_pipelines_tests.support.dbt.oracle_segments import affinities, expected_members

FACTS = [
    "purchases",
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
    "orders",
    "cancelled_orders",
    "refunded_orders",
    "refunded_total",
    "discounted_purchases",
    "incomplete_orders",
    "can_email",
    "can_sms",
    "is_guest",
    "first_purchase_at",
    "second_purchase_at",
    "last_purchase_at",
]


RFM = [
    "recency_days",
    "frequency",
    "monetary",
    "recency_score",
    "frequency_score",
    "monetary_score",
    "rfm_group",
]


class Built:
    """The marts, read once."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._tables: dict[str, pd.DataFrame] = {}

    def of(self, mart: str, integration: str) -> pd.DataFrame:
        if mart not in self._tables:
            self._tables[mart] = frame(self.database, f"select * from analytics.{mart}")
        table = self._tables[mart]
        return table[table.integration == integration]


def _same(found: Any, expected: Any) -> bool:
    if expected is None or pd.isna(expected):
        return bool(found is None or pd.isna(found))
    if isinstance(expected, (float, int, np.number)) and not isinstance(expected, bool):
        return bool(np.isclose(float(found), float(expected), rtol=1e-9, atol=1e-9))
    return bool(found == expected)


def _check(found: Any, expected: Any, *where: object) -> None:
    assert _same(found, expected), f"{where}: built {found!r}, expected {expected!r}"


def check_orders(built: Built, oracle: Oracle) -> None:
    table = built.of("orders", oracle.shop.integration).set_index("order_id")
    assert set(table.index) == {row["order_id"] for row in oracle.shop.orders}
    for row in oracle.orders.itertuples():
        found = table.loc[row.order_id]
        where = (oracle.shop.integration, row.order_id)
        _check(found.identity, row.identity, *where, "identity")
        _check(bool(found.is_purchase), bool(row.purchase), *where, "is_purchase")
        _check(found.order_sequence, row.sequence, *where, "order_sequence")
        _check(bool(found.is_repeat), bool(row.sequence > 1), *where, "is_repeat")
        _check(bool(found.is_in_list), row.identity in oracle.live, *where, "is_in_list")
        country = (row.raw.get("s_country") or row.raw.get("b_country") or "").upper() or None
        _check(found.country, country, *where, "country")


def check_subscribers(built: Built, oracle: Oracle) -> None:
    table = built.of("subscribers", oracle.shop.integration).set_index("identity")
    assert set(table.index) == set(oracle.subscribers), oracle.shop.integration
    names = (
        "customer_id email mobile email_subscribed mobile_subscribed registered_at subscribed_at"
    )
    for identity, expected in oracle.subscribers.items():
        found = table.loc[identity]
        for name in [*names.split(), "registered_at", "subscribed_at"]:
            _check(found[name], expected[name], oracle.shop.integration, identity, name)
        _check(bool(pd.notna(found.deleted_at)), expected["deleted"], identity, "deleted")


def check_facts(built: Built, oracle: Oracle) -> None:
    table = built.of("customer_facts", oracle.shop.integration).set_index("identity")
    assert set(table.index) == set(oracle.facts.index)
    for identity, expected in oracle.facts.iterrows():
        for name in FACTS:
            _check(
                table.loc[identity, name],
                expected[name],
                oracle.shop.integration,
                identity,
                name,
            )


def check_rfm(built: Built, oracle: Oracle) -> None:
    table = built.of("rfm_scores", oracle.shop.integration).set_index("identity")
    assert set(table.index) == set(oracle.rfm.index)
    for identity, expected in oracle.rfm.iterrows():
        for name in RFM:
            where = (oracle.shop.integration, identity, name)
            _check(table.loc[identity, name], expected[name], *where)


def check_metrics(built: Built, oracle: Oracle) -> None:
    (found,) = built.of("list_metrics", oracle.shop.integration).to_dict("records")
    for name, expected in oracle.metrics.items():
        _check(found[name], expected, oracle.shop.integration, name)


def check_segments(built: Built, oracle: Oracle) -> None:
    key = oracle.shop.integration
    members = built.of("segment_members", key)
    expected = expected_members(oracle)
    plain = members[members.segment != "category_affinity"]
    found = {name: set(rows.identity) for name, rows in plain.groupby("segment")}
    for segment, who in expected.items():
        assert found.get(segment, set()) == who, (key, segment, found.get(segment, set()) ^ who)
    assert set(found) <= set(expected)
    by_category = members[members.segment == "category_affinity"]
    favourites = set(zip(by_category.identity, by_category.category, strict=True))
    assert favourites == affinities(oracle), (key, favourites ^ affinities(oracle))

    sizes = built.of("segments", key).set_index("segment")
    assert set(sizes.index) == {*expected, "category_affinity"}
    for segment, who in expected.items():
        own = oracle.facts[oracle.facts.index.isin(who)]
        _check(sizes.loc[segment, "members"], len(who), key, segment, "members")
        _check(sizes.loc[segment, "purchases"], own.purchases.sum(), key, segment, "purchases")
        _check(sizes.loc[segment, "revenue"], own.revenue.sum(), key, segment, "revenue")


def check_daily(built: Built, oracle: Oracle) -> None:
    table = built.of("list_metrics_daily", oracle.shop.integration)
    table = table.set_index(pd.DatetimeIndex(table.day)).sort_index()
    expected = oracle.daily
    assert list(table.index) == list(expected.index), oracle.shop.integration
    for name in expected.columns:
        assert np.allclose(table[name].astype(float), expected[name].astype(float)), name


def check_cohorts(built: Built, oracle: Oracle) -> None:
    table = built.of("cohort_retention", oracle.shop.integration)
    found = {
        (str(row.cohort_month), row.month_number): (row.cohort_size, row.buyers, row.revenue)
        for row in table.itertuples()
    }
    expected = oracle.cohorts
    assert {k for k, v in found.items() if v[1]} == set(expected)
    for where, numbers in expected.items():
        assert np.allclose(found[where], numbers), (oracle.shop.integration, where)
    for cohort, rows in table.sort_values("month_number").groupby("cohort_month"):
        assert list(rows.month_number) == list(range(len(rows))), cohort
        assert np.allclose(rows.cumulative_revenue, rows.revenue.cumsum()), cohort


CHECKS: Sequence[Any] = (
    check_orders,
    check_subscribers,
    check_facts,
    check_rfm,
    check_metrics,
    check_segments,
    check_daily,
    check_cohorts,
)

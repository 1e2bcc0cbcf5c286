"""The numbers of a real shop: the CDNOW sample through the models, held against plain pandas.

The sample (2,357 customers, 6,919 purchases; lifetimes, MIT) is moved in time so that its last
purchase was the day before as_of.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cscart_pipelines_tests.support.dbt.builds import Database, Shop, build, dbt_target, load, order
from cscart_pipelines_tests.support.dbt.comparison import CHECKS, Built
from cscart_pipelines_tests.support.dbt.oracle import Oracle

pytestmark = pytest.mark.begun_first

__all__ = ["dbt_target"]

AS_OF = pd.Timestamp("2026-05-20T00:00:00Z")
DAY = pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def purchases() -> pd.DataFrame:
    """identity, at (noon of the day), value."""
    lifetimes = importlib.metadata.distribution("lifetimes")
    path = str(lifetimes.locate_file("lifetimes/datasets/CDNOW_sample.txt"))
    names = ["master_id", "customer", "date", "discs", "value"]
    table = pd.read_csv(path, sep=r"\s+", header=None, names=names)
    date = pd.to_datetime(table["date"].astype(str), format="%Y%m%d", utc=True)
    table["at"] = date + (AS_OF - DAY - date.max()) + DAY / 2
    table["identity"] = [f"customer{number:04d}@cdnow.example" for number in table.customer]
    return table[["identity", "at", "value"]]


@pytest.fixture(scope="module")
def shop(purchases: pd.DataFrame) -> Shop:
    first = purchases.groupby("identity")["at"].min()
    ids = {identity: number for number, identity in enumerate(first.index, start=1)}
    return Shop(
        "cdnow",
        customers=[
            {"user_id": ids[i], "email": i, "registered_at": first[i].to_pydatetime()} for i in ids
        ],
        orders=[
            order(
                number,
                row.at,
                email=row.identity,
                user_id=ids[row.identity],
                total=f"{row.value:.2f}",
            )
            for number, row in enumerate(purchases.itertuples(), start=1)
        ],
    )


@pytest.fixture(scope="module")
def oracle(shop: Shop) -> Oracle:
    return Oracle(shop, AS_OF)


@pytest.fixture(scope="module")
def built(module_database: Database, shop: Shop, dbt_target: Path) -> Built:
    load(module_database, [shop])
    build(module_database, AS_OF, target=dbt_target)
    return Built(module_database)


def test_customers_purchases_revenue_and_repeat_rate(built: Built, purchases: pd.DataFrame) -> None:
    (metrics,) = built.of("list_metrics", "cdnow").to_dict("records")
    per_buyer = purchases.groupby("identity").size()

    assert metrics["subscribers"] == metrics["buyers"] == 2357
    assert metrics["purchases"] == 6919
    assert metrics["settled_total"] == pytest.approx(purchases.value.sum(), abs=1e-6)
    assert metrics["repeat_purchase_rate"] == pytest.approx((per_buyer > 1).mean())
    repeats = built.of("orders", "cdnow").is_repeat.sum()
    assert repeats == 6919 - 2357


def test_apifons_five_metrics(built: Built, purchases: pd.DataFrame) -> None:
    (metrics,) = built.of("list_metrics", "cdnow").to_dict("records")
    month = purchases[purchases["at"] >= AS_OF - 30 * DAY]
    year = purchases[purchases["at"] >= AS_OF - 365 * DAY]
    spans = purchases.groupby("identity")["at"].agg(lambda at: (at.max() - at.min()) / DAY)

    assert metrics["orders_30d"] == len(month) > 0
    assert metrics["order_value_30d"] == pytest.approx(month.value.sum())
    assert metrics["average_order_value"] == pytest.approx(year.value.mean())
    assert metrics["order_frequency_30d"] == pytest.approx(len(month) / month.identity.nunique())
    assert metrics["customer_lifespan_years"] == pytest.approx((spans / 365.25).mean())


def test_apifons_seven_segments(built: Built, purchases: pd.DataFrame) -> None:
    members = built.of("segment_members", "cdnow")
    found = {name: set(rows.identity) for name, rows in members.groupby("segment")}
    ago = (AS_OF - purchases["at"]) / DAY
    by_buyer = ago.groupby(purchases.identity)
    last, first = by_buyer.min(), by_buyer.max()
    in_year = purchases[ago <= 365].groupby("identity").size()

    assert found.get("new_customers", set()) == set(first.index[first <= 30])
    for days in (30, 90):
        assert found[f"recent_buyers_{days}"] == set(last.index[last <= days])
        assert found[f"non_buyers_{days}"] == set(last.index[last > days])
    assert found["frequent_buyers"] == set(in_year.index[in_year >= 3])
    assert found["lapsed_customers"] == set(last.index[last > 180])


def test_rfm_scores_and_groups(built: Built, purchases: pd.DataFrame) -> None:
    table = built.of("rfm_scores", "cdnow").set_index("identity").sort_index()
    by_buyer = purchases.groupby("identity")
    measures = {
        "recency_score": (AS_OF.normalize() - by_buyer["at"].max().dt.normalize()) // DAY,
        "frequency_score": by_buyer.size(),
        "monetary_score": by_buyer.value.sum().round(2),
    }
    for name, values in measures.items():
        cuts = np.round(np.quantile(values, [0.2, 0.4, 0.6, 0.8]) + 1, 6)
        score = 1 + (np.asarray(values)[:, None] >= cuts).sum(axis=1)
        assert list(table[name]) == list(6 - score if name == "recency_score" else score), name
    sizes = built.of("segments", "cdnow")
    assert sizes[sizes.part_of == "rfm"].members.sum() == 2357


def test_cohorts(built: Built, purchases: pd.DataFrame) -> None:
    month = purchases["at"].dt.year * 12 + purchases["at"].dt.month
    cohort = month.groupby(purchases.identity).transform("min")
    expected = purchases.groupby([cohort, month - cohort]).agg(
        buyers=("identity", "nunique"), revenue=("value", "sum")
    )
    table = built.of("cohort_retention", "cdnow")
    bought = table[table.buyers > 0].sort_values(["cohort_month", "month_number"])

    assert list(bought.buyers) == list(expected.buyers)
    assert np.allclose(bought.revenue, expected.revenue)
    assert table[table.month_number == 0].cohort_size.sum() == 2357


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_other_number(
    check: Callable[[Built, Oracle], None], built: Built, oracle: Oracle
) -> None:
    check(built, oracle)

"""Metrics that look beyond a list as it is now: its fulfilment, its months, what the shop has.

Against computations from the raw rows and from what earlier builds have left.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from psycopg.types.json import Jsonb

from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dbt.builds import (
    AS_OF,
    WITHOUT_TESTS,
    build,
    dbt_target,
    frame,
    insert,
    load,
)
from cscart_pipelines_tests.support.dbt.random_shops import random_shop

pytestmark = pytest.mark.begun_first

__all__ = ["dbt_target"]

BUILDS = [pd.Timestamp("2026-04-10T10:00:00Z"), pd.Timestamp("2026-04-25T10:00:00Z"), AS_OF]
SHIPPED = 5


@dataclass
class Months:
    """A warehouse that was built in two months, and who was in which group after each build."""

    database: Database
    groups: list[dict[tuple[str, str, str], str]] = field(default_factory=list)

    def frame(self, query: str) -> pd.DataFrame:
        return frame(self.database, query)


@pytest.fixture(scope="module")
def months(module_database: Database, dbt_target: Path) -> Months:
    load(module_database, [random_shop(seed) for seed in range(4)])
    found = Months(module_database)
    ship(found)
    for as_of in BUILDS:
        tests = () if as_of == BUILDS[-1] else WITHOUT_TESTS
        build(module_database, as_of, *tests, target=dbt_target)
        members = found.frame(
            "select integration, part_of, identity, segment from analytics.segment_members"
            " join intermediate.segment_catalogue using (segment)"
            " where part_of in ('rfm', 'lifecycle')"
        )
        found.groups.append(
            {(row.integration, row.part_of, row.identity): row.segment
             for row in members.itertuples()}
        )  # fmt: skip
    return found


def ship(months: Months) -> None:
    """Writes what a fulfilment system would have left of the shop with the most orders: of five
    orders the third goes in two parts."""
    orders = months.frame(
        "select integration, order_id, ordered_at from cscart.orders where integration ="
        " (select integration from cscart.orders group by 1 order by count(*) desc limit 1)"
        f" order by order_id limit {SHIPPED}"
    )
    entries, inbox = [], []

    def verified(
        kind: str, plan: object, before: object, finished_at: pd.Timestamp, **values: object
    ) -> None:
        entries.append(
            {"integration": orders.integration[0], "kind": kind, "target": f"{len(entries)}",
             "state": "verified", "plan": Jsonb(plan), "before": Jsonb(before), "run_id": "first",
             "finished_at": finished_at.to_pydatetime()} | values
        )  # fmt: skip

    for place, order in enumerate(orders.itertuples()):
        parts = 2 if place == 2 else 1
        for part in range(parts):
            number = len(entries) + 1
            finished_at = AS_OF - pd.Timedelta(days=3 - part)
            verified(
                "shipment",
                {"quantities": {"1": 2 / parts}, "shipped_at": None},
                {"left": {"1": 2 - part}},
                finished_at,
                order_id=order.order_id,
                run_id=f"push {part}",
            )
            inbox.append(
                {"integration": order.integration, "order_number": str(order.order_id),
                 "tracking_number": str(number), "state": "done", "journal_id": number,
                 "received_at": (finished_at - pd.Timedelta(minutes=10 * number)).to_pydatetime()}
            )  # fmt: skip
    verified("stock", {"amount": 7}, {"amount": 10}, AS_OF - pd.Timedelta(days=1))
    verified("stock", {"amount": 1}, {"amount": 0}, AS_OF - pd.Timedelta(days=1))
    verified("stock", {"amount": 99, "undo_of": 1}, {"amount": 0}, AS_OF - pd.Timedelta(days=1))
    with months.database.connect() as connection:
        insert(connection, "fulfilment.journal", entries)
        insert(connection, "fulfilment.shipments", inbox)


def test_fulfilment_is_measured_and_lists_without_it_have_none(months: Months) -> None:
    metrics = months.frame(
        "select integration, hours_order_to_ship, partial_shipment_rate, tracking_lag_minutes,"
        " stock_drift from analytics.list_metrics"
    ).set_index("integration")
    placed = months.frame(
        "select integration, ordered_at from cscart.orders join fulfilment.journal"
        " using (integration, order_id) where run_id = 'push 0'"
    )
    shop = metrics.loc[placed.integration[0]]
    waited = (AS_OF - pd.Timedelta(days=3)) - placed.ordered_at.dt.tz_convert("UTC")
    assert len(waited) == SHIPPED
    assert shop.hours_order_to_ship == pytest.approx(waited.dt.total_seconds().mean() / 3600)
    assert shop.partial_shipment_rate == pytest.approx(1 / SHIPPED)
    assert shop.tracking_lag_minutes == pytest.approx((10 + 20 + 30 + 40 + 50 + 60) / 6)
    assert shop.stock_drift == pytest.approx((3 + 1) / 2)
    others = metrics.drop(placed.integration[0])
    assert len(others) == 3
    assert others.isna().to_numpy().all()


def test_people_move_between_the_groups_that_builds_have_left(months: Months) -> None:
    expected: Counter[tuple[str, str, str, str | None, str | None]] = Counter()
    ends = {
        "2026-04-01": ({}, months.groups[1]),
        "2026-05-01": (months.groups[1], months.groups[2]),
    }
    for month, (start, end) in ends.items():
        for person in start.keys() | end.keys():
            if start.get(person) != end.get(person):
                integration, part_of, _ = person
                move = (integration, part_of, month, start.get(person), end.get(person))
                expected[move] += 1
    table = months.frame("select * from analytics.segment_migration")
    table = table.astype(object).where(table.notna(), None)
    found = {
        (row.integration, row.part_of, str(row.month), row.from_group, row.to_group): row.people
        for row in table.itertuples()
    }
    assert found == expected
    assert len({move[3:] for move in expected if move[2] == "2026-05-01"}) > 5


def test_each_day_of_the_shop_is_accounted_for(months: Months) -> None:
    raw = months.frame(
        "select orders.integration, orders.total, orders.ordered_at, settings.timezone"
        " from cscart.orders join intermediate.int_shop_settings as settings using (integration)"
    )
    raw["day"] = [
        moment.tz_convert(zone).date()
        for moment, zone in zip(raw.ordered_at, raw.timezone, strict=True)
    ]
    expected = raw.groupby(["integration", "day"]).total.agg(["count", "sum"])
    table = months.frame("select * from analytics.order_reconciliation")
    found = table.groupby(["integration", "day"])[["shop_orders", "shop_total"]].sum()
    assert found.index.equals(expected.index)
    assert found.to_numpy() == pytest.approx(expected.to_numpy())
    assert (table.shop_orders == table.orders).all()
    assert table.shop_total.to_numpy() == pytest.approx(table.total.to_numpy())
    assert table.outcome.nunique() > 3
    daily = months.frame(
        "select integration, sum(revenue) as revenue from analytics.list_metrics_daily group by 1"
    ).set_index("integration")
    in_list = table[table.is_in_list].groupby("integration").revenue.sum()
    assert in_list.to_dict() == pytest.approx(daily.revenue.to_dict())


def test_cohorts_by_account_are_those_of_the_accounts_orders(months: Months) -> None:
    bought = months.frame(
        "select integration, customer_id, ordered_on, total from analytics.orders"
        " where is_purchase and is_in_list and customer_id is not null"
        f" and ordered_at < '{AS_OF.isoformat()}'"
    )
    bought["month"] = [day.year * 12 + day.month for day in bought.ordered_on]
    people = ["integration", "customer_id"]
    bought["cohort"] = bought.groupby(people).month.transform("min")
    expected = {}
    for (integration, cohort, month), rows in bought.groupby(["integration", "cohort", "month"]):
        own = bought[(bought.integration == integration) & (bought.cohort == cohort)]
        expected[integration, cohort, month - cohort] = (
            own.customer_id.nunique(), rows.customer_id.nunique(), pytest.approx(rows.total.sum()),
        )  # fmt: skip
    table = months.frame("select * from analytics.cohort_retention_by_account where buyers > 0")
    found = {
        (row.integration, row.cohort_month.year * 12 + row.cohort_month.month, row.month_number):
            (row.cohort_size, row.buyers, row.revenue)
        for row in table.itertuples()
    }  # fmt: skip
    assert found == expected
    by_identity = months.frame("select * from analytics.cohort_retention where buyers > 0")
    assert len(by_identity) != len(table) or by_identity.buyers.sum() != table.buyers.sum()

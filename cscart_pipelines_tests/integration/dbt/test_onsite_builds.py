"""Builds of visits in a row: what is made anew, what stays when the raw events are gone.

One warehouse, a few builds (each costs seconds), and a test per thing to be said of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from cscart_pipelines_tests.support.dbt.builds import (
    AS_OF,
    WITHOUT_TESTS,
    Database,
    Shop,
    build,
    dbt_target,
    event,
    frame,
    insert,
    insert_visits,
    load,
    order,
)

pytestmark = pytest.mark.begun_first

__all__ = ["dbt_target"]

DAY = pd.Timedelta(days=1)
TABLES = ("onsite_sessions", "onsite_daily", "product_funnel")
TEA = [{"sku": "TEA", "quantity": 1}]


@dataclass
class Story:
    """What was seen after each build."""

    database: Database
    seen: dict[tuple[str, str], pd.DataFrame] = field(default_factory=dict)

    def remember(self, moment: str) -> None:
        for table in TABLES:
            query = f"select * from analytics.{table} order by integration, day"
            rows = frame(self.database, query)
            rows["day"] = rows.day.astype(str)
            self.seen[moment, table] = rows

    def days(
        self, moment: str, table: str, column: str, integration: str = "tea"
    ) -> dict[str, int]:
        rows = self.seen[moment, table]
        own = rows[rows.integration == "tea"]
        return {day: int(value) for day, value in zip(own.day, own[column], strict=True)}


def ago(days: float, hours: float = 0) -> pd.Timestamp:
    return AS_OF - days * DAY - pd.Timedelta(hours=hours)


def day(days: int) -> str:
    return str((AS_OF - days * DAY).date())


@pytest.fixture(scope="module")
def story(module_database: Database, dbt_target: Path) -> Story:
    """Visits of two months; a fortnight later old events were dropped and a late one came; then
    the shop is removed and another one takes its name."""
    story = Story(module_database)
    bought = event("purchase", ago(3), "visitor-buys-0000000", order_id="1", items=TEA)
    tea = Shop(
        "tea",
        orders=[order(1, ago(3), email="ada@post.gr")],
        order_lines=[
            {"order_id": 1, "item_id": "1", "product_id": 1, "quantity": 1, "price": "10.00"}
        ],
        events=[
            event("view_item", ago(60), items=TEA),
            event("page_view", ago(40)),
            event("page_view", ago(16)),
            bought,
        ],
        site={"retention_days": 50},
    )
    load(module_database, [tea, Shop("gone", events=[event("page_view", ago(1))])])
    with module_database.connect() as connection:
        build(module_database, AS_OF, *WITHOUT_TESTS, target=dbt_target)
        story.remember("first")
        build(module_database, AS_OF, *WITHOUT_TESTS, target=dbt_target)
        story.remember("again")

        later = AS_OF + 10 * DAY
        connection.execute("delete from onsite.events where occurred_at < %s", [ago(30)])
        connection.execute("update cscart.orders set status = 'I'")
        connection.execute("delete from registry.integrations where integration = 'gone'")
        late = [event("page_view", ago(2)), event("page_view", ago(16, 1), "visitor-too-late-000")]
        insert_visits(connection, Shop("tea", events=late))
        build(module_database, later, "--full-refresh", target=dbt_target)
        story.remember("later")

        connection.execute("delete from registry.integrations where integration = 'tea'")
        again = {"list_name": "Tea", "url": "https://new.example", "email": "a@new.example"}
        since = {"integration": "tea", "created_at": datetime(2026, 5, 25, tzinfo=UTC)}
        insert(connection, "registry.integrations", [again | since])
        connection.execute("delete from onsite.events where occurred_at < %s", [ago(2.5)])
        build(module_database, later, target=dbt_target)
        story.remember("another")
    return story


def test_the_first_build_reads_everything_and_has_a_row_for_every_day(story: Story) -> None:
    daily = story.days("first", "onsite_daily", "sessions")
    assert list(daily) == [day(number) for number in range(60, -1, -1)]
    assert {one for one, sessions in daily.items() if sessions} == {
        day(number) for number in (60, 40, 16, 3)
    }
    assert story.days("first", "product_funnel", "revenue") == {day(60): 0, day(3): 10}


def test_sessions_are_kept_as_long_as_events(story: Story) -> None:
    assert set(story.days("first", "onsite_sessions", "events")) == {
        day(number) for number in (40, 16, 3)
    }
    assert set(story.days("later", "onsite_sessions", "events")) == {
        day(number) for number in (40, 16, 3, 2)
    }


@pytest.mark.parametrize("table", TABLES)
def test_a_second_build_of_the_same_data_changes_nothing(story: Story, table: str) -> None:
    pd.testing.assert_frame_equal(story.seen["first", table], story.seen["again", table])


def test_days_stay_when_their_events_are_gone(story: Story) -> None:
    daily = story.days("later", "onsite_daily", "sessions")
    assert list(daily) == [day(number) for number in range(60, -11, -1)]
    assert (daily[day(60)], daily[day(40)]) == (1, 1)
    assert story.days("later", "product_funnel", "viewed")[day(60)] == 1


def test_late_events_are_counted_on_their_day_if_it_is_made_anew(story: Story) -> None:
    daily = story.days("later", "onsite_daily", "sessions")
    assert (daily[day(2)], daily[day(16)]) == (1, 1)


def test_revenue_follows_the_order(story: Story) -> None:
    assert story.days("first", "onsite_daily", "revenue")[day(3)] == 10
    assert story.days("later", "onsite_daily", "revenue")[day(3)] == 0
    assert story.days("later", "onsite_daily", "purchases")[day(3)] == 1
    assert story.days("later", "product_funnel", "revenue")[day(3)] == 0


def test_the_days_of_a_removed_integration_stay_as_they_were(story: Story) -> None:
    for table in TABLES:
        first, later = (
            story.seen[moment, table].query("integration == 'gone'")
            for moment in ("first", "later")
        )
        assert len(first) or table == "product_funnel"
        assert sorted(map(str, first.values.tolist())) == sorted(map(str, later.values.tolist()))


def test_an_integration_of_an_old_name_starts_anew(story: Story) -> None:
    daily = story.days("another", "onsite_daily", "sessions")
    assert next(iter(daily)) == day(2)
    assert set(story.days("another", "onsite_sessions", "events")) == {day(2)}

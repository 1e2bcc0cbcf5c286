"""What a build leaves behind: the log of changes, live lists, what analysts see, no ghosts.

One warehouse, a few builds in a row (each costs seconds), and a test per thing to be said of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from cscart_pipelines_tests.support.dbt.builds import (
    AS_OF,
    WITHOUT_TESTS,
    Database,
    Shop,
    build,
    dbt,
    dbt_target,
    frame,
    insert,
    load,
    order,
    watched,
)

pytestmark = pytest.mark.begun_first

__all__ = ["dbt_target"]

LOG = "select * from analytics.segment_changes order by changed_at, integration, segment, identity"
SINCE = "select * from analytics.segment_members where integration = 'tea' order by 1, 2, 3"


USERS_OWN = (
    "create schema mine",
    "create view mine.dashboard as select * from analytics.customer_facts",
    "create view mine.lists as select integration, status, subscribers from analytics.lists",
    "create view mine.on_a_view as select * from mine.lists",
    "create materialized view mine.stored as select * from analytics.segments",
    "create view mine.of_staging as select * from staging.stg_cscart__orders",
    "create view mine.of_intermediate as select * from intermediate.int_orders",
    "grant select on analytics.lists, analytics.segments to public",
)
"""What users build on the warehouse, and whom they let read it."""


@dataclass
class Story:
    """What was seen after each build."""

    database: Database
    log: dict[str, pd.DataFrame] = field(default_factory=dict)
    members: dict[str, pd.DataFrame] = field(default_factory=dict)
    seen: dict[str, object] = field(default_factory=dict)

    def remember(self, moment: str) -> None:
        self.log[moment] = frame(self.database, LOG)
        self.members[moment] = frame(self.database, SINCE)


def marts_of(database: Database, integration: str) -> dict[str, pd.DataFrame]:
    """All rows of an integration in the marts, which are tables."""
    with database.connect() as connection:
        names = connection.execute(
            "select table_name from information_schema.tables"
            " where table_schema = 'analytics' and table_name <> 'lists'"
        ).fetchall()
    return {
        name: frame(
            database,
            f"select * from analytics.{name} as kept where integration = '{integration}'"
            " order by kept::text",
        )
        for (name,) in names
    }


def ago(days: float) -> pd.Timestamp:
    return AS_OF - pd.Timedelta(days=days)


@pytest.fixture(scope="module")
def story(module_database: Database, dbt_target: Path) -> Story:
    """Built; built again; an order cancelled, one placed, a crash between two models; a shop
    removed and connected again under its old name."""
    database = module_database
    story = Story(database)
    orders = [
        order(1, ago(200), email="ada@post.gr"),
        order(2, ago(10), email="bob@post.gr"),
        order(3, ago(1), email="bob@post.gr", status="I"),
    ]
    account = {"user_id": 1, "email": "Ada@post.gr", "registered_at": ago(300)}
    load(
        database,
        [Shop("tea", orders=orders, customers=[account]), Shop("gone", orders=[orders[0]])],
    )
    with database.connect() as connection:
        connection.execute(
            "do $$ begin if not exists (select from pg_roles where rolname = 'analyst')"
            " then create role analyst nologin; end if; end $$"
        )
        with watched(database) as look:
            build(database, AS_OF, *WITHOUT_TESTS, target=dbt_target, callbacks=[look])
        story.remember("first")
        for statement in USERS_OWN:
            connection.execute(statement.encode())
        connection.execute("update registry.integrations set status = 'failed'")
        story.seen["status"] = frame(database, "select distinct status from analytics.lists")

        with watched(database) as look:
            build(database, AS_OF, *WITHOUT_TESTS, target=dbt_target, callbacks=[look])
        story.remember("again")
        story.seen["gone"] = marts_of(database, "gone")

        # Ada buys, Bob's order is cancelled; the build stops after the log was written.
        insert(
            connection,
            "cscart.orders",
            [order(4, ago(2), email="ada@post.gr") | {"integration": "tea", "content_hash": b""}],
        )
        connection.execute("update cscart.orders set status = 'I' where order_id = 2")
        connection.execute("delete from registry.integrations where integration = 'gone'")
        dbt(
            {**database.dbt_env, "CSCART_PIPELINES_DBT_AS_OF": AS_OF.isoformat()},
            *("run", "--select", "+segment_changes"),
            target=dbt_target,
        )
        build(database, target=dbt_target)
        story.remember("changed")
        story.seen["gone later"] = marts_of(database, "gone")
        story.seen["removed"] = frame(
            database, "select * from analytics.lists where integration = 'gone'"
        )
        story.seen["integrations"] = frame(
            database,
            " union ".join(
                f"select integration from {schema}.{name}"
                for schema, name in connection.execute(
                    "select table_schema, table_name from information_schema.columns"
                    " where column_name = 'integration'"
                    " and table_schema in ('intermediate', 'staging')"
                    # What analytics.customer_facts is made of, which stays, and a view on it.
                    " and table_name not in ('int_customer_activity', 'int_customer_facts',"
                    " 'int_purchase_gaps', 'int_shop_settings')"
                ).fetchall()
            ),
        )
        story.seen["dashboard"] = frame(database, "select * from mine.dashboard")

        # Ada asks to be forgotten; `gone` comes back, as another integration.
        connection.execute("update cscart.customers set deleted_at = %s", [ago(0).to_pydatetime()])
        insert(
            connection,
            "registry.integrations",
            [
                {
                    "integration": "gone",
                    "list_name": "Gone",
                    "url": "https://gone.example",
                    "email": "admin@gone.example",
                    "created_at": datetime(2026, 5, 1, tzinfo=UTC),
                }
            ],
        )
        with watched(database) as look:
            build(database, None, "--full-refresh", target=dbt_target, callbacks=[look])
        story.remember("forgotten")
    return story


def entries(log: pd.DataFrame, identity: str, integration: str = "tea") -> set[tuple[str, str]]:
    own = log[(log.identity == identity) & (log.integration == integration)]
    return set(zip(own.segment, own.change, strict=True))


def test_the_first_build_enters_everyone(story: Story) -> None:
    assert set(story.log["first"].change) == {"entered"}
    assert ("lapsed_customers", "entered") in entries(story.log["first"], "ada@post.gr")
    assert set(story.log["first"].changed_at) == {AS_OF.to_pydatetime()}


def test_a_second_build_of_the_same_data_adds_nothing(story: Story) -> None:
    pd.testing.assert_frame_equal(story.log["first"], story.log["again"])
    pd.testing.assert_frame_equal(story.members["first"], story.members["again"])


def test_changes_are_logged_once_although_the_build_broke_off(story: Story) -> None:
    before, after = story.log["again"], story.log["changed"]
    kept = before[before.integration == "tea"]
    assert len(after.merge(kept, on=list(after.columns))) == len(kept)
    assert ("lapsed_customers", "left") in entries(after, "ada@post.gr")
    assert ("recent_buyers_30", "entered") in entries(after, "ada@post.gr")
    assert ("recent_buyers_30", "left") in entries(after, "bob@post.gr")
    assert ("never_purchased", "entered") in entries(after, "bob@post.gr")
    assert not after.duplicated(["integration", "segment", "identity", "category", "change"]).any()


def test_who_stays_is_a_member_since_the_first_build(story: Story) -> None:
    both = story.members["again"].merge(
        story.members["changed"], on=["segment", "identity"], suffixes=("_before", "_after")
    )
    assert len(both)
    assert (both.member_since_before == both.member_since_after).all()


def test_the_marts_of_a_removed_integration_stay_as_they_were(story: Story) -> None:
    before, after = story.seen["gone"], story.seen["gone later"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert {name for name, rows in before.items() if len(rows)} >= {
        "subscribers", "orders", "customer_facts", "segments", "segment_changes", "list_metrics"
    }  # fmt: skip
    for name, rows in before.items():
        pd.testing.assert_frame_equal(rows, after[name])
    removed = story.seen["removed"]
    assert isinstance(removed, pd.DataFrame)
    (row,) = removed.to_dict("records")
    assert (row["status"], row["list_name"], row["subscribers"]) == ("removed", "gone", 1)
    assert "2026-05-20" in row["status_reason"]


def test_what_the_next_build_reads_has_nothing_of_a_removed_integration(story: Story) -> None:
    seen = story.seen["integrations"]
    assert isinstance(seen, pd.DataFrame)
    assert set(seen.integration) == {"tea"}


def test_an_integration_of_an_old_name_starts_a_new_log(story: Story) -> None:
    own = story.log["forgotten"].query("integration == 'gone'")
    assert set(own.change) == {"entered"}
    assert (own.changed_at > AS_OF.to_pydatetime()).all()


def test_a_removed_customer_leaves_every_segment(story: Story) -> None:
    assert "ada@post.gr" not in set(story.members["forgotten"].identity)
    last = story.log["forgotten"].query("integration == 'tea'").groupby(["segment", "identity"])
    states = last.change.last().xs("ada@post.gr", level="identity")
    assert set(states) == {"left"}
    person = frame(story.database, "select * from analytics.subscribers where identity ~ '^ada'")
    assert person[person.integration == "tea"].deleted_at.notna().all()


def test_the_log_survives_a_full_refresh(story: Story) -> None:
    kept = story.log["changed"].query("integration == 'tea'")
    assert len(story.log["forgotten"].merge(kept, on=list(kept.columns))) == len(kept)


def test_without_as_of_a_build_looks_at_now(story: Story) -> None:
    moments = frame(story.database, "select distinct as_of from analytics.list_metrics").as_of
    (moment,) = moments
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 3600


def test_the_status_of_a_list_is_live(story: Story) -> None:
    seen = story.seen["status"]
    assert isinstance(seen, pd.DataFrame)
    assert list(seen.status) == ["failed"]


def test_a_users_view_survives_builds_and_sees_the_new_rows(story: Story) -> None:
    seen = story.seen["dashboard"]
    assert isinstance(seen, pd.DataFrame)
    ada = seen[(seen.identity == "ada@post.gr") & (seen.integration == "tea")]
    assert list(ada.purchases) == [2]


def test_what_users_have_built_and_granted_is_there_after_every_build(story: Story) -> None:
    with story.database.connect() as connection:
        connection.execute("refresh materialized view mine.stored")
        for name in ("lists", "on_a_view", "stored", "of_staging", "of_intermediate"):
            found = connection.execute(f"select 1 from mine.{name}".encode()).fetchone()
            assert found, name
        granted = connection.execute(
            "select table_name from information_schema.table_privileges"
            " where table_schema = 'analytics' and grantee = 'PUBLIC' order by 1"
        ).fetchall()
    assert granted == [("lists",), ("segments",)]


def test_the_analyst_reads_the_marts_and_nothing_else(story: Story) -> None:
    with story.database.connect() as connection:
        marts = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'analytics'"
        ).fetchall()
        assert len(marts) == 18
        connection.execute("set role analyst")
        for (mart,) in marts:
            connection.execute(f"select * from analytics.{mart} limit 1".encode())
        for table in ("cscart.orders", "registry.integrations", "intermediate.int_orders"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select * from {table} limit 1".encode())


def test_as_of_without_an_offset_is_refused(story: Story, dbt_target: Path) -> None:
    output = dbt(
        {**story.database.dbt_env, "CSCART_PIPELINES_DBT_AS_OF": "2026-05-20 10:30"},
        *("run", "--select", "int_shop_settings"),
        target=dbt_target,
        expect=1,
    )
    assert "expected ISO 8601 with an offset" in output

"""A forgotten person on the porch: what their browsers told is gone, other people's is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cscart_pipelines.identity import sha256 as hash_of
from cscart_pipelines.privacy.erasure import erase_person
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dbt.builds import (
    AS_OF,
    WITHOUT_TESTS,
    Row,
    Shop,
    build,
    dbt_target,
    event,
    insert,
    load,
    order,
)

pytestmark = pytest.mark.begun_first

__all__ = ["dbt_target"]

ADA, BOB = "ada@post.gr", "bob@post.gr"
LONE, SHARED, BOBS, NOBODYS = (f"visitor-{name}-00000" for name in ("lone", "both", "bobs", "none"))


def at(minutes: int) -> pd.Timestamp:
    return AS_OF - pd.Timedelta(days=2) + pd.Timedelta(minutes=minutes)


def known(visitor: str, email: str, first: int, last: int) -> Row:
    return {
        "visitor_id": visitor,
        "email_sha256": hash_of(email),
        "first_at": at(first).to_pydatetime(),
        "last_at": at(last).to_pydatetime(),
    }


def visits() -> list[Row]:
    def told(term: str, minutes: int, visitor: str, email: str | None = None) -> Row:
        values: Row = {"term": term, "email_sha256": hash_of(email) if email else None}
        items = [{"sku": "TEA"}]
        return event("view_item", at(minutes), visitor, items=items, **values)

    return [
        told("lone before", 0, LONE),
        told("lone as ada", 1, LONE, ADA),
        told("shared before ada", 0, SHARED),
        told("shared as ada", 1, SHARED, ADA),
        told("shared after ada", 2, SHARED),
        told("shared as bob", 100, SHARED, BOB),
        told("shared after bob", 101, SHARED),
        told("bob", 0, BOBS, BOB),
        told("nobody", 0, NOBODYS),
        told("with her address", 5, NOBODYS) | {"email": " Ada@post.gr"},
    ]


def shop(key: str) -> Shop:
    return Shop(
        key,
        customers=[
            {"user_id": 1, "email": "Ada@post.gr", "registered_at": at(-9999).to_pydatetime()},
            {"user_id": 2, "email": BOB, "registered_at": at(-9999).to_pydatetime()},
        ],
        events=visits(),
        visitors=[
            known(LONE, ADA, 1, 1),
            known(SHARED, ADA, 1, 1),
            known(SHARED, BOB, 100, 100),
            known(BOBS, BOB, 0, 0),
        ],
    )


@pytest.fixture
def shops(warehouse_database: Database) -> Database:
    load(warehouse_database, [shop("a"), shop("b")])
    with warehouse_database.connect() as connection:
        for email in (ADA, BOB):
            row = {"integration": "a", "email_sha256": hash_of(email)}
            consent = row | {"event_id": email, "granted": True, "at": at(1).to_pydatetime()}
            insert(connection, "onsite.consents", [consent])
            touch = {"kind": "person", "value": hash_of(email), "event": "login"}
            insert(connection, "onsite.change_queue", [{"integration": "a"} | touch])
    return warehouse_database


def purge(database: Database, email: str = " ADA@post.gr") -> dict[str, int]:
    with database.connect() as connection:
        return erase_person(connection, ["a"], email)["a"]


OF_NO_INTEGRATION = ("intermediate.segment_catalogue", "intermediate.fitted_relations")


def rows(database: Database, query: str) -> list[Any]:
    with database.connect() as connection:
        return connection.execute(query.encode()).fetchall()


def terms(database: Database, integration: str) -> set[str]:
    query = f"SELECT term FROM onsite.events WHERE integration = '{integration}'"
    return {row[0] for row in rows(database, query)}


def test_what_only_this_person_told_is_gone(shops: Database) -> None:
    touched = purge(shops)
    assert terms(shops, "a") == {"shared as bob", "shared after bob", "bob", "nobody"}
    assert touched["onsite.events"] == 6
    for table in ("visitors", "consents", "change_queue"):
        column = "value" if table == "change_queue" else "email_sha256"
        query = f"SELECT DISTINCT {column} FROM onsite.{table} WHERE integration = 'a'"
        assert rows(shops, query) == [(hash_of(BOB),)]
    assert touched["onsite.visitors"] == 2


def test_other_shops_keep_what_they_were_told(shops: Database) -> None:
    purge(shops)
    assert len(terms(shops, "b")) == len(visits())
    assert len(rows(shops, "SELECT FROM onsite.visitors WHERE integration = 'b'")) == 4


def test_who_never_came_leaves_everything_as_it_is(shops: Database) -> None:
    assert not [table for table in purge(shops, "eve@post.gr") if "onsite" in table]
    assert len(terms(shops, "a")) == len(visits())


def test_a_visitor_known_by_an_order_only_goes_with_the_order(shops: Database) -> None:
    """The page after the order names no address: the order is in the warehouse, and names one."""
    buyer, family = "visitor-buyer-0000", "visitor-family-000"
    told = [
        event("view_item", at(0), buyer, term="looked at"),
        event("purchase", at(1), buyer, term="bought", order_id="1"),
        event("view_item", at(0), family, term="looked at by one of them"),
        event("purchase", at(1), family, term="bought by ada", order_id="1"),
        event("purchase", at(2), family, term="bought by bob", order_id="2"),
        event("purchase", at(3), BOBS, term="made up by bob", order_id="1"),
    ]
    placed = [
        order(number, at(1), email=email) | {"integration": "a", "content_hash": ""}
        for number, email in ((1, ADA), (2, BOB))
    ]
    with shops.connect() as connection:
        insert(connection, "onsite.events", [{"integration": "a"} | one for one in told])
        insert(connection, "cscart.orders", placed)
    purge(shops)
    left = {"looked at by one of them", "bought by bob"}
    assert terms(shops, "a") == {"shared as bob", "shared after bob", "bob", "nobody"} | left


def test_sessions_go_with_the_events_and_nobody_inherits_them(
    shops: Database, dbt_target: Path
) -> None:
    build(shops, AS_OF, *WITHOUT_TESTS, target=dbt_target)
    counts = "SELECT sessions, product_views FROM analytics.onsite_daily WHERE integration = 'a'"
    before = rows(shops, counts)
    touched = purge(shops)
    assert touched["analytics.onsite_sessions"] == 2
    assert rows(shops, counts) == before  # nobody is in there; the next build counts anew
    sessions = (
        "SELECT visitor_id, identity, product_views FROM analytics.onsite_sessions"
        " WHERE integration = 'a' ORDER BY 1"
    )
    left = [(SHARED, BOB, 2), (BOBS, BOB, 1), (NOBODYS, None, 1)]
    hers = [hash_of(ADA), LONE, ADA]
    for moment in ("purged", "built again"):
        if moment == "built again":
            build(shops, target=dbt_target)
        found = [row for row in rows(shops, sessions) if row[0] != NOBODYS]
        assert found == sorted(row for row in left if row[0] != NOBODYS), moment
        for table in rows(
            shops,
            "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables"
            " WHERE table_schema IN ('onsite', 'analytics', 'intermediate')",
        ):
            query = f"SELECT t::text FROM {table[0]} AS t WHERE t.integration = 'a'"
            if table[0] not in OF_NO_INTEGRATION:
                text = str(rows(shops, query))
                assert not [word for word in hers if word in text], (moment, table[0])
    assert rows(shops, sessions) == sorted(left)

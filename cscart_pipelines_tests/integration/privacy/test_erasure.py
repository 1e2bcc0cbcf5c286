"""A person who asks to be forgotten: gone from every layer, and not back with the next sync."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cscart_pipelines.fulfilment.orders import pull
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.service import IntegrationService
from cscart_pipelines.privacy.erasure import erase_person, known_integrations
from cscart_pipelines.privacy.suppression import identity_hash
from cscart_pipelines.settings import Settings
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dbt.builds import WITHOUT_TESTS, build
from cscart_pipelines_tests.support.dbt.builds import dbt_target as dbt_target
from cscart_pipelines_tests.support.shop.commands import Installation
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.syncs import Connected, connected

pytestmark = pytest.mark.begun_first

ADA = "Ada@Mail.internal"
PERSON = ("ada", "lovelace", "St James's Square", "left with Ada")


def _shop(made: Connected) -> dict[str, int]:
    """Ada has an account, an order with it, one under another address, and one as a guest."""
    store = made.store
    store.add_product("Bag", "10.00")
    ada = store.add_customer(ADA, firstname="Ada", lastname="Lovelace", phone="1815")
    bob = store.add_customer("bob@mail.internal", firstname="Bob")
    person = {"firstname": "Ada", "lastname": "Lovelace"}
    account = ada.user_id
    numbers = {
        "own": store.place_order(user_id=account, email=ADA, **person).order_id,
        "other": store.place_order(user_id=account, email="work@mail.internal", **person).order_id,
        "guest": store.place_order(email=" ada@MAIL.internal", **person).order_id,
        "bob": store.place_order(user_id=bob.user_id, email="bob@mail.internal").order_id,
    }
    store.create_shipment(numbers["own"], comments="left with Ada")
    return {**numbers, "ada": account, "bob account": bob.user_id}


@pytest.fixture(params=["4.7", "4.20"])
def made(
    warehouse_database: Database, settings: Settings, request: pytest.FixtureRequest
) -> Iterator[Connected]:
    with connected(warehouse_database, settings, request.param, "empty") as shop:
        yield shop


def purge(made: Connected, email: str = ADA) -> dict[str, int]:
    with made.warehouse.connect(autocommit=True) as connection:
        return erase_person(connection, [made.key], email)[made.key]


def raw_text(made: Connected) -> str:
    rows = [made.live(name) for name in ("customers", "orders", "shipments")]
    return str(rows).lower()


def assert_forgotten(made: Connected, numbers: dict[str, int]) -> None:
    text = raw_text(made)
    assert not [word for word in ("ada@", "work@", *PERSON) if word.lower() in text]
    orders = made.live("orders")
    assert len(orders) == 4
    assert orders[(numbers["own"],)]["total"] > 0
    assert orders[(numbers["own"],)]["user_id"] is None
    assert orders[(numbers["bob"],)]["email"] == "bob@mail.internal"
    assert set(made.live("customers")) == {(numbers["bob account"],)}


def test_a_forgotten_person_is_gone_and_stays_gone(made: Connected) -> None:
    numbers = _shop(made)
    made.sync()
    assert purge(made) == {"cscart.customers": 1, "cscart.orders": 3, "cscart.shipments": 1}
    assert_forgotten(made, numbers)
    for full in (False, True):
        made.later()
        made.store.edit_customer(numbers["ada"], phone=str(time.time_ns()))
        for order in ("own", "other", "guest"):
            made.store.set_order_status(numbers[order], "C" if full else "P")
        made.store.edit_shipment(max(made.store.shipments), comments="left with Ada again")
        report = made.sync(full=full)
        assert_forgotten(made, numbers)
        assert made.live("orders")[(numbers["guest"],)]["status"] == ("C" if full else "P")
        # The check of parity with the shop counts on it.
        customers = report.entities["customers"]
        assert customers.shop_total == customers.warehouse_total == 1
    made.later()
    assert made.sync().entities["orders"].changes.written == 0


def test_a_new_order_or_account_of_a_forgotten_person_is_not_theirs(made: Connected) -> None:
    numbers = _shop(made)
    made.sync()
    purge(made)
    made.later()
    again = made.store.add_customer(" ADA@mail.internal", firstname="Ada").user_id
    new = made.store.place_order(user_id=again, email="new@mail.internal", firstname="Ada").order_id
    made.sync()
    order = made.live("orders")[(new,)]
    assert (order["email"], order["firstname"], order["user_id"]) == (None, None, None)
    assert (again,) not in made.live("customers")
    assert "ada" not in raw_text(made).replace("canada", "")
    assert numbers["bob"]


def test_someone_unknown_may_be_forgotten_before_they_come(made: Connected) -> None:
    assert purge(made) == {}
    _shop(made)
    made.sync()
    assert "ada@" not in raw_text(made)


def test_where_nobody_is_forgotten_nothing_is_left_out(made: Connected) -> None:
    _shop(made)
    made.sync()
    assert made.differences() == {}


def test_the_forgotten_of_a_removed_shop_are_those_of_the_same_shop_only(
    made: Connected, settings: Settings
) -> None:
    numbers = _shop(made)
    made.sync()
    purge(made)
    IntegrationService(made.warehouse, made.registry, settings).remove(made.key)
    with made.warehouse.connect(autocommit=True) as connection:
        assert made.key in known_integrations(connection)  # its data is still there
    made.add()
    made.sync()
    assert_forgotten(made, numbers)
    assert identity_hash("a.example", ADA) != identity_hash("b.example", ADA)
    assert identity_hash("a.example", ADA) == identity_hash("a.example", " ada@mail.internal")


def test_it_waits_for_no_synchronisation_but_says_so(installation: Installation) -> None:
    installation.save("a")
    installation.save("b")
    installation.execute("INSERT INTO cscart.customers (integration, user_id, email, content_hash)"
                 " VALUES ('a', 1, %s, '')", ADA)  # fmt: skip
    with (
        installation.lock("b"),
        installation.database.connect() as connection,
        pytest.raises(NotAllowedError, match=r"in progress: b; wait until it ends"),
    ):
        erase_person(connection, ["a", "b"], ADA)
    assert installation.rows("SELECT count(*) FROM cscart.customers") == [(1,)]
    assert installation.rows("SELECT count(*) FROM registry.suppressed_people") == [(0,)]
    with installation.database.connect() as connection:
        report = erase_person(connection, ["a", "b"], ADA)
        assert report == {"a": {"cscart.customers": 1}, "b": {}}
    trail = installation.rows("SELECT * FROM registry.audit WHERE act = 'person forgotten'")
    assert len(trail) == 2
    assert "ada" not in str(trail).lower()
    assert "ada" not in str(installation.rows("SELECT * FROM registry.suppressed_people")).lower()


def everywhere(made: Connected, word: str) -> list[str]:
    """The tables that have the word in a row."""
    with made.warehouse.connect(autocommit=True) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', table_schema, table_name)"
            " FROM information_schema.tables WHERE table_schema IN"
            " ('cscart', 'registry', 'analytics', 'intermediate', 'staging', 'fulfilment')"
        ).fetchall()
        return [
            table
            for (table,) in tables
            if connection.execute(
                f"SELECT FROM {table} AS t WHERE t::text ILIKE %s LIMIT 1".encode(),
                [f"%{word}%"],
            ).fetchone()
            is not None
        ]


def test_every_built_table_loses_the_person(
    warehouse_database: Database, settings: Settings, dbt_target: Path
) -> None:
    with connected(warehouse_database, settings, "4.20", "empty") as made:
        _shop(made)
        made.sync()
        build(warehouse_database, None, *WITHOUT_TESTS, target=dbt_target)

        for word in ("ada@mail.internal", "lovelace"):
            assert len(everywhere(made, word)) > 4
        touched = purge(made)
        assert touched["analytics.subscribers"] == 2  # also who ordered from work
        assert touched["analytics.orders"] == 3
        for word in ("ada@mail.internal", "lovelace", "left with ada"):
            assert everywhere(made, word) == []
        # Revenue stays true, and the next build finds everything as it should be.
        money = "SELECT sum(total) FROM analytics.orders WHERE integration = %s"
        before = made.query(money)
        build(warehouse_database, None, target=dbt_target)
        assert made.query(money) == before
        assert everywhere(made, "ada@mail.internal") == []


def test_who_is_made_anonymous_in_the_shop_leaves_everything_with_the_same_run(
    warehouse_database: Database, settings: Settings, dbt_target: Path
) -> None:
    """Orders are rewritten there without a word: Ada's are not listed again, but she is gone."""
    with connected(warehouse_database, settings, "4.20", "empty") as made:
        numbers = _shop(made)
        made.sync()
        build(warehouse_database, None, *WITHOUT_TESTS, target=dbt_target)
        with made.warehouse.connect(autocommit=True) as connection:
            pull.pull(connection, made.registry.get(made.key))
        made.store.anonymise_customer(numbers["ada"])
        made.later()
        report = made.sync()
        assert report.entities["customers"].changes.updated > 0  # so that the lists are built

        def traces() -> list[str]:
            words = ("ada@", "work@", "lovelace", "anon", "bog", "nowhere", "left with ada")
            return [word for word in words if everywhere(made, word)]

        assert traces() == []
        assert_forgotten(made, numbers)
        customers = report.entities["customers"]
        assert customers.shop_total == customers.warehouse_total == 1
        # Nor does what the shop has made of her come in later, when her account is gone, too.
        made.store.set_order_status(numbers["other"], "C")
        made.later()
        made.sync(full=True)
        made.store.delete_customer(numbers["ada"])
        made.later()
        made.sync(full=True)
        build(warehouse_database, None, target=dbt_target)
        assert traces() == []
        listed = "SELECT identity FROM analytics.subscribers WHERE integration = %s"
        assert made.query(listed) == [("bob@mail.internal",)]
        assert made.query("SELECT DISTINCT country FROM analytics.orders"
                          " WHERE integration = %s AND country = 'BO'") == []  # fmt: skip
        # The address itself may come back: as a new customer.
        made.store.add_customer(ADA, firstname="Ada")
        made.later()
        made.sync()
        assert {row["email"] for row in made.live("customers").values()} >= {ADA}


def test_an_address_of_two_accounts_stays_when_one_is_made_anonymous(made: Connected) -> None:
    numbers = _shop(made)
    second = made.store.add_customer(f"<{ADA}>", firstname="Ada").user_id
    made.sync()
    made.store.anonymise_customer(numbers["ada"])
    made.later()
    made.sync()
    assert set(made.live("customers")) == {(second,), (numbers["bob account"],)}
    assert made.live("orders")[(numbers["guest"],)]["email"] == " ada@MAIL.internal"
    assert made.live("orders")[(numbers["own"],)]["email"] is None

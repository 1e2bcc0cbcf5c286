"""A forgotten person in the fulfilment tables: nameless orders, which are not handed out again."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from cscart_pipelines.fulfilment.erasure import PERSONAL_COLUMNS
from cscart_pipelines.fulfilment.orders.export import export
from cscart_pipelines.privacy.erasure import erase_person
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.fulfilment.order_feeds import RawShop, raw_shop

ADA = {
    "email": "Ada@mail.internal", "s_firstname": "Ada", "s_lastname": "Lovelace",
    "company": "Engines", "s_address": "St James's Square", "s_city": "Lovetown",
    "s_zipcode": "SW1Y", "s_phone": "1815", "s_state": "LDN", "s_country": "GB",
}  # fmt: skip
TRACES = ("ada", "lovelace", "engines", "james", "lovetown", "sw1y", "1815")


@pytest.fixture
def shop(warehouse_database: Database) -> RawShop:
    return raw_shop(warehouse_database, order_prefix="CS")


def purge(shop: RawShop) -> dict[str, int]:
    return erase_person(shop.connection, [shop.key], " ada@mail.internal")[shop.key]


def traces(shop: RawShop) -> list[str]:
    kept = [
        shop.connection.execute(
            f"SELECT to_jsonb(t) FROM fulfilment.{table} AS t WHERE integration = %s".encode(),
            [shop.key],
        ).fetchall()
        for table in ("orders", "shipments", "journal")
    ]
    return [word for word in TRACES if word in str(kept).lower()]


def test_orders_stay_without_the_person_and_are_not_pulled_again(shop: RawShop) -> None:
    shop.order(1, **ADA)
    shop.order(2, **{**ADA, "email": "bob@mail.internal", "s_firstname": "Bob"})
    shop.pull()
    bob = shop.feed()[2]
    assert purge(shop)["fulfilment.orders"] == 1
    order = shop.feed()[1]
    assert [order[name] for name in PERSONAL_COLUMNS] == [None] * len(PERSONAL_COLUMNS)
    assert (order["country"], order["state"], order["order_number"]) == ("GB", "LDN", "CS1")
    assert order["position"] == 1
    assert shop.feed()[2] == bob
    report = shop.pull()
    assert (report.pulled, report.changed) == (0, 0)
    # As the next synchronisation reads it: without the person, under another hash.
    shop.order(1, s_state="LDN", s_country="GB", status="C")
    assert shop.pull().changed == 1
    assert shop.feed()[1]["changes"] == {"status": ["P", "C"]}
    assert export(shop.connection, shop.key, since=2).orders == []


def test_what_changed_says_nothing_of_the_person_either(shop: RawShop) -> None:
    shop.order(1, **{**ADA, "s_city": "Elsewhere"})
    shop.order(2, **{**ADA, "email": "work@mail.internal"})
    shop.order(3, **ADA)
    shop.pull()
    shop.order(1, **ADA, status="C")
    shop.order(2, **ADA)
    shop.order(3, email="new@mail.internal", s_firstname="Bob", s_country="GB")
    shop.pull()
    purge(shop)
    assert traces(shop) == []
    feed = shop.feed()
    assert "elsewhere" not in str(feed).lower()
    assert "work@" not in str(feed)
    assert feed[1]["changes"] == {"status": ["P", "C"]}
    assert feed[2]["changes"] is None
    # The address was hers when it was pulled, and is somebody else's now.
    assert (feed[3]["email"], feed[3]["ship_to_name"]) == ("new@mail.internal", "Bob")
    assert feed[3]["changes"] == {"state": ["LDN", None]}


def _journal(shop: RawShop, order_id: int, state: str, plan: dict[str, Any]) -> None:
    shop.connection.execute(
        "INSERT INTO fulfilment.journal (integration, kind, target, state, order_id, plan, after)"
        " VALUES (%s, 'shipment', %s, %s, %s, %s, %s)",
        [shop.key, str(plan), state, order_id, Jsonb(plan),
         Jsonb({"shipment_id": 5, "tracking_url": "https://x.example/?zip=SW1Y"})],
    )  # fmt: skip


def test_tracking_addresses_of_what_is_done_go_too(shop: RawShop) -> None:
    shop.order(1, **ADA)
    shop.pull()
    url = "https://track.example/T1?zip=SW1Y"
    for number, state in (("T1", "done"), ("T2", "refused"), ("T3", "waiting")):
        shop.connection.execute(
            "INSERT INTO fulfilment.shipments (integration, order_number, tracking_number,"
            " tracking_url, state) VALUES (%s, 'CS1', %s, %s, %s)",
            [shop.key, number, url, state],
        )
    rows = [{"sku": "BAG", "quantity": "1", "tracking_url": url}]
    _journal(shop, 1, "verified", {"tracking_number": "T1", "comments": url, "rows": rows})
    _journal(shop, 1, "verified", {"tracking_number": "", "comments": url, "rows": rows})
    _journal(shop, 1, "applying", {"tracking_number": "T3", "comments": url, "rows": rows})
    report = purge(shop)
    assert (report["fulfilment.shipments"], report["fulfilment.journal"]) == (2, 2)
    sent = dict(
        shop.connection.execute(
            "SELECT tracking_number, tracking_url FROM fulfilment.shipments"
        ).fetchall()
    )
    assert sent == {"T1": None, "T2": None, "T3": url}
    plans = shop.connection.execute(
        "SELECT plan, after FROM fulfilment.journal ORDER BY id"
    ).fetchall()
    clean = [{"sku": "BAG", "quantity": "1", "tracking_url": None}]
    assert [row[0]["comments"] for row in plans] == ["", url, url]
    assert [row[0]["rows"] for row in plans] == [clean, clean, rows]
    assert [row[1] for row in plans[:2]] == [{"shipment_id": 5}] * 2


def test_a_pull_that_has_read_before_does_not_bring_the_person_back(
    warehouse_database: Database,
) -> None:
    shop = raw_shop(warehouse_database)
    shop.order(1, **ADA)
    with warehouse_database.connect() as other:
        forgetting = threading.Thread(
            target=lambda: erase_person(other, [shop.key], "ada@mail.internal")
        )
        with shop.connection.transaction():
            shop.pull()
            forgetting.start()
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()" \
                " AND wait_event = 'advisory'"  # fmt: skip
            with warehouse_database.connect() as watch:
                while not watch.execute(waiting.encode()).fetchone()[0]:  # type: ignore[index]
                    threading.Event().wait(0.01)
        forgetting.join()
    assert shop.feed()[1]["ship_to_name"] is None

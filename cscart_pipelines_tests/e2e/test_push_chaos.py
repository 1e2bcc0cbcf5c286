"""Whatever dies or gets lost on the way, the shop ends as a push without faults leaves it.

For each seed the same shop is built twice. One gets its shipments by a single push and nothing goes
wrong; the other, and its stock, lives through `chaos` with two workers. Then both are
the same, counted by their own records, and the amounts are those of the last feed. Over all seeds:
more than 1,000 shipments and 5,000 amounts.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from cscart_pipelines.fulfilment.feeds.ingest import ingest
from cscart_pipelines.fulfilment.feeds.parse import Parsed
from cscart_pipelines.fulfilment.journal import OPEN
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.support.database.locks import ADVISORY
from cscart_pipelines_tests.support.fulfilment.chaos import LOSSES, Chaos, Workers
from cscart_pipelines_tests.support.fulfilment.reference_world import PREFIX, World, shop_state
from cscart_pipelines_tests.support.fulfilment.shops import Connect, Connected, connect

pytestmark = pytest.mark.begun_first

__all__ = ["connect"]

CASES = [(1, "4.7"), (2, "4.13"), (3, "4.16"), (4, "4.20")]
ORDERS = 120
WAVES = (0, 1)
FAULTY = 0.06
"""Of the requests, those that go wrong."""
LONG_ENOUGH, PATIENCE = 8, 120
"""Seconds of a wave: after the first there are no more faults, after the second it is stuck."""


def feed_shipments(at: Connected, wave: int, world: World) -> None:
    with at.database.connect() as connection:
        shipments = Parsed(world.shipments[wave], [])
        ingest(connection, at.key, "shipments", f"shipments-{wave}.csv", shipments)


def feed(at: Connected, wave: int, world: World) -> None:
    """The files of a wave, once more or for the first time."""
    feed_shipments(at, wave, world)
    with at.database.connect() as connection:
        stock = Parsed(world.stock[wave], [])
        ingest(connection, at.key, "stock", f"stock-{wave}.csv", stock)


def feed_respelled(at: Connected, world: World) -> None:
    """The same parcels again, inserted by SQL with their numbers in another spelling."""
    for row in world.respelled:
        at.execute(
            "INSERT INTO fulfilment.shipments (integration, order_number, tracking_number, sku,"
            " quantity, carrier, tracking_url) VALUES (%s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            at.key, row.order_number, row.tracking_number, row.sku, row.quantity, row.carrier,
            row.tracking_url,
        )  # fmt: skip


def cut_connections(at: Connected) -> None:
    """Whoever writes to the shop loses the database."""
    at.execute(
        f"SELECT pg_terminate_backend(pid) FROM {ADVISORY} WHERE granted AND number = %s",
        Lock.SHOP_WRITE.number(at.key),
    )


def open_work(connection: psycopg.Connection[Any], key: str) -> dict[str, int]:
    """Rows and entries of which nobody knows yet what becomes of them."""
    found = connection.execute(
        "SELECT 'shipments', count(*) FROM fulfilment.shipments"
        " WHERE integration = %s AND state IN ('waiting', 'taken')"
        " UNION ALL SELECT 'stock', count(*) FROM fulfilment.stock_levels"
        " WHERE integration = %s AND state = 'waiting'"
        " UNION ALL SELECT 'journal', count(*) FROM fulfilment.journal"
        " WHERE integration = %s AND state = ANY(%s)",
        [key, key, key, [str(state) for state in OPEN]],
    )
    return {name: count for name, count in found if count}


def rounds(at: Connected) -> list[tuple[Any, ...]]:
    """How the last pushes ended."""
    return at.rows(
        "SELECT kind, finished_at, failures, error FROM fulfilment.last_push_runs"
        " WHERE integration = %s",
        at.key,
    )


def drain(at: Connected, chaos: Chaos) -> None:
    """Until nothing is open; the last of it without faults."""
    started = time.monotonic()
    with at.database.connect() as connection:
        while left := open_work(connection, at.key):
            spent = time.monotonic() - started
            if spent > LONG_ENOUGH:
                chaos.calm()
            if spent > PATIENCE:
                pytest.fail(f"{at.key} is stuck with {left}: {rounds(at)}")
            threading.Event().wait(0.05)


def pushed(at: Connected, world: World) -> Chaos:
    """The shipments of both waves into the shop, and nothing goes wrong."""
    record = Chaos(at.shop, 0)
    for wave in WAVES:
        feed_shipments(at, wave, world)
        at.push("shipments")
    with at.database.connect() as connection:
        assert open_work(connection, at.key) == {}
    return record


def amounts_written(at: Connected, world: World) -> Counter[tuple[Any, ...]]:
    """What one write of each amount looks like in the shop's record; the last of each is kept."""
    numbers = {one.product_code: one.product_id for one in at.shop.store.products.values()}
    return Counter(
        ("products", str(numbers[row.sku]), orjson.dumps({"amount": int(row.quantity)}))
        for wave in world.stock for row in wave if row.sku in numbers and row.quantity
    )  # fmt: skip


def pushed_through_chaos(at: Connected, world: World, folder: Path) -> Chaos:
    """The same by two workers, and everything goes wrong."""
    chaos = Chaos(at.shop, world.seed)
    with Workers(at, parallel=4, folder=folder) as workers:

        def kill_worker() -> None:
            workers.kill(chaos.chance)

        def cut_database() -> None:
            cut_connections(at)

        def feed_again() -> None:
            feed(at, wave, world)
            feed_respelled(at, world)

        for wave in WAVES:
            feed(at, wave, world)
            chaos.share = FAULTY
            chaos.events = [(40, kill_worker), (120, cut_database), (200, feed_again)]
            if wave == WAVES[0]:
                workers.start(2)
            drain(at, chaos)
            chaos.calm()
        feed_again()
        drain(at, chaos)
    assert workers.troubles == ""
    return chaos


@pytest.mark.parametrize(("seed", "profile"), CASES)
def test_the_shop_is_as_if_nothing_had_gone_wrong(
    connect: Connect, tmp_path: Path, seed: int, profile: str
) -> None:
    world = World(seed, ORDERS)
    options: dict[str, Any] = {
        "catalogue": world.fill, "order_prefix": PREFIX, "notify_customer": True,
        "shipped_status": "C", "partially_shipped_status": "B",
    }  # fmt: skip
    calm, wild = connect(profile, "calm", **options), connect(profile, "wild", **options)
    assert shop_state(calm.shop) == shop_state(wild.shop)
    with ThreadPoolExecutor(1) as other:
        calmly = other.submit(pushed, calm, world)
        chaos = pushed_through_chaos(wild, world, tmp_path)
        record = calmly.result()

    amounts = amounts_written(wild, world)
    expected = shop_state(calm.shop)
    for _, number, body in amounts:  # the second wave after the first
        expected["amounts"][int(number)] = orjson.loads(body)["amount"]
    assert shop_state(wild.shop) == expected
    assert chaos.overtaken == []
    assert chaos.applied() == record.applied() + amounts
    assert set(chaos.applied().values()) == {1}
    for at in (calm, wild):
        assert at.rows(
            "SELECT kind, target, state FROM fulfilment.journal WHERE integration = %s"
            " AND state <> 'verified' AND (state NOT IN ('skipped', 'failed') OR reason IS NULL)",
            at.key,
        ) == []  # fmt: skip

    # It was worth the name, and as much as was promised.
    for event in ("kill_worker", "cut_database", "feed_again"):
        assert chaos.happened[event] > 0
    happened = {kind.partition(" ")[2] for kind in chaos.happened}
    assert len(happened & set(LOSSES)) >= 6
    assert len(calm.shop.store.shipments) * len(CASES) >= 1000
    assert amounts.total() * len(CASES) >= 5000

"""The inbox of shipments is read in the order rows came, and locked in the order of their key."""

from __future__ import annotations

import threading
from contextlib import closing

from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.shipments import inbox as shipments_inbox
from cscart_pipelines_tests.conftest import Database

LOCK = "SELECT 1 FROM fulfilment.shipments WHERE tracking_number = %s FOR UPDATE"


def _two_rows(database: Database) -> None:
    """The first by key is the one that came last."""
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO fulfilment.shipments"
            " (integration, order_number, tracking_number, sku, received_at) VALUES"
            " ('shop', '7', 'A', '', now()), ('shop', '7', 'B', '', now() - interval '1 hour')"
        )


def test_rows_come_in_the_order_they_were_received(warehouse_database: Database) -> None:
    _two_rows(warehouse_database)
    with warehouse_database.connect() as connection:
        for lock in (False, True):
            rows = shipments_inbox.waiting_rows(connection, "shop", ["7"], lock=lock)
            assert [row.tracking_number for row in rows] == ["B", "A"]


def test_rows_are_locked_by_key_as_the_intake_locks_them(warehouse_database: Database) -> None:
    """Who holds A and goes on to B must not meet a push that holds B and waits for A."""
    _two_rows(warehouse_database)
    found: list[ShipmentRow] = []
    with (
        closing(warehouse_database.open_session()) as intake,
        closing(warehouse_database.open_session()) as push,
        closing(warehouse_database.open_session()) as watch,
    ):

        def lock_all() -> None:
            with push.transaction():
                found.extend(shipments_inbox.waiting_rows(push, "shop", ["7"], lock=True))

        waits = "SELECT pg_blocking_pids(%s) <> '{}'"
        thread = threading.Thread(target=lock_all)
        with intake.transaction():
            intake.execute(LOCK, ["A"])
            thread.start()
            while not (watch.execute(waits, [push.info.backend_pid]).fetchone() or [False])[0]:
                assert thread.is_alive()
                thread.join(0.01)
            intake.execute(LOCK + " NOWAIT", ["B"])
        thread.join()
    assert [row.tracking_number for row in found] == ["B", "A"]

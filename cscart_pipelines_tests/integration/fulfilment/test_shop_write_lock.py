"""One writer a shop, however many workers; a lost connection gives the turn to the next."""

from __future__ import annotations

import threading

import psycopg
import pytest

from cscart_pipelines.fulfilment.shop_write_lock import ShopWriteLockedError, acquire
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.database.locks import ADVISORY


def test_a_shop_has_one_writer_and_other_shops_have_theirs(warehouse_database: Database) -> None:
    warehouse = warehouse_database.warehouse
    with acquire(warehouse, "one") as connection:
        assert connection.autocommit
        with pytest.raises(ShopWriteLockedError, match="shop of one"), acquire(warehouse, "one"):
            pass
        with acquire(warehouse, "other"):
            pass
    with acquire(warehouse, "one"):
        pass


def test_the_turn_ends_with_the_connection(warehouse_database: Database) -> None:
    warehouse = warehouse_database.warehouse
    with acquire(warehouse, "one") as lost:
        pid = lost.info.backend_pid
        with warehouse_database.connect() as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        with acquire(warehouse, "one"):
            pass
        with pytest.raises(psycopg.OperationalError):
            lost.execute("SELECT 1")


def test_an_error_inside_ends_the_turn_too(warehouse_database: Database) -> None:
    with pytest.raises(ZeroDivisionError), acquire(warehouse_database.warehouse, "one"):
        raise ZeroDivisionError
    with acquire(warehouse_database.warehouse, "one"):
        pass


def test_who_may_wait_gets_the_turn_when_it_is_free(warehouse_database: Database) -> None:
    warehouse = warehouse_database.warehouse
    got = threading.Event()

    def wait() -> None:
        with acquire(warehouse, "one", wait=60) as connection:
            if connection.execute("SHOW lock_timeout").fetchone() == ("0",):
                got.set()

    thread = threading.Thread(target=wait)
    with acquire(warehouse, "one"), warehouse_database.connect() as connection:
        thread.start()
        waits = f"SELECT FROM {ADVISORY} WHERE NOT granted AND number = %s"
        while connection.execute(waits, [Lock.SHOP_WRITE.number("one")]).fetchone() is None:
            pass
        assert not got.is_set()
    thread.join()
    assert got.is_set()


def test_who_waits_in_vain_is_told_so(warehouse_database: Database) -> None:
    warehouse = warehouse_database.warehouse
    with (
        acquire(warehouse, "one"),
        pytest.raises(ShopWriteLockedError),
        acquire(warehouse, "one", wait=0.05),
    ):
        pass

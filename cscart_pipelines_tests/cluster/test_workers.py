"""Celery workers on two machines share the work, and one does what the other has left undone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

import dagster as dg
import pytest
from pydantic import SecretStr

from cscart_pipelines.celery_runs import QUEUES
from cscart_pipelines.integrations import list_builds
from cscart_pipelines.integrations.connection import test_connection as probe_connection
from cscart_pipelines.integrations.settings import check
from cscart_pipelines.integrations.sync_runs.requested import request_sync
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.support.cluster.machines import HERE, Machine, machines
from cscart_pipelines_tests.support.cluster.services import Cluster, cluster, wait_until
from cscart_pipelines_tests.support.dagster.location import PYDANTIC, location

SHOPS = [f"shop-{number:02}" for number in range(20)]
ORDERS = 12
pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings(PYDANTIC)]


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[Machine]]:
    with machines(tmp_path, "one", "two") as made:
        yield made


@pytest.fixture
def installed(two: list[Machine], tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path, two, integrations_per_run="5", write_settle_seconds="2") as made:
        yield made


@contextlib.contextmanager
def connected(
    at: Cluster, keys: Collection[str], *, latency: float
) -> Iterator[dict[str, SandboxShop]]:
    """Shops of some orders, each answering after so many seconds, connected and enabled."""
    with contextlib.ExitStack() as stack:
        shops = {key: stack.enter_context(SandboxShop("4.20", "small", host=HERE)) for key in keys}
        found = None
        for key, shop in shops.items():
            for number in range(ORDERS):
                shop.store.place_order(email=f"buyer{number}@{key}.example.org", lines=[(1, 2)])
            settings = check(
                {"integration": key, "list_name": key, "url": shop.url, "email": shop.email,
                 "update_tracking_number": True}
            )  # fmt: skip
            api_key = SecretStr(shop.api_key)
            found = found or probe_connection(settings, api_key).model_dump(mode="json")
            at.registry.add(settings, api_key, found)
            shop.faults.add("latency", count=None, seconds=latency)
        at.execute("UPDATE registry.integrations SET status = 'enabled', first_synced_at = now()")
        yield shops


def resync(at: Cluster, keys: Collection[str], *, full: bool = False) -> None:
    """As `integration resync --background` asks for it."""
    with at.warehouse.connect(autocommit=True) as connection:
        request_sync(connection, keys, full=full)


def seconds_of_a_full_sync(at: Cluster, keys: Collection[str]) -> float:
    """From the begin of the first run to the end of the last."""
    before = len(runs(at) or ())
    resync(at, keys, full=True)
    done = wait_until(partial(runs, at, beyond=before), "the runs are done")
    return max(end for _, end in done) - min(begin for begin, _ in done)


def synchronised(at: Cluster) -> set[str]:
    rows = at.rows(
        "SELECT integration FROM registry.integrations WHERE status = 'enabled' AND EXISTS ("
        " SELECT FROM registry.sync_runs AS run"
        " WHERE run.integration = integrations.integration AND state = 'succeeded')"
    )
    return {key for (key,) in rows}


def built(at: Cluster) -> set[str]:
    """The integrations whose lists hold every row that a synchronisation has written."""
    with at.warehouse.connect(autocommit=True) as connection:
        states = list_builds.states(connection)
    return {one.integration for one in states if one.as_of and one.newest_change is None}


def test_every_job_with_a_queue_exists() -> None:
    jobs = {job.name for job in location().resolve_all_job_defs()}
    assert set(QUEUES) <= jobs


def test_what_a_killed_worker_leaves_is_done_by_the_other(
    installed: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    at = installed
    one, two = at.workers
    with connected(at, SHOPS, latency=0.3) as shops:
        for machine in (one, two):
            at.start_worker(machine)
        resync(at, SHOPS)
        reads = {Lock.SYNC.number(key) for key in SHOPS}
        wait_until(lambda: at.held_by(one) & reads, "the first machine reads a shop")
        wait_until(lambda: at.held_by(two) & reads, "the second machine reads a shop")
        wait_until(lambda: at.rows("SELECT count(*) FROM cscart.orders")[0][0], "orders are loaded")
        one.kill()
        killed = time.monotonic()
        wait_until(lambda: synchronised(at) >= set(SHOPS), "every shop is synchronised")
        read = time.monotonic() - killed
        wait_until(lambda: built(at) >= set(SHOPS), "every list is built")
        for key, shop in shops.items():
            loaded = at.rows(
                "SELECT order_id, total FROM cscart.orders WHERE integration = %s"
                " AND deleted_at IS NULL", key,
            )  # fmt: skip
            assert dict(loaded) == {
                made.order_id: made.total for made in shop.store.orders.values()
            }
        assert at.rows("SELECT count(*) FROM analytics.lists")[0] == (len(SHOPS),)
        subscribers = at.rows("SELECT DISTINCT subscribers FROM analytics.lists")
        assert subscribers == [(subscribers[0][0],)]

        # Tracking numbers, with the machine that is left and the first one again.
        at.start_worker(one)
        wanted = [
            (key, number) for key in SHOPS[:6] for number in list(shops[key].store.orders)[:4]
        ]
        for key, number in wanted:
            at.execute(
                "INSERT INTO fulfilment.shipments (integration, order_number, tracking_number)"
                " VALUES (%s, %s, %s)", key, str(number), f"{key}-{number}",
            )  # fmt: skip
        writes = {Lock.SHOP_WRITE.number(key) for key in SHOPS}

        def writer() -> Machine | None:
            """The machine that writes to shops, once a shop has got something."""
            if not any(shop.store.shipments for shop in shops.values()):
                return None
            return next((machine for machine in at.workers if at.held_by(machine) & writes), None)

        wait_until(writer, "a machine writes to shops").kill()
        killed = time.monotonic()
        shipped = "SELECT count(*) FROM fulfilment.shipments WHERE state = 'done'"
        wait_until(lambda: at.rows(shipped)[0][0] == len(wanted), "every parcel is sent")
        sent = time.monotonic() - killed
        assert sorted(
            (key, one.order_id, one.tracking_number)
            for key, shop in shops.items()
            for one in shop.store.shipments.values()
        ) == sorted((key, number, f"{key}-{number}") for key, number in wanted)
    with capsys.disabled():
        print(f"\nafter a kill: shops read in {read:.0f} s, parcels sent in {sent:.0f} s")


def test_two_workers_do_nearly_twice_as_much_as_one(
    installed: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    at = installed
    keys = [f"shop-{number:02}" for number in range(40)]
    with connected(at, keys, latency=0.2):
        one, two = at.workers
        at.start_worker(one, queues="shop-reads", concurrency=1)
        at.start_worker(two, queues="shop-reads", concurrency=1)
        seconds_of_a_full_sync(at, keys)  # the first costs more than those after it
        two.kill()
        took = [seconds_of_a_full_sync(at, keys)]
        at.start_worker(two, queues="shop-reads", concurrency=1)
        took.append(seconds_of_a_full_sync(at, keys))
    with capsys.disabled():
        print(f"\none worker {took[0]:.1f} s, two {took[1]:.1f} s: {took[0] / took[1]:.2f} times")
    assert took[0] / took[1] > 1.5


def runs(at: Cluster, *, beyond: int | None = None) -> list[tuple[float, float]] | None:
    """Begin and end of the synchronisations that have succeeded, the oldest first.

    Args:
        at: Where they are.
        beyond: Only those after so many, once there are eight of them.
    """
    found = at.instance.get_run_records(
        dg.RunsFilter(job_name="resync", statuses=[dg.DagsterRunStatus.SUCCESS]), ascending=True
    )
    times = [(one.start_time or 0.0, one.end_time or 0.0) for one in found]
    if beyond is None:
        return times
    return times[beyond:] if len(times) == beyond + 8 else None

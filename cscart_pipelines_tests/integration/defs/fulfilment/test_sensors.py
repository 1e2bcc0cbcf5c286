"""What starts a push by itself: what waits, whose time it is; never twice, never for nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.test_utils import create_run_for_test

from cscart_pipelines.defs.fulfilment.sensors import BATCH, fulfilment_inbox, stock_schedule
from cscart_pipelines.defs.fulfilment.stock_schedule import ScheduleCursor
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import RETRY_SECONDS, RequestCursor
from cscart_pipelines.fulfilment.feeds.drop_folder import folder
from cscart_pipelines.fulfilment.shop_write_lock import acquire
from cscart_pipelines_tests.support.dagster.location import PYDANTIC, Deployment, deployment
from cscart_pipelines_tests.support.fulfilment.push_runs import ON, ship, stock
from cscart_pipelines_tests.support.shop.sandboxes import small_shop

__all__ = ["deployment"]
pytestmark = pytest.mark.filterwarnings(PYDANTIC)
Status = dg.DagsterRunStatus


@pytest.fixture
def shops(deployment: Deployment) -> Iterator[Deployment]:
    """a and b are switched on and enabled, off is not switched on; nobody is asked anything."""
    with small_shop(orders=1) as shop:
        deployment.connect("a", shop, **ON, companies=1)
        deployment.connect("b", shop, **ON, companies=2)
        deployment.connect("off", shop)
        deployment.execute("UPDATE registry.integrations SET status = 'enabled'")
        shop.requests.clear()
        yield deployment
        assert not shop.requests


def tick(
    sensor: dg.SensorDefinition, deployment: Deployment, cursor: str | None = None
) -> tuple[dict[str, object] | str, str | None]:
    """The configuration of the one run that is asked for, or why none is; and the next cursor."""
    with dg.build_sensor_context(instance=deployment.instance, cursor=cursor) as context:
        answer = sensor(context, pipelines=Pipelines())
    if isinstance(answer, dg.SkipReason):
        return answer.skip_message or "", cursor
    assert isinstance(answer, dg.SensorResult)
    if answer.skip_reason:
        return str(answer.skip_reason.skip_message), answer.cursor
    (request,) = answer.run_requests or []
    start(deployment, str(sensor.job_name), request)
    return dict(request.run_config), answer.cursor


def start(deployment: Deployment, job: str, request: dg.RunRequest) -> None:
    """What the daemon does with a request, as far as the sensors can see it."""
    create_run_for_test(
        deployment.instance,
        job_name=job,
        status=Status.QUEUED,
        run_config=dict(request.run_config),
        tags=dict(request.tags),
        remote_job_origin=origin(job),
    )


def origin(job: str) -> RemoteJobOrigin:
    """Only runs of the daemon are queued, and those say where their code is."""
    location = RegisteredCodeLocationOrigin("cscart_pipelines")
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job)


def end_runs(deployment: Deployment, status: dg.DagsterRunStatus = Status.SUCCESS) -> None:
    for run in deployment.instance.get_runs():
        if not run.is_finished:
            deployment.instance.delete_run(run.run_id)
            create_run_for_test(
                deployment.instance,
                job_name=run.job_name,
                status=status,
                tags=run.tags,
                remote_job_origin=origin(run.job_name),
            )


def failed_round(deployment: Deployment, key: str, kind: str, pause: str) -> None:
    deployment.execute(
        "INSERT INTO fulfilment.last_push_runs (integration, kind, failures, not_before, error)"
        " VALUES (%s, %s, 1, now() + %s::interval, 'x') ON CONFLICT (integration, kind)"
        " DO UPDATE SET failures = 2, not_before = excluded.not_before",
        key, kind, pause,
    )  # fmt: skip


def put_off_order(deployment: Deployment, key: str, number: str, pause: str, failures: int) -> None:
    deployment.execute(
        "INSERT INTO fulfilment.deferred_orders"
        " (integration, order_id, order_numbers, failures, not_before, reason) VALUES"
        " (%s, %s, ARRAY[%s], %s, now() + %s::interval, 'x') ON CONFLICT (integration, order_id)"
        " DO UPDATE SET failures = excluded.failures, not_before = excluded.not_before",
        key, int(number), number, failures, pause,
    )  # fmt: skip


# --- shipments -----------------------------------------------------------------------------------


def test_one_run_for_all_that_wait(shops: Deployment) -> None:
    assert tick(fulfilment_inbox, shops)[0] == "Nothing waits that can be pushed now."
    for key in ("a", "b", "off"):
        ship(shops, key, "1", "T-1")
    config, _ = tick(fulfilment_inbox, shops)
    assert config == {"only": ["a", "b"], "limit": BATCH}


def test_an_order_that_is_put_off_asks_for_a_push_when_its_time_has_come(
    shops: Deployment,
) -> None:
    ship(shops, "a", "1", "T-1")
    _, cursor = tick(fulfilment_inbox, shops)
    end_runs(shops)
    put_off_order(shops, "a", "1", "1 minute", 1)
    said, cursor = tick(fulfilment_inbox, shops, cursor)
    assert said == "Nothing waits that can be pushed now."
    ship(shops, "a", "2", "T-2")
    config, cursor = tick(fulfilment_inbox, shops, cursor)
    assert config == {"only": ["a"], "limit": BATCH}
    end_runs(shops)
    shops.execute("UPDATE fulfilment.shipments SET state = 'done' WHERE order_number = '2'")
    _, cursor = tick(fulfilment_inbox, shops, cursor)
    for failures in (1, 2):  # each time as soon as it may, not ten minutes after the last
        put_off_order(shops, "a", "1", "-1 second", failures)
        config, cursor = tick(fulfilment_inbox, shops, cursor)
        assert config == {"only": ["a"], "limit": BATCH}
        end_runs(shops)
    # What a killed push left in the journal is put off like what waits.
    shops.execute("UPDATE fulfilment.shipments SET state = 'taken'")
    shops.execute(
        "INSERT INTO fulfilment.journal (integration, kind, target, order_id, state, plan)"
        " VALUES ('a', 'shipment', '1 T-1', 1, 'planned', '{}')"
    )
    put_off_order(shops, "a", "1", "1 minute", 3)
    said, cursor = tick(fulfilment_inbox, shops, cursor)
    assert said == "Nothing waits that can be pushed now."
    put_off_order(shops, "a", "1", "-1 second", 3)
    assert tick(fulfilment_inbox, shops, cursor)[0] == {"only": ["a"], "limit": BATCH}


@pytest.mark.parametrize("status", [Status.QUEUED, Status.STARTED, Status.CANCELING])
def test_never_a_second_run_while_one_is_not_over(
    status: dg.DagsterRunStatus, shops: Deployment
) -> None:
    ship(shops, "a", "1", "T-1")
    _, cursor = tick(fulfilment_inbox, shops)
    end_runs(shops, status)
    ship(shops, "b", "1", "T-1")
    assert tick(fulfilment_inbox, shops, cursor) == ("A push is queued or running.", cursor)
    end_runs(shops)
    assert tick(fulfilment_inbox, shops, cursor)[0] == {"only": ["b"], "limit": BATCH}


def test_a_run_of_the_command_line_keeps_only_its_own_shop_waiting(shops: Deployment) -> None:
    ship(shops, "a", "1", "T-1")
    ship(shops, "b", "1", "T-1")
    with shops.app() as app, acquire(app.warehouse, "a"):
        config, cursor = tick(fulfilment_inbox, shops)
    assert config == {"only": ["b"], "limit": BATCH}
    end_runs(shops)
    assert tick(fulfilment_inbox, shops, cursor)[0] == {"only": ["a"], "limit": BATCH}


def test_what_a_run_left_as_it_was_is_not_tried_every_time(shops: Deployment) -> None:
    """Cancelled in the queue, for one. No key is used twice, or Dagster would start nothing."""
    ship(shops, "a", "1", "T-1")
    _, cursor = tick(fulfilment_inbox, shops)
    end_runs(shops, Status.CANCELED)
    assert (
        tick(fulfilment_inbox, shops, cursor)[0]
        == "What waits was tried a moment ago; it is tried again later."
    )
    ((key, (what, at)),) = RequestCursor.from_cursor(cursor).last.items()
    long_ago = RequestCursor({key: (what, at - RETRY_SECONDS)}).to_cursor()
    assert tick(fulfilment_inbox, shops, long_ago)[0] == {"only": ["a"], "limit": BATCH}


def test_after_a_failure_the_pause_of_the_round_counts(shops: Deployment) -> None:
    ship(shops, "a", "1", "T-1")
    _, cursor = tick(fulfilment_inbox, shops)
    end_runs(shops, Status.FAILURE)
    failed_round(shops, "a", "shipments", "1 minute")
    assert tick(fulfilment_inbox, shops, cursor)[0] == "Nothing waits that can be pushed now."
    failed_round(shops, "a", "shipments", "-1 second")
    assert tick(fulfilment_inbox, shops, cursor)[0] == {"only": ["a"], "limit": BATCH}


@pytest.mark.parametrize("status", ["disabled", "ready"])
def test_who_may_not_be_pushed_to_is_left_alone(status: str, shops: Deployment) -> None:
    ship(shops, "a", "1", "T-1")
    shops.execute("UPDATE registry.integrations SET status = %s", status)
    assert tick(fulfilment_inbox, shops)[0] == "Nothing waits that can be pushed now."


@pytest.mark.parametrize("state", ["planned", "applying", "ambiguous"])
def test_unfinished_writes_are_looked_after(state: str, shops: Deployment) -> None:
    shops.execute(
        "INSERT INTO fulfilment.journal (integration, kind, target, state)"
        " VALUES ('b', 'order_status', '1', %s), ('a', 'stock', 'x', %s), ('a', 'shipment', '2',"
        " 'verified')",
        state, state,
    )  # fmt: skip
    assert tick(fulfilment_inbox, shops)[0] == {"only": ["b"], "limit": BATCH}


def test_files_start_a_push_once_they_are_written(shops: Deployment) -> None:
    with shops.app() as app:
        path = folder(app.settings, "a") / "shipments" / "new.csv"
        path.write_text("order_number,tracking_number\n1,T-1\n")
    assert tick(fulfilment_inbox, shops)[0] == "Nothing waits that can be pushed now."
    minute_ago = time.time() - 60
    os.utime(path, (minute_ago, minute_ago))
    assert tick(fulfilment_inbox, shops)[0] == {"only": ["a"], "limit": BATCH}
    assert path.exists()


def test_a_nonsense_cursor_and_a_database_without_integrations(deployment: Deployment) -> None:
    assert (
        tick(fulfilment_inbox, deployment, "nonsense")[0] == "Nothing waits that can be pushed now."
    )
    assert (
        tick(stock_schedule, deployment, "nonsense")[0] == "No integration's stock schedule is due."
    )


# --- stock ---------------------------------------------------------------------------------------


def hours_ago(hours: float) -> str:
    return ScheduleCursor((datetime.now(UTC) - timedelta(hours=hours)).timestamp()).to_cursor()


def test_the_first_look_starts_nothing_and_sets_the_clock(shops: Deployment) -> None:
    answer, cursor = tick(stock_schedule, shops)
    assert answer == "No integration's stock schedule is due."
    assert ScheduleCursor.from_cursor(cursor).at is not None


def test_each_at_its_own_time_and_missed_times_once(shops: Deployment) -> None:
    shops.execute(
        "UPDATE registry.integrations SET stock_schedule = '0 0 29 2 *' WHERE integration = 'b'"
    )
    config, cursor = tick(stock_schedule, shops, hours_ago(5))
    assert config == {"only": ["a"]}
    end_runs(shops)
    assert tick(stock_schedule, shops, cursor)[0] == "No integration's stock schedule is due."


def test_stock_is_not_pushed_where_it_is_switched_off_or_disabled(shops: Deployment) -> None:
    shops.execute("UPDATE registry.integrations SET update_stock = false WHERE integration = 'a'")
    shops.execute("UPDATE registry.integrations SET status = 'disabled' WHERE integration = 'b'")
    assert tick(stock_schedule, shops, hours_ago(5))[0] == "No integration's stock schedule is due."


def test_a_time_during_another_push_is_made_up_for(shops: Deployment) -> None:
    with shops.app() as app, acquire(app.warehouse, "a"):
        config, cursor = tick(stock_schedule, shops, hours_ago(2))
    assert config == {"only": ["b"]}
    assert ScheduleCursor.from_cursor(cursor).owed == ("a",)
    assert tick(stock_schedule, shops, cursor)[0] == {"only": ["a"]}


def test_a_run_that_is_still_queued_is_not_doubled(shops: Deployment) -> None:
    tick(stock_schedule, shops, hours_ago(2))
    assert tick(stock_schedule, shops, hours_ago(2))[0] == "No integration's stock schedule is due."


def test_a_time_during_its_own_earlier_run_is_made_up_for(shops: Deployment) -> None:
    tick(stock_schedule, shops, hours_ago(2))
    answer, cursor = tick(stock_schedule, shops, hours_ago(2))
    assert answer == "No integration's stock schedule is due."
    assert ScheduleCursor.from_cursor(cursor).owed == ("a", "b")
    answer, cursor = tick(stock_schedule, shops, cursor)  # owed as long as the run takes
    assert answer == "No integration's stock schedule is due."
    end_runs(shops)
    config, cursor = tick(stock_schedule, shops, cursor)
    assert config == {"only": ["a", "b"]}
    end_runs(shops)
    assert tick(stock_schedule, shops, cursor)[0] == "No integration's stock schedule is due."


def test_a_second_try_under_way_owes_no_third(shops: Deployment) -> None:
    stock(shops, "a", "SKU", 1)
    failed_round(shops, "a", "stock", "-1 second")
    now = ScheduleCursor(time.time()).to_cursor()
    assert tick(stock_schedule, shops, now)[0] == {"only": ["a"]}
    answer, cursor = tick(stock_schedule, shops, now)
    assert answer == "No integration's stock schedule is due."
    assert ScheduleCursor.from_cursor(cursor).owed == ()


def test_a_failed_push_is_tried_again_between_its_times_while_something_waits(
    shops: Deployment,
) -> None:
    now = ScheduleCursor(time.time()).to_cursor()
    stock(shops, "a", "SKU", 1)
    failed_round(shops, "a", "stock", "1 minute")
    assert tick(stock_schedule, shops, now)[0] == "No integration's stock schedule is due."
    failed_round(shops, "a", "stock", "-1 second")
    failed_round(shops, "b", "stock", "-1 second")  # for b nothing waits
    assert tick(stock_schedule, shops, now)[0] == {"only": ["a"]}


def test_a_held_feed_is_left_to_a_person_until_its_next_time(shops: Deployment) -> None:
    stock(shops, "a", "SKU", 0)
    shops.execute("UPDATE fulfilment.stock_levels SET state = 'held'")
    failed_round(shops, "a", "stock", "-1 second")
    assert (
        tick(stock_schedule, shops, ScheduleCursor(time.time()).to_cursor())[0]
        == "No integration's stock schedule is due."
    )
    assert tick(stock_schedule, shops, hours_ago(2))[0] == {"only": ["a", "b"]}

"""From events to the list in Dagster: what is due is followed in one run, each shop for itself."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from cscart_pipelines.defs.ingestion.metadata import TRACKING_FILE
from cscart_pipelines.defs.onsite.jobs import follow_onsite
from cscart_pipelines.defs.onsite.retention import onsite_retention
from cscart_pipelines.defs.onsite.sensors import onsite_events
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import RequestCursor
from cscart_pipelines.defs.transformation.sensors import rebuild_lists
from cscart_pipelines.integrations import connection as shop_connection
from cscart_pipelines.onsite.change_queue import NOT_YET
from cscart_pipelines.onsite.tracking_file import tracking_file
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.sync.batches.targeted import ALERT_AFTER
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.contacts import store_contacts
from cscart_pipelines_tests.integration.defs.fulfilment.test_sensors import end_runs, tick
from cscart_pipelines_tests.support.dagster.location import (
    PYDANTIC,
    Deployment,
    deployment,
    location,
)
from cscart_pipelines_tests.support.shop.sandboxes import small_shop

__all__ = ["deployment"]
pytestmark = pytest.mark.filterwarnings(PYDANTIC)
Status = dg.DagsterRunStatus


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that failed is not repeated: that is the client's business."""
    monkeypatch.setitem(shop_connection.BRIEF, "retries", 0)


@contextlib.contextmanager
def shops_of(
    deployment: Deployment, *keys: str, **options: Any
) -> Iterator[dict[str, SandboxShop]]:
    """Connected shops, as if synchronised before."""
    with contextlib.ExitStack() as stack:
        shops = {key: stack.enter_context(small_shop(orders=2, **options)) for key in keys}
        for key, shop in shops.items():
            deployment.connect(key, shop)
            shop.requests.clear()
        deployment.execute(
            "UPDATE registry.integrations SET status = 'enabled', first_synced_at = now()"
        )
        yield shops


@pytest.fixture
def shops(deployment: Deployment) -> Iterator[dict[str, SandboxShop]]:
    with shops_of(deployment, "a", "b") as made:
        yield made


def address(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()


def touch(deployment: Deployment, key: str, *, order: int = 0, email: str = "") -> None:
    kind, value = ("order", str(order)) if order else ("person", address(email))
    deployment.execute(
        "INSERT INTO onsite.change_queue AS known (integration, kind, value, event)"
        " VALUES (%s, %s, %s, 'x') ON CONFLICT (integration, kind, value) DO UPDATE SET"
        " last_at = clock_timestamp(), attempts = 0",
        key, kind, value,
    )  # fmt: skip


def pass_time(deployment: Deployment) -> None:
    deployment.execute("UPDATE onsite.change_queue SET not_before = not_before - interval '1 hour'")


def follow(deployment: Deployment, *only: str) -> dg.ExecuteInProcessResult:
    config = {"ops": {"sync_touched_records": {"config": {"only": list(only)}}}}
    job = location().resolve_job_def(follow_onsite.name)
    return job.execute_in_process(
        instance=deployment.instance, run_config=config if only else None, raise_on_error=False
    )


def told(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The metadata of the step's output."""
    for event in result.all_node_events:
        if event.is_successful_output:
            found = event.step_output_data.metadata
            return {name: one.value for name, one in found.items()}
    raise AssertionError("no output")


def queue(deployment: Deployment) -> list[tuple[Any, ...]]:
    return deployment.rows(
        "SELECT integration, kind, attempts FROM onsite.change_queue ORDER BY 1, 2, 3"
    )


def orders(deployment: Deployment) -> list[tuple[Any, ...]]:
    return deployment.rows("SELECT integration, order_id FROM cscart.orders ORDER BY 1, 2")


# --- the sensor ----------------------------------------------------------------------------------


def wanted(*keys: str) -> dict[str, Any]:
    return {"ops": {"sync_touched_records": {"config": {"only": list(keys)}}}}


def test_one_run_for_all_that_may_be_asked(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    assert tick(onsite_events, deployment)[0] == "Nothing is due."
    for key in ("a", "b"):
        touch(deployment, key, order=1001)
    assert tick(onsite_events, deployment)[0] == wanted("a", "b")
    assert not any(shop.requests for shop in shops.values())


@pytest.mark.parametrize(
    "state",
    [
        "status = 'disabled'",
        "status = 'syncing'",
        "status = 'ready'",
        "status = 'failed', failure_permanent = true",
        "first_synced_at = NULL",
        "tested_fingerprint = 'another'",
    ],
)
def test_nobody_is_asked_whom_the_schedule_would_not_ask(
    state: str, deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    touch(deployment, "a", order=1001)
    touch(deployment, "b", order=1001)
    deployment.execute(f"UPDATE registry.integrations SET {state} WHERE integration = 'a'")
    assert tick(onsite_events, deployment)[0] == wanted("b")
    follow(deployment, "a", "b")
    assert ("a", "order", 0) in queue(deployment), "it waits until the shop may be asked"
    assert not shops["a"].requests


@pytest.mark.parametrize("status", [Status.QUEUED, Status.STARTED, Status.CANCELING])
def test_never_a_second_run_while_one_is_not_over(
    status: dg.DagsterRunStatus, deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    touch(deployment, "a", order=1001)
    _, cursor = tick(onsite_events, deployment)
    end_runs(deployment, status)
    touch(deployment, "b", order=1001)
    assert tick(onsite_events, deployment, cursor) == (
        "A run of follow_onsite is queued or running.",
        cursor,
    )
    end_runs(deployment)
    assert tick(onsite_events, deployment, cursor)[0] == wanted("b")


def test_a_run_that_never_began_is_not_asked_for_at_every_look(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    touch(deployment, "a", order=1001)
    _, cursor = tick(onsite_events, deployment)
    end_runs(deployment, Status.CANCELED)
    assert tick(onsite_events, deployment, cursor)[0] == "What waits was requested a moment ago."
    ((_, (what, at)),) = RequestCursor.from_cursor(cursor).last.items()
    long_ago = RequestCursor({"a": (what, at - 3600)}).to_cursor()
    assert tick(onsite_events, deployment, long_ago)[0] == wanted("a")


def test_news_about_the_same_order_are_followed_at_once(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    touch(deployment, "a", order=1001)
    _, cursor = tick(onsite_events, deployment)
    end_runs(deployment)
    touch(deployment, "a", order=1001)
    assert tick(onsite_events, deployment, cursor)[0] == wanted("a")


# --- the run -------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["4.7", "4.16", "4.20"])
def test_orders_and_people_come_from_the_shop(profile: str, deployment: Deployment) -> None:
    with shops_of(deployment, "a", profile=profile) as shops:
        account = shops["a"].store.add_customer("new@mail.internal")
        bought = shops["a"].store.place_order(user_id=account.user_id)
        touch(deployment, "a", order=bought.order_id)
        touch(deployment, "a", email="new@mail.internal")
        result = follow(deployment)
        assert result.success
        assert orders(deployment) == [("a", bought.order_id)]
        assert deployment.rows("SELECT email FROM cscart.customers") == [("new@mail.internal",)]
        assert queue(deployment) == []
        shown = told(result)
        assert (shown["touched"], shown["changed"], shown["later"]) == (2, 2, 0)
        assert shown["api_calls"] == len(shops["a"].requests) == 2


def test_a_cancelled_run_does_not_wait_for_a_shop_that_hangs(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    """Nor does it count as a failure of the shop, which would be left alone for a while."""
    over = threading.Event()

    @shops["a"].before_request
    def cancel(_request: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        over.wait(120)

    touch(deployment, "a", order=1001)
    try:
        (failed,) = [e for e in follow(deployment, "a").all_node_events if e.is_step_failure]
        assert "Interrupted" in str(failed.step_failure_data.error_display_string)
        assert not shops["a"].requests, "it has not answered yet"
    finally:
        over.set()
    assert queue(deployment) == [("a", "order", 0)]


def test_the_lists_are_asked_for_at_once_also_beside_a_long_synchronisation(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    touch(deployment, "a", order=1001)
    follow(deployment)
    deployment.execute(
        "INSERT INTO registry.sync_runs (integration, kind, state) VALUES ('b', 'first', 'running')"
    )
    with dg.build_sensor_context(instance=deployment.instance) as context:
        answer = rebuild_lists(context, pipelines=Pipelines())
    assert isinstance(answer, dg.RunRequest)
    assert answer.run_config["ops"]["build_models"]["config"]["only"] == ["a"]


def test_what_the_shop_does_not_show_is_looked_for_a_few_times(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    touch(deployment, "a", order=5000)
    touch(deployment, "a", email="stranger@mail.internal")
    touch(deployment, "a", email="later@mail.internal")
    for attempt in range(1, len(NOT_YET) + 1):
        shown = told(follow(deployment))
        assert (shown["later"], shown["given_up"], shown["changed"]) == (3, 0, 0)
        assert queue(deployment)[0] == ("a", "order", attempt)
        assert told(follow(deployment, "a"))["api_calls"] == 0, "not before its time"
        pass_time(deployment)
    shops["a"].store.add_customer("later@mail.internal")
    shown = told(follow(deployment))
    assert (shown["later"], shown["given_up"], shown["changed"]) == (0, 2, 1)
    assert queue(deployment) == []
    assert deployment.rows("SELECT email FROM cscart.customers") == [("later@mail.internal",)]


def test_an_address_before_leads_to_the_account(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    store = shops["a"].store
    account = store.add_customer("before@mail.internal")
    touch(deployment, "a", email="before@mail.internal")
    follow(deployment)
    store.add_customer("somebody@mail.internal")
    store.edit_customer(account.user_id, email="after@mail.internal")
    for email in ("before@mail.internal", "after@mail.internal"):
        deployment.execute(
            "INSERT INTO onsite.visitors VALUES ('a', 'visitor', %s, now(), now())", address(email)
        )
    touch(deployment, "a", email="after@mail.internal")
    shops["a"].requests.clear()
    assert told(follow(deployment))["later"] == 0
    assert deployment.rows("SELECT email FROM cscart.customers") == [("after@mail.internal",)]
    assert [one.path.rpartition("/")[2] for one in shops["a"].requests] == [str(account.user_id)]


def test_what_somebody_says_about_mail_reaches_the_lists(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    """Nothing changes in the shop, but the lists do. Once is enough."""
    deployment.execute(
        "INSERT INTO cscart.orders (integration, order_id, status, is_parent_order, total,"
        " ordered_at, has_details, email, content_hash)"
        " VALUES ('a', 900, 'O', false, 1, now(), true, 'reader@mail.internal', '')"
    )
    with deployment.database.connect() as connection:
        store_contacts(connection, "a", None)  # as the sync that loads an order does
    touch(deployment, "a", email="reader@mail.internal")
    deployment.execute(
        "INSERT INTO onsite.consents (integration, event_id, email_sha256, granted, at)"
        " VALUES ('a', 'e', %s, false, now())",
        address("reader@mail.internal"),
    )
    records = "SELECT rows_done FROM registry.sync_runs WHERE kind = 'onsite'"
    follow(deployment)
    assert deployment.rows(records) == [(0,)]
    pass_time(deployment)
    follow(deployment)
    assert deployment.rows(records) == [(0,)]


def test_a_shop_that_is_down_keeps_no_other_and_is_an_alert_only_if_that_lasts(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    shops["a"].faults.add("server_error")
    for failures in range(1, ALERT_AFTER + 2):
        touch(deployment, "a", order=1001)
        touch(deployment, "b", order=1001)
        assert follow(deployment).success == (failures != ALERT_AFTER)
        assert queue(deployment) == [("a", "order", 0), ("a", "shop", failures)]
        before = len(shops["a"].requests)
        assert tick(onsite_events, deployment)[0] == "Nothing is due."
        follow(deployment)
        assert len(shops["a"].requests) == before, "left alone for a while"
        pass_time(deployment)
    status = "SELECT status, status_reason, attempts FROM registry.integrations"
    assert deployment.rows(status + " ORDER BY integration") == [("enabled", None, 0)] * 2
    shops["a"].faults.clear()
    assert follow(deployment).success
    assert queue(deployment) == []
    assert orders(deployment) == [("a", 1001), ("b", 1001)]


def test_refused_credentials_are_left_to_the_hourly_synchronisation(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    shops["a"].api_user.api_key = "another0key0another0key0another0"
    touch(deployment, "a", order=1001)
    result = follow(deployment)
    assert result.success
    assert "refused the credentials" in told(result)["outcome"]
    assert deployment.rows("SELECT status FROM registry.integrations WHERE integration = 'a'") == [
        ("enabled",)
    ]


def test_beside_an_act_on_the_same_shop_it_waits_for_the_next_time(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    touch(deployment, "a", order=1001)
    touch(deployment, "b", order=1001)
    with deployment.database.connect() as acting:
        assert advisory.try_lock_session(acting, Lock.SYNC, "a")
        assert follow(deployment).success
        assert orders(deployment) == [("b", 1001)]
        assert queue(deployment) == [("a", "order", 0)]
    assert follow(deployment).success
    assert orders(deployment) == [("a", 1001), ("b", 1001)]


def test_a_mistake_of_ours_fails_the_run_but_not_the_other_shops(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    touch(deployment, "a", order=1001)
    touch(deployment, "b", order=1001)
    deployment.execute("UPDATE onsite.change_queue SET value = 'no number' WHERE integration = 'a'")
    result = follow(deployment)
    assert not result.success
    assert "1 of 2 failed: a" in str(result.all_node_events[-1].event_specific_data)
    assert orders(deployment) == [("b", 1001)]
    assert ("a", "shop", 1) in queue(deployment), "nor does it fail every half a minute"


def test_no_address_is_told(deployment: Deployment, shops: dict[str, SandboxShop]) -> None:
    shops["a"].store.add_customer("secret@mail.internal")
    touch(deployment, "a", email="secret@mail.internal")
    touch(deployment, "a", email="stranger@mail.internal")
    result = follow(deployment)
    everything = " ".join(str(entry) for entry in deployment.instance.all_logs(result.run_id))
    for word in ("secret@", "stranger@", address("secret@mail.internal")):
        assert word not in everything


def test_partitions_are_observed_not_materialised(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    """Green would say that the whole shop has been read."""
    touch(deployment, "a", order=1001)
    run = follow(deployment).run_id
    kinds = [entry.dagster_event_type for entry in deployment.instance.all_logs(run)]
    assert dg.DagsterEventType.ASSET_OBSERVATION in kinds
    assert dg.DagsterEventType.ASSET_MATERIALIZATION not in kinds


# --- keeping events ------------------------------------------------------------------------------


def test_old_events_go_and_coming_days_are_ready(deployment: Deployment) -> None:
    job = location().resolve_job_def(onsite_retention.name)
    result = job.execute_in_process(instance=deployment.instance)
    assert "events_" in told(result)["partitions_made"]
    again = told(job.execute_in_process(instance=deployment.instance))
    assert (again["partitions_made"], again["postponed"]) == ("none", 0)


def test_a_run_by_hand_is_no_hindrance(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    create_run_for_test(deployment.instance, job_name=follow_onsite.name, status=Status.STARTED)
    touch(deployment, "a", order=1001)
    assert tick(onsite_events, deployment)[0] == wanted("a")


# --- the file ------------------------------------------------------------------------------------


def make_file(deployment: Deployment, key: str) -> dg.ExecuteInProcessResult:
    return (
        location()
        .resolve_implicit_global_asset_job_def()
        .execute_in_process(
            instance=deployment.instance,
            partition_key=key,
            asset_selection=[TRACKING_FILE],
            raise_on_error=False,
        )
    )


def test_the_file_in_the_ui_is_that_of_the_command_line(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    result = make_file(deployment, "a")
    assert result.success
    shown = deployment.materialisations(result.run_id)["tracking_file", "a"]
    with (
        deployment.app() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        integration = app.registry.get("a")
        expected = tracking_file(connection, integration, app.settings.collector_url)
    assert shown["container"] == json.loads(expected)
    assert shown["command"].split()[:4] == ["cscart-pipelines", "integration", "tracking-file", "a"]
    assert shops["a"].api_key not in str(shown)


def test_only_an_enabled_integration_has_a_file(
    deployment: Deployment, shops: dict[str, SandboxShop]
) -> None:
    deployment.execute("UPDATE registry.integrations SET status = 'failed' WHERE integration = 'a'")
    result = make_file(deployment, "a")
    assert not result.success
    assert deployment.materialisations(result.run_id) == {}
    assert deployment.rows("SELECT FROM onsite.keys") == []


def test_the_list_leads_to_the_file(deployment: Deployment, shops: dict[str, SandboxShop]) -> None:
    run = deployment.resync("a", assets=["customers"]).run_id
    shown = deployment.materialisations(run)["customers", "a"]
    assert shown["tracking_file"] == TRACKING_FILE
    assert " a " in shown["tracking_file_command"]

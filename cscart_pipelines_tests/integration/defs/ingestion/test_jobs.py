"""The hourly schedule, and what a run over several integrations is called."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.defs.ingestion.jobs import (
    cron_of,
    hourly_resync,
    in_slot,
    resync_request,
)
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.errors import SchemaOutdatedError
from cscart_pipelines.warehouse.tables.base import SCHEMAS
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dagster.location import PYDANTIC, Deployment, open_deployment
from cscart_pipelines_tests.support.shop.sandboxes import small_shop

pytestmark = pytest.mark.filterwarnings(PYDANTIC)


@pytest.fixture
def deployment(warehouse_database: Database, tmp_path: Path) -> Iterator[Deployment]:
    with open_deployment(warehouse_database, tmp_path / "home", on_disk=True) as made:
        yield made


def tick(deployment: Deployment) -> dg.RunRequest | dg.SkipReason:
    with dg.build_schedule_context(instance=deployment.instance) as context:
        answer = hourly_resync(context, pipelines=Pipelines())
    assert isinstance(answer, (dg.RunRequest, dg.SkipReason))
    return answer


def only(request: dg.RunRequest | dg.SkipReason) -> list[str]:
    assert isinstance(request, dg.RunRequest), request
    names: list[str] = request.run_config["ops"]["read_shop"]["config"]["only"]
    return names


def test_every_hour_with_the_schedule_on() -> None:
    assert hourly_resync.cron_schedule == "0 * * * *"
    assert hourly_resync.default_status is dg.DefaultScheduleStatus.RUNNING


def test_due_integrations_in_one_run(deployment: Deployment) -> None:
    """Not those that were never started, are disabled, or need a person; failed ones again."""
    with small_shop(orders=1) as shop:
        for key in ("ready", "enabled", "disabled", "wrong-key", "failed", "untested"):
            deployment.connect(key, shop)
    deployment.execute(
        "UPDATE registry.integrations SET first_synced_at = now(), status = CASE integration"
        " WHEN 'wrong-key' THEN 'failed' WHEN 'untested' THEN 'enabled' ELSE integration END,"
        " failure_permanent = (integration = 'wrong-key'), tested_fingerprint ="
        " CASE integration WHEN 'untested' THEN 'another' ELSE tested_fingerprint END"
    )
    request = tick(deployment)
    assert only(request) == ["enabled", "failed"]
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key is None
    assert request.tags["dagster/asset_partition_range_start"] == "enabled"
    assert request.tags["dagster/asset_partition_range_end"] == "failed"
    assert request.run_config["ops"]["read_shop"]["config"]["scheduled"] is True


def test_hundreds_are_read_in_bounded_runs(deployment: Deployment) -> None:
    with small_shop(orders=1) as shop:
        deployment.connect("a-000", shop)
    deployment.execute("UPDATE registry.integrations SET status = 'syncing'")
    deployment.execute(
        "UPDATE registry.integrations SET status = 'enabled', first_synced_at = now()"
    )
    columns = (
        "url, email, api_key_sealed, api_key_hash, tested_fingerprint, status, first_synced_at"
    )
    deployment.execute(
        f"INSERT INTO registry.integrations (integration, list_name, {columns})"
        f" SELECT 'a-' || lpad(n::text, 3, '0'), 'list ' || n, {columns}"
        " FROM registry.integrations, generate_series(1, 599) AS n"
    )
    keys = [f"a-{number:03}" for number in range(600)]
    deployment.instance.add_dynamic_partitions("integration", keys[1:])
    with dg.build_schedule_context(instance=deployment.instance) as context:
        answer = hourly_resync(context, pipelines=Pipelines())
    assert isinstance(answer, list)
    assert [len(only(request)) for request in answer] == [250, 250, 100]
    assert [key for request in answer for key in only(request)] == keys
    assert answer[1].tags["dagster/asset_partition_range_start"] == "a-250"
    assert answer[1].tags["dagster/asset_partition_range_end"] == "a-499"


def test_a_setting_says_how_many_one_run_reads(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSCART_PIPELINES_INTEGRATIONS_PER_RUN", "2")
    with small_shop(orders=1) as shop:
        for key in ("a", "b", "c"):
            deployment.connect(key, shop)
    deployment.execute(
        "UPDATE registry.integrations SET status = 'enabled', first_synced_at = now()"
    )
    with dg.build_schedule_context(instance=deployment.instance) as context:
        answer = hourly_resync(context, pipelines=Pipelines())
    assert isinstance(answer, list)
    assert [only(request) for request in answer] == [["a", "b"], ["c"]]


@given(
    keys=st.sets(st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True), max_size=60),
    slots=st.integers(2, 12),
)
def test_each_integration_has_one_minute_of_the_hour(keys: set[str], slots: int) -> None:
    midnight = datetime(2026, 3, 29, tzinfo=UTC)
    times = [midnight + timedelta(hours=3, minutes=minute) for minute in range(0, 60, 5)]
    looked_at = [key for time in times for key in in_slot(sorted(keys), time, slots)]
    assert sorted(looked_at) == sorted(keys)
    # The schedule looks at exactly the minutes in which there may be any.
    cron = CronSim(cron_of(slots), midnight - timedelta(seconds=1))
    assert [next(cron) for _ in range(slots)] == [
        midnight + timedelta(minutes=5 * slot) for slot in range(slots)
    ]
    assert next(cron) == midnight + timedelta(hours=1)


def test_one_that_is_syncing_is_left_alone_and_a_dead_one_is_due_again(
    deployment: Deployment,
) -> None:
    with small_shop(orders=1) as shop:
        deployment.connect("alive", shop)
        deployment.connect("dead", shop)
    deployment.execute(
        "UPDATE registry.integrations SET status = 'syncing', first_synced_at = now()"
    )
    with deployment.database.connect() as holder:
        assert advisory.try_lock_session(holder, Lock.SYNC, "alive")
        request = tick(deployment)
    assert only(request) == ["dead"]
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "dead"


def test_nothing_due_is_said(deployment: Deployment) -> None:
    assert tick(deployment) == dg.SkipReason("No integration is due (0 are not).")
    with small_shop(orders=1) as shop:
        deployment.connect("ready", shop)
    assert tick(deployment) == dg.SkipReason("No integration is due (1 are not).")


def test_the_range_of_a_request_follows_the_order_of_the_partitions() -> None:
    request = resync_request(["b", "z"], ["z", "a", "b", "c"], full=True)
    assert request.tags["dagster/asset_partition_range_start"] == "z"
    assert request.tags["dagster/asset_partition_range_end"] == "b"
    assert request.run_config == {
        "ops": {"read_shop": {"config": {"only": ["b", "z"], "scheduled": False, "full": True}}}
    }


def test_integrations_without_a_partition_keep_none_waiting() -> None:
    """They were disabled or removed a moment ago."""
    ends = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    request = resync_request(["a", "gone", "c"], ["a", "b", "c"])
    assert [request.tags[end] for end in ends] == ["a", "c"]
    request = resync_request(["gone", "b"], ["a", "b", "c"])
    assert (request.partition_key, request.tags) == ("b", {})
    request = resync_request(["gone"], ["a"])
    assert request.partition_key is None
    assert not set(ends) & set(request.tags)


def test_ticks_and_runs_check_the_schema_and_never_migrate(deployment: Deployment) -> None:
    deployment.execute(f"DROP SCHEMA {', '.join(SCHEMAS)} CASCADE")
    with pytest.raises(SchemaOutdatedError, match="run `cscart-pipelines migrate`"):
        tick(deployment)
    assert deployment.rows("SELECT to_regclass('registry.integrations')") == [(None,)]

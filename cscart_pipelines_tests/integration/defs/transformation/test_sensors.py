"""The sensor that builds the lists that are due, on the registry and on Dagster's runs."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.transformation.sensors import rebuild_lists
from cscart_pipelines.integrations import list_builds
from cscart_pipelines_tests.support.dagster.location import PYDANTIC, Deployment, deployment

__all__ = ["deployment"]
pytestmark = pytest.mark.filterwarnings(PYDANTIC)

FRESH = "Every list is up to date."


def save(deployment: Deployment, *keys: str) -> None:
    for key in keys:
        deployment.execute(
            "INSERT INTO registry.integrations (integration, list_name, url, email, status)"
            " VALUES (%s, %s, %s, 'a@shop.gr', 'enabled')",
            *(key, key, f"https://{key}.gr"),
        )
    deployment.instance.add_dynamic_partitions("integration", list(keys))


def synced(deployment: Deployment, key: str, written: int = 3, state: str = "succeeded") -> None:
    deployment.execute(
        "INSERT INTO registry.sync_runs (integration, kind, state, rows_done, stats, finished_at)"
        " VALUES (%s, 'resync', %s, 5, jsonb_build_object('written', %s::int),"
        " CASE WHEN %s <> 'running' THEN now() END)",
        *(key, state, written, state),
    )


def build(deployment: Deployment, *keys: str, age: str = "0") -> None:
    """A build that has finished so long ago."""
    with deployment.database.connect() as connection:
        connection.autocommit = True
        begun = list_builds.begin(connection, keys)
        (moment,) = connection.execute("SELECT now() - %s::interval", [age]).fetchone() or [None]
        list_builds.finish(connection, begun, "a run", moment)


def tick(deployment: Deployment) -> list[str] | str:
    """The integrations of the run that is asked for, or why none is."""
    with dg.build_sensor_context(instance=deployment.instance) as context:
        answer = rebuild_lists(context, pipelines=Pipelines())
    if isinstance(answer, dg.SkipReason):
        return answer.skip_message or ""
    assert isinstance(answer, dg.RunRequest)
    config: list[str] = answer.run_config["ops"]["build_models"]["config"]["only"]
    return config


def start(deployment: Deployment, keys: list[str], status: dg.DagsterRunStatus) -> None:
    create_run_for_test(
        deployment.instance,
        job_name="build_lists",
        status=status,
        run_config={"ops": {"build_models": {"config": {"only": keys}}}},
    )


def test_only_shops_that_have_changed_are_built_and_each_once(deployment: Deployment) -> None:
    save(deployment, "a", "b", "c", "never-read")
    assert tick(deployment) == FRESH
    for key in "abc":
        synced(deployment, key)
    assert tick(deployment) == ["a", "b", "c"]
    build(deployment, "a", "b", "c")
    assert tick(deployment) == FRESH
    synced(deployment, "b")
    synced(deployment, "c", written=0)  # the hourly look that finds nothing
    assert tick(deployment) == ["b"]
    start(deployment, ["b"], dg.DagsterRunStatus.STARTED)
    assert tick(deployment) == "The lists that are due (1) are being built."
    synced(deployment, "a")
    assert tick(deployment) == ["a"]
    start(deployment, ["a"], dg.DagsterRunStatus.STARTING)
    synced(deployment, "c")
    assert tick(deployment) == ("Lists that wait for the builds that are queued or running: 1.")


def test_what_loaded_nothing_needs_no_build(deployment: Deployment) -> None:
    save(deployment, "a")
    deployment.execute(
        "INSERT INTO registry.sync_runs (integration, kind, state, rows_done, finished_at)"
        " VALUES ('a', 'first', 'failed', 0, now())"
    )
    assert tick(deployment) == FRESH
    deployment.execute("UPDATE registry.sync_runs SET rows_done = 100")
    assert tick(deployment) == ["a"]


def test_it_waits_while_synchronisations_are_running_but_not_for_hours(
    deployment: Deployment,
) -> None:
    save(deployment, "a", "b")
    synced(deployment, "a")
    synced(deployment, "b", state="running")
    assert tick(deployment) == "Synchronisations that are still running: 1."
    deployment.execute(
        "UPDATE registry.sync_runs SET finished_at = now() - interval '11 minutes'"
        " WHERE integration = 'a'"
    )
    assert tick(deployment) == ["a"]


def test_a_build_that_began_during_a_synchronisation_does_not_cover_it(
    deployment: Deployment,
) -> None:
    save(deployment, "a")
    synced(deployment, "a")
    synced(deployment, "a", state="running")
    build(deployment, "a")
    assert tick(deployment) == FRESH
    deployment.execute("UPDATE registry.sync_runs SET state = 'succeeded', finished_at = now()")
    assert tick(deployment) == ["a"]


@pytest.mark.parametrize("change", ["include_guests = false", "default_country = 'CY'"])
def test_settings_that_the_models_read_make_a_list_due(deployment: Deployment, change: str) -> None:
    save(deployment, "a", "b")
    synced(deployment, "a")
    synced(deployment, "b")
    build(deployment, "a", "b")
    deployment.execute("UPDATE registry.integrations SET list_name = upper(list_name)")
    assert tick(deployment) == FRESH
    deployment.execute(f"UPDATE registry.integrations SET {change} WHERE integration = 'b'")
    assert tick(deployment) == ["b"]


def test_every_list_is_built_on_a_new_day_of_its_shop(deployment: Deployment) -> None:
    save(deployment, "a", "b")
    for key in "ab":
        synced(deployment, key)
    build(deployment, "a", age="25 hours")
    build(deployment, "b")
    assert tick(deployment) == ["a"]


def test_while_visitors_come_a_list_is_built_every_hour(deployment: Deployment) -> None:
    save(deployment, "a", "b")
    for key in "ab":
        synced(deployment, key)
        # In a zone where it is noon: the day has not turned within these two hours.
        ahead = 12 - datetime.now(UTC).hour
        deployment.execute("UPDATE registry.integrations SET timezone = %s", f"Etc/GMT{-ahead:+d}")
    build(deployment, "a", "b", age="61 minutes")
    assert tick(deployment) == FRESH
    deployment.execute(
        "INSERT INTO onsite.events (integration, event_id, day, name, occurred_at, client_at,"
        " visitor_id) VALUES ('b', 'e', current_date, 'page_view', now(), now(), 'v')"
    )
    assert tick(deployment) == ["b"]


def test_a_build_that_does_not_finish_is_begun_again_after_a_pause(deployment: Deployment) -> None:
    save(deployment, "a")
    synced(deployment, "a")
    with deployment.database.connect() as connection:
        connection.autocommit = True
        list_builds.begin(connection, ["a"])
    start(deployment, ["a"], dg.DagsterRunStatus.FAILURE)
    assert tick(deployment) == ("Lists whose build has failed, to be begun again after a pause: 1.")
    deployment.execute(
        "UPDATE registry.list_builds SET attempted_at = now() - interval '6 minutes'"
    )
    assert tick(deployment) == ["a"]
    deployment.execute("UPDATE registry.list_builds SET attempts = 3")
    assert tick(deployment) == ("Lists whose build has failed, to be begun again after a pause: 1.")
    synced(deployment, "a")
    assert tick(deployment) == ["a"]

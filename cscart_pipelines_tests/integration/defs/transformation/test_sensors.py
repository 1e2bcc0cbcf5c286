"""The sensor that builds the lists that are due, on the registry and on Dagster's runs."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.transformation.sensors import rebuild_lists
from cscart_pipelines.integrations import list_builds
from cscart_pipelines_tests.support.dagster.location import PYDANTIC, ControlRoom, room

__all__ = ["room"]
pytestmark = pytest.mark.filterwarnings(PYDANTIC)

FRESH = "Every list is up to date."


def save(room: ControlRoom, *keys: str) -> None:
    for key in keys:
        room.execute(
            "INSERT INTO registry.integrations (integration, list_name, url, email, status)"
            " VALUES (%s, %s, %s, 'a@shop.gr', 'enabled')",
            *(key, key, f"https://{key}.gr"),
        )
    room.instance.add_dynamic_partitions("integration", list(keys))


def synced(room: ControlRoom, key: str, written: int = 3, state: str = "succeeded") -> None:
    room.execute(
        "INSERT INTO registry.sync_runs (integration, kind, state, rows_done, stats, finished_at)"
        " VALUES (%s, 'resync', %s, 5, jsonb_build_object('written', %s::int),"
        " CASE WHEN %s <> 'running' THEN now() END)",
        *(key, state, written, state),
    )


def build(room: ControlRoom, *keys: str, age: str = "0") -> None:
    """A build that has finished so long ago."""
    with room.database.connect() as connection:
        connection.autocommit = True
        begun = list_builds.begin(connection, keys)
        (moment,) = connection.execute("SELECT now() - %s::interval", [age]).fetchone() or [None]
        list_builds.finish(connection, begun, "a run", moment)


def tick(room: ControlRoom) -> list[str] | str:
    """The integrations of the run that is asked for, or why none is."""
    with dg.build_sensor_context(instance=room.instance) as context:
        answer = rebuild_lists(context, pipelines=Pipelines())
    if isinstance(answer, dg.SkipReason):
        return answer.skip_message or ""
    assert isinstance(answer, dg.RunRequest)
    config: list[str] = answer.run_config["ops"]["build_models"]["config"]["only"]
    return config


def start(room: ControlRoom, keys: list[str], status: dg.DagsterRunStatus) -> None:
    create_run_for_test(
        room.instance,
        job_name="build_lists",
        status=status,
        run_config={"ops": {"build_models": {"config": {"only": keys}}}},
    )


def test_only_shops_that_have_changed_are_built_and_each_once(room: ControlRoom) -> None:
    save(room, "a", "b", "c", "never-read")
    assert tick(room) == FRESH
    for key in "abc":
        synced(room, key)
    assert tick(room) == ["a", "b", "c"]
    build(room, "a", "b", "c")
    assert tick(room) == FRESH
    synced(room, "b")
    synced(room, "c", written=0)  # the hourly look that finds nothing
    assert tick(room) == ["b"]
    start(room, ["b"], dg.DagsterRunStatus.STARTED)
    assert tick(room) == "The lists that are due (1) are being built."
    synced(room, "a")
    assert tick(room) == ["a"]
    start(room, ["a"], dg.DagsterRunStatus.STARTING)
    synced(room, "c")
    assert tick(room) == ("Lists that wait for the builds that are queued or running: 1.")


def test_what_loaded_nothing_needs_no_build(room: ControlRoom) -> None:
    save(room, "a")
    room.execute(
        "INSERT INTO registry.sync_runs (integration, kind, state, rows_done, finished_at)"
        " VALUES ('a', 'first', 'failed', 0, now())"
    )
    assert tick(room) == FRESH
    room.execute("UPDATE registry.sync_runs SET rows_done = 100")
    assert tick(room) == ["a"]


def test_it_waits_while_synchronisations_are_running_but_not_for_hours(room: ControlRoom) -> None:
    save(room, "a", "b")
    synced(room, "a")
    synced(room, "b", state="running")
    assert tick(room) == "Synchronisations that are still running: 1."
    room.execute(
        "UPDATE registry.sync_runs SET finished_at = now() - interval '11 minutes'"
        " WHERE integration = 'a'"
    )
    assert tick(room) == ["a"]


def test_a_build_that_began_during_a_synchronisation_does_not_cover_it(room: ControlRoom) -> None:
    save(room, "a")
    synced(room, "a")
    synced(room, "a", state="running")
    build(room, "a")
    assert tick(room) == FRESH
    room.execute("UPDATE registry.sync_runs SET state = 'succeeded', finished_at = now()")
    assert tick(room) == ["a"]


def test_settings_that_the_models_read_make_a_list_due(room: ControlRoom) -> None:
    save(room, "a", "b")
    synced(room, "a")
    synced(room, "b")
    build(room, "a", "b")
    room.execute("UPDATE registry.integrations SET list_name = upper(list_name)")
    assert tick(room) == FRESH
    room.execute("UPDATE registry.integrations SET include_guests = false WHERE integration = 'b'")
    assert tick(room) == ["b"]


def test_every_list_is_built_on_a_new_day_of_its_shop(room: ControlRoom) -> None:
    save(room, "a", "b")
    for key in "ab":
        synced(room, key)
    build(room, "a", age="25 hours")
    build(room, "b")
    assert tick(room) == ["a"]


def test_while_visitors_come_a_list_is_built_every_hour(room: ControlRoom) -> None:
    save(room, "a", "b")
    for key in "ab":
        synced(room, key)
        # In a zone where it is noon: the day has not turned within these two hours.
        ahead = 12 - datetime.now(UTC).hour
        room.execute("UPDATE registry.integrations SET timezone = %s", f"Etc/GMT{-ahead:+d}")
    build(room, "a", "b", age="61 minutes")
    assert tick(room) == FRESH
    room.execute(
        "INSERT INTO onsite.events (integration, event_id, day, name, occurred_at, client_at,"
        " visitor_id) VALUES ('b', 'e', current_date, 'page_view', now(), now(), 'v')"
    )
    assert tick(room) == ["b"]


def test_a_build_that_does_not_finish_is_begun_again_after_a_pause(room: ControlRoom) -> None:
    save(room, "a")
    synced(room, "a")
    with room.database.connect() as connection:
        connection.autocommit = True
        list_builds.begin(connection, ["a"])
    start(room, ["a"], dg.DagsterRunStatus.FAILURE)
    assert tick(room) == ("Lists whose build has failed, to be begun again after a pause: 1.")
    room.execute("UPDATE registry.list_builds SET attempted_at = now() - interval '6 minutes'")
    assert tick(room) == ["a"]
    room.execute("UPDATE registry.list_builds SET attempts = 3")
    assert tick(room) == ("Lists whose build has failed, to be begun again after a pause: 1.")
    synced(room, "a")
    assert tick(room) == ["a"]

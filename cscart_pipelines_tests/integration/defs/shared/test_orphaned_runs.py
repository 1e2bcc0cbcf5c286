"""Runs whose process is gone are ended, on whichever machine it was; others are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from cscart_pipelines.defs.shared import orphaned_runs
from cscart_pipelines.defs.shared.orphaned_runs import TAG, RunSessions, fail_orphaned, orphaned_ids
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.connect import Warehouse
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.database.locks import wait_until_free

STARTED = dg.DagsterRunStatus.STARTED
HOLDER = """
import sys
from cscart_pipelines.defs.shared.orphaned_runs import sessions
for run_id in sys.stdin:
    sessions.begin(run_id.strip())
    print("begun", flush=True)
"""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def warehouse(warehouse_database: Database, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """The database that the environment names."""
    for name, value in warehouse_database.settings_env.items():
        monkeypatch.setenv(name, value)
    return warehouse_database.warehouse


def run(
    instance: dg.DagsterInstance,
    session: str | None = "its own",
    status: dg.DagsterRunStatus = STARTED,
) -> str:
    made = create_run_for_test(instance, job_name="resync", status=status).run_id
    if session:
        instance.add_run_tags(made, {TAG: made if session == "its own" else session})
    return made


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        ("NOT_STARTED", "FAILURE"),
        ("STARTING", "FAILURE"),
        ("STARTED", "FAILURE"),
        ("CANCELING", "CANCELED"),
    ],
)
def test_a_killed_process_ends_its_run_and_a_live_one_does_not(
    instance: dg.DagsterInstance, warehouse: Warehouse, status: str, becomes: str
) -> None:
    number = run(instance, status=dg.DagsterRunStatus(status))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{number}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "begun\n"
    assert fail_orphaned(instance, warehouse) == []
    process.kill()
    process.communicate()
    wait_until_free(warehouse, Lock.RUN, number)
    assert orphaned_ids(instance, warehouse) == [number]
    assert fail_orphaned(instance, warehouse) == [number]
    ended = instance.get_run_by_id(number)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus(becomes)
    assert fail_orphaned(instance, warehouse) == []


def test_the_lock_of_a_run_outlives_its_executor_until_the_next_run_begins(
    instance: dg.DagsterInstance, warehouse: Warehouse
) -> None:
    """Dagster records the end of a run a little later; it must not be taken for dead until then."""
    mine = RunSessions()
    first, second = run(instance), run(instance)
    mine.begin(first)
    mine.end(first)
    assert fail_orphaned(instance, warehouse) == [second]
    mine.begin(second)
    wait_until_free(warehouse, Lock.RUN, first)
    assert fail_orphaned(instance, warehouse) == [first]
    mine.end(second)
    mine.begin("another run")
    mine.end("another run")
    mine.end("a run that has never begun")


def test_runs_of_one_process_at_a_time_keep_their_locks(
    instance: dg.DagsterInstance, warehouse: Warehouse
) -> None:
    mine = RunSessions()
    for number in (first := run(instance), run(instance), first):
        mine.begin(number)
    assert fail_orphaned(instance, warehouse) == []


def test_a_run_that_ends_between_the_two_looks_is_not_dead(
    instance: dg.DagsterInstance, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = run(instance)

    def ends(*_: object) -> dict[str, int]:
        found = instance.get_run_by_id(number)
        assert found is not None
        instance.report_run_canceled(found)
        return {}

    monkeypatch.setattr(orphaned_runs.advisory, "holders", ends)
    assert fail_orphaned(instance, warehouse) == []


def test_a_run_that_is_started_again_does_not_die_with_the_first(
    instance: dg.DagsterInstance, warehouse: Warehouse
) -> None:
    """It carries the tags of the first until it has a process."""
    first = run(instance)
    run(instance, session=first, status=dg.DagsterRunStatus.STARTING)
    assert fail_orphaned(instance, warehouse) == [first]


@pytest.mark.parametrize("session", [None, "nonsense"])
def test_a_run_without_a_session_of_its_own_is_left_alone(
    instance: dg.DagsterInstance, warehouse: Warehouse, session: str | None
) -> None:
    """Nothing is known of it: its process begins, or had no warehouse."""
    run(instance, session)
    assert fail_orphaned(instance, warehouse) == []

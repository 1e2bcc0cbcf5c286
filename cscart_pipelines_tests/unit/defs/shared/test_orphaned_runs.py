"""Runs whose process is gone are ended; others are left alone."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.test_utils import create_run_for_test

from cscart_pipelines.defs.shared import orphaned_runs

STARTED = dg.DagsterRunStatus.STARTED
HERE = socket.gethostname()


@pytest.fixture(params=["shared", "of one machine"])
def instance(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Runs kept where several machines may see them, and in SQLite."""
    with (
        dg.DagsterInstance.ephemeral()
        if request.param == "shared"
        else dg.DagsterInstance.local_temp(str(tmp_path)) as made
    ):
        yield made


def run(
    instance: dg.DagsterInstance, signed: str | None, status: dg.DagsterRunStatus = STARTED
) -> str:
    """`signed`: what is written on it; RUN stands for its id."""
    made = create_run_for_test(instance, job_name="resync", status=status).run_id
    if signed:
        instance.add_run_tags(made, {orphaned_runs.TAG: signed.replace("RUN", made)})
    return made


def child() -> Iterator[str]:
    """A process that waits; it is gone at the second step."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield orphaned_runs._number_and_time(psutil.Process(process.pid))
    process.kill()
    process.wait()
    yield "gone"


def test_a_process_that_lives_keeps_its_run(instance: dg.DagsterInstance) -> None:
    made = run(instance, None)
    instance.add_run_tags(made, {orphaned_runs.TAG: orphaned_runs.signature(made)})
    assert orphaned_runs.fail_orphaned(instance) == []


@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_a_dead_process_ends_its_run_and_a_live_one_does_not(
    instance: dg.DagsterInstance, status: str
) -> None:
    life = child()
    number = run(instance, f"RUN {HERE} {next(life)}", dg.DagsterRunStatus(status))
    assert orphaned_runs.fail_orphaned(instance) == []
    assert next(life) == "gone"
    assert orphaned_runs.fail_orphaned(instance) == [number]
    ended = instance.get_run_by_id(number)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
    assert orphaned_runs.fail_orphaned(instance) == []


def test_a_number_that_is_used_again_is_another_process(instance: dg.DagsterInstance) -> None:
    life = child()
    number = next(life).split(" ")[0]
    own = psutil.Process().pid  # after a restart of the machine any process may have it
    dead = [run(instance, f"RUN {HERE} {pid} 12345.00") for pid in (number, own)]
    assert sorted(orphaned_runs.fail_orphaned(instance)) == sorted(dead)
    assert next(life) == "gone"


def test_a_run_of_another_machine_is_dead_where_runs_belong_to_one(
    instance: dg.DagsterInstance,
) -> None:
    """The home was copied; or the machine has a new name, and the process is still there."""
    other = run(instance, "RUN another-machine 1 2.0")
    life = child()
    run(instance, f"RUN former-name {next(life)}")
    local = isinstance(instance.run_storage, orphaned_runs.SqliteRunStorage)
    assert orphaned_runs.fail_orphaned(instance) == ([other] if local else [])
    assert next(life) == "gone"


def test_a_run_that_is_started_again_does_not_die_with_the_first(
    instance: dg.DagsterInstance,
) -> None:
    """It carries the tags of the first until it has a process."""
    first = run(instance, f"RUN {HERE} 1 2.0")
    second = run(instance, f"{first} {HERE} 1 2.0", dg.DagsterRunStatus.STARTING)
    assert orphaned_runs.fail_orphaned(instance) == [first]
    assert second not in orphaned_runs.fail_orphaned(instance)


@pytest.mark.parametrize("signed", [None, "nonsense", "RUN a b c", "RUN a 1", "RUN a b c d e"])
def test_what_cannot_be_known_is_left_alone(
    instance: dg.DagsterInstance, signed: str | None
) -> None:
    run(instance, signed)
    assert orphaned_runs.fail_orphaned(instance) == []

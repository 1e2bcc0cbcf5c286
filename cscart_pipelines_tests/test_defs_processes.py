"""Runs whose process is gone are ended; others are left alone."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg
import psutil
import pytest
from dagster._core.test_utils import create_run_for_test

from cscart_pipelines.defs import processes

STARTED = dg.DagsterRunStatus.STARTED


def run(instance: dg.DagsterInstance, signature: str | None) -> str:
    tags = {processes.TAG: signature} if signature else {}
    return create_run_for_test(instance, job_name="resync", status=STARTED, tags=tags).run_id


def status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run_id)
    assert found is not None
    return found.status


def test_a_run_signs_with_its_process() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        number = run(instance, None)
        processes.sign(instance, number)
        assert processes.end_dead(instance) == []
        assert status(instance, number) is STARTED


def test_a_dead_process_ends_its_run_and_a_live_one_does_not() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    signature = processes._signature(psutil.Process(child.pid))
    with dg.DagsterInstance.ephemeral() as instance:
        number = run(instance, signature)
        assert processes.end_dead(instance) == []
        child.kill()
        child.wait()
        assert processes.end_dead(instance) == [number]
        assert status(instance, number) is dg.DagsterRunStatus.FAILURE
        assert processes.end_dead(instance) == []


def test_a_number_that_is_used_again_is_another_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    host, number, _ = processes._signature(psutil.Process(child.pid)).split(" ")
    with dg.DagsterInstance.ephemeral() as instance:
        dead = run(instance, f"{host} {number} 12345.00")
        assert processes.end_dead(instance) == [dead]
    child.kill()
    child.wait()


@pytest.mark.parametrize("signature", [None, "another-machine 1 2.0", "nonsense", "a b c d"])
def test_what_cannot_be_known_is_left_alone(signature: str | None) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run(instance, signature)
        assert processes.end_dead(instance) == []

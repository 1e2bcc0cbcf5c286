"""Runs whose process is gone: found and marked as failed, so that they free their pools.

Dagster's default launcher notices the end of a process only while the server that started it lives:
a killed command line or a machine that was switched off leaves runs that look as if they went on.
Not here: synchronisations whose run is gone, the registry ends those (`release_dead`).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import dagster as dg
import psutil
from dagster._core.storage.runs import SqliteRunStorage

HIDDEN = ".dagster/cscart_"
"""So begin tags that this project alone reads: the UI shows no tag of `.dagster/`."""
TAG = f"{HIDDEN}process"
ALIVE = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def signature(run_id: str) -> str:
    """Returns the value of `TAG`: the run, the machine and the process that executes it.

    It holds the run, since a run that Dagster restarts carries the tags of the first; and the time
    when the process began, since the operating system uses numbers of processes again.
    """
    return f"{run_id} {socket.gethostname()} {_number_and_time(psutil.Process())}"


def fail_orphaned(instance: dg.DagsterInstance) -> list[str]:
    """Marks runs as failed whose process is gone.

    A run of another machine is judged only where runs are kept in SQLite: that serves one machine
    at a time, so the home was copied or the machine has a new name.

    Returns:
        The ids of the runs.
    """
    dead = _dead(instance)
    for run in dead:
        instance.report_run_failed(run, "The process of this run is gone.")
    return [run.run_id for run in dead]


def dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Returns the ids of the runs that `fail_orphaned` would mark."""
    return [run.run_id for run in _dead(instance)]


def _dead(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    local = isinstance(instance.run_storage, SqliteRunStorage)
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=ALIVE))
    return [run for run in runs if _is_gone(run.run_id, run.tags.get(TAG, ""), local)]


class _SigningExecutor(dg.Executor):
    """Executes as another executor does, after it has tagged the run with its process."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        run_id = plan_context.run_id
        plan_context.instance.add_run_tags(run_id, {TAG: signature(run_id)})
        yield from self._inner.execute(plan_context, execution_plan)


def _sign_and_execute(context: dg.InitExecutorContext) -> dg.Executor:
    inner = dg.in_process_executor.executor_creation_fn
    assert inner is not None
    return _SigningExecutor(inner(context))


in_process_executor = dg.ExecutorDefinition(
    name="in_process",
    config_schema=dg.in_process_executor.config_schema.as_field(),
    executor_creation_fn=_sign_and_execute,
    description="All steps in the run's own process: one of its own for each costs two seconds.",
)


def _number_and_time(process: psutil.Process) -> str:
    return f"{process.pid} {process.create_time():.2f}"


def _is_gone(run_id: str, signed: str, local: bool) -> bool:
    match signed.split(" "):
        case [of, host, number, began] if of == run_id and number.isdecimal():
            pass
        case _:
            return False
    if host != socket.gethostname() and not local:
        return False
    if int(number) == os.getpid():
        return f"{number} {began}" != _number_and_time(psutil.Process())
    try:
        process = psutil.Process(int(number))
        return process.status() == psutil.STATUS_ZOMBIE or f"{number} {began}" != _number_and_time(
            process
        )
    except psutil.NoSuchProcess:
        return True

"""Runs whose process is gone: found and marked as failed, so that they free their pools.

Each process that executes a run holds a lock of the warehouse in a session of its own, and the
server frees it however the process or its machine ends. Dagster notices the end of a process only
where the launcher can: a killed command line, a machine that was switched off or a worker of Celery
leave runs that look as if they went on. Not here: synchronisations whose run is gone, the registry
ends those (`release_dead`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import dagster as dg

from cscart_pipelines.defs.shared.run_requests import HIDDEN
from cscart_pipelines.settings import SettingsError, read_settings
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.connect import Warehouse, open_warehouse
from cscart_pipelines.warehouse.driver import Connection
from cscart_pipelines.warehouse.errors import WarehouseUnavailableError

TAG = f"{HIDDEN}session"
"""The tag of a run whose process holds its lock. Its value is the id of the run, since a run that
Dagster restarts carries the tags of the first."""
ALIVE = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class RunSessions:
    """The sessions in which this process holds the locks of its runs.

    The lock of a run that has ended is kept until the next one begins, or until the process ends:
    Dagster records the end of a run after its executor.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, Connection] = {}
        self._ended: set[str] = set()
        self._mutex = threading.Lock()

    def begin(self, run_id: str) -> None:
        """Takes the lock of a run that this process executes.

        Raises:
            WarehouseUnavailableError: The database does not answer.
            SettingsError: A variable of the environment cannot be used.
        """
        self.close_ended()
        with self._mutex:
            if run_id in self._sessions:
                return
            with open_warehouse(read_settings(), check=False, actor="dagster") as warehouse:
                connection = warehouse.open_session(autocommit=True)
            advisory.try_lock_session(connection, Lock.RUN, run_id)
            self._sessions[run_id] = connection

    def hold(self, instance: dg.DagsterInstance, run_id: str) -> None:
        """Takes the lock of a run, and tags the run with it; without a warehouse does neither."""
        with contextlib.suppress(WarehouseUnavailableError, SettingsError):
            self.begin(run_id)
            instance.add_run_tags(run_id, {TAG: run_id})

    def end(self, run_id: str) -> None:
        """Says that this process does nothing more for a run."""
        with self._mutex:
            if run_id in self._sessions:
                self._ended.add(run_id)

    def close_ended(self) -> None:
        """Frees the locks of the runs that have ended."""
        with self._mutex:
            for ended in self._ended:
                self._sessions.pop(ended).close()
            self._ended.clear()


sessions = RunSessions()


def fail_orphaned(instance: dg.DagsterInstance, warehouse: Warehouse) -> list[str]:
    """Marks runs as failed whose process is gone, on whichever machine it was.

    One that was to be cancelled is marked as cancelled.

    Returns:
        The ids of the runs.
    """
    orphaned = _orphaned(instance, warehouse)
    for run in orphaned:
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, "The process of this run is gone.")
        else:
            instance.report_run_failed(run, "The process of this run is gone.")
    return [run.run_id for run in orphaned]


def orphaned_ids(instance: dg.DagsterInstance, warehouse: Warehouse) -> list[str]:
    """Returns the ids of the runs that `fail_orphaned` would mark."""
    return [run.run_id for run in _orphaned(instance, warehouse)]


def _orphaned(instance: dg.DagsterInstance, warehouse: Warehouse) -> list[dg.DagsterRun]:
    alive = instance.get_runs(filters=dg.RunsFilter(statuses=ALIVE))
    begun = [run.run_id for run in alive if run.tags.get(TAG) == run.run_id]
    if not begun:
        return []
    with warehouse.connect(autocommit=True) as connection:
        held = advisory.holders(connection, Lock.RUN, begun)
    gone = [run_id for run_id in begun if run_id not in held]
    if not gone:
        return []
    # Read again: one may have ended between the two looks, and its process with it.
    return list(instance.get_runs(filters=dg.RunsFilter(run_ids=gone, statuses=ALIVE)))


class _LockingExecutor(dg.Executor):
    """Executes as another executor does, while this process holds the lock of the run."""

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
        sessions.hold(plan_context.instance, run_id)  # without it the steps fail, and say why
        try:
            yield from self._inner.execute(plan_context, execution_plan)
        finally:
            sessions.end(run_id)


def _lock_and_execute(context: dg.InitExecutorContext) -> dg.Executor:
    inner = dg.in_process_executor.executor_creation_fn
    assert inner is not None
    return _LockingExecutor(inner(context))


in_process_executor = dg.ExecutorDefinition(
    name="in_process",
    config_schema=dg.in_process_executor.config_schema.as_field(),
    executor_creation_fn=_lock_and_execute,
    description="All steps in the run's own process: one of its own for each costs two seconds.",
)

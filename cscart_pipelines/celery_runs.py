"""Runs as tasks of Celery: the launcher of the daemon, and the application of the workers.

The launcher puts each run into the queue of its kind of work; a worker on any machine takes it:
`celery --app cscart_pipelines.celery_runs worker --queues shop-reads,builds,shop-writes,dagster`.
Needs the extra `celery`. Not here: which runs there are (`defs`), how a worker that has died is
noticed (`defs.shared.orphaned_runs`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from celery import Celery
from celery.signals import task_prerun, worker_init, worker_process_init
from dagster import DagsterInstance
from dagster._core.launcher import LaunchRunContext
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.make_app import make_app
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG
from dagster_celery.tasks import create_execute_job_task

from cscart_pipelines import definitions
from cscart_pipelines.defs.shared import orphaned_runs

QUEUES = {
    "resync": "shop-reads",
    "pull_orders": "shop-reads",
    "follow_onsite": "shop-reads",
    "check_connections": "shop-reads",
    "build_lists": "builds",
    "push_tracking": "shop-writes",
    "push_stock": "shop-writes",
}
"""The queue of each job. Runs of other jobs, and of single assets, go to `dagster`."""
DEFAULT_QUEUE = "dagster"
BROKER = "CSCART_PIPELINES_CELERY_BROKER"
"""The variable with the URL of the broker, which keeps the state of tasks too."""
LONGEST_RUN = 26 * 3600
"""Seconds after which the broker hands a task to another worker, more than a run may take."""
WORKER = {
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {"visibility_timeout": LONGEST_RUN},
    # A worker holds no task but those it executes: those that wait are not lost with it.
    "task_acks_late": True,
    "worker_prefetch_multiplier": 1,
    # A new process for each run, forked from one that has loaded the definitions already.
    "worker_max_tasks_per_child": 1,
}


class QueueRunLauncher(CeleryRunLauncher):
    """Starts runs as Celery tasks, in the queue of their job."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hands a run to the workers."""
        run = context.dagster_run
        queue = QUEUES.get(run.job_name, DEFAULT_QUEUE)
        tagged = run.with_tags({**run.tags, DAGSTER_CELERY_QUEUE_TAG: queue})
        super().launch_run(context._replace(dagster_run=tagged))

    def terminate(self, run_id: str) -> bool:
        """Cancels a run, as a signal does; one whose worker has died is marked as cancelled."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return super().terminate(run_id)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """The state of a task says *started* for ever when its worker dies, and goes with Redis."""
        return False


@worker_init.connect
def _load_definitions(**_: Any) -> None:
    """Loads, once for all runs of a worker, what takes seconds."""
    definitions.defs()


@worker_process_init.connect
def _end_runs_in_order(**_: Any) -> None:
    """A run that is cancelled lets requests under way end, as on one machine."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


@task_prerun.connect
def _hold_lock(kwargs: Mapping[str, Any], **_: Any) -> None:
    """A worker that dies before the executor begins is noticed too."""
    run_id = kwargs["execute_job_args_packed"]["run_id"]
    with DagsterInstance.get() as instance:
        orphaned_runs.sessions.hold(instance, run_id)


def worker_app() -> Celery:
    """Returns the application of the workers, with the broker that the environment names."""
    broker = os.environ.get(BROKER, "redis://localhost:6379/0")
    made = make_app(
        {
            "broker": broker,
            "backend": broker,
            "config_source": WORKER,
            "task_default_queue": DEFAULT_QUEUE,
        }
    )
    create_execute_job_task(made)
    return made


app = worker_app()

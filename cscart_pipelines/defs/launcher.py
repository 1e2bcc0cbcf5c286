"""Runs a job now, in this process, as a run that the UI shows: `python -m …defs.launcher`.

The command line starts this as a process of its own, because Dagster takes seconds to import and
the command line should not. Says how it goes as JSON lines on standard output; Dagster's own log
goes to standard error. Not here: what the jobs do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterInstance

from cscart_pipelines import definitions as location
from cscart_pipelines.defs.fulfilment.jobs import pull_request
from cscart_pipelines.defs.ingestion.jobs import resync_request
from cscart_pipelines.defs.shared import orphaned_runs
from cscart_pipelines.defs.shared.partitions import NAME, difference
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import STARTED_BY
from cscart_pipelines.defs.transformation.jobs import build_request
from cscart_pipelines.local_postgres.file_locks import exclusive
from cscart_pipelines.warehouse import advisory


def main(arguments: list[str] | None = None) -> int:
    """Runs the jobs that the arguments name, one after another.

    Returns:
        The exit code: 0 when every run succeeded, 1 otherwise.
    """
    asked = _parser().parse_args(arguments)
    _emit(event="loading")
    advisory.log.addHandler(_WaitEvents(logging.INFO))
    advisory.log.setLevel(logging.INFO)
    if asked.end_with_caller:
        threading.Thread(target=_end_with_caller, daemon=True).start()
    definitions: dg.Definitions = location.defs()
    with contextlib.ExitStack() as stack:
        with exclusive(Path(os.environ["DAGSTER_HOME"]) / ".start.lock"):
            # Two that make the same SQLite files at the same time would break them.
            instance = stack.enter_context(DagsterInstance.get())
        with Pipelines().open() as app:
            orphaned_runs.fail_orphaned(instance, app.warehouse)
        done = worth_a_build = True
        if asked.resync:
            request = _request(instance, asked.resync, full=asked.full)
            result = _execute(instance, definitions, "resync", request)
            done = result.success
            # One shop that fails keeps no other from its list.
            worth_a_build = done or any(
                event.is_step_materialization for event in result.all_events
            )
        if asked.pull_orders and done:
            present = _partitions(instance, asked.pull_orders)
            done = _execute(
                instance, definitions, "pull_orders", pull_request(asked.pull_orders, present)
            ).success
        for key in asked.push_tracking:
            config = {"integration": key, "limit": asked.limit}
            request = dg.RunRequest(run_config=config)
            done = _execute(instance, definitions, "push_tracking", request).success and done
        for key in asked.push_stock:
            config = {"integration": key, "limit": asked.limit, "files": not asked.no_files}
            request = dg.RunRequest(run_config=config)
            done = _execute(instance, definitions, "push_stock", request).success and done
        if asked.build is not None and worth_a_build:
            keys = asked.build or asked.resync
            request = build_request(
                keys,
                present=_partitions(instance, keys, needed=True),
                full_refresh=asked.full_refresh,
                as_of=asked.as_of,
            )
            done = _execute(instance, definitions, "build_lists", request).success and done
    return 0 if done else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="launcher")
    parser.add_argument("--resync", nargs="*", default=[], metavar="KEY")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--pull-orders", nargs="*", default=[], metavar="KEY")
    parser.add_argument("--push-tracking", nargs="*", default=[], metavar="KEY")
    parser.add_argument("--push-stock", nargs="*", default=[], metavar="KEY")
    parser.add_argument("--limit", type=int, metavar="N")
    parser.add_argument("--no-files", action="store_true")
    parser.add_argument(
        "--build", nargs="*", metavar="KEY", help="default: those that were read, else all"
    )
    parser.add_argument("--full-refresh", action="store_true")
    parser.add_argument("--as-of", metavar="TIME")
    parser.add_argument("--end-with-caller", action="store_true", help="when stdin is closed")
    return parser


def _request(instance: DagsterInstance, keys: list[str], *, full: bool) -> dg.RunRequest:
    """Returns the run that synchronises these integrations."""
    return resync_request(keys, _partitions(instance, keys), full=full)


def _partitions(instance: DagsterInstance, keys: list[str], *, needed: bool = False) -> list[str]:
    """Returns all partitions; adds those that the sensor has not added yet.

    Args:
        instance: where the partitions are.
        keys: the integrations of a run.
        needed: one of them has a partition afterwards, though all of them may be disabled; the
            sensor takes it away again.

    Raises:
        UnknownIntegrationError: one of the keys is no integration.
    """
    with Pipelines().open() as app:
        for key in keys:
            app.registry.get(key)
        present = list(instance.get_dynamic_partitions(NAME))
        add, _ = difference(app.registry.all(), present)
    if needed and not {*present, *add} & {*keys}:
        add = [*add, keys[0]]
    if add:
        instance.add_dynamic_partitions(NAME, add)
    return list(instance.get_dynamic_partitions(NAME))


def _execute(
    instance: DagsterInstance, definitions: dg.Definitions, name: str, request: dg.RunRequest
) -> dg.ExecuteInProcessResult:
    job = definitions.resolve_job_def(name)
    run_id = str(uuid.uuid4())
    _emit(event="running", job=name, run_id=run_id)
    orphaned_runs.sessions.begin(run_id)
    result = job.execute_in_process(
        instance=instance,
        partition_key=request.partition_key,
        run_config=request.run_config,
        tags={
            **request.tags,
            STARTED_BY: "command line",
            orphaned_runs.TAG: run_id,
        },
        raise_on_error=False,
        run_id=run_id,
    )
    orphaned_runs.sessions.end(run_id)
    if reports := _reports(result):
        _emit(event="report", job=name, run_id=result.run_id, reports=reports)
    _emit(event="finished", job=name, run_id=result.run_id, ok=result.success)
    return result


def _reports(result: dg.ExecuteInProcessResult) -> list[dict[str, Any]]:
    """Returns what the run says of each integration, also when it failed.

    A push gives its output before it fails; orders that were pulled are in the materialisations.
    """
    for step in ("push_shipments", "push_levels"):
        if result.job_def.graph.has_node_named(step):
            with contextlib.suppress(dg.DagsterInvariantViolationError):  # it got no further
                found: list[dict[str, Any]] = result.output_for_node(step)
                return found
    reports = []
    for event in result.all_events:
        if event.is_step_materialization and event.job_name == "pull_orders":
            made = event.step_materialization_data.materialization
            told = {name: value.value for name, value in made.metadata.items()}
            reports.append({"integration": made.partition, **told})
    return reports


class _WaitEvents(logging.Handler):
    """Emits what is waited for, and when the wait is over, for the command line."""

    def emit(self, record: logging.LogRecord) -> None:
        _emit(event="waiting", **{name: vars(record).get(name) for name in ("wait", "at_most")})


def _end_with_caller() -> None:
    """Ends this process as a Ctrl-C does once the caller has ended, in whatever way."""
    while os.read(0, 1024):  # not through sys.stdin, whose lock would be held at the end
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _emit(**words: Any) -> None:
    with contextlib.suppress(BrokenPipeError):  # the caller is gone
        sys.stdout.write(json.dumps(words) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

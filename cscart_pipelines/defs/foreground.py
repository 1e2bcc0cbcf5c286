"""Runs a job now, in this process, as a run that the UI shows: `python -m …defs.foreground`.

The command line starts this as a process of its own, because Dagster takes seconds to import and
the command line should not. Says how it goes as JSON lines on standard output; Dagster's own log
goes to standard error. Not here: what the jobs do.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import dagster as dg
from dagster import DagsterInstance

from cscart_pipelines import definitions as location
from cscart_pipelines.defs import processes
from cscart_pipelines.defs.jobs import resync_request
from cscart_pipelines.defs.partitions import NAME, difference
from cscart_pipelines.defs.resources import Pipelines


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when every run succeeded, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="foreground")
    parser.add_argument("--resync", nargs="*", default=[], metavar="KEY")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--build", action="store_true")
    asked = parser.parse_args(arguments)
    _say(event="loading")
    definitions: dg.Definitions = location.defs()
    with DagsterInstance.get() as instance:
        processes.end_dead(instance)
        done = True
        if asked.resync:
            request = _request(instance, asked.resync, full=asked.full)
            done = _execute(instance, definitions, "resync", request)
        if asked.build and done:
            done = _execute(instance, definitions, "build_lists", dg.RunRequest())
    return 0 if done else 1


def _request(instance: DagsterInstance, keys: list[str], *, full: bool) -> dg.RunRequest:
    """The run over these shops; their partitions are made if the sensor has not been by yet."""
    with Pipelines().open() as premises:
        for key in keys:
            premises.registry.get(key)
        add, _ = difference(premises.registry.all(), list(instance.get_dynamic_partitions(NAME)))
    if add:
        instance.add_dynamic_partitions(NAME, add)
    return resync_request(keys, list(instance.get_dynamic_partitions(NAME)), full=full)


def _execute(
    instance: DagsterInstance, definitions: dg.Definitions, name: str, request: dg.RunRequest
) -> bool:
    job = definitions.resolve_job_def(name)
    _say(event="running", job=name)
    result = job.execute_in_process(
        instance=instance,
        partition_key=request.partition_key,
        run_config=request.run_config,
        tags={**request.tags, "cscart/started_by": "command line"},
        raise_on_error=False,
    )
    _say(event="finished", job=name, run_id=result.run_id, ok=result.success)
    return result.success


def _say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

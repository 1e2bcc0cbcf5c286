"""The log of a run for the command line: `python -m …defs.run_log`, which prints JSON.

A process of its own, because Dagster takes seconds to import and the command line should not. Not
here: how the log is shown (`cli.integration.logs`).
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

from dagster import DagsterEventType, DagsterInstance, DagsterRun, EventLogEntry

from cscart_pipelines.defs.shared.run_requests import STARTED_BY

JOBS = ("resync", "push_tracking", "push_stock")
NEWEST = 500
"""Runs that are searched for one of the integration."""
QUIET = {
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    DagsterEventType.ENGINE_EVENT,
    DagsterEventType.LOGS_CAPTURED,
    DagsterEventType.STEP_OUTPUT,
    DagsterEventType.STEP_INPUT,
    DagsterEventType.RESOURCE_INIT_STARTED,
    DagsterEventType.RESOURCE_INIT_SUCCESS,
    DagsterEventType.HANDLED_OUTPUT,
    DagsterEventType.LOADED_INPUT,
}


def main(arguments: list[str]) -> int:
    """Prints a run with its log as JSON, or `null`.

    Args:
        arguments: the integration, the ids of its synchronisations' runs as a JSON list, and
            perhaps `--run` and the first letters of the id of a run.

    Returns:
        The exit code, always 0.
    """
    key, known, _, wanted = arguments[0], json.loads(arguments[1]), *(arguments[2:] or ["", ""])
    with DagsterInstance.get() as instance:
        run = _find(instance, key, set(known), wanted)
        found = None if run is None else _shown(instance, run, key)
    sys.stdout.write(json.dumps(found))
    return 0


def _find(instance: DagsterInstance, key: str, known: set[str], wanted: str) -> DagsterRun | None:
    for run in instance.get_runs(limit=NEWEST):
        if wanted and not run.run_id.startswith(wanted):
            continue
        if wanted or run.run_id in known or (run.job_name in JOBS and _names(run, key)):
            return run
    return None


def _names(run: DagsterRun, key: str) -> bool:
    """Returns whether the integration is in the configuration of the run, or is its partition."""
    return run.tags.get("dagster/partition") == key or key in set(_texts(run.run_config))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _shown(instance: DagsterInstance, run: DagsterRun, key: str) -> dict[str, Any]:
    entries = instance.all_logs(run.run_id)
    lines = [line for entry in entries if (line := _line(entry, key))]
    return {
        "run_id": run.run_id,
        "job": run.job_name,
        "state": run.status.value.lower(),
        "started_by": run.tags.get(STARTED_BY)
        or run.tags.get("dagster/schedule_name")
        or run.tags.get("dagster/sensor_name")
        or "the UI",
        "log": lines,
    }


def _line(entry: EventLogEntry, key: str) -> dict[str, Any] | None:
    """Returns what an event says of this integration or of the run; None if it is of others."""
    event, text = entry.dagster_event, entry.user_message
    level = "info" if event else _level(entry.level)
    if event:
        kind = event.event_type
        if kind in QUIET:
            return None
        if kind is DagsterEventType.ASSET_MATERIALIZATION:
            made = event.step_materialization_data.materialization
            if made.partition not in (None, key):
                return None
            told = {name: value.value for name, value in made.metadata.items()}
            rows = told.get("dagster/row_count")
            text = f"{made.asset_key.to_user_string()} is stored"
            text += f"; rows in all: {rows:,}" if isinstance(rows, int) else ""
        elif event.is_failure:
            level, text = "error", _why(event, text)
    return {"at": entry.timestamp, "level": level, "text": text.strip()}


def _why(event: Any, text: str) -> str:
    data = event.event_specific_data
    told = getattr(data, "user_failure_data", None)
    error = getattr(data, "error", None)
    if event.event_type is DagsterEventType.RUN_FAILURE and "Steps failed" in text:
        return text.splitlines()[0]  # the reason is in the event of the step
    if told is not None and told.description:
        return str(told.description)
    return f"{text}\n{error.message.strip()}" if error is not None else text


def _level(number: int | str) -> str:
    return logging.getLevelName(int(number)).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

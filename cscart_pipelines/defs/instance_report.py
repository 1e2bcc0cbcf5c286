"""What Dagster and the checks know of the state of things, as JSON on standard output.

For `doctor`, which does not import Dagster. Changes nothing. Not here: the checks themselves.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._daemon.controller import get_daemon_statuses

from cscart_pipelines.app_context import AppContext, open_context
from cscart_pipelines.defs.fulfilment import checks as fulfilment_checks
from cscart_pipelines.defs.ingestion import checks as ingestion_checks
from cscart_pipelines.defs.shared import orphaned_runs


def main() -> None:
    with dg.DagsterInstance.get() as instance, open_context() as app:
        json.dump([_daemon(instance), _runs(instance), *_checks(app)], sys.stdout)


def _daemon(instance: dg.DagsterInstance) -> dict[str, Any]:
    """One that does not run is no fault: commands work without it."""
    statuses = get_daemon_statuses(instance, instance.get_required_daemon_types())
    ill = sorted(name for name, status in statuses.items() if not status.healthy)
    if len(ill) == len(statuses):
        says = "not running: nothing is synchronised by itself until `up` is started"
    else:
        says = f"not healthy: {', '.join(ill)}" if ill else "running"
    return {"check": "daemon", "ok": not ill or len(ill) == len(statuses), "says": says}


def _runs(instance: dg.DagsterInstance) -> dict[str, Any]:
    dead = orphaned_runs.dead_runs(instance)
    says = "none that was left unfinished"
    if dead:
        says = (
            f"left unfinished by a process that is gone: {', '.join(run[:8] for run in dead)};"
            " the next run, or the daemon, marks them as failed"
        )
    return {"check": "runs", "ok": not dead, "says": says}


def _checks(app: AppContext) -> Iterator[dict[str, Any]]:
    """The asset checks that do not pass now, in one line each; a warning is told, and no fault."""
    found: list[tuple[str, dg.AssetCheckSeverity, list[tuple[Any, ...]]]] = []
    for raw, rows in ingestion_checks.verdicts(app, ingestion_checks.CHECKS):
        found.append((raw.name, raw.severity, rows))
    for check, lines in fulfilment_checks.verdicts(app, fulfilment_checks.CHECKS):
        found.append((check.name, check.severity, list(lines)))
    for name, severity, findings in found:
        if findings:
            key, what, count = findings[0]
            more = f" (and {count - 1:,} more)" if count > 1 else ""
            fault = severity is dg.AssetCheckSeverity.ERROR
            yield {"check": name, "ok": not fault, "says": f"{key}: {what}{more}"}


if __name__ == "__main__":
    main()

"""The state of the daemon, the runs and the asset checks, as JSON on standard output.

For the command `doctor`, which does not import Dagster. Changes nothing. Not here: the checks
(`ingestion.checks`, `fulfilment.checks`).
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
from cscart_pipelines.sync import data_checks


def main() -> None:
    """Prints a list of findings: `check`, `ok`, `says`."""
    with dg.DagsterInstance.get() as instance, open_context() as app:
        json.dump([_daemon(instance), _runs(instance, app), *_checks(app)], sys.stdout)


def _daemon(instance: dg.DagsterInstance) -> dict[str, Any]:
    """Returns the state of the daemon; one that does not run is no fault: commands work without."""
    statuses = get_daemon_statuses(instance, instance.get_required_daemon_types())
    ill = sorted(name for name, status in statuses.items() if not status.healthy)
    if len(ill) == len(statuses):
        says = "not running: nothing is synchronised by itself until `up` is started"
    else:
        says = f"not healthy: {', '.join(ill)}" if ill else "running"
    return {"check": "daemon", "ok": not ill or len(ill) == len(statuses), "says": says}


def _runs(instance: dg.DagsterInstance, app: AppContext) -> dict[str, Any]:
    orphaned = orphaned_runs.orphaned_ids(instance, app.warehouse)
    says = "none that was left unfinished"
    if orphaned:
        says = (
            f"left unfinished by a process that is gone: {', '.join(run[:8] for run in orphaned)};"
            " the next run, or the daemon, marks them as failed"
        )
    return {"check": "runs", "ok": not orphaned, "says": says}


def _checks(app: AppContext) -> Iterator[dict[str, Any]]:
    """Yields the asset checks that do not pass now; a warning is shown and is no fault."""
    found: list[tuple[str, dg.AssetCheckSeverity, list[tuple[str, str, int]]]] = []
    with app.warehouse.connect(autocommit=True) as connection:
        for raw, rows in data_checks.find(connection, data_checks.CHECKS, limit=1):
            found.append((raw.name, ingestion_checks.severity(raw), rows))
    for check, lines in fulfilment_checks.verdicts(app, fulfilment_checks.CHECKS):
        found.append((check.name, check.severity, lines))
    for name, severity, findings in found:
        if findings:
            key, what, count = findings[0]
            more = f" (and {count - 1:,} more)" if count > 1 else ""
            fault = severity is dg.AssetCheckSeverity.ERROR
            yield {"check": name, "ok": not fault, "says": f"{key}: {what}{more}"}


if __name__ == "__main__":
    main()

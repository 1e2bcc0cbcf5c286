"""Pushes in the foreground: a run of Dagster beside this process, watched through the inbox.

The bar counts rows that are settled in the database, so it says what is done and not what is hoped
for. Not here: what a push does, how its report looks (`fulfilment_shown`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.cli.support.run_process import Child, drop_unfinished, start_child
from cscart_pipelines.fulfilment.feeds.drop_folder import owner_of, waiting_files
from cscart_pipelines.fulfilment.push_session import PushFailedError, PushKind, disabled_reason
from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines.fulfilment.stock.sku_matching import UNKNOWN
from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError, require
from cscart_pipelines.integrations.registry import Integration

JOBS: dict[PushKind, str] = {"shipments": "push_tracking", "stock": "push_stock"}
STOPPING = "Stopping: what was begun in the shop is finished, nothing new is begun."
STOPPED = (
    "Stopped. What was sent is in the journal; the next push looks in the shop what became of it"
    " and goes on from there."
)


@dataclass(frozen=True)
class PushResult:
    """How a push ended, and as which run."""

    report: PushReport
    run_id: str | None
    failure: str | None = None
    """Why the run failed, where the report knows of no trouble."""
    trouble: exit_codes.CommandError | None = None
    """What ended the push before its time, the shop being away for one; the report goes so far."""


def closed_reason(app: AppContext, integration: Integration, kind: PushKind) -> str | None:
    """Why nothing is written to this shop now."""
    try:
        require(Action.PUSH, app.registry.standing(integration))
    except NotAllowedError as error:
        return str(error)
    return disabled_reason(kind, integration.settings)


def waiting(app: AppContext, key: str, kind: PushKind, *, files: bool = True) -> int:
    """Rows and files that wait, and writes that are not finished."""
    found = [
        path
        for path in (waiting_files(app.settings, [key]) if files else ())
        if owner_of(app.settings, path) == (key, kind)
    ]
    with app.warehouse.connect(autocommit=True) as connection:
        rows = _open_rows(connection, key, kind)
        rows += _unknown(connection, key) if kind == "stock" else 0
        return rows + len(found) + _open_writes(connection, key, kind)


def held(app: AppContext, key: str, kind: PushKind) -> int:
    """Rows that wait for a person."""
    if kind == "shipments":
        return 0
    with app.warehouse.connect(autocommit=True) as connection:
        return _open_rows(connection, key, kind, ("held",))


def run_push(
    app: AppContext, key: str, kind: PushKind, *, limit: int | None, files: bool = True
) -> PushResult:
    """Pushes what waits, now; with `files` those of the watched folder too.

    Raises CommandError when the push says nothing of how it ended.
    """
    job = JOBS[kind]
    arguments = [f"--{job.replace('_', '-')}", key]
    arguments += ["--limit", str(limit)] if limit is not None else []
    arguments += [] if files else ["--no-files"]
    child = start_child(app, arguments)
    with child.listened_to(STOPPING, STOPPED):
        _watch(app, child, key, kind)
    run_id = child.run_ids.get(job)
    for said in child.said:
        if said.get("event") == "report":
            for report in said["reports"]:
                if report["integration"] != key:
                    continue
                failure, cause = report.get("failure"), report.get("failure_kind")
                if "kind" not in report:
                    raise _trouble(key, str(failure), cause, run_id)
                told = PushReport.from_json(report)
                if cause is not None and cause != PushFailedError.__name__:
                    trouble = _trouble(key, str(failure), cause, run_id)
                    return PushResult(told, run_id, str(failure), trouble)
                if child.code and not failure:
                    failure = f"the run failed; the reason is at the end of {child.log}"
                return PushResult(told, run_id, None if told.problems else failure)
    raise exit_codes.CommandError(f"The run failed; the reason is at the end of {child.log}")


def _trouble(
    key: str, reason: str, kind: str | None, run_id: str | None
) -> exit_codes.CommandError:
    """A push that ended before its time: what was done until then is in the journal."""
    code = exit_codes.SHOP_UNREACHABLE if kind in exit_codes.SHOP_KINDS else exit_codes.RUN_FAILED
    if kind in ("NotAllowedError", "TurnTakenError"):
        code = exit_codes.NOT_ALLOWED
    journal = console.command(f"fulfilment journal {key} --run {run_id}")
    end = "" if reason.endswith((".", "?", "!")) else "."
    return exit_codes.CommandError(
        f"{key}: {reason}{end} What waits stays; what was done: {journal}", code
    )


def _watch(app: AppContext, child: Child, key: str, kind: PushKind) -> None:
    progress = Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        console=console.err,
    )
    with progress, app.warehouse.connect(autocommit=True) as connection:
        total = _open_rows(connection, key, kind)
        bar = progress.add_task("starting the run", total=None)
        ended = False
        while not ended:
            ended = child.ended(0.25)
            if child.stage == JOBS[kind]:
                left = _open_rows(connection, key, kind)
                total = max(total, left)  # more may come in meanwhile
                what = child.waited() or kind
                progress.update(bar, description=what, completed=total - left, total=total)
        drop_unfinished(progress)


def _open_rows(
    connection: psycopg.Connection[Any],
    key: str,
    kind: PushKind,
    states: Sequence[str] = ("waiting", "taken"),
) -> int:
    """Rows that a push settles."""
    table = "shipments" if kind == "shipments" else "stock_levels"
    row = connection.execute(
        f"SELECT count(*) FROM fulfilment.{table}"  # noqa: S608 (constants)
        " WHERE integration = %s AND state = ANY(%s)",
        [key, list(states)],
    ).fetchone()
    return int(row[0]) if row else 0


def _unknown(connection: psycopg.Connection[Any], key: str) -> int:
    """Rows of SKUs that were unknown: by now they may be known."""
    row = connection.execute(
        "SELECT count(*) FROM fulfilment.stock_levels WHERE integration = %s"
        " AND state = 'refused' AND starts_with(reason, %s)",
        [key, UNKNOWN],
    ).fetchone()
    return int(row[0]) if row else 0


def _open_writes(connection: psycopg.Connection[Any], key: str, kind: PushKind) -> int:
    row = connection.execute(
        "SELECT count(*) FROM fulfilment.journal WHERE integration = %s"
        " AND (kind = 'stock') = %s AND state IN ('planned', 'applying', 'ambiguous')",
        [key, kind == "stock"],
    ).fetchone()
    return int(row[0]) if row else 0

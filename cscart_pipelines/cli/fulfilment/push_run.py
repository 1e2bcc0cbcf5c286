"""Pushes in the foreground: a run of Dagster beside this process, with a bar.

The bar counts rows that are settled in the database, so it shows what is committed. Not here: what
a push does, how its report looks (`display`).
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.cli.support.run_process import RunProcess, drop_unfinished, start_runs
from cscart_pipelines.fulfilment.push_session import PushFailedError, PushKind, disabled_reason
from cscart_pipelines.fulfilment.pushes.due import open_rows
from cscart_pipelines.fulfilment.report import PushReport
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
    """How a push ended.

    Attributes:
        report: what was done, as far as the push went.
        run_id: of the run; None for a dry run.
        failure: why the run failed, if the report has no problem.
        ended_early: what ended the push before its time, such as a shop that does not answer.
    """

    report: PushReport
    run_id: str | None
    failure: str | None = None
    ended_early: exit_codes.CommandError | None = None


def closed_reason(app: AppContext, integration: Integration, kind: PushKind) -> str | None:
    """Returns why nothing is written to this shop now; None if pushes are allowed."""
    try:
        require(Action.PUSH, app.registry.standing(integration))
    except NotAllowedError as error:
        return str(error)
    return disabled_reason(kind, integration.settings)


def run_push(
    app: AppContext, key: str, kind: PushKind, *, limit: int | None, files: bool = True
) -> PushResult:
    """Pushes what waits to one shop, as a run of Dagster.

    Args:
        app: the warehouse and the settings.
        key: of the integration.
        kind: shipments or stock.
        limit: at most so many orders, or stock levels.
        files: take the files of the drop folder in first.

    Raises:
        CommandError: the push did not begin, or the run ended without a report.
    """
    job = JOBS[kind]
    arguments = [f"--{job.replace('_', '-')}", key]
    arguments += ["--limit", str(limit)] if limit is not None else []
    arguments += [] if files else ["--no-files"]
    process = start_runs(app, arguments)
    with process.read_output(STOPPING, STOPPED):
        _watch(app, process, key, kind)
    run_id = process.run_ids.get(job)
    reports = [
        report
        for event in process.events
        if event.get("event") == "report"
        for report in event["reports"]
        if report["integration"] == key
    ]
    if not reports:
        raise exit_codes.CommandError(f"The run failed; the reason is at the end of {process.log}")
    found = reports[0]
    failure, error_class = found["failure"], found["failure_kind"]
    if "kind" not in found:  # it never began
        raise _ended_early(key, str(failure), error_class, run_id)
    report = PushReport.from_json(found)
    if error_class is not None and error_class != PushFailedError.__name__:
        error = _ended_early(key, str(failure), error_class, run_id)
        return PushResult(report, run_id, str(failure), error)
    if process.exit_code and not failure:
        failure = f"the run failed; the reason is at the end of {process.log}"
    return PushResult(report, run_id, None if report.problems else failure)


def _ended_early(
    key: str, reason: str, kind: str | None, run_id: str | None
) -> exit_codes.CommandError:
    """Returns the error of a push that ended early: what it has done is in the journal."""
    journal = console.command(f"fulfilment journal {key} --run {run_id}")
    end = "" if reason.endswith((".", "?", "!")) else "."
    return exit_codes.CommandError(
        f"{key}: {reason}{end} What waits stays; what was done: {journal}",
        exit_codes.code_of_run(kind),
    )


def _watch(app: AppContext, process: RunProcess, key: str, kind: PushKind) -> None:
    progress = Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        console=console.err,
    )
    with progress, app.warehouse.connect(autocommit=True) as connection:
        total = open_rows(connection, key, kind)
        bar = progress.add_task("starting the run", total=None)
        ended = False
        while not ended:
            ended = process.has_ended(0.25)
            if process.stage == JOBS[kind]:
                left = open_rows(connection, key, kind)
                total = max(total, left)  # more may come in meanwhile
                what = process.waits_for() or kind
                progress.update(bar, description=what, completed=total - left, total=total)
        drop_unfinished(progress)

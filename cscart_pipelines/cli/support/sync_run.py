"""Synchronisations and builds in the foreground, with a bar for each entity.

The bars come from `registry.sync_runs`, so they show what is committed. Not here: the process
(`run_process`), what a run does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.cli.support.run_process import RunProcess, drop_unfinished, start_runs
from cscart_pipelines.integrations.sync_runs import history

PHASES = ("customers", "products", "orders", "statuses", "shipments")
LISTS = "lists and segments"
SHOPS = "integrations"
STOPPING = "Stopping: the run is ended in order, which takes some seconds."
STOPPED_BUILD = "Stopped. Lists that were not finished are as they were; the next build goes on."
STOPPED = "Stopped. What was loaded stays, and the next synchronisation goes on from there."


@dataclass(frozen=True)
class Synced:
    """What became of one of several integrations.

    Attributes:
        stats: of the synchronisation; None if it failed.
        error: why it failed.
        kind: the class of the error, for exit codes.
    """

    stats: dict[str, Any] | None = None
    error: str | None = None
    kind: str | None = None


def sync_several_in_foreground(
    app: AppContext, keys: list[str], *, full: bool = False
) -> dict[str, Synced]:
    """Synchronises several integrations in one run now, with one bar, and rebuilds the lists.

    Args:
        app: the warehouse, the registry and the settings.
        keys: the integrations.
        full: read everything again, not only what changed.

    Returns:
        What became of each integration.

    Raises:
        CommandError: the lists could not be rebuilt, or the run never got to the shops.
    """
    last_run = _newest_run(app)
    arguments = ["--resync", *keys, *["--full"] * full, "--build"]
    process = start_runs(app, arguments)
    with process.read_output(STOPPING, STOPPED):
        _watch(app, process, keys, last_run)
    if "resync" not in process.finished or process.finished.get("build_lists") is False:
        _judge(app, [], last_run, process)
    app.registry.release_dead()
    with app.warehouse.connect(autocommit=True) as connection:
        results = history.results_of_run(connection, process.run_ids["resync"], keys)
    found = {
        key: Synced(row["stats"])
        if row["state"] == "succeeded"
        else Synced(None, row["error"] or row["state"], row["error_kind"])
        for key, row in results.items()
    }
    begun_elsewhere = Synced(None, "another synchronisation began first, or its status changed")
    return {key: found.get(key, begun_elsewhere) for key in keys}


def sync_in_foreground(app: AppContext, key: str, *, full: bool = False) -> None:
    """Synchronises one integration and rebuilds its list now, with a bar for each entity.

    Args:
        app: the warehouse, the registry and the settings.
        key: of the integration.
        full: read everything again, not only what changed.

    Raises:
        CommandError: the synchronisation or the build failed; the message says why.
    """
    last_run = _newest_run(app)
    process = start_runs(app, ["--resync", key, *["--full"] * full, "--build"])
    with process.read_output(STOPPING, STOPPED):
        _watch(app, process, [key], last_run)
    _judge(app, [key], last_run, process)


def build_in_foreground(
    app: AppContext, keys: list[str], *, full_refresh: bool = False, as_of: str | None = None
) -> None:
    """Builds the lists of these integrations now, with a bar.

    Args:
        app: the warehouse, the registry and the settings.
        keys: the integrations.
        full_refresh: write every row anew, not only what differs.
        as_of: what the models take for now, ISO 8601 with an offset.

    Raises:
        CommandError: a list could not be built.
    """
    arguments = ["--build", *keys, *["--full-refresh"] * full_refresh]
    arguments += ["--as-of", as_of] if as_of else []
    last_run = _newest_run(app)
    process = start_runs(app, arguments)
    with process.read_output(STOPPING, STOPPED_BUILD):
        _watch(app, process, [], last_run)
    if process.exit_code != 0:
        raise exit_codes.CommandError(f"Not every list was built; the reasons are in {process.log}")


def _watch(app: AppContext, process: RunProcess, keys: list[str], last_run: int) -> None:
    """Shows the bars until the process has ended; without keys it builds lists only."""
    progress = Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console.err,
    )
    many = len(keys) > 1
    of_shops = [SHOPS] if many else [*PHASES]
    names = [*of_shops, LISTS] if keys else [LISTS]
    with progress, app.warehouse.connect(autocommit=True) as connection:
        starting: TaskID | None = progress.add_task("starting the run", total=None)
        bars: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int | None) -> None:
            nonlocal starting
            if starting is not None:
                progress.remove_task(starting)
                starting = None
                for other in names:
                    bars[other] = progress.add_task(f"[dim]{other}[/]", total=None, start=False)
            advance(progress, bars, name, done, total)

        ended = False
        while not ended:
            ended = process.has_ended(0.25)
            row = history.newest_after(connection, keys, last_run)
            if many and row and process.stage == "resync":
                show(SHOPS, history.ended_after(connection, keys, last_run), len(keys))
            elif row and not many and row["phase"] in PHASES:
                show(row["phase"], row["rows_done"], row["rows_total"])
            if process.stage == "build_lists":
                show(LISTS, process.built, process.to_build)
                progress.update(bars[LISTS], description=process.waits_for() or LISTS)
            if row and row["stats"] and bars:
                _settle(progress, bars, row["stats"])
        if process.exit_code == 0:
            for bar in bars.values():
                _complete(progress, bar)
        drop_unfinished(progress)


def advance(
    progress: Progress, bars: Mapping[str, TaskID], name: str, done: int, total: int | None
) -> None:
    """Moves the bar of a phase, and completes those of earlier phases.

    An earlier phase that was too short to be seen stays dim until its rows are known: 0 would be
    wrong.

    Args:
        progress: with the bars.
        bars: by phase, in order.
        name: the phase.
        done: its rows so far.
        total: its rows in all; None if it is not known.
    """
    tasks = {task.id: task for task in progress.tasks}
    for other, bar in bars.items():
        if other == name:
            break
        if tasks[bar].started:
            _complete(progress, bar)
    if not tasks[bars[name]].started:
        progress.start_task(bars[name])
    progress.update(bars[name], description=name, completed=done, total=total)


def _settle(progress: Progress, bars: dict[str, TaskID], stats: dict[str, Any]) -> None:
    """Completes the bars of a shop that is read, also of phases that were too short to be seen."""
    for name, numbers in stats.get("entities", {}).items():
        if name in bars:
            rows = rows_of(numbers)
            progress.update(bars[name], description=name, completed=rows, total=rows)
            _complete(progress, bars[name])


def rows_of(numbers: dict[str, Any]) -> int:
    """Returns how many rows the shop has sent, each once: pages overlap, so some are read twice.

    Args:
        numbers: of an entity, from the stats of a synchronisation.
    """
    read = int(numbers["rows"])
    told = ("inserted", "updated", "unchanged", "rejected")
    if not any(what in numbers for what in told):
        return read
    merged = sum(int(numbers.get(what) or 0) for what in told)
    return min(read, merged)


def _complete(progress: Progress, bar: TaskID) -> None:
    task = progress.tasks[progress.task_ids.index(bar)]
    if not task.started:
        progress.start_task(bar)
    total = task.total if task.total is not None else task.completed
    progress.update(bar, total=total, completed=total)


class _Rate(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if speed is None or not task.total:
            return Text("")
        return Text(f"{speed:,.0f}/s", style="dim")


def _judge(app: AppContext, keys: list[str], last_run: int, process: RunProcess) -> None:
    """Raises a CommandError if the run failed, with the reason that the registry has of a shop."""
    if process.exit_code == 0:
        return
    app.registry.release_dead()
    with app.warehouse.connect(autocommit=True) as connection:
        failure = history.first_failure_after(connection, keys, last_run)
    if failure is not None:
        raise exit_codes.CommandError(
            f"{failure['integration']}: {failure['error']}",
            exit_codes.code_of_run(failure["error_kind"]),
        )
    what = "The lists could not be rebuilt" if process.finished.get("resync") else "The run failed"
    raise exit_codes.CommandError(f"{what}; the reason is at the end of {process.log}")


def _newest_run(app: AppContext) -> int:
    with app.warehouse.connect(autocommit=True) as connection:
        return history.newest_run(connection)

"""Runs in the foreground: a process of Dagster beside this one, watched through the registry.

The bars come from `registry.sync_runs`, which any process can read, so they say what is committed
and not what is hoped for. Not here: what a run does.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
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
from cscart_pipelines.cli.support.environment import PROJECT, dagster_environment, private_folder
from cscart_pipelines.integrations.sync_runs import history

DBT_LINE = re.compile(r"\b(\d+) of (\d+) (?!START)[A-Z]")
PHASES = ("customers", "products", "orders", "statuses", "shipments")
LISTS = "lists and segments"
SHOPS = "integrations"
STOPPING = "Stopping: the run is ended in order, which takes some seconds."
STOPPED = "Stopped. What was loaded stays, and the next synchronisation goes on from there."


@dataclass
class Child:
    """A process of Dagster, and what it has said so far; filled by a thread that reads it."""

    process: subprocess.Popen[bytes]
    log: Path
    stage: str = "starting"
    built: int = 0
    to_build: int | None = None
    finished: dict[str, bool] = field(default_factory=dict)
    run_ids: dict[str, str] = field(default_factory=dict)
    said: list[dict[str, Any]] = field(default_factory=list)
    """All events, in order."""
    wait: tuple[str, float] | None = None
    """What it waits for now, and since when (monotonic)."""

    @property
    def code(self) -> int | None:
        return self.process.returncode

    def ended(self, seconds: float) -> bool:
        """Waits so long at most."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.code is not None

    def hear(self, line: str) -> None:
        if line.startswith("{"):
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                self.said.append(said)
                if said.get("event") == "running":
                    self.stage = said["job"]
                    self.run_ids[said["job"]] = said["run_id"]
                elif said.get("event") == "waiting":
                    self._waits(said["wait"], said["at_most"])
                elif said.get("event") == "finished":
                    self.finished[said["job"]] = bool(said["ok"])
        elif found := DBT_LINE.search(line):
            # Threads of dbt report out of order.
            self.built, self.to_build = max(self.built, int(found[1])), int(found[2])

    @contextlib.contextmanager
    def listened_to(self, stopping: str, stopped: str) -> Iterator[None]:
        """Hears it while it lasts. On a Ctrl-C it is told, `stopping` is said at once, and
        `stopped` of what is true in the end."""
        listener = threading.Thread(target=self._listen, daemon=True)
        listener.start()
        try:
            yield
        except KeyboardInterrupt:
            self.process.send_signal(signal.SIGINT)  # it ends its run properly
            console.err.print(f"[dim]{stopping}[/]", soft_wrap=True)
            self.process.wait()
            raise exit_codes.CommandError(stopped, exit_codes.STOPPED) from None
        listener.join()

    def waited(self) -> str | None:
        """What it waits for, and for how long it has."""
        if self.wait is None:
            return None
        reason, since = self.wait
        return f"waiting for {console.duration(time.monotonic() - since)}: {reason}"

    def _waits(self, reason: str | None, at_most: float | None) -> None:
        self.wait = None if reason is None else (reason, time.monotonic())
        if reason is not None:
            console.tell_wait(reason, at_most)

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.log.open("ab") as log:
            for line in self.process.stdout:
                log.write(line)
                self.hear(line.decode(errors="replace").strip())


@dataclass(frozen=True)
class Synced:
    """What became of one of several integrations."""

    stats: dict[str, Any] | None = None
    error: str | None = None
    kind: str | None = None
    """The class of the error, for exit codes."""


def run_many(app: AppContext, keys: list[str], *, full: bool = False) -> dict[str, Synced]:
    """Synchronises several in one run, and rebuilds; says what became of each.

    Raises CommandError when the lists could not be rebuilt, or the run never got to the shops.
    """
    last_run = _newest_run(app)
    arguments = ["--resync", *keys, *["--full"] * full, "--build"]
    child = start_child(app, arguments)
    with child.listened_to(STOPPING, STOPPED):
        _watch(app, child, keys, last_run, build=True)
    if "resync" not in child.finished or child.finished.get("build_lists") is False:
        _judge(app, [], last_run, child)
    app.registry.release_dead()
    with app.warehouse.connect(autocommit=True) as connection:
        results = history.results_of_run(connection, child.run_ids["resync"], keys)
    found = {
        key: Synced(row["stats"])
        if row["state"] == "succeeded"
        else Synced(None, row["error"] or row["state"], row["error_kind"])
        for key, row in results.items()
    }
    begun_elsewhere = Synced(None, "another synchronisation began first, or its status changed")
    return {key: found.get(key, begun_elsewhere) for key in keys}


def run_in_foreground(
    app: AppContext, keys: list[str], *, full: bool = False, build: bool = True
) -> None:
    """Synchronises and rebuilds now, with a bar. Raises CommandError with the true reason."""
    arguments = ["--resync", *keys] * bool(keys) + ["--full"] * full + ["--build"] * build
    last_run = _newest_run(app)
    child = start_child(app, arguments)
    with child.listened_to(STOPPING, STOPPED):
        _watch(app, child, keys, last_run, build)
    _judge(app, keys, last_run, child)


def start_child(app: AppContext, arguments: list[str]) -> Child:
    """A process of Dagster that runs jobs now; its own log goes to a file in the home."""
    log = _log_file(app)
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "cscart_pipelines.defs.launcher", "--end-with-caller",
             *arguments],
            stdout=subprocess.PIPE,
            stderr=stream,
            stdin=subprocess.PIPE,  # closed by the kernel when this process ends
            start_new_session=True,  # a Ctrl-C reaches this process, which hands it on once
            env={**os.environ, **dagster_environment(app.settings)},
            cwd=PROJECT,
        )  # fmt: skip
    return Child(process, log)


def _watch(app: AppContext, child: Child, keys: list[str], last_run: int, build: bool) -> None:
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
    names = ([SHOPS] if many else [*PHASES]) * bool(keys) + [LISTS] * build
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
            for other in names[: names.index(name)]:
                _complete(progress, bars[other])
            if not progress.tasks[progress.task_ids.index(bars[name])].started:
                progress.start_task(bars[name])
            progress.update(bars[name], description=name, completed=done, total=total)

        ended = False
        while not ended:
            ended = child.ended(0.25)
            row = history.newest_after(connection, keys, last_run)
            if many and row and child.stage == "resync":
                show(SHOPS, history.ended_after(connection, keys, last_run), len(keys))
            elif row and not many and row["phase"] in PHASES:
                show(row["phase"], row["rows_done"], row["rows_total"])
            if build and child.stage == "build_lists":
                show(LISTS, child.built, child.to_build)
                progress.update(bars[LISTS], description=child.waited() or LISTS)
            if row and row["stats"] and bars:
                _settle(progress, bars, row["stats"])
        if child.code == 0:
            for bar in bars.values():
                _complete(progress, bar)
        drop_unfinished(progress)


def _settle(progress: Progress, bars: dict[str, TaskID], stats: dict[str, Any]) -> None:
    """Once the shop is read, its bars show what was read, also of phases too short to be seen."""
    for name, numbers in stats.get("entities", {}).items():
        if name in bars:
            rows = rows_of(numbers)
            progress.update(bars[name], description=name, completed=rows, total=rows)
            _complete(progress, bars[name])


def rows_of(numbers: dict[str, Any]) -> int:
    """Rows that the shop has sent, each once: pages overlap, so some are read twice."""
    read = int(numbers["rows"])
    told = ("inserted", "updated", "unchanged", "rejected")
    if not any(what in numbers for what in told):
        return read
    merged = sum(int(numbers.get(what) or 0) for what in told)
    return min(read, merged)


def drop_unfinished(progress: Progress) -> None:
    """After a failure no bar goes on turning: what is finished stays, the reason follows."""
    for task in progress.tasks:
        if not task.finished:
            progress.remove_task(task.id)


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


def _judge(app: AppContext, keys: list[str], last_run: int, child: Child) -> None:
    """Turns the outcome into words: first of all what the registry says of the shops."""
    if child.code == 0:
        return
    app.registry.release_dead()
    with app.warehouse.connect(autocommit=True) as connection:
        failure = history.first_failure_after(connection, keys, last_run)
    if failure is not None:
        away = failure["error_kind"] in exit_codes.SHOP_KINDS
        raise exit_codes.CommandError(
            f"{failure['integration']}: {failure['error']}",
            exit_codes.SHOP_UNREACHABLE if away else exit_codes.RUN_FAILED,
        )
    what = "The lists could not be rebuilt" if child.finished.get("resync") else "The run failed"
    raise exit_codes.CommandError(f"{what}; the reason is at the end of {child.log}")


def _newest_run(app: AppContext) -> int:
    with app.warehouse.connect(autocommit=True) as connection:
        return history.newest_run(connection)


def _log_file(app: AppContext) -> Path:
    folder = private_folder(app.settings.home / "logs")
    for old in sorted(folder.glob("run-*.log"))[:-30]:
        old.unlink(missing_ok=True)
    return folder / f"run-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"

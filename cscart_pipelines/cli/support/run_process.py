"""A process that runs jobs of Dagster now, beside this one, which waits for it.

Not here: what a run does (`defs.launcher`), the bars (`sync_run`, `cli.fulfilment.push_run`).
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

from rich.progress import Progress

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.support import console, exit_codes, formats
from cscart_pipelines.cli.support.environment import PROJECT, dagster_environment, private_folder

DBT_LINE = re.compile(r"\b(\d+) of (\d+) (?!START)[A-Z]")
KEPT_LOGS = 30


@dataclass
class RunProcess:
    """The process, and what it has said so far: a thread reads its output.

    Attributes:
        process: the process.
        log: the file with its output and Dagster's log.
        stage: the job that runs, `starting` before the first.
        built: models that dbt has built.
        to_build: models that dbt builds; None until it has said so.
        finished: by job, whether the run succeeded.
        run_ids: by job.
        events: all events, in order (`defs.launcher` emits them).
        wait: what it waits for now, and since when (monotonic seconds).
    """

    process: subprocess.Popen[bytes]
    log: Path
    stage: str = "starting"
    built: int = 0
    to_build: int | None = None
    finished: dict[str, bool] = field(default_factory=dict)
    run_ids: dict[str, str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    wait: tuple[str, float] | None = None

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        return self.process.returncode

    def has_ended(self, seconds: float) -> bool:
        """Waits for the end, at most so many seconds, and returns whether it has come."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.exit_code is not None

    @contextlib.contextmanager
    def read_output(self, stopping: str, stopped: str) -> Iterator[None]:
        """Reads the output in a thread while the body lasts; passes a Ctrl-C on.

        Args:
            stopping: printed at once after a Ctrl-C.
            stopped: the message of the error, once the process has ended.

        Raises:
            CommandError: it was stopped with a Ctrl-C.
        """
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        try:
            yield
        except KeyboardInterrupt:
            self.process.send_signal(signal.SIGINT)  # it ends its run properly
            console.err.print(f"[dim]{stopping}[/]", soft_wrap=True)
            self.process.wait()
            raise exit_codes.CommandError(stopped, exit_codes.STOPPED) from None
        reader.join()

    def waits_for(self) -> str | None:
        """Returns what it waits for now, and for how long it has; None if it does not wait."""
        if self.wait is None:
            return None
        reason, since = self.wait
        return f"waiting for {formats.duration(time.monotonic() - since)}: {reason}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.log.open("ab") as log:
            for line in self.process.stdout:
                log.write(line)
                self._take(line.decode(errors="replace").strip())

    def _take(self, line: str) -> None:
        if line.startswith("{"):
            with contextlib.suppress(ValueError):
                self._take_event(json.loads(line))
        elif found := DBT_LINE.search(line):
            # Threads of dbt report out of order.
            self.built, self.to_build = max(self.built, int(found[1])), int(found[2])

    def _take_event(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        match event.get("event"):
            case "running":
                self.stage = event["job"]
                self.run_ids[event["job"]] = event["run_id"]
            case "waiting":
                reason = event["wait"]
                self.wait = None if reason is None else (reason, time.monotonic())
                if reason is not None:
                    console.tell_wait(reason, event["at_most"])
            case "finished":
                self.finished[event["job"]] = bool(event["ok"])


def start_runs(app: AppContext, arguments: list[str]) -> RunProcess:
    """Starts the process; its log goes to a file in the home.

    Args:
        app: for the settings.
        arguments: of `defs.launcher`: which jobs are run, and for which integrations.
    """
    log = _log_file(app)
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "cscart_pipelines.defs.launcher", "--end-with-caller",
             *arguments],
            stdout=subprocess.PIPE,
            stderr=stream,
            stdin=subprocess.PIPE,  # closed by the kernel when this process ends
            start_new_session=True,  # a Ctrl-C reaches this process, which passes it on once
            env={**os.environ, **dagster_environment(app.settings)},
            cwd=PROJECT,
        )  # fmt: skip
    return RunProcess(process, log)


def drop_unfinished(progress: Progress) -> None:
    """Removes the bars of what did not finish: after a failure no bar goes on turning."""
    for task in progress.tasks:
        if not task.finished:
            progress.remove_task(task.id)


def _log_file(app: AppContext) -> Path:
    folder = private_folder(app.settings.home / "logs")
    for old in sorted(folder.glob("run-*.log"))[:-KEPT_LOGS]:
        old.unlink(missing_ok=True)
    return folder / f"run-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"

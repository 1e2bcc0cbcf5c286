"""Runs in the foreground without a process of their own, for tests of what is told of them.

A process that starts Dagster costs six seconds of CPU. Not here: tests of the process itself
(`e2e/test_launcher`).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage

from cscart_pipelines import definitions
from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.fulfilment import push_run
from cscart_pipelines.cli.support import sync_run
from cscart_pipelines.cli.support.environment import dagster_environment, private_folder
from cscart_pipelines.cli.support.run_process import RunProcess
from cscart_pipelines.defs import launcher
from cscart_pipelines.defs.shared import orphaned_runs
from cscart_pipelines.warehouse import advisory
from cscart_pipelines_tests.support.dagster.location import location


def launch(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """What `python -m cscart_pipelines.defs.launcher` does with these arguments.

    Returns:
        The exit code and the standard output.
    """
    loaded = location()
    handlers, level = [*advisory.log.handlers], advisory.log.level
    with (
        pytest.MonkeyPatch.context() as patch,
        set_defs_state_storage(None),
        contextlib.redirect_stdout(io.StringIO()) as said,
    ):
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(definitions, "defs", lambda: loaded)
        try:
            code = launcher.main([*arguments])
        finally:
            advisory.log.handlers[:] = handlers
            advisory.log.setLevel(level)
            orphaned_runs.sessions.close_ended()
    return code, said.getvalue()


@dataclass
class _Ended:
    """What `RunProcess` asks of a process."""

    returncode: int
    stdout: IO[bytes]

    def wait(self, _seconds: float | None = None) -> int:
        return self.returncode


@pytest.fixture
def launched_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs of the command line take place in this process, before it looks at their output."""

    def start_here(app: AppContext, arguments: list[str]) -> RunProcess:
        code, said = launch(arguments, dagster_environment(app.settings))
        log = private_folder(app.settings.home / "logs") / "run.log"
        process: Any = _Ended(code, io.BytesIO(said.encode()))
        return RunProcess(process, log)

    for module in (push_run, sync_run):
        monkeypatch.setattr(module, "start_runs", start_here)
    yield

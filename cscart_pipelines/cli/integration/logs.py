"""`integration logs`: what the last run of an integration has said.

Not here: reading the log, which Dagster keeps (`defs.run_log`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.support import console, exit_codes, formats, machine_output
from cscart_pipelines.cli.support.arguments import Json, Key
from cscart_pipelines.cli.support.environment import PROJECT, dagster_environment, opened
from cscart_pipelines.integrations.sync_runs import history

MARKS = {"error": "red", "critical": "red", "warning": "yellow"}


def logs(
    key: Key,
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Of this run: its id, or the beginning of it."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The log of the last synchronisation or push.

    Also of runs that the schedule, a sensor or the UI has started.
    """
    with opened() as app:
        app.registry.get(key)
        found = _read(app, key, run)
    if found is None and run is not None:
        raise exit_codes.CommandError(
            f"there is no run {run!r}; without --run the newest is shown", exit_codes.WRONG_USAGE
        )
    if as_json:
        machine_output.print_json(found)
    elif found is None:
        console.out.print(f"{key} has had no run yet.")
    else:
        _print(found)


def _read(app: AppContext, key: str, run: str | None) -> dict[str, Any] | None:
    with app.warehouse.connect(autocommit=True) as connection:
        ids = json.dumps(history.run_ids(connection, key))
    done = subprocess.run(
        [sys.executable, "-m", "cscart_pipelines.defs.run_log", key, ids,
         *(["--run", run] if run else [])],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **dagster_environment(app.settings)},
        cwd=PROJECT,
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise exit_codes.CommandError(f"the log cannot be read: {last}")
    found: dict[str, Any] | None = json.loads(done.stdout)
    for line in found["log"] if found else ():
        line["at"] = datetime.fromtimestamp(line["at"], UTC)
    return found


def _print(found: dict[str, Any]) -> None:
    """Prints the log with the time before each line, in UTC."""
    begun = f"{found['log'][0]['at']:%Y-%m-%d} UTC, " if found["log"] else ""
    console.out.print(
        f"[bold]{found['job']}[/], {found['state']}, {begun}started by"
        f" {formats.plain(found['started_by'])}\n[dim]run {found['run_id']}[/]"
    )
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for line in found["log"]:
        style = MARKS.get(line["level"], "")
        table.add_row(
            f"{line['at']:%H:%M:%S}", Text.from_markup(formats.plain(line["text"]), style=style)
        )
    console.out.print(table)

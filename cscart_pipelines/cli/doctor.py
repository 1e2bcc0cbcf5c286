"""`doctor`: checks of the installation, the database, the shops and Dagster, a line for each.

Shops are asked side by side, within a bounded time, and nothing is changed. Not here: the
connection test (`integrations.connection`), the state of Dagster (`defs.instance_report`).
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import queue
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.support import console, exit_codes, formats, machine_output
from cscart_pipelines.cli.support.environment import PROJECT, dagster_environment, need_home, opened
from cscart_pipelines.dbt_project import PROJECT_DIR, TARGET_DIR
from cscart_pipelines.integrations.connection import test_connection
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.integrations.secrets import KEY_FILE, sealer
from cscart_pipelines.settings import Settings, read_settings
from cscart_pipelines.warehouse.migrate import newest_revision
from cscart_pipelines.warehouse.server_facts import database_size

PINNED = {"dagster": "1.13.27", "dagster-dbt": "0.29.27", "dagster-postgres": "0.29.27"}
SHOPS_SECONDS = 30.0
"""For all shops together: they are asked side by side."""
LONGEST_PAUSE = timedelta(hours=26)
"""Since an enabled shop was synchronised. The freshness policy of the rows is as strict, but tells
of all shops together."""
LEAST_FREE = 1.0
"""GiB on the disk of the home."""


@dataclass
class Finding:
    """The result of one check.

    Attributes:
        check: what was looked at.
        ok: nothing is wrong.
        says: what was found, or what is wrong and what to do.
    """

    check: str
    ok: bool
    says: str


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the installation, the database and every shop.

    Exit code 1 if something is wrong.
    """
    settings = read_settings()
    findings = []
    with console.err.status("looking"):
        for finding in _look(settings):
            findings.append(finding)
            if not as_json:
                mark = "[green]✓[/]" if finding.ok else "[red]✗[/]"
                text = formats.plain(finding.says)
                console.out.print(f"{mark} {finding.check:<13} {text}", soft_wrap=True)
    if as_json:
        machine_output.print_json([asdict(finding) for finding in findings])
    if not all(finding.ok for finding in findings):
        raise typer.Exit(exit_codes.RUN_FAILED)


def _look(settings: Settings) -> Iterator[Finding]:
    yield _finding("python", _python)
    yield _finding("packages", _packages)
    home = _finding("home", lambda: _home(settings))
    yield home
    yield _finding("secret key", lambda: _secret(settings))
    yield _finding("dbt project", _dbt)
    if settings.embedded and not home.ok:
        return
    with ExitStack() as stack:
        app: list[AppContext] = []

        def database() -> str:
            app.append(stack.enter_context(opened()))
            return _database(app[0])

        yield _finding("database", database)
        if not app:
            return
        dagster = _start_look(settings)
        yield from _shops(app[0], app[0].registry.all())
        yield from _dagster(dagster)


def _finding(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except Exception as error:  # whatever is wrong is the finding
        return Finding(name, False, str(error) or type(error).__name__)


# --- the installation ----------------------------------------------------------------------------


def _python() -> str:
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def _packages() -> str:
    wrong = [
        f"{name} {importlib.metadata.version(name)} (expected {version})"
        for name, version in PINNED.items()
        if importlib.metadata.version(name) != version
    ]
    if wrong:
        raise RuntimeError("these must be exactly: " + ", ".join(wrong))
    names = ("dagster", "dbt-core", "sqlalchemy", "psycopg")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def _home(settings: Settings) -> str:
    need_home(settings)
    present = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    if settings.home.exists() and not os.access(settings.home, os.W_OK):
        raise RuntimeError(f"{settings.home} cannot be written to by this account")
    free = shutil.disk_usage(present).free / 2**30
    if free < LEAST_FREE:
        raise RuntimeError(f"{settings.home}: only {free:.1f} GiB free on its disk")
    return f"{settings.home}, {free:.0f} GiB free"


def _secret(settings: Settings) -> str:
    if settings.secret_key is not None:
        sealer(settings)
        return "from the environment"
    file = settings.home / KEY_FILE
    if not file.exists():
        return "no key file; one is made when an API key is sealed"
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        raise RuntimeError(f"{file} can be read by others (mode {mode:04o}): chmod 600 {file}")
    sealer(settings)
    return str(file)


def _dbt() -> str:
    """Counts the models of the last parse; whether they can be parsed, the next one shows."""
    if not (PROJECT_DIR / "dbt_project.yml").is_file():
        raise RuntimeError(f"there is no dbt project in {PROJECT_DIR}")
    manifest = TARGET_DIR / "manifest.json"
    if not manifest.exists():
        return "not parsed yet; the first run does it"
    nodes = json.loads(manifest.read_text("utf-8"))["nodes"].values()
    return f"{sum(node['resource_type'] == 'model' for node in nodes)} models"


def _database(app: AppContext) -> str:
    with app.warehouse.connect(autocommit=True) as connection:
        version = connection.info.server_version
        size = database_size(connection)
    kind = "embedded" if app.settings.embedded else "by URL"
    where = app.warehouse.url.render_as_string(hide_password=True)
    return (
        f"PostgreSQL {version // 10000}.{version % 10000} {kind}, {size},"
        f" schema {newest_revision()}, {where}"
    )


# --- the shops -----------------------------------------------------------------------------------


def _shops(app: AppContext, known: list[Integration]) -> Iterator[Finding]:
    """Yields a finding for each shop; a thread asks it, and is not waited for any longer."""
    asked = [one for one in known if one.status is not Status.DISABLED]
    answers: queue.Queue[Finding] = queue.Queue()
    for one in asked:
        threading.Thread(
            target=lambda one: answers.put(_finding(one.key, lambda: _ask(app, one))),
            args=[one],
            daemon=True,
        ).start()
    counts: dict[str, int] = {}
    for one in known:
        counts[str(one.status)] = counts.get(str(one.status), 0) + 1
    says = ", ".join(f"{count} {status}" for status, count in counts.items()) or "none yet"
    yield Finding("integrations", True, says)
    waiting = {one.key for one in asked}
    deadline = time.monotonic() + SHOPS_SECONDS
    while waiting:
        try:
            finding = answers.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            break
        waiting.discard(finding.check)
        yield finding
    for key in sorted(waiting):
        yield Finding(key, False, f"no answer within {SHOPS_SECONDS:.0f} seconds")


def _ask(app: AppContext, one: Integration) -> str:
    """Tests the connection; raises what is wrong with it."""
    found = test_connection(one.settings, app.registry.api_key(one.key))
    if not app.registry.standing(one).tested:
        raise RuntimeError(
            "answers, but no schedule reads it: its connection details, or the secret key, have "
            f"changed since the last test; {console.command(f'integration test {one.key}')}"
        )
    if one.status is Status.FAILED:
        raise RuntimeError(
            f"answers now, but the last synchronisation failed: {one.status_reason}; "
            f"{console.command(f'integration resync {one.key}')}"
        )
    pause = datetime.now(UTC) - (one.last_synced_at or datetime.now(UTC))
    if one.status is Status.ENABLED and pause > LONGEST_PAUSE:
        raise RuntimeError(
            f"answers, but was synchronised {formats.ago(one.last_synced_at)}; are the services of "
            f"{console.command('up')} running? {console.command(f'integration resync {one.key}')}"
        )
    orders = formats.count(found.orders_total or 0, "order")
    return f"{one.settings.url}: CS-Cart {found.family}, {orders}"


# --- Dagster -------------------------------------------------------------------------------------


def _start_look(settings: Settings) -> subprocess.Popen[bytes] | None:
    """Starts the report of Dagster, which takes seconds to import, while the shops are asked."""
    if not settings.dagster_home.exists():
        return None
    return subprocess.Popen(
        [sys.executable, "-m", "cscart_pipelines.defs.instance_report"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **dagster_environment(settings)},
        cwd=PROJECT,
    )


def _dagster(process: subprocess.Popen[bytes] | None) -> Iterator[Finding]:
    if process is None:
        yield Finding("dagster", True, "no run yet")
        return
    out, _ = process.communicate()
    lines: list[dict[str, Any]] = []
    if process.returncode == 0:
        lines = json.loads(out)
    else:
        yield Finding("dagster", False, "its instance cannot be opened; is DAGSTER_HOME right?")
    for line in lines:
        yield Finding(**line)

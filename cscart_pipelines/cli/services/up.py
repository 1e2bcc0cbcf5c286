"""`up`: Dagster with its UI and schedules, and the collector, until Ctrl-C.

Not here: the lines about what happens meanwhile (`events`), stopping (`child_processes`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from cscart_pipelines.cli.services import demo
from cscart_pipelines.cli.services.child_processes import (
    await_port,
    guard,
    port_is_taken,
    stop,
    stop_all,
)
from cscart_pipelines.cli.services.collector import start_collector
from cscart_pipelines.cli.services.events import Events
from cscart_pipelines.cli.services.guardian import STOP_SECONDS
from cscart_pipelines.cli.services.sandbox import (
    SANDBOX_PORT,
    require_sandbox_data,
    running_sandbox,
)
from cscart_pipelines.cli.support import console, exit_codes, formats
from cscart_pipelines.cli.support.environment import dagster_environment, opened, private_folder
from cscart_pipelines.settings import Settings

UI_PORT = 3000


def up(
    with_sandbox: Annotated[
        bool,
        typer.Option(
            "--sandbox", help="Start the sandbox shop too, and connect it as integration demo."
        ),
    ] = False,
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = UI_PORT,
) -> None:
    """Run schedules, Dagster UI and collector until Ctrl-C.

    Also the embedded PostgreSQL, where no other database is set.
    """
    if with_sandbox:
        require_sandbox_data()
    signal.signal(signal.SIGTERM, _interrupt)
    with opened(make=True) as app, contextlib.ExitStack() as stack:
        if port_is_taken(port):
            raise exit_codes.CommandError(
                f"port {port} is taken; stop what uses it, or choose another with --port",
                exit_codes.WRONG_USAGE,
            )
        console.note("[green]✓[/] PostgreSQL is running")
        events: Events | None = None
        try:
            if with_sandbox:
                url = stack.enter_context(running_sandbox(SANDBOX_PORT))
                console.note(f"[green]✓[/] sandbox shop at {url}")
                demo.connect_demo(app, url)
                stack.callback(demo.disable_demo, app)
                demo.request_demo_sync(app)
            log = _log_file(app.settings)
            collector, address = start_collector(app.settings, log=log)
            stack.callback(stop, collector)
            console.note(f"[green]✓[/] collector at {address}")
            events = Events(app.warehouse, log)
            services = start_dagster(app.settings, port, log)
            stack.callback(stop_all, services)
            services["collector"] = collector
            with console.err.status("loading the definitions"):
                await_port(port, services)
            console.note(f"[green]✓[/] Dagster UI at http://127.0.0.1:{port}, schedules on")
            console.out.print(f"  log of Dagster: {formats.plain(log)}", soft_wrap=True)
            console.out.print("  Ctrl-C stops it all")
            raise exit_codes.CommandError(_await_end(services, events, log))
        except KeyboardInterrupt:
            busy = events.in_progress() if events is not None else []
            runs = f"; the run of {', '.join(busy)} is ended in order" * bool(busy)
            console.out.print(f"Stopping{runs}. This takes up to {STOP_SECONDS} s")


def _log_file(settings: Settings) -> Path:
    """Returns the log file of Dagster and the collector, and deletes old ones."""
    folder = private_folder(settings.home / "logs")
    for old in sorted(folder.glob("up-*.log"))[:-5]:
        old.unlink(missing_ok=True)
    return folder / f"up-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"


def start_dagster(settings: Settings, port: int, log: Path) -> dict[str, subprocess.Popen[bytes]]:
    """Starts code server, UI and daemon: three processes, one copy of the definitions, one log.

    Raises:
        CommandError: one of them ended at once.
    """
    environment = {**os.environ, **dagster_environment(settings)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        code_port = probe.getsockname()[1]
    workspace = settings.dagster_home / "workspace.up.yaml"
    workspace.write_text(
        "load_from:\n  - grpc_server:\n      host: 127.0.0.1\n"
        f"      port: {code_port}\n      location_name: cscart_pipelines\n"
    )
    level = ["--log-level", "warning"]
    commands = {
        "code server": ["dagster", "code-server", "start", "-m", "cscart_pipelines.definitions",
                        "--location-name", "cscart_pipelines", "-h", "127.0.0.1",
                        "-p", str(code_port), *level],
        "UI": ["dagster-webserver", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port),
               "--dagster-log-level", "warning"],
        "daemon": ["dagster-daemon", "run", "-w", str(workspace), *level],
    }  # fmt: skip
    services: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, (program, *arguments) in commands.items():
            with log.open("ab") as stream:
                services[name] = subprocess.Popen(
                    [str(Path(sys.executable).with_name(program)), *arguments],
                    env=environment,
                    cwd=settings.dagster_home,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    start_new_session=True,  # a Ctrl-C reaches this process, which stops them
                )
            guard(services[name])
            if name == "code server":
                await_port(code_port, services)
    except BaseException:  # a stop before all are up must leave none behind
        stop_all(services)
        raise
    return services


def _await_end(services: dict[str, subprocess.Popen[bytes]], events: Events, log: Path) -> str:
    """Prints what happens until a process ends unexpectedly, and returns the reason."""
    while True:
        for name, process in services.items():
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(0.5)
                return (
                    f"the {name} has ended unexpectedly, code {code}; everything is stopped."
                    f" The reason is in {log}"
                )
        events.tell()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt

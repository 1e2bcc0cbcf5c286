"""`demo`, `up` and `sandbox`: the project as running processes.

Not here: what those processes do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli import reports
from cscart_pipelines.cli.integration.manage import desk_of
from cscart_pipelines.cli.integration.resync import ask_daemon
from cscart_pipelines.cli.services.collector import start_collector
from cscart_pipelines.cli.services.demo_visit import show_visit
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.cli.support.environment import dagster_environment, opened, private_folder
from cscart_pipelines.cli.support.events import Events
from cscart_pipelines.cli.support.run_process import run_in_foreground
from cscart_pipelines.integrations.connection import test_connection
from cscart_pipelines.integrations.lifecycle import (
    Action,
    NotAllowedError,
    Status,
    rejection_reason,
)
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.integrations.settings import check
from cscart_pipelines.settings import Settings

DEMO = "demo"
NO_SHOP = "the sandbox shop is not running; `make demo` and `make up SANDBOX=1` enable it again"
SANDBOX_PORT = 8765
UI_PORT = 3000
STOP_SECONDS = 20
"""For a process to end by itself, on a busy machine too: one of Dagster's that is killed leaves a
socket in the folder for temporary files. A run may be cut anywhere."""


def sandbox(
    profile: Annotated[
        str, typer.Option(help="CS-Cart version to behave as: 4.7, 4.12, 4.13, 4.16, 4.20.")
    ] = "4.20",
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")
    ] = SANDBOX_PORT,
    catalogue: Annotated[
        str, typer.Option(help="What it sells: cdnow (7,000 real purchases) or small.")
    ] = "cdnow",
) -> None:
    """Run a CS-Cart shop to try the project on, until Ctrl-C."""
    # Imported here: only this command and the tests ever need the shop.
    from cscart_pipelines.sandbox.server import SandboxShop, serve

    def ready(shop: SandboxShop) -> None:
        console.out.print(f"[green]✓[/] sandbox shop {profile} at {shop.url}")
        console.out.print(f"  e-mail  {shop.email}\n  API key {shop.api_key}")
        sys.stdout.flush()

    try:
        serve(profile, port, catalogue, on_ready=ready)
    except (OSError, ValueError) as error:
        raise exit_codes.CommandError(
            f"the sandbox shop cannot start: {error}", exit_codes.WRONG_USAGE
        ) from None


def demo() -> None:
    """Try it: a sandbox shop is connected, synchronised and built.

    From nothing to lists and segments; then a visit to the shop's storefront changes the list.
    """
    started = time.monotonic()
    console.out.print("[bold]A CS-Cart shop becomes lists, segments and metrics[/]\n")
    with opened(make=True) as premises, running_sandbox() as url, contextlib.ExitStack() as stack:
        collector, collector_url = start_collector(premises.settings, port=0)
        stack.callback(_stop, collector)
        console.note(f"[green]✓[/] PostgreSQL, the sandbox shop ({url}) and the collector are up")
        _connect_demo(premises, url)
        stack.callback(_leave_demo, premises)
        run_in_foreground(premises, [DEMO])
        console.note("[green]✓[/] synchronised, lists and segments built\n")
        reports.print_overview(reports.overview(premises, DEMO)[0])
        console.out.print()
        reports.print_segments(reports.segment_rows(premises, DEMO), DEMO)
        console.out.print()
        show_visit(premises, DEMO, url, collector_url)
    console.out.print(
        f"\nDone in {time.monotonic() - started:.0f} s. The data stays to look at:\n"
        f'  {console.command("sql")} "SELECT * FROM analytics.segment_members LIMIT 10"\n'
        f"  {console.command('integration add --help')}   connects your own shop\n"
        "  make up SANDBOX=1   shows this run, its lineage and checks in the Dagster UI\n"
        f"The sandbox shop has ended, and “{DEMO}” is disabled; both enable it again.",
        soft_wrap=True,
    )


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
    signal.signal(signal.SIGTERM, _interrupt)
    with opened(make=True) as premises, contextlib.ExitStack() as stack:
        if _taken(port):
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
                _connect_demo(premises, url)
                stack.callback(_leave_demo, premises)
                _ask_for_demo(premises)
            log = _log_file(premises.settings)
            collector, address = start_collector(premises.settings, log=log)
            stack.callback(_stop, collector)
            console.note(f"[green]✓[/] collector at {address}")
            events = Events(premises.warehouse, log)
            services = start_dagster(premises.settings, port, log)
            stack.callback(_stop_all, services)
            services["collector"] = collector
            with console.err.status("loading the definitions"):
                _await_port(port, services)
            console.note(f"[green]✓[/] Dagster UI at http://127.0.0.1:{port}, schedules on")
            console.out.print(f"  log of Dagster: {console.plain(log)}", soft_wrap=True)
            console.out.print("  Ctrl-C stops it all")
            raise exit_codes.CommandError(_await_death(services, events, log))
        except KeyboardInterrupt:
            busy = events.in_progress() if events is not None else []
            runs = f"; the run of {', '.join(busy)} is ended in order" * bool(busy)
            console.out.print(f"Stopping{runs}. This takes up to {STOP_SECONDS} s")


def _log_file(settings: Settings) -> Path:
    """For what Dagster and the collector say: hundreds of lines a minute, for experts."""
    folder = private_folder(settings.home / "logs")
    for old in sorted(folder.glob("up-*.log"))[:-5]:
        old.unlink(missing_ok=True)
    return folder / f"up-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"


def start_dagster(settings: Settings, port: int, log: Path) -> dict[str, subprocess.Popen[bytes]]:
    """Code server, UI and daemon: three processes, one copy of the definitions, one log."""
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
            if name == "code server":
                _await_port(code_port, services)
    except BaseException:  # a stop before all are up must leave none behind
        _stop_all(services)
        raise
    return services


def _await_port(port: int, services: dict[str, subprocess.Popen[bytes]]) -> None:
    while not _taken(port):
        for name, process in services.items():
            if process.poll() is not None:
                _stop_all(services)
                raise exit_codes.CommandError(
                    f"the {name} has ended unexpectedly, code {process.returncode}"
                )
        time.sleep(0.2)


def _await_death(services: dict[str, subprocess.Popen[bytes]], events: Events, log: Path) -> str:
    """Tells what happens; returns when one of the processes has ended, which none should."""
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


def _stop_all(services: dict[str, subprocess.Popen[bytes]]) -> None:
    """All are asked first: they end side by side. Says for which it waits."""
    for process in services.values():
        if process.poll() is None:
            process.terminate()
    for name, process in reversed(services.items()):
        if process.poll() is None:
            console.note(f"  [dim]waiting for the {name}[/]")
        _stop(process)


@contextlib.contextmanager
def running_sandbox(port: int = 0) -> Iterator[str]:
    """The sandbox shop as a process of its own; yields its address. An occupied port gives way."""
    port = 0 if port and _taken(port) else port
    process = subprocess.Popen(
        [sys.executable, "-m", "cscart_pipelines.cli.main", "sandbox", "--port", str(port)],
        stdout=subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200"},
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            raise exit_codes.CommandError("the sandbox shop did not start")
        yield line[line.index("http://") :].strip()
    finally:
        _stop(process)


def _connect_demo(premises: AppContext, url: str) -> None:
    """The integration `demo`, made or brought to the sandbox's present address."""
    from cscart_pipelines.sandbox.server import SandboxShop

    shop = SandboxShop(catalogue="empty")
    key = SecretStr(shop.api_key)
    settings = check(
        {"integration": DEMO, "list_name": "Sandbox customers", "url": url, "email": shop.email}
    )
    found = test_connection(settings, key).model_dump(mode="json")
    try:
        known = premises.registry.get(DEMO)
    except UnknownIntegrationError:
        premises.registry.add(settings, key, found)
        console.note(f"[green]✓[/] connected as integration “{DEMO}”, the connection is tested")
        return
    if known.settings.url != url:
        # The sandbox's port changes from start to start; its host does not.
        premises.registry.set_url(DEMO, url)
    premises.registry.record_test(DEMO, found)
    if premises.registry.get(DEMO).status is Status.DISABLED:
        desk_of(premises).enable(DEMO)
    console.out.print(
        f"[green]✓[/] integration “{DEMO}” is there already; it is brought up to date"
    )


def _leave_demo(premises: AppContext) -> None:
    """The shop ends with this process: the schedule would report it as unreachable every hour."""
    premises.registry.release_dead()
    with contextlib.suppress(NotAllowedError, UnknownIntegrationError):
        desk_of(premises).disable(DEMO, NO_SHOP)


def _ask_for_demo(premises: AppContext) -> None:
    """The daemon reads the shop as soon as it is up."""
    standing = premises.registry.standing(premises.registry.get(DEMO))
    if (
        rejection_reason(Action.START, standing) is None
        or rejection_reason(Action.RESYNC, standing) is None
    ):
        ask_daemon(premises, [DEMO], full=False)


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stop(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Asks the process to end, and makes sure that it and its children do."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

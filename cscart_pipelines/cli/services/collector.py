"""`collector`: the process that receives events from visitors' browsers, until it is stopped.

Not here: what it does with them (`onsite.collector`).
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from cscart_pipelines.cli.services.child_processes import guard, stop
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.settings import Settings, read_settings

FILES_BESIDE = 200
"""Open files beside the connections: libraries, the spool, the warehouse."""
BACKLOG = 1024
KEEP_ALIVE_SECONDS = 15
GRACE_SECONDS = 5


def collector(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(help="Port; by default CSCART_PIPELINES_COLLECTOR_PORT, else 8767."),
    ] = None,
) -> None:
    """Run the collector of onsite tracking, until Ctrl-C."""
    serve(read_settings(), host, port)


def serve(settings: Settings, host: str, port: int | None) -> None:
    """Runs the collector in this process until SIGTERM or SIGINT.

    Raises:
        CommandError: the port is taken.
    """
    # Imported here: no other command needs a web server.
    import uvicorn

    from cscart_pipelines.onsite.collector.app import make_app
    from cscart_pipelines.onsite.collector.protocol import bounded

    told = settings.collector
    _allow_files(told.connections + FILES_BESIDE)
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    # Warnings about single requests: a client could fill the log with them.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    config = uvicorn.Config(
        make_app(settings),
        host=host,
        port=told.port if port is None else port,
        http=bounded(told.connections, told.request_seconds),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    try:
        listening = config.bind_socket()
    except SystemExit:
        raise exit_codes.CommandError(
            f"port {config.port} is taken; choose another with --port", exit_codes.WRONG_USAGE
        ) from None
    # Before the address is printed: from then on connections are accepted.
    listening.listen(BACKLOG)
    at = listening.getsockname()
    console.out.print(f"[green]✓[/] collector at http://{host}:{at[1]}")
    sys.stdout.flush()
    # uvicorn raises the signal again when it has stopped in order; that is no death then.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with suppress(KeyboardInterrupt), listening:
        uvicorn.Server(config).run(sockets=[listening])


def start_collector(
    settings: Settings, port: int | None = None, log: Path | None = None
) -> tuple[subprocess.Popen[bytes], str]:
    """Starts the collector as a process of its own.

    Args:
        settings: of the installation.
        port: to listen on; 0 takes a free one, None the one of the settings.
        log: file of its log; None: standard error.

    Returns:
        The process, and the address it listens at.

    Raises:
        CommandError: it did not start.
    """
    options = [] if port is None else ["--port", str(port)]
    with (log or Path(os.devnull)).open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "cscart_pipelines.cli.main", "collector", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stream if log else None,
            env={**os.environ, "CSCART_PIPELINES_HOME": str(settings.home), "COLUMNS": "200"},
            start_new_session=True,  # a Ctrl-C reaches the caller, who stops it in order
        )
    guard(process)
    assert process.stdout is not None
    line = process.stdout.readline().decode()
    if "http://" not in line:
        process.wait()
        stop(process)
        reason = f"; the reason is in {log}" if log else ""
        raise exit_codes.CommandError(
            f"the collector did not start{reason}", exit_codes.WRONG_USAGE
        )
    return process, line[line.index("http://") :].strip()


def _allow_files(number: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < number:
        most = number if hard == resource.RLIM_INFINITY else min(number, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

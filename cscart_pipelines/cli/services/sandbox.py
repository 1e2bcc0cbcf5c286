"""`sandbox`: the CS-Cart shop to try the project on, and that shop beside another command.

Not here: the integration that `demo` and `up --sandbox` make of it (`demo`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from cscart_pipelines.cli.services import child_processes
from cscart_pipelines.cli.support import console, exit_codes

SANDBOX_PORT = 8765
REAL_CATALOGUE = "cdnow"


def sandbox(
    profile: Annotated[
        str, typer.Option(help="CS-Cart version to behave as: 4.7, 4.12, 4.13, 4.16, 4.20.")
    ] = "4.20",
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")
    ] = SANDBOX_PORT,
    catalogue: Annotated[
        str, typer.Option(help="What it sells: cdnow (7,000 real purchases) or small.")
    ] = REAL_CATALOGUE,
) -> None:
    """Run a CS-Cart shop to try the project on, until Ctrl-C."""
    if catalogue == REAL_CATALOGUE:
        require_sandbox_data()
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


def require_sandbox_data() -> None:
    """Checks that the purchases which the sandbox shop sells are installed.

    Raises:
        CommandError: with the commands that install them; they are an extra of the package.
    """
    if importlib.util.find_spec("lifetimes") is None:
        small = console.command("sandbox --catalogue small")
        raise exit_codes.CommandError(
            "the purchases of the sandbox shop are not installed (Python package lifetimes)."
            " Install the extra: pip install 'cscart-pipelines[sandbox]', in a checkout"
            f" pip install -e '.[sandbox]'. Without it {small} runs a shop with a few orders",
            exit_codes.WRONG_USAGE,
        )


@contextlib.contextmanager
def running_sandbox(port: int = 0) -> Iterator[str]:
    """Runs the sandbox shop as a process of its own.

    Args:
        port: on 127.0.0.1; 0 or an occupied port takes a free one.

    Yields:
        The address of the shop.

    Raises:
        CommandError: the shop did not start.
    """
    port = 0 if port and child_processes.port_is_taken(port) else port
    process = subprocess.Popen(
        [sys.executable, "-m", "cscart_pipelines.cli.main", "sandbox", "--port", str(port)],
        stdout=subprocess.PIPE,
        env={**os.environ, "COLUMNS": "200"},
        start_new_session=True,
    )
    child_processes.guard(process)
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        if "http://" not in line:
            raise exit_codes.CommandError("the sandbox shop did not start")
        yield line[line.index("http://") :].strip()
    finally:
        child_processes.stop(process)

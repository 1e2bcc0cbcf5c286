"""Where commands work: the opened warehouse, the checkout, Dagster's folders. No commands here."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from cscart_pipelines.app_context import AppContext, open_context
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.settings import Settings, read_settings

PROJECT = Path(__file__).parents[3]
"""The checkout: workspace.yaml, dagster.yaml and dbt_project lie there."""


@contextlib.contextmanager
def opened(*, make: bool = False) -> Iterator[AppContext]:
    """Opens the warehouse; synchronisations whose process is gone are ended first.

    Args:
        make: Also where there is no home or no schema yet, which are made then. Otherwise only the
            embedded database is migrated; that of a server is others' too.

    Raises:
        CommandError: There is no home, and none is to be made: reading commands would leave a
            database of 44 MB in the folder in which they are typed.
        SchemaOutdatedError: The database of a server has to be migrated first.
    """
    settings = read_settings()
    if not make:
        need_home(settings)
    with open_context(migrate=make or settings.embedded) as app:
        app.registry.release_dead()
        yield app


def need_home(settings: Settings) -> None:
    """Checks that the embedded database, if it is to be used, was made.

    Raises:
        CommandError: it was not.
    """
    if settings.embedded and not os.path.lexists(settings.home / "postgres"):
        add = "integration add KEY --url https://shop.example --email admin@shop.example"
        raise exit_codes.CommandError(
            f"there is no home in {settings.home}: no shop has been connected there. If it lies"
            " elsewhere, name it with --home DIR or CSCART_PIPELINES_HOME; otherwise begin with"
            f" {console.command('demo')} (a sandbox shop) or {console.command(add)}",
            exit_codes.WRONG_USAGE,
        )


def private_folder(path: Path) -> Path:
    """Returns a folder for logs and the history of runs; a new one is for this account only."""
    if not path.exists():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def dagster_environment(settings: Settings) -> dict[str, str]:
    """Returns the environment of a process of Dagster; puts the project's dagster.yaml in its home.

    A dagster.yaml that was changed by hand is left alone.
    """
    home = settings.dagster_home
    private_folder(home)
    ours, theirs, note = (
        PROJECT / "dagster.yaml",
        home / "dagster.yaml",
        home / ".dagster.yaml.ours",
    )
    unchanged = theirs.exists() and note.exists() and theirs.read_bytes() == note.read_bytes()
    if not theirs.exists() or (unchanged and theirs.read_bytes() != ours.read_bytes()):
        shutil.copyfile(ours, theirs)
        shutil.copyfile(ours, note)
    return {
        "DAGSTER_HOME": str(home),
        "CSCART_PIPELINES_HOME": str(settings.home),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "GRPC_VERBOSITY": "ERROR",  # without its notes about fork()
    }

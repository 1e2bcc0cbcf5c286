"""Where commands work: the opened warehouse, the checkout, Dagster's folders. No commands here."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from cscart_pipelines.integrations.premises import Premises, open_premises
from cscart_pipelines.settings import Settings

PROJECT = Path(__file__).parents[2]
"""The checkout: workspace.yaml, dagster.yaml and dbt_project lie there."""


@contextlib.contextmanager
def opened() -> Iterator[Premises]:
    """Opens the warehouse; synchronisations whose process is gone are ended first."""
    with open_premises() as premises:
        premises.registry.release_dead()
        yield premises


def private_folder(path: Path) -> Path:
    """Logs and the history of runs are for the account that runs us: a new folder is closed."""
    if not path.exists():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def dagster_environment(settings: Settings) -> dict[str, str]:
    """What a process of Dagster needs: its home, with the project's dagster.yaml in it.

    A dagster.yaml that somebody has put there or changed is left alone.
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
        "GRPC_VERBOSITY": "ERROR",  # its notes about fork() help nobody
    }

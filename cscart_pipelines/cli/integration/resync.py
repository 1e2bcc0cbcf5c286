"""`integration resync`: one integration, several, or all, in one run.

Not here: the bars and the process of the run (`support.sync_run`), the first synchronisation
(`connect`).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.integration.status import changes_of, print_status, recent_runs
from cscart_pipelines.cli.support import console, exit_codes, formats
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.cli.support.sync_run import (
    Synced,
    sync_in_foreground,
    sync_several_in_foreground,
)
from cscart_pipelines.integrations.lifecycle import Action, Status, rejection_reason, require
from cscart_pipelines.integrations.settings import InvalidSettingsError
from cscart_pipelines.integrations.sync_runs.requested import request_sync


def resync(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY", help="Keys of integrations.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every integration that is enabled or has failed.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Read everything again.")] = False,
    background: Annotated[
        bool, typer.Option("--background", help="Leave it to the daemon of `up`.")
    ] = False,
) -> None:
    """Read what has changed and rebuild the lists, now.

    Several integrations are read in one run; one that fails keeps no other from its list.
    """
    if bool(keys) == every:
        raise InvalidSettingsError({"integration": "expected keys of integrations, or --all"})
    with opened() as app:
        if keys and len(set(keys)) == 1:
            _one(app, keys[0], full=full, background=background)
        else:
            _many(app, list(dict.fromkeys(keys or ())), full=full, background=background)


def ask_daemon(app: AppContext, keys: list[str], *, full: bool) -> None:
    """Requests synchronisations of the daemon: those of one command are one run."""
    with app.warehouse.connect(autocommit=True) as connection:
        request_sync(connection, keys, full=full)
    look = f"integration status {keys[0]}" if len(keys) == 1 else "integration list"
    console.out.print(
        "The daemon starts it within seconds where `make up` is running. "
        f"See: {console.command(look)}"
    )


def _one(app: AppContext, key: str, *, full: bool, background: bool) -> None:
    require(Action.RESYNC, app.registry.standing(app.registry.get(key)))
    if background:
        ask_daemon(app, [key], full=full)
        return
    sync_in_foreground(app, key, full=full)
    print_status(app.registry.get(key), recent_runs(app, key)[:1])
    console.out.print(f"  Next: {console.command(f'segments {key}')}")


def _many(app: AppContext, named: list[str], *, full: bool, background: bool) -> None:
    """Synchronises several; `named` is empty for all. Unknown keys are refused at the start."""
    for key in named:
        app.registry.get(key)
    refused: dict[str, str] = {}
    left_out: dict[str, str] = {}
    allowed: list[str] = []
    for integration, standing in app.registry.standings(named or None):
        reason = rejection_reason(Action.RESYNC, standing)
        if reason is None:
            allowed.append(integration.key)
        elif named or standing.status in (Status.ENABLED, Status.FAILED):
            refused[integration.key] = reason
        else:  # --all does not mean integrations that are switched off
            left_out[integration.key] = reason
    outcome: dict[str, Synced] = {}
    if allowed and background:
        ask_daemon(app, allowed, full=full)
    elif allowed:
        outcome = sync_several_in_foreground(app, allowed, full=full)
    elif not refused:
        console.out.print("There is no integration to synchronise.")
    for key, synced in sorted(outcome.items()):
        _tell(key, synced)
    for key, reason in sorted({**left_out, **refused}.items()):
        console.out.print(f"[dim]–[/] {key} is not synchronised: {reason}", soft_wrap=True)
    _end(outcome, refused)


def _tell(key: str, synced: Synced) -> None:
    if synced.error is None:
        changed = changes_of(synced.stats)
        console.out.print(f"[green]✓[/] {key} is synchronised; changed: {changed}", soft_wrap=True)
    else:
        console.out.print(f"[red]✗[/] {key}: {formats.plain(synced.error)}", soft_wrap=True)


def _end(outcome: dict[str, Synced], refused: dict[str, Any]) -> None:
    """Ends the command with an error if a synchronisation failed, or was not allowed."""
    failed = [one for one in outcome.values() if one.error is not None]
    total = len(outcome) + len(refused)
    if failed:
        codes = {exit_codes.code_of_run(one.kind) for one in failed}
        raise exit_codes.CommandError(
            f"{len(failed)} of {total} integrations failed",
            codes.pop() if len(codes) == 1 else exit_codes.RUN_FAILED,
        )
    if refused:
        raise exit_codes.CommandError(
            f"{len(refused)} of {total} integrations may not be synchronised now",
            exit_codes.NOT_ALLOWED,
        )

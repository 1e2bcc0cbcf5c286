"""`build`: the lists, segments and metrics of some integrations, from what the warehouse has.

Not here: the run and its bar (`support.sync_run`), what the models say (`dbt_project/`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cscart_pipelines.cli.support import console, exit_codes, formats
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.cli.support.sync_run import build_in_foreground
from cscart_pipelines.integrations import list_builds
from cscart_pipelines.integrations.settings import InvalidSettingsError


def build(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY", help="Keys of integrations.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every integration.")] = False,
    full_refresh: Annotated[
        bool,
        typer.Option(
            "--full-refresh",
            help="Write every row anew, not only what differs. History is kept.",
        ),
    ] = False,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="What the models take for now, such as 2026-05-20T10:30:00+02:00. Default: now.",
        ),
    ] = None,
) -> None:
    """Build lists, segments and metrics, without asking a shop.

    Without keys: those that are due, because something has changed or a new day has begun.
    """
    if keys and every:
        raise InvalidSettingsError({"integration": "expected keys of integrations, or --all"})
    with opened() as app:
        if every:
            chosen = [one.key for one in app.registry.all()]
        elif keys:
            chosen = [app.registry.get(key).key for key in dict.fromkeys(keys)]
        else:
            with app.warehouse.connect(autocommit=True) as connection:
                now = datetime.now(UTC)
                chosen = [
                    one.integration
                    for one in list_builds.states(connection)
                    if one.reason(now) is not None
                ]
        if not chosen:
            console.out.print("Every list is up to date." if not every else "No integration yet.")
            return
        build_in_foreground(app, chosen, full_refresh=full_refresh, as_of=_moment(as_of))
    whose = ", ".join(chosen) if len(chosen) <= 3 else formats.count(len(chosen), "integration")
    console.out.print(f"[green]✓[/] built: {whose}", soft_wrap=True)
    if len(chosen) == 1:
        console.out.print(f"  Next: {console.command(f'segments {chosen[0]}')}")


def _moment(text: str | None) -> str | None:
    """Raises CommandError for what is no time with an offset."""
    if text is None:
        return None
    try:
        return list_builds.parse_as_of(text).isoformat()
    except ValueError:
        raise exit_codes.CommandError(
            f"--as-of {text!r} is no time with its offset, such as 2026-05-20T10:30:00+02:00",
            exit_codes.WRONG_USAGE,
        ) from None

"""`integration tracking-file`: the container file for Google Tag Manager, and new write keys.

Not here: what is in the file (`onsite.container`), the settings of the tracking (`onsite`).
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from cscart_pipelines.cli.support import console, exit_codes, formats
from cscart_pipelines.cli.support.arguments import Key
from cscart_pipelines.cli.support.confirm import Yes, confirm
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.integrations.lifecycle import Action, require
from cscart_pipelines.onsite import tracking_file as tracking
from cscart_pipelines.onsite.write_keys import rotate


def _after(days: int) -> str:
    return f"after {formats.count(days, 'day')}" if days else "at once"


def tracking_file(
    key: Key,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to FILE; default: print."),
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make a new write key that replaces the present one.")
    ] = False,
    keep_old_key: Annotated[
        int,
        typer.Option(
            metavar="DAYS",
            min=0,
            max=365,
            help="With --new-key: days for which the old key is accepted too.",
        ),
    ] = 30,
    yes: Yes = False,
) -> None:
    """Write the onsite tracking file for Google Tag Manager.

    Only for an enabled integration. How to import, publish and remove it: docs/onsite.md
    """
    with opened() as app:
        integration = app.registry.get(key)
        require(Action.TRACKING_FILE, app.registry.standing(integration))
        collector_url = app.settings.collector_url
        if new_key:
            confirm(
                f"This replaces the write key of {key}: events from the file that is published in"
                f" Google Tag Manager now are refused {_after(keep_old_key)}",
                yes=yes,
            )
        with app.warehouse.connect(autocommit=True) as connection:
            if new_key:
                rotate(connection, key, keep_old_for=timedelta(days=keep_old_key))
            file = tracking.tracking_file(connection, integration, collector_url)
    if output is None or str(output) == "-":
        sys.stdout.write(file.decode())
    else:
        try:
            output.write_bytes(file)
        except OSError as error:
            raise exit_codes.CommandError(
                f"{output} cannot be written: {error.strerror}", exit_codes.WRONG_USAGE
            ) from None
        console.out.print(f"[green]✓[/] the onsite tracking file of {key} is in", end=" ")
        console.out.print(str(output), markup=False, highlight=False)
        console.out.print(
            "  In Google Tag Manager: Admin > Import Container, Merge, Rename conflicting tags; "
            "preview, publish. Step by step: docs/onsite.md"
        )
    if problem := tracking.drawback(integration.settings.url, collector_url):
        console.err.print("[yellow]![/] " + formats.plain(problem), end=" ")
        console.err.print("(CSCART_PIPELINES_COLLECTOR_URL)", markup=False)

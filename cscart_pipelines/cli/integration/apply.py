"""`integration apply` and `export`: the integrations as a file.

Not here: reading the file and comparing it (`integrations.config_file`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.integration.manage import print_changes, service_of
from cscart_pipelines.cli.integration.unknown_words import print_unknown_words
from cscart_pipelines.cli.support import console, exit_codes, formats
from cscart_pipelines.cli.support.confirm import Yes, confirm
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.integrations import config_file, secrets
from cscart_pipelines.integrations.connection import test_connection
from cscart_pipelines.integrations.status_words import (
    read_status_names,
    translated,
    with_letters_of_shop,
)


def apply(
    file: Annotated[Path, typer.Option("-f", "--file", help="The file: integrations.yaml.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the difference.")] = False,
    yes: Yes = False,
) -> None:
    """Make the integrations as a file says (integrations.yaml).

    The difference is shown first. Applying the same file again changes nothing.
    """
    wanted = config_file.read(file)
    with opened(make=not dry_run) as app:
        with app.warehouse.connect(autocommit=True) as connection:
            wanted = [
                translated(one, read_status_names(connection, one.integration)) for one in wanted
            ]
        changes = config_file.plan(wanted, app.registry.all())
        needed = [change for change in changes if change.needed]
        for change in needed:
            sign = "[green]+[/]" if change.new else "[yellow]~[/]"
            console.out.print(
                f"{sign} {change.settings.integration}  {formats.plain(change.settings.url)}"
            )
            print_changes(change.differences)
            print_unknown_words(
                app, change.settings, ("countries",) if change.new else change.differences
            )
        if not needed:
            console.out.print("Nothing to change.")
            return
        if dry_run:
            return
        new = sum(change.new for change in needed)
        said = [f"adds {formats.count(new, 'integration')}"] * bool(new)
        said += [f"changes {formats.count(len(needed) - new, 'integration')}"] * (len(needed) > new)
        confirm(f"This {' and '.join(said)} as shown above", yes=yes)
        failures: list[BaseException] = []
        for change in needed:
            try:
                _apply(app, change)
                console.note(f"[green]✓[/] {change.settings.integration}")
            except Exception as error:
                if exit_codes.code_of(error) is None:
                    raise
                failures.append(error)
                console.err.print(
                    f"[red]✗[/] {change.settings.integration}: {formats.plain(error)}",
                    soft_wrap=True,
                )
    if failures:
        raise exit_codes.CommandError(
            f"{len(failures)} of {len(needed)} changes failed",
            max(exit_codes.code_of(error) or exit_codes.RUN_FAILED for error in failures),
        )


def _apply(app: AppContext, change: config_file.PlannedChange) -> None:
    settings = change.settings
    if not change.new:
        values = {name: after for name, (_, after) in change.differences.items()}
        service_of(app).edit(settings.integration, values)
        return
    api_key = secrets.resolve(settings.api_key_reference or "")
    found = test_connection(settings, api_key)
    can = found.model_dump(mode="json")
    app.registry.add(with_letters_of_shop(settings, api_key, can), api_key, can)


def export(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to FILE; default: print."),
    ] = None,
) -> None:
    """Write all integrations as a file for `apply`, without keys."""
    with opened() as app:
        text = config_file.export(app.registry.all())
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
        console.out.print(f"written to {formats.plain(output)}")

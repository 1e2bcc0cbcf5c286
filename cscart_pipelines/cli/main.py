"""`cscart-pipelines`: the commands in one place, and what becomes of their failures.

Not here: what a command does (the other modules of this room).
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import psycopg
import typer

from cscart_pipelines.cli import (
    collector,
    console,
    declared,
    desk,
    exits,
    fulfilment,
    integration,
    onsite,
    reports,
    services,
    tools,
    trail,
)
from cscart_pipelines.integrations.settings import InvalidSettingsError

app = typer.Typer(
    name="cscart-pipelines",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # frames cut long options where a terminal has 80 columns
    help="CS-Cart shops as lists, segments and metrics; tracking numbers and stock back.",
)
integration.app.command()(desk.edit)
integration.app.command()(desk.disable)
integration.app.command()(desk.enable)
integration.app.command()(desk.remove)
integration.app.command("tracking-file")(desk.tracking_file)
integration.app.command()(onsite.onsite)
integration.app.command()(declared.apply)
integration.app.command()(declared.export)
integration.app.command()(trail.audit)
app.add_typer(integration.app, name="integration")
app.command()(reports.lists)
app.command()(reports.segments)
app.add_typer(fulfilment.app, name="fulfilment")
app.command()(services.demo)
app.command()(services.up)
app.command()(services.sandbox)
app.command()(collector.collector)
app.command()(tools.sql)
app.command("purge-person")(trail.purge_person)
app.command()(tools.doctor)
app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)(tools.dbt)


WrongUsage: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""What typer raises about words it does not understand: of click, or of its own copy of click."""


def main() -> None:
    """The entry point: every expected failure is one line and the contract's exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command and returns its exit code."""
    # Retries and the like are for the log of a run, not for the person at the terminal.
    logging.getLogger("cscart_pipelines").addHandler(logging.NullHandler())
    try:
        code = int(app(arguments, prog_name="cscart-pipelines", standalone_mode=False) or 0)
        sys.stdout.flush()  # here, where a reader that has gone is expected
        if code == exits.STOPPED:  # typer's word for a Ctrl-C
            console.err.print("stopped")
        return code
    except typer.Exit as done:
        return int(done.exit_code)
    except WrongUsage as error:
        error.show()
        return exits.WRONG_USAGE
    except (KeyboardInterrupt, typer.Abort):
        console.err.print("stopped")
        return exits.STOPPED
    except BrokenPipeError:
        return _nobody_reads()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer takes it for a failure
            return _nobody_reads()
        raise
    except InvalidSettingsError as error:
        console.err.print("[red]✗[/] these settings cannot be used:")
        for field, text in error.problems.items():
            console.err.print(f"  [bold]{_option(field)}[/] {console.plain(text)}", soft_wrap=True)
        return exits.WRONG_USAGE
    except psycopg.OperationalError as error:
        said = " ".join((error.diag.message_primary or str(error)).split())
        console.err.print(f"[red]✗[/] the warehouse is gone: {console.plain(said)}", soft_wrap=True)
        return exits.RUN_FAILED
    except OSError as error:
        if error.filename is None:
            raise
        console.err.print(
            f"[red]✗[/] {console.plain(error.filename)}: {error.strerror}", soft_wrap=True
        )
        return exits.WRONG_USAGE
    except Exception as error:
        expected = exits.code_of(error)
        if expected is None:
            raise
        console.err.print(f"[red]✗[/] {console.plain(error)}", soft_wrap=True)
        return expected


def _nobody_reads() -> int:
    """Whoever read our output (head, less) has gone; nothing more to say."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
    return exits.DONE


def _option(field: str) -> str:
    """A field as the command line spells it."""
    if field == "integration":
        return "KEY"
    if field == "api_key_reference":
        return "--api-key-ref"
    if field == "file" or "." in field:  # of a file for `apply`
        return console.plain(field)
    return f"--{field.replace('_', '-')}"


if __name__ == "__main__":
    main()

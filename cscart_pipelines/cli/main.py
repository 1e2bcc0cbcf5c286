"""`cscart-pipelines`: the table of commands, and how their failures end.

Not here: what a command does (the other modules of this package).
"""

from __future__ import annotations

import copy
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cscart_pipelines import __version__
from cscart_pipelines.cli import build, doctor, migrate, reports, tools
from cscart_pipelines.cli.fulfilment import orders
from cscart_pipelines.cli.integration import apply as integration_apply
from cscart_pipelines.cli.integration import audit, connect, logs, manage, onsite, tracking_file
from cscart_pipelines.cli.services import collector, demo, sandbox, up
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.fulfilment.feeds.text import is_text, printable
from cscart_pipelines.integrations.settings import InvalidSettingsError
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.driver import ConnectionLostError

commands = typer.Typer(
    name=console.PROGRAM,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # frames cut long options where a terminal has 80 columns
    context_settings={"help_option_names": ["-h", "--help"]},
)
connect.commands.command()(logs.logs)
connect.commands.command()(manage.edit)
connect.commands.command()(manage.disable)
connect.commands.command()(manage.enable)
connect.commands.command()(manage.remove)
connect.commands.command("tracking-file")(tracking_file.tracking_file)
connect.commands.command()(onsite.onsite)
connect.commands.command()(integration_apply.apply)
connect.commands.command()(integration_apply.export)
connect.commands.command()(audit.audit)
commands.add_typer(connect.commands, name="integration")
commands.command()(build.build)
commands.command()(reports.lists)
commands.command()(reports.segments)
commands.add_typer(orders.commands, name="fulfilment")
commands.command()(demo.demo)
commands.command()(up.up)
commands.command()(sandbox.sandbox)
commands.command()(collector.collector)
commands.command()(migrate.migrate)
commands.command()(tools.sql)
commands.command("purge-person")(audit.purge_person)
commands.command()(doctor.doctor)
commands.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)(tools.dbt)


WrongUsage: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""The error of wrong usage: of click, or of typer's own copy of click."""

HOME = "Folder of the local state; instead of CSCART_PIPELINES_HOME."
QUIET = "Only results and errors: no progress, notes and confirmations."
VERBOSE = "Also the log of requests and retries, and tracebacks of errors."


def _version(asked: bool) -> None:
    if asked:
        console.out.print(f"{console.PROGRAM} {__version__}")
        raise typer.Exit()


def _home(folder: Path | None) -> None:
    if folder is not None:
        os.environ["CSCART_PIPELINES_HOME"] = str(folder.expanduser().absolute())


def _quiet(asked: bool) -> None:
    if asked:
        console.be_quiet()


def _verbose(asked: bool) -> None:
    if asked:
        console.be_verbose()


@commands.callback()
def everywhere(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
    home: Annotated[
        Path | None,
        typer.Option(metavar="DIR", file_okay=False, callback=_home, help=HOME),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", callback=_quiet, help=QUIET)] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", callback=_verbose, help=VERBOSE)
    ] = False,
) -> None:
    """CS-Cart shops as lists of subscribers, segments and metrics in PostgreSQL.

    Also orders for a fulfilment system, and its tracking numbers and stock back to the shop.
    --home, --quiet and --verbose may stand before or after the command.
    """


def all_commands(
    command: Any, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], TyperCommand | TyperGroup]]:
    """Yields every command and group below one, with the words that call it."""
    yield names, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from all_commands(inner, (*names, name))


def _with_common_options(root: TyperGroup) -> TyperGroup:
    """--home, --quiet and --verbose after a command too; dbt has options of its own."""
    common = [copy.copy(one) for one in root.params if one.name in ("home", "quiet", "verbose")]
    for option in common:
        option.expose_value = False
        option.hidden = True  # type: ignore[attr-defined]
    for _, command in all_commands(root):
        if not isinstance(command, TyperGroup) and command.name != "dbt":
            command.params += common
    return root


app = _with_common_options(typer.main.get_command(commands))  # type: ignore[arg-type]


def main() -> None:
    """The entry point: an expected failure prints one line and ends with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs one command and returns its exit code."""
    console.begin()
    # Retries and the like belong into the log of a run, not on a terminal.
    logging.getLogger("cscart_pipelines").addHandler(logging.NullHandler())
    if not advisory.log.handlers:
        advisory.log.addHandler(_Waits())
    as_json = not {"--json", "--format=json"}.isdisjoint(arguments) or (
        "--format",
        "json",
    ) in pairwise(arguments)
    try:
        _refuse_broken_text(arguments)
        if as_json and "--csv" in arguments:
            raise exit_codes.CommandError(
                "--json and --csv exclude each other", exit_codes.WRONG_USAGE
            )
        code = int(app(arguments, prog_name=console.PROGRAM, standalone_mode=False) or 0)
        sys.stdout.flush()  # here, where a reader that has gone is expected
        if code == exit_codes.STOPPED:  # typer returns it after a Ctrl-C
            console.complain("stopped", exit_codes.STOPPED, as_json=as_json, mark="")
        return code
    except typer.Exit as done:
        return int(done.exit_code)
    except WrongUsage as error:
        # typer has pydantic check values, whose prefix says nothing to people
        error.message = error.message.replace("Value error, ", "")
        if as_json:
            console.complain(error.format_message(), exit_codes.WRONG_USAGE, as_json=True)
        else:
            error.show()
        return exit_codes.WRONG_USAGE
    except (KeyboardInterrupt, typer.Abort):
        console.complain("stopped", exit_codes.STOPPED, as_json=as_json, mark="")
        return exit_codes.STOPPED
    except BrokenPipeError:
        return _output_closed()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # typer takes it for a failure
            return _output_closed()
        raise
    except Exception as error:
        code, message, problems = _explained(error)
        if console.verbose:
            traceback.print_exc()
        console.complain(message, code, as_json=as_json, problems=problems)
        return code


def _refuse_broken_text(arguments: list[str]) -> None:
    """Refuses bytes that are no text in the encoding of the terminal; files may be named so."""
    for text in arguments:
        if not text.isascii() and not is_text(text) and not Path(text).exists():
            raise exit_codes.CommandError(
                f"{printable(text)} is not text in the encoding of this terminal"
                f" ({sys.getfilesystemencoding()}); send it as UTF-8",
                exit_codes.WRONG_USAGE,
            )


def _explained(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Returns exit code, message and problems by option; raises an unforeseen error again."""
    if isinstance(error, InvalidSettingsError):
        problems = {_option(field): text for field, text in error.problems.items()}
        return exit_codes.WRONG_USAGE, "these settings cannot be used", problems
    if isinstance(error, ConnectionLostError):
        said = " ".join((error.diag.message_primary or str(error)).split())
        return exit_codes.RUN_FAILED, f"the connection to the database is lost: {said}", {}
    if isinstance(error, OSError) and error.filename is not None:
        return exit_codes.WRONG_USAGE, f"{error.filename}: {error.strerror}", {}
    code = exit_codes.code_of(error)
    if code is None:
        raise error
    return code, str(error), {}


class _Waits(logging.Handler):
    """Prints what a command itself waits for; `run_process` does the same for its runs."""

    def emit(self, record: logging.LogRecord) -> None:
        if reason := vars(record).get("wait"):
            console.tell_wait(reason, vars(record)["at_most"])


def _output_closed() -> int:
    """Ends quietly: the reader of the output (head, less) has closed it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
    return exit_codes.DONE


def option_names() -> frozenset[str]:
    """Returns every option of every command, as it is typed."""
    return frozenset({"--help"}) | frozenset(
        name
        for _, command in all_commands(app)
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    )


def _option(field: str) -> str:
    """Returns a field of the settings as the command line spells it."""
    known = {"integration": "KEY", "api_key": "API key", "api_key_reference": "--api-key-ref"}
    if field in known:
        return known[field]
    if field == "file" or "." in field:  # of a file for `apply`
        return field
    option = f"--{field.replace('_', '-')}"
    return option if option in option_names() else field.replace("_", " ")


if __name__ == "__main__":
    main()

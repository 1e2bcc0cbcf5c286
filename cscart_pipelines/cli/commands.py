"""The table of commands, and the options that every command has.

Not here: what a command does (the other modules of this package), how its failures end (`main`).
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cscart_pipelines import __version__
from cscart_pipelines.cli import build, doctor, migrate, purge_person, reports, tools
from cscart_pipelines.cli.fulfilment import (
    deleted,
    inbox,
    journal,
    mappings,
    orders,
    push,
    stock_rules,
)
from cscart_pipelines.cli.integration import apply as integrations_file
from cscart_pipelines.cli.integration import (
    audit,
    connect,
    logs,
    manage,
    onsite,
    resync,
    status,
    tracking_file,
)
from cscart_pipelines.cli.services import collector, demo, sandbox, up
from cscart_pipelines.cli.support import console

commands = typer.Typer(
    name=console.PROGRAM,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # frames cut long options where a terminal has 80 columns
    context_settings={"help_option_names": ["-h", "--help"]},
)
of_integrations = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Connect shops, synchronise them, show their status.",
)
of_fulfilment = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Export orders; write tracking numbers and stock back.",
)

commands.add_typer(of_integrations, name="integration")
of_integrations.command()(connect.add)
of_integrations.command()(connect.test)
of_integrations.command()(connect.start)
of_integrations.command()(resync.resync)
of_integrations.command("list")(status.list_integrations)
of_integrations.command()(status.show)
of_integrations.command("status")(status.show_status)
of_integrations.command()(logs.logs)
of_integrations.command()(manage.edit)
of_integrations.command()(manage.disable)
of_integrations.command()(manage.enable)
of_integrations.command()(manage.remove)
of_integrations.command()(tracking_file.tracking_file)
of_integrations.command()(onsite.onsite)
of_integrations.command()(integrations_file.apply)
of_integrations.command()(integrations_file.export)
of_integrations.command()(audit.audit)

commands.command()(build.build)
commands.command()(reports.lists)
commands.command()(reports.segments)

commands.add_typer(of_fulfilment, name="fulfilment")
of_fulfilment.command()(orders.orders)
of_fulfilment.command()(push.ship)
of_fulfilment.command()(push.stock)
of_fulfilment.command()(journal.journal)
of_fulfilment.command()(push.undo)
of_fulfilment.command()(deleted.deleted)
of_fulfilment.command()(inbox.inbox)
of_fulfilment.command()(mappings.carriers)
of_fulfilment.command()(mappings.skus)
of_fulfilment.command()(stock_rules.rules)

commands.command()(demo.demo)
commands.command()(up.up)
commands.command()(sandbox.sandbox)
commands.command()(collector.collector)
commands.command()(migrate.migrate)
commands.command()(tools.sql)
commands.command()(purge_person.purge_person)
commands.command()(doctor.doctor)
commands.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    }
)(tools.dbt)

HOME = "Folder of the local state; instead of CSCART_PIPELINES_HOME."
QUIET = "Only results and errors: no progress, notes and confirmations."
VERBOSE = "Also the log of requests and retries, and tracebacks of errors."


def _version(asked: bool) -> None:
    if asked:
        console.out.print(f"{console.PROGRAM} {__version__}")
        raise typer.Exit()


def _home(folder: Path | None) -> None:
    if folder is not None:
        # Read with the other settings, which refuse a ~name that leads nowhere.
        given = folder if str(folder).startswith("~") else folder.absolute()
        os.environ["CSCART_PIPELINES_HOME"] = str(given)


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


def option_names() -> frozenset[str]:
    """Returns every option of every command, as it is typed."""
    return frozenset({"--help"}) | frozenset(
        name
        for _, command in all_commands(app)
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    )

"""Asking before a command destroys or sends something. Not here: what the commands do."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.prompt import Confirm

from cscart_pipelines.cli.support import console, exit_codes, formats

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed without a terminal.")]


def can_ask() -> bool:
    """Returns True if both sides of the question are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(effect: str, *, yes: bool) -> None:
    """Goes on only if the person agrees, or `--yes` was given.

    Args:
        effect: one sentence without a full stop: what the command would do.
        yes: `--yes` was given.

    Raises:
        CommandError: the answer was no, or nothing but --yes can answer.
    """
    if yes:
        return
    if not can_ask():
        raise exit_codes.CommandError(
            f"{effect}. Nothing was changed: without a terminal to ask on this needs --yes",
            exit_codes.WRONG_USAGE,
        )
    was, console.err.quiet = console.err.quiet, False
    try:
        console.err.print(f"{formats.plain(effect)}.", soft_wrap=True)
        agreed = Confirm.ask("Go on?", console=console.err, default=False)
    except EOFError:
        console.err.print()
        agreed = False
    except KeyboardInterrupt:
        console.err.print()
        raise exit_codes.CommandError("stopped; nothing was changed", exit_codes.STOPPED) from None
    finally:
        console.err.quiet = was
    if not agreed:
        raise exit_codes.CommandError("nothing was changed", exit_codes.WRONG_USAGE)

"""`cscart-pipelines`: runs one command; how its failures end.

Not here: which commands there are (`commands`), what they do (the other modules of this package).
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

from cscart_pipelines.cli.commands import app, option_names
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.fulfilment.feeds.text import is_text, printable
from cscart_pipelines.integrations.settings import InvalidSettingsError
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.driver import ConnectionLostError

WrongUsage: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""The error of wrong usage: of click, or of typer's own copy of click."""


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

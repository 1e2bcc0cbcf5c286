"""The two streams of the command line: results, and notes and errors beside them.

Not here: how values look (`formats`), tables (`tables`), JSON and CSV (`machine_output`).
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import logging
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from rich.console import Console

from cscart_pipelines.cli.support import formats

PROGRAM = "cscart-pipelines"
WIDE = 10_000_000
"""Columns where the output goes to a file or a pipe: nothing is cut there."""
ASCII = str.maketrans(
    {
        **dict.fromkeys("✓•", "*"), "✗": "x", **dict.fromkeys("–—─━╌╭╮╰╯", "-"), "│": "|",
        "…": "~", "→": ">", "·": ".", "“": '"', "”": '"', "’": "'", "█": "#", "░": ".",
        **dict.fromkeys("▏▎▍▌▋▊▉", "#"), **{chr(dots): "*" for dots in range(0x2800, 0x2900)},
    }
)  # fmt: skip
"""Replacements for characters that the encoding of a terminal does not have."""
verbose = False
"""True if --verbose was given."""


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Replaces what the terminal's encoding has no character for, as an error handler does."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(ASCII)
    return text.encode("ascii", "replace").decode(), error.end


codecs.register_error("cscart_pipelines", _replaced)


class _Console(Console):
    """Leaves a broken pipe to the caller. Output that is no terminal is not cut to a width."""

    def __init__(self, *, stderr: bool) -> None:
        stream = sys.stderr if stderr else sys.stdout
        width = _columns() if stream.isatty() else WIDE
        # With a height rich takes the width as it is, also where TERM is dumb.
        super().__init__(
            stderr=stderr, highlight=False, emoji=False, width=width, height=width and 25
        )

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError


def _columns() -> int | None:
    """Returns the width of the terminal where rich ignores it; None: rich asks the terminal."""
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return shutil.get_terminal_size().columns if dumb or "COLUMNS" in os.environ else None


out, err = _Console(stderr=False), _Console(stderr=True)
"""Results, and everything else: progress, notes, errors."""


def begin() -> None:
    """Prepares the streams for a command: what the last one has set is reset, any text prints."""
    global verbose
    verbose, err.quiet = False, False
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="cscart_pipelines")


def be_quiet() -> None:
    """Shows results and errors only."""
    err.quiet = True


def be_verbose() -> None:
    """Shows the package's log on standard error."""
    global verbose
    if not verbose:
        verbose = True
        logging.basicConfig(
            level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s"
        )
        logging.getLogger("cscart_pipelines").setLevel(logging.DEBUG)


def note(text: str = "", *, soft_wrap: bool = True) -> None:
    """Prints a confirmation or a next step beside the results; nothing with --quiet."""
    if not err.quiet:
        out.print(text, soft_wrap=soft_wrap)


def complain(
    message: object,
    code: int,
    *,
    as_json: bool = False,
    problems: Mapping[str, str] | None = None,
    mark: str = "[red]✗[/] ",
) -> None:
    """Prints an error on standard error, also with --quiet.

    Args:
        message: one sentence without a full stop, or an exception with such a text.
        code: the exit code that follows.
        as_json: print one line of JSON.
        problems: texts by setting, or option, for a message that is about several.
        mark: before the message.
    """
    if as_json:
        error = {"code": code, "message": str(message), "problems": dict(problems or {})}
        text = json.dumps({"error": error}, ensure_ascii=not is_unicode(sys.stderr))
        sys.stderr.write(f"{text}\n")
        return
    was, err.quiet = err.quiet, False
    err.print(f"{mark}{formats.plain(message)}{':' * bool(problems)}", soft_wrap=True)
    for name, text in (problems or {}).items():
        err.print(f"  [bold]{formats.plain(name)}[/] {formats.plain(text)}", soft_wrap=True)
    err.quiet = was


def command(words: str) -> str:
    """Returns a command to type next, so that it works from here: the .venv may not be active."""
    beside = Path(sys.executable).with_name(PROGRAM)
    found = shutil.which(PROGRAM)
    if beside.exists() and (found is None or not Path(found).samefile(beside)):
        with contextlib.suppress(ValueError):
            beside = beside.relative_to(Path.cwd())
        return f"{beside} {words}"
    return f"{PROGRAM} {words}"


def tell_wait(reason: str, at_most: float | None) -> None:
    """Prints what a command waits for, and for how long at most (seconds; None: without limit)."""
    limit = "" if at_most is None else f" for at most {formats.duration(at_most)}"
    err.print(f"Waiting{limit}: {formats.plain(reason)}. Ctrl-C ends the wait.", soft_wrap=True)


def is_unicode(stream: TextIO) -> bool:
    """Returns True if the encoding of a stream has every character."""
    return (stream.encoding or "utf-8").lower().startswith("utf")

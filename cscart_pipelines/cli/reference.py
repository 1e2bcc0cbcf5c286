"""The page docs/cli.md, made from the program itself. `make docs` writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from cscart_pipelines.cli.commands import app
from cscart_pipelines.cli.support import console

PREFACE = """\
# Command line

This page is made from the program: `make docs` writes it. Each command shows the same with `-h`.

| exit code | means |
|---|---|
| 0 | done |
| 1 | the run failed |
| 2 | wrong usage, invalid settings, or an answer that was not yes |
| 3 | the shop could not be reached or refused the credentials |
| 4 | not allowed in the integration's status |
| 130 | stopped with Ctrl-C |

- `--home DIR`, `--quiet` and `--verbose` may stand before or after the command (not after `dbt`,
  which has options of its own). `--install-completion` sets up completion for the shell in use.
- Results go to standard output; progress, notes and errors to standard error.
- `--json` prints one document. An error is then one line of JSON, the last one on standard error:
  `{"error": {"code": 2, "message": "…", "problems": {"--url": "…"}}}`; `problems` names the option
  of each invalid setting.
- `--csv` prints a header and all rows in UTF-8. NULL is empty, an empty text is `""`. A text that a
  spreadsheet would run as a formula has an apostrophe before it; `--json` has every value as it is.
- On a terminal, rows that do not fit are shown one field a line. Output to a pipe or a file is
  never cut. Colours are off there, with `NO_COLOR`, and where `TERM` is `dumb`.
- Commands that destroy or send something ask first; no answer, the end of the input and Ctrl-C
  mean no. Without a terminal they need `--yes`, or they do nothing and leave with 2.
  `fulfilment ship` and `fulfilment stock` ask on a terminal only: a script that calls them says
  what it sends. Only `--release`, which writes what the circuit breaker holds, always needs the
  answer or `--yes`.
"""


def page() -> str:
    """Returns the whole page."""
    return PREFACE + "".join(
        f"\n## {words}\n\n```\n{text}\n```\n" for words, text in _helps(app, console.PROGRAM)
    )


def _helps(command: Any, name: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=80, **command.context_settings
    )
    text = command.get_help(context)
    yield context.command_path, "\n".join(line.rstrip() for line in text.splitlines())
    for inner, made in getattr(command, "commands", {}).items():
        yield from _helps(made, inner, context)


if __name__ == "__main__":
    sys.stdout.write(page())

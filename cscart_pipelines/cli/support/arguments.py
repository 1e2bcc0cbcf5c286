"""The arguments and options that many commands have, each declared once.

Not here: `--yes` (`confirm`), `--home`, `--quiet` and `--verbose` (`cli.commands`), the options of
`integration add` and `edit` (`cli.integration.options`).
"""

from __future__ import annotations

from typing import Annotated

import typer

Key = Annotated[str, typer.Argument(metavar="KEY", help="The integration's key.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Raw = Annotated[
    bool,
    typer.Option(
        "--raw",
        help="CSV for machines: cells as they are. Without it, an apostrophe keeps spreadsheets"
        " from running a cell as a formula.",
    ),
]

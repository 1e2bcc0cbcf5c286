"""`integration audit`: the audit trail.

Not here: the trail itself, which a trigger of the database writes.
"""

from __future__ import annotations

from typing import Annotated

import typer

from cscart_pipelines.cli.support import formats, machine_output, tables
from cscart_pipelines.cli.support.arguments import Csv, Json
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.integrations import audit as trail

BOOKKEEPING = frozenset(
    {
        "status", "integration", "attempts", "failure_permanent", "first_synced_at",
        "api_key_sealed",
    }
)  # fmt: skip
"""Details that go with the act itself; JSON and CSV have them."""


def audit(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="Only this integration.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show the newest N entries.")] = 50,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """The audit trail: who did what when, and changes of status."""
    with opened() as app, app.warehouse.connect(autocommit=True) as connection:
        rows = trail.entries(connection, key, limit)
    if as_json:
        machine_output.print_json(rows)
        return
    if as_csv:
        machine_output.print_csv(("at", "integration", "actor", "act", "detail"), rows)
        return
    table = tables.table("when (UTC)", "integration", "who", "what", ("detail", "text"))
    for row in reversed(rows):
        detail = ", ".join(
            f"{name}: {formats.setting(value)}"
            if row["act"] == "added" or not isinstance(value, list)
            else f"{name}: {' → '.join(map(formats.setting, value))}"
            for name, value in row["detail"].items()
            if name not in BOOKKEEPING and (row["act"] != "added" or value)
        )
        table.add_row(
            f"{row['at']:%Y-%m-%d %H:%M:%S}", row["integration"],
            formats.plain(row["actor"]), row["act"], formats.plain(detail),
        )  # fmt: skip
    tables.show(table)

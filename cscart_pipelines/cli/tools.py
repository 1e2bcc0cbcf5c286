"""`sql` and `dbt`: queries of the user on the warehouse, and commands of dbt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Annotated, Any

import typer

from cscart_pipelines.cli.support import console, exit_codes, formats, machine_output, tables
from cscart_pipelines.cli.support.arguments import Csv, Json
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.dbt_project import PROJECT_DIR, dbt_executable
from cscart_pipelines.local_postgres.programs import find_program
from cscart_pipelines.warehouse.statement import StatementError, run_statement

SHOWN = 1000
"""Rows of a query that a terminal shows."""


def sql(
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY",
            help="One statement; without it psql opens, or --json and --csv read it from stdin.",
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Allow changes; without it the session only reads.")
    ] = False,
    as_csv: Csv = False,
    as_json: Json = False,
) -> None:
    """Query the warehouse with SQL.

    The tables, such as analytics.segments and analytics.orders, are described in docs/analysts.md.
    """
    if query is None and (as_json or as_csv):  # the query of a script comes from standard input
        query = sys.stdin.read()
    with opened() as app:
        if query is None:
            _open_psql(app.warehouse.connection_arguments())
            return
        try:
            result = run_statement(app.warehouse, query, write=write)
        except StatementError as error:
            raise exit_codes.CommandError(
                f"PostgreSQL says: {error}", exit_codes.WRONG_USAGE
            ) from None
    if result.columns is None:
        console.out.print(result.status)
        return
    names, rows = result.columns, result.rows
    if as_json:
        machine_output.print_json(rows)
        return
    if as_csv:
        machine_output.print_csv(names, rows)
        return
    columns = [formats.plain(name) for name in names]
    table = tables.table(
        *((column, "right") if name in result.numeric else column
          for column, name in zip(columns, names, strict=True))
    )  # fmt: skip
    shown = rows if console.out.width >= console.WIDE else rows[:SHOWN]
    for row in shown:
        table.add_row(*map(_cell, row.values()))
    tables.show(table)
    console.note(
        f"[dim]{formats.count(len(rows), 'row')}"
        f"{f', the first {SHOWN:,} shown; --csv prints all' * (len(rows) > len(shown))}[/]"
    )


def _cell(value: Any) -> str:
    if value is None:
        return "[dim]NULL[/]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return formats.plain(json.dumps(value, default=str, ensure_ascii=False))
    return formats.plain(value)


def _open_psql(arguments: dict[str, object]) -> None:
    psql = find_program("psql")
    if psql is None:
        raise exit_codes.CommandError(
            'psql is not installed; give the query instead: cscart-pipelines sql "SELECT …"',
            exit_codes.WRONG_USAGE,
        )
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
             "dbname": "PGDATABASE"}  # fmt: skip
    environment = {names[k]: str(v) for k, v in arguments.items() if k in names}
    code = subprocess.run([psql], env={**os.environ, **environment}, check=False).returncode
    raise typer.Exit(code)


def dbt(context: typer.Context) -> None:
    """Run a dbt command on the warehouse, as dbt build."""
    with opened() as app:
        app.store_contacts([one.key for one in app.registry.all()])
        code = subprocess.run(
            [dbt_executable(), *context.args],
            env={**os.environ, **app.warehouse.dbt_environment()},
            cwd=PROJECT_DIR,
            check=False,
        ).returncode
    raise typer.Exit(code)

"""`sql` and `dbt`: looking into the warehouse, and running dbt on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg.postgres import types

from cscart_pipelines.cli.integration.status import Csv, Json
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.cli.support.environment import PROJECT, opened
from cscart_pipelines.local_postgres.programs import find_program

SHOWN = 1000
"""Rows of a query that a terminal shows."""
NUMBERS = frozenset(
    types[name].oid for name in ("int2", "int4", "int8", "float4", "float8", "numeric", "oid")
)
"""PostgreSQL's types that are aligned to the right."""


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
    """Query the warehouse: analytics.segments, analytics.orders, …

    The tables are described in docs/analysts.md.
    """
    if query is None and (as_json or as_csv):  # a script's query comes in by the pipe
        query = sys.stdin.read()
    with opened() as premises:
        if query is None:
            _open_psql(premises.warehouse.connection_arguments())
            return
        with premises.warehouse.connect() as connection:
            connection.read_only = not write
            try:
                # Prepared, so that it is one statement: COMMIT; DELETE … would be two.
                cursor = connection.execute(query.encode(), prepare=not write)
            except psycopg.Error as error:
                raise exit_codes.CommandError(
                    f"PostgreSQL says: {' '.join(str(error).split())}", exit_codes.WRONG_USAGE
                ) from None
            if cursor.description is None:
                console.out.print(f"{cursor.statusmessage}")
                return
            names = _distinct([column.name for column in cursor.description])
            numbers = {
                name
                for name, column in zip(names, cursor.description, strict=True)
                if column.type_code in NUMBERS
            }
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
    if as_json:
        console.print_json(rows)
        return
    if as_csv:
        console.print_csv(names, rows)
        return
    columns = [console.plain(name) for name in names]
    table = console.table(
        *((column, "right") if name in numbers else column
          for column, name in zip(columns, names, strict=True))
    )  # fmt: skip
    shown = rows if console.out.width >= console.WIDE else rows[:SHOWN]
    for row in shown:
        table.add_row(*map(_cell, row.values()))
    console.show(table)
    console.note(
        f"[dim]{console.count(len(rows), 'row')}"
        f"{f', the first {SHOWN:,} shown; --csv prints all' * (len(rows) > len(shown))}[/]"
    )


def _distinct(names: list[str]) -> list[str]:
    """Columns of the same name are told apart: in JSON the last one would hide the others."""
    made: list[str] = []
    for name in names:
        number, distinct = 1, name
        while distinct in made or (number > 1 and distinct in names):
            number += 1
            distinct = f"{name}_{number}"
        made.append(distinct)
    return made


def _cell(value: Any) -> str:
    if value is None:
        return "[dim]NULL[/]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return console.plain(json.dumps(value, default=str, ensure_ascii=False))
    return console.plain(value)


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
    """Run any dbt command on the warehouse: dbt build, dbt test, …"""
    beside = Path(sys.executable).with_name("dbt")
    program = str(beside) if beside.exists() else "dbt"
    with opened() as premises:
        premises.store_contacts()
        code = subprocess.run(
            [program, *context.args],
            env={**os.environ, **premises.warehouse.dbt_environment()},
            cwd=PROJECT / "dbt_project",
            check=False,
        ).returncode
    raise typer.Exit(code)

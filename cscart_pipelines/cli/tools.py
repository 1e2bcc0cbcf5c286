"""`sql`, `dbt` and `doctor`: looking into the warehouse, running dbt on it, finding troubles."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg.postgres import types

from cscart_pipelines.cli import console, exits
from cscart_pipelines.cli.board import Csv, Json
from cscart_pipelines.cli.premises import PROJECT, dagster_environment, opened
from cscart_pipelines.settings import read_settings

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
                raise exits.CommandError(
                    f"PostgreSQL says: {' '.join(str(error).split())}", exits.WRONG_USAGE
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
    psql = shutil.which("psql")
    if psql is None:
        raise exits.CommandError(
            'psql is not installed; give the query instead: cscart-pipelines sql "SELECT …"',
            exits.WRONG_USAGE,
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


def doctor(as_json: Json = False) -> None:
    """Check this installation: versions, database, key, shops."""
    findings: list[dict[str, object]] = []

    def look(name: str, check: Callable[[], str]) -> None:
        try:
            findings.append({"check": name, "ok": True, "says": check()})
        except Exception as error:  # whatever is wrong is the finding
            findings.append(
                {"check": name, "ok": False, "says": str(error) or type(error).__name__}
            )

    settings = read_settings()
    look(
        "python", lambda: f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    look("packages", _packages)
    look("home", lambda: _home(settings.home))
    look("dagster home", lambda: dagster_environment(settings)["DAGSTER_HOME"])
    look("database", _database)
    look("secret key", _secret)
    look("integrations", _integrations)
    if as_json:
        console.print_json(findings)
    else:
        for finding in findings:
            mark = "[green]✓[/]" if finding["ok"] else "[red]✗[/]"
            console.out.print(f"{mark} {finding['check']:<13} {console.plain(finding['says'])}")
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(exits.RUN_FAILED)


def _packages() -> str:
    wanted = {"dagster": "1.13.27", "dagster-dbt": "0.29.27", "dagster-postgres": "0.29.27"}
    wrong = [
        f"{name} {importlib.metadata.version(name)} (expected {version})"
        for name, version in wanted.items()
        if importlib.metadata.version(name) != version
    ]
    if wrong:
        raise RuntimeError("these must be exactly: " + ", ".join(wrong))
    names = ("dagster", "dbt-core", "sqlalchemy", "psycopg")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def _home(home: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free / 2**30
    if free < 1:
        raise RuntimeError(f"{home}: only {free:.1f} GiB free")
    return f"{home}, {free:.0f} GiB free"


def _database() -> str:
    with opened() as premises, premises.warehouse.connect(autocommit=True) as connection:
        version = connection.info.server_version
        kind = "embedded" if premises.settings.embedded else "by URL"
        row = connection.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        size = (row.fetchone() or ["?"])[0]
        where = premises.warehouse.url.render_as_string(hide_password=True)
        return f"PostgreSQL {version // 10000}.{version % 10000} {kind}, {size}, {where}"


def _secret() -> str:
    from cscart_pipelines.integrations.secrets import KEY_FILE, sealer

    settings = read_settings()
    sealer(settings)
    return "from the environment" if settings.secret_key else f"{settings.home / KEY_FILE}"


def _integrations() -> str:
    with opened() as premises:
        known = premises.registry.all()
        for one in known:
            premises.registry.api_key(one.key)
    counts: dict[str, int] = {}
    for one in known:
        counts[str(one.status)] = counts.get(str(one.status), 0) + 1
    return ", ".join(f"{count} {status}" for status, count in counts.items()) or "none yet"

"""One SQL statement of a person at the terminal, and its rows as they can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.postgres import types

from cscart_pipelines.warehouse.connect import Warehouse

NUMBERS = frozenset(
    types[name].oid for name in ("int2", "int4", "int8", "float4", "float8", "numeric", "oid")
)
"""PostgreSQL's types of numbers, which are aligned to the right."""


class StatementError(ValueError):
    """PostgreSQL refuses the statement; the message is PostgreSQL's, on one line."""


@dataclass(frozen=True)
class StatementResult:
    """Rows of a statement, or the tag of one that returns none (`UPDATE 3`)."""

    status: str
    columns: tuple[str, ...] | None = None
    """Distinct names; None for a statement that returns no rows."""
    numeric: frozenset[str] = frozenset()
    """The columns that hold numbers."""
    rows: Sequence[dict[str, Any]] = ()


def run_statement(warehouse: Warehouse, text: str, *, write: bool) -> StatementResult:
    """Runs one statement in a transaction of its own.

    Args:
        warehouse: Where it runs.
        text: The statement.
        write: False makes the session read-only, and refuses several statements in one text:
            `COMMIT; DELETE …` would leave the read-only transaction.

    Raises:
        StatementError: PostgreSQL refuses it, or a value of a row cannot be shown.
    """
    with warehouse.open_session() as connection:
        connection.read_only = not write
        try:
            cursor = connection.execute(text.encode(), prepare=not write)
        except psycopg.Error as error:
            raise StatementError(" ".join(str(error).split())) from None
        status = cursor.statusmessage or ""
        if cursor.description is None:
            return StatementResult(status)
        names = _distinct([column.name for column in cursor.description])
        numeric = frozenset(
            name
            for name, column in zip(names, cursor.description, strict=True)
            if column.type_code in NUMBERS
        )
        try:
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        except psycopg.DataError as error:  # a time before the year 1 or after 9999
            message = f"{error}; cast the column to text"
            raise StatementError(message) from None
    return StatementResult(status, tuple(names), numeric, rows)


def _distinct(names: list[str]) -> list[str]:
    """Makes the names of columns distinct: in JSON the last of one name would hide the others."""
    made: list[str] = []
    for name in names:
        number, distinct = 1, name
        while distinct in made or (number > 1 and distinct in names):
            number += 1
            distinct = f"{name}_{number}"
        made.append(distinct)
    return made

"""Row handlers: raw rows of a page are parsed and compared at once, loaded with their chunk.

Not here: reading pages (`list_reader`), the handlers of orders (`orders.reader`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Table

from cscart_pipelines.cscart.coerce import UnreadableRowError, integer
from cscart_pipelines.cscart.records.content_hash import content_hash
from cscart_pipelines.warehouse.load import Changes, Loader

RawRow = dict[str, Any]


@dataclass
class PreparedRows:
    """Rows ready to be loaded."""

    rows: list[Any] = field(default_factory=list)
    """In the form that the handler's `load` takes."""
    ids: list[int] = field(default_factory=list)
    """Of all rows that the shop has, readable or not."""
    rejects: list[tuple[str, str]] = field(default_factory=list)
    """(key, reason)"""

    def add(self, other: PreparedRows) -> None:
        """Appends the rows of another page."""
        self.rows += other.rows
        self.ids += other.ids
        self.rejects += other.rejects


@dataclass(frozen=True)
class RowHandler:
    """How the raw rows of one list are prepared and loaded."""

    prepare: Callable[[list[RawRow]], PreparedRows]
    """Runs outside any transaction; may read more from the shop."""
    load: Callable[[list[Any]], Changes]
    """Runs within the transaction of the chunk; uses only the warehouse."""
    compares: bool = False
    """`prepare` reads the warehouse, through the connection that loads."""


def parse_rows(
    rows: list[RawRow], id_field: str, parse: Callable[[RawRow], tuple[int, Any]]
) -> PreparedRows:
    """Parses the rows of a page; those that cannot be read become rejects with the reason.

    Args:
        rows: As the shop sent them.
        id_field: The name of their id.
        parse: Returns (id, what to load) of a row; raises UnreadableRowError.
    """
    prepared = PreparedRows()
    for raw in rows:
        try:
            key, row = parse(raw)
        except UnreadableRowError as error:
            known = integer(raw.get(id_field))
            # Only a number is stored as the key: any other value may be personal data.
            prepared.rejects.append(("unknown" if known is None else str(known), str(error)))
            if known is not None:
                prepared.ids.append(known)
            continue
        prepared.ids.append(key)
        prepared.rows.append(row)
    return prepared


def plain_handler(
    loader: Loader, table: Table, parse: Callable[[RawRow], tuple[Any, ...]], id_field: str
) -> RowHandler:
    """Returns the handler of an entity whose rows stand alone; the id is the first column."""

    def read(raw: RawRow) -> tuple[int, Any]:
        row = parse(raw)
        return row[0], (*row, content_hash(row))

    return RowHandler(
        prepare=lambda rows: parse_rows(rows, id_field, read),
        load=lambda rows: loader.merge(table, rows),
    )


def only(
    handler: RowHandler, id_field: str, takes: Callable[[RawRow], bool], outside: set[int]
) -> RowHandler:
    """Returns a handler without the rows that the integration does not take.

    They are neither loaded nor count as seen. Their ids are added to `outside`, since the shop may
    count them.
    """

    def prepare(rows: list[RawRow]) -> PreparedRows:
        taken = []
        for raw in rows:
            if takes(raw):
                taken.append(raw)
            elif (number := integer(raw.get(id_field))) is not None:
                outside.add(number)
        return handler.prepare(taken)

    return replace(handler, prepare=prepare)

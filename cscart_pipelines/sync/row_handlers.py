"""What is made of the raw rows of a page: parsed and compared at once, loaded with their chunk.

Not here: reading pages (`list_reader`), consumers of orders (`orders.reader`).
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
    """As the consumer's `load` takes them."""
    ids: list[int] = field(default_factory=list)
    """What the shop has, whether it could be read or not."""
    rejects: list[tuple[str, str]] = field(default_factory=list)
    """(key, reason)"""

    def add(self, other: PreparedRows) -> None:
        self.rows += other.rows
        self.ids += other.ids
        self.rejects += other.rejects


@dataclass(frozen=True)
class RowHandler:
    """What becomes of raw rows."""

    prepare: Callable[[list[RawRow]], PreparedRows]
    """Outside any transaction: may ask the shop for more."""
    load: Callable[[list[Any]], Changes]
    """Within the transaction of the chunk: only the warehouse."""
    compares: bool = False
    """`prepare` looks into the warehouse."""


def parse_rows(
    rows: list[RawRow], id_field: str, parse: Callable[[RawRow], tuple[int, Any]]
) -> PreparedRows:
    """`parse` gives (id, what to load); rows it cannot read are set aside with the reason."""
    prepared = PreparedRows()
    for raw in rows:
        try:
            key, row = parse(raw)
        except UnreadableRowError as error:
            known = integer(raw.get(id_field))
            # Only a number is repeated: whatever else stands there may be anything.
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
    """For entities whose rows stand alone; the id is the first column."""

    def read(raw: RawRow) -> tuple[int, Any]:
        row = parse(raw)
        return row[0], (*row, content_hash(row))

    return RowHandler(
        prepare=lambda rows: parse_rows(rows, id_field, read),
        load=lambda rows: loader.merge(table, rows),
    )


def only(
    consumer: RowHandler, id_field: str, takes: Callable[[RawRow], bool], outside: set[int]
) -> RowHandler:
    """The same, without the rows that the integration does not take: neither loaded nor seen.

    Their ids are added to `outside`, since the shop may count them.
    """

    def prepare(rows: list[RawRow]) -> PreparedRows:
        taken = []
        for raw in rows:
            if takes(raw):
                taken.append(raw)
            elif (number := integer(raw.get(id_field))) is not None:
                outside.add(number)
        return consumer.prepare(taken)

    return replace(consumer, prepare=prepare)

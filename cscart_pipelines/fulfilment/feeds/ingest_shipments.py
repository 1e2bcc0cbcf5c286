"""Stores the shipment rows of a feed: each is new, known, a correction, or too late.

A known row changes nothing, unless it was refused: then it is tried again. A correction replaces a
row that was not pushed yet. Inside the caller's transaction, one feed of an integration at a time
(`ingest` ensures both).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cscart_pipelines.cscart.quantities import shown
from cscart_pipelines.fulfilment.feeds.duplicates import (
    Key,
    shipment_content,
    shipment_key,
    target_of,
)
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.report import RefusedRow

CORRECTABLE_STATES = ("waiting", "refused")
_STAGED = (
    "order_number", "tracking_number", "sku", "quantity", "carrier", "tracking_url", "shipped_at",
    "source",
)  # fmt: skip


@dataclass
class IngestedShipments:
    """Counts of rows that were stored or known, and the refusals of the others."""

    taken: int = 0
    known: int = 0
    refusals: list[RefusedRow] = field(default_factory=list)


@dataclass(frozen=True)
class _Known:
    """A row of the inbox."""

    row: ShipmentRow
    state: str


def ingest_shipment_rows(
    connection: psycopg.Connection[Any], integration: str, rows: Sequence[ShipmentRow]
) -> IngestedShipments:
    """Stores rows in the inbox; their keys are unique (`duplicates`)."""
    ingested = IngestedShipments()
    pending = list(rows)
    while pending:
        inbox = _known_rows(connection, integration, pending)
        new: list[ShipmentRow] = []
        corrections: list[tuple[ShipmentRow, ShipmentRow]] = []
        for row in pending:
            known = inbox.get(shipment_key(row))
            if known is None:
                new.append(row)
            elif known.state != "refused" and _alike(known.row, row):
                ingested.known += 1
            elif known.state in CORRECTABLE_STATES:
                corrections.append((known.row, row))
            else:
                ingested.refusals.append(_refuse_correction(row, known.row))
        _correct(connection, integration, corrections)
        inserted = _insert(connection, integration, new)
        ingested.taken += len(corrections) + len(inserted)
        # A row that another process inserted in between is known now: read again.
        pending = [row for row in new if _primary_key(row) not in inserted]
    return ingested


def _alike(one: ShipmentRow, other: ShipmentRow) -> bool:
    return shipment_content(one) == shipment_content(other)


def _known_rows(
    connection: psycopg.Connection[Any], integration: str, rows: Iterable[ShipmentRow]
) -> dict[Key, _Known]:
    """Returns the inbox's rows of these orders, locked until the transaction ends.

    Order numbers are looked up in the spellings that occur (as sent, upper and lower case), so that
    the table's key is used. If the inbox has one parcel in two spellings, the row that went
    furthest counts.
    """
    numbers = {row.order_number for row in rows}
    spellings = numbers | {n.upper() for n in numbers} | {n.lower() for n in numbers}
    found = connection.cursor(row_factory=dict_row).execute(
        """
        SELECT known.order_number, known.tracking_number, known.sku, known.quantity, known.carrier,
               known.tracking_url, known.shipped_at, known.source, known.state
        FROM unnest(%s::text[]) AS wanted (order_number)
        JOIN fulfilment.shipments AS known
          ON known.integration = %s AND known.order_number = wanted.order_number
        ORDER BY known.order_number, known.tracking_number, known.sku
        FOR UPDATE OF known
        """,
        [sorted(spellings), integration],
    )
    furthest = ("refused", "waiting", "taken", "done").index
    inbox: dict[Key, _Known] = {}
    for values in found:
        state = values.pop("state")
        known = _Known(ShipmentRow(**values), state)
        key = shipment_key(known.row)
        if key not in inbox or furthest(state) > furthest(inbox[key].state):
            inbox[key] = known
    return inbox


def _insert(
    connection: psycopg.Connection[Any], integration: str, rows: Sequence[ShipmentRow]
) -> set[tuple[str, ...]]:
    """Returns the keys of the rows that were inserted."""
    if not rows:
        return set()
    connection.execute("DROP TABLE IF EXISTS pg_temp.stage_shipments")
    connection.execute(
        "CREATE TEMP TABLE stage_shipments ON COMMIT DROP AS SELECT order_number, tracking_number,"
        " sku, quantity, carrier, tracking_url, shipped_at, source"
        " FROM fulfilment.shipments WITH NO DATA"
    )
    columns = ", ".join(_STAGED)
    with connection.cursor().copy(f"COPY stage_shipments ({columns}) FROM STDIN") as stream:
        for row in rows:
            stream.write_row([getattr(row, name) for name in _STAGED])
    inserted = connection.execute(
        f"INSERT INTO fulfilment.shipments (integration, {columns})"  # noqa: S608 (constants)
        f" SELECT %s, {columns} FROM stage_shipments ORDER BY order_number, tracking_number, sku"
        " ON CONFLICT (integration, order_number, tracking_number, sku) DO NOTHING"
        " RETURNING order_number, tracking_number, sku",
        [integration],
    )
    return {tuple(each) for each in inserted}


def _correct(
    connection: psycopg.Connection[Any],
    integration: str,
    corrections: Sequence[tuple[ShipmentRow, ShipmentRow]],
) -> None:
    """Updates a row, which keeps the spelling of its key and waits for a push again."""
    connection.cursor().executemany(
        "UPDATE fulfilment.shipments SET quantity = %s, carrier = %s, tracking_url = %s,"
        " shipped_at = %s, source = %s, received_at = now(), state = 'waiting', reason = NULL,"
        " journal_id = NULL, settled_at = NULL"
        " WHERE integration = %s AND order_number = %s AND tracking_number = %s AND sku = %s",
        [
            [*shipment_content(new), new.source, integration, *_primary_key(old)]
            for old, new in corrections
        ],
    )


def _primary_key(row: ShipmentRow) -> tuple[str, str, str]:
    return row.order_number, row.tracking_number, row.sku


def _refuse_correction(row: ShipmentRow, known: ShipmentRow) -> RefusedRow:
    """Returns the refusal of a correction: a file cannot undo what was pushed."""
    names = ("quantity", "carrier", "tracking_url", "shipped_at")
    differing = [name for name in names if getattr(row, name) != getattr(known, name)]
    differences = ", ".join(f"{name} {_shown(getattr(known, name))}" for name in differing)
    return RefusedRow(target_of(row), f"already sent with {differences}", row.source)


def _shown(value: Any) -> str:
    if isinstance(value, Decimal):
        return shown(value)
    return "empty" if value is None else str(value)[:200]

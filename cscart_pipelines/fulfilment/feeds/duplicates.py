"""Comparison of the rows of a feed: duplicates, contradictions, newer and older counts. Pure.

Also which shipment rows are the same line of the same parcel, for a file and the inbox alike. Not
here: rows against the inbox (`ingest_shipments`, `ingest_stock`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from typing import TypeVar

from cscart_pipelines.fulfilment.feeds.time_fields import EARLIEST
from cscart_pipelines.fulfilment.models import ShipmentRow, StockRow
from cscart_pipelines.fulfilment.report import RefusedRow
from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking

Row = TypeVar("Row", ShipmentRow, StockRow)
Key = tuple[str, ...]


def shipment_key(row: ShipmentRow) -> Key:
    """Returns one key for rows of the same line of the same parcel, however it is spelled."""
    return row.order_number.strip().casefold(), normalise_tracking(row.tracking_number), row.sku


def shipment_content(row: ShipmentRow) -> tuple[Hashable, ...]:
    """Returns the values of a row beside its key."""
    return row.quantity, row.carrier, row.tracking_url, row.shipped_at


def target_of(row: ShipmentRow | StockRow) -> str:
    """Returns the target that a refusal of the row names: order, parcel and SKU."""
    if isinstance(row, StockRow):
        return row.sku
    return " ".join(part for part in (row.order_number, row.tracking_number, row.sku) if part)


def keep_newest(rows: Sequence[StockRow]) -> tuple[list[StockRow], list[RefusedRow]]:
    """Keeps the newest count of each SKU; one without a time is the newest."""
    newest: dict[str, StockRow] = {}
    for row in rows:
        best = newest.get(row.sku)
        if best is None or _counted(row) > _counted(best):
            newest[row.sku] = row
    kept: list[StockRow] = []
    refusals: list[RefusedRow] = []
    for row in rows:
        best = newest[row.sku]
        if _counted(row) == _counted(best):
            kept.append(row)
        else:
            reason = f"older than {_line(best)}, which counts"
            refusals.append(RefusedRow(row.sku, reason, row.source))
    return kept, refusals


def drop_duplicates(
    rows: Sequence[Row],
    key_of: Callable[[Row], Key],
    content_of: Callable[[Row], tuple[Hashable, ...]],
) -> tuple[list[Row], list[RefusedRow]]:
    """Keeps one of equal rows, and none of rows that contradict each other.

    Args:
        rows: of a file.
        key_of: rows with one key are compared.
        content_of: their values beside the key.

    Returns:
        The rows to keep, and the refusals of the others.
    """
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(key_of(row), []).append(row)
    kept: list[Row] = []
    refusals: list[RefusedRow] = []
    for same in groups.values():
        first = same[0]
        odd = next((row for row in same if content_of(row) != content_of(first)), None)
        if odd is None:
            kept.append(first)
            reason = f"a duplicate: says the same as {_line(first)}, which was read"
            refusals += [RefusedRow(target_of(row), reason, row.source) for row in same[1:]]
            continue
        for row in same:
            other = odd if content_of(row) == content_of(first) else first
            reason = f"contradicts {_line(other)}; neither was taken"
            refusals.append(RefusedRow(target_of(row), reason, row.source))
    return kept, refusals


def _counted(row: StockRow) -> tuple[bool, datetime]:
    return row.as_of is None, row.as_of or EARLIEST


def _line(row: ShipmentRow | StockRow) -> str:
    return "line " + (row.source or "").rpartition(":")[2]

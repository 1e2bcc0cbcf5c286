"""Files of shipments and stock levels, from bytes to rows and refusals (docs/contract.md). Pure.

A file is read the same at any time. Here are the columns of each kind. Not here: lines (`text`),
records (`csv_reader`, `json_reader`), cells (`fields` and the modules named `…_field`), rows
against each other (`duplicates`), and the inbox (`ingest`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePath
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from cscart_pipelines.fulfilment.feeds.csv_reader import Cells, Record, read_csv
from cscart_pipelines.fulfilment.feeds.duplicates import (
    drop_duplicates,
    keep_newest,
    shipment_content,
    shipment_key,
    target_of,
)
from cscart_pipelines.fulfilment.feeds.fields import (
    RefusedValueError,
    required_text,
    text_value,
    tracking_url,
)
from cscart_pipelines.fulfilment.feeds.json_reader import looks_like_json, read_json
from cscart_pipelines.fulfilment.feeds.quantity_field import quantity
from cscart_pipelines.fulfilment.feeds.text import UnreadableFileError, lines_of, printable
from cscart_pipelines.fulfilment.feeds.time_fields import is_month_first, timestamp
from cscart_pipelines.fulfilment.feeds.tracking_field import (
    rounded_numbers,
    rounded_reason,
    tracking_number,
)
from cscart_pipelines.fulfilment.models import ShipmentRow, SkuRow, StockRow
from cscart_pipelines.fulfilment.report import RefusedRow

__all__ = ["Parsed", "UnreadableFileError", "read_shipments", "read_skus", "read_stock"]

SHIPMENT_COLUMNS = (
    "order_number", "tracking_number", "carrier", "tracking_url", "shipped_at", "sku", "quantity",
)  # fmt: skip
STOCK_COLUMNS = ("sku", "quantity", "as_of")
SKU_COLUMNS = ("sku", "product_code")
DATES = ("shipped_at", "as_of")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_MISNAMED = {
    "sku": re.compile(
        r"skus?|(?:line)?items?|articles?|artikel\w*|products?|produkte?|artículos?|articulos?"
        r"|productos?|articoli|articolo|prodott[oi]|produits?|producten|ean(?:13)?|gtin|upc|barcode"
        r"|(?:order)?lines|contents|προϊόν|προϊόντα|είδος|είδη"
    ),
    "quantity": re.compile(
        r"qtys?|quantity|quantities|pieces|pcs|units|menge|anzahl|stück|stueck|quantités?|quantites?"
        r"|cantidad|quantità|quantita|aantal|ποσότητα|τεμάχια"
    ),
}
"""What other programs call these columns of shipments: whole words of a name."""

Row = TypeVar("Row", ShipmentRow, StockRow, SkuRow)


@dataclass
class Parsed(Generic[Row]):
    """The content of a file: every row of it is in `rows` or `refusals`."""

    rows: list[Row]
    refusals: list[RefusedRow]
    notes: list[str] = field(default_factory=list)
    """Findings about the whole file: columns that are not read."""
    lines: Sequence[str] = ()
    """The lines of the file, for `original`."""
    ends: dict[int, int] = field(default_factory=dict)
    """First line to last line, of the records that have several."""

    def original(self, source: str | None) -> str:
        """Returns the text of the file at a `source` (name:line)."""
        number = (source or "").rpartition(":")[2]
        if not number.isdecimal() or not 0 < int(number) <= len(self.lines):
            return ""
        first = int(number)
        return "\n".join(self.lines[first - 1 : self.ends.get(first, first)])


def read_shipments(
    data: bytes, name: str, zone: ZoneInfo, *, now: datetime | None = None
) -> Parsed[ShipmentRow]:
    """Reads shipment requests.

    Args:
        data: of the file.
        name: of the file, for `source`.
        zone: of times without an offset.
        now: times more than a day after it are refused.

    Raises:
        UnreadableFileError: nothing can be read of the file.
    """
    latest = now or datetime.now(UTC)

    def row_of(cells: Cells, source: str) -> ShipmentRow:
        sku = text_value(cells.get("sku", ""), "sku")
        pieces = quantity(cells.get("quantity", ""))
        if pieces is not None and not sku:
            raise RefusedValueError(
                "has a quantity and no sku; name the sku, or leave both empty for all that is left"
            )
        return ShipmentRow(
            order_number=required_text(cells.get("order_number", ""), "order_number"),
            tracking_number=tracking_number(cells.get("tracking_number", "")),
            sku=sku,
            quantity=pieces,
            carrier=text_value(cells.get("carrier", ""), "carrier") or None,
            tracking_url=tracking_url(cells.get("tracking_url", "")),
            shipped_at=timestamp(cells.get("shipped_at", ""), "shipped_at", zone, latest),
            source=source,
        )

    parsed = _read(
        data,
        name,
        SHIPMENT_COLUMNS,
        ("order_number", "tracking_number"),
        row_of,
        target_of_cells,
        _misnamed,
    )
    _refuse_rounded(parsed)
    parsed.rows, repeats = drop_duplicates(parsed.rows, shipment_key, shipment_content)
    parsed.refusals += repeats
    return parsed


def read_stock(
    data: bytes,
    name: str,
    zone: ZoneInfo,
    *,
    now: datetime | None = None,
    as_of: datetime | None = None,
) -> Parsed[StockRow]:
    """Reads stock levels.

    Args:
        data: of the file.
        name: of the file, for `source`.
        zone: of times without an offset.
        now: times more than a day after it are refused.
        as_of: of rows without one: the time of the file, so that a file that is ingested twice has
            the same rows.

    Raises:
        UnreadableFileError: nothing can be read of the file.
    """
    latest = now or datetime.now(UTC)

    def row_of(cells: Cells, source: str) -> StockRow:
        sku = required_text(cells.get("sku", ""), "sku")
        if (on_hand := quantity(cells.get("quantity", ""), below_zero=True)) is None:
            raise RefusedValueError("quantity is empty")
        counted_at = timestamp(cells.get("as_of", ""), "as_of", zone, latest)
        return StockRow(sku, on_hand, counted_at or as_of, source)

    parsed = _read(data, name, STOCK_COLUMNS, ("sku", "quantity"), row_of, target_of_cells)
    rows, older = keep_newest(parsed.rows)
    parsed.rows, repeats = drop_duplicates(
        rows, lambda row: (row.sku,), lambda row: (row.quantity,)
    )
    parsed.refusals += [*older, *repeats]
    if oversold := [f"{row.sku} ({row.quantity:f})" for row in parsed.rows if _is_oversold(row)]:
        more = f" and {len(oversold) - 20} more" if len(oversold) > 20 else ""
        parsed.notes.append(
            "below zero, sold before it came in, so the shop shows none:"
            f" {', '.join(oversold[:20])}{more}"
        )
    return parsed


def read_skus(data: bytes, name: str) -> Parsed[SkuRow]:
    """Reads rows of SKU and product code. Raises UnreadableFileError."""

    def row_of(cells: Cells, source: str) -> SkuRow:
        sku = required_text(cells.get("sku", ""), "sku")
        return SkuRow(sku, required_text(cells.get("product_code", ""), "product_code"))

    return _read(data, name, SKU_COLUMNS, SKU_COLUMNS, row_of, target_of_cells)


def target_of_cells(cells: Cells, line: int) -> str:
    """Returns what a refusal names, for a row that could not be made."""
    parts = [str(cells.get(name, "")) for name in ("order_number", "tracking_number", "sku")]
    text = " ".join(" ".join(parts).split())
    return printable(text)[:120] or f"line {line}"


def _read(
    data: bytes,
    name: str,
    columns: Sequence[str],
    required: Sequence[str],
    row_of: Callable[[Cells, str], Row],
    target: Callable[[Cells, int], str],
    misnamed: Callable[[Record], str | None] | None = None,
) -> Parsed[Row]:
    name = printable(name)
    lines = lines_of(data)
    unknown: set[str] = set()
    parsed: Parsed[Row] = Parsed([], [], lines=lines)
    for record in _records(name, lines, columns, required, unknown):
        if record.last_line > record.line:
            parsed.ends[record.line] = record.last_line
        source = f"{name}:{record.line}"
        try:
            if record.problem is not None:
                raise RefusedValueError(record.problem)
            _check_dates(record)
            if misnamed and (why := misnamed(record)):
                raise UnreadableFileError(f"line {record.line}: {why}")
            parsed.rows.append(row_of(record.cells, source))
        except RefusedValueError as error:
            target_name = target(record.cells, record.line)
            parsed.refusals.append(RefusedRow(target_name, str(error), source))
    if unknown:
        listed = sorted(unknown)
        more = f" and {len(listed) - 20} more" if len(listed) > 20 else ""
        parsed.notes.append(f"columns that are not read: {', '.join(listed[:20])}{more}")
    return parsed


def _misnamed(record: Record) -> str | None:
    """Returns why a row of shipments cannot be read without a column of another name.

    Without SKU a row ships all that is left of its order, without quantity all that is left of its
    SKU: `qty` must not be passed over like `weight`.
    """
    if not record.unread:
        return None
    for missing in (column for column in _MISNAMED if column not in record.cells):
        for name in record.unread:
            if _means(missing, name):
                return (
                    f"it has no {missing}, and {name} is not read: without a {missing} all that is"
                    f" left would be shipped; rename it to {missing}, or leave it out"
                )
    return None


@lru_cache(maxsize=1024)  # the same names in every row
def _means(column: str, name: str) -> bool:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").casefold()
    return any(_MISNAMED[column].fullmatch(word) for word in re.findall(r"\w+", words))


def _check_dates(record: Record) -> None:
    """Refuses the file if one date can only be month before day: the others would be a guess."""
    for column in DATES:
        if is_month_first(cell := record.cells.get(column, "")):
            raise UnreadableFileError(
                f"line {record.line}: {column} {printable(str(cell).strip())[:40]} has the month"
                " first, so what the other dates of the file mean would be a guess; write dates as"
                " 2024-01-31 or 31/01/2024"
            )


def _refuse_rounded(parsed: Parsed[ShipmentRow]) -> None:
    """Refuses tracking numbers that are seen to be rounded only beside the others of the file."""
    numbers = rounded_numbers(row.tracking_number for row in parsed.rows)
    for row in parsed.rows:
        if row.tracking_number in numbers:
            reason = rounded_reason(row.tracking_number)
            parsed.refusals.append(RefusedRow(target_of(row), reason, row.source))
    parsed.rows = [row for row in parsed.rows if row.tracking_number not in numbers]


def _is_oversold(row: StockRow) -> bool:
    return row.quantity is not None and row.quantity < 0


def _records(
    name: str,
    lines: Sequence[str],
    columns: Sequence[str],
    required: Sequence[str],
    unknown: set[str],
) -> Iterator[Record]:
    suffix = PurePath(name).suffix.lower()
    if suffix in JSON_SUFFIXES or (suffix != ".csv" and looks_like_json(lines)):
        return read_json(lines, columns, unknown)
    return read_csv(lines, columns, required, unknown)

"""Stores the stock levels of a feed: each is newer than the inbox's, known, or older.

Decided by the database in a few statements, however many rows there are. Inside the caller's
transaction, one feed of an integration at a time (`ingest` ensures both).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from cscart_pipelines.cscart.quantities import shown
from cscart_pipelines.fulfilment.models import StockRow
from cscart_pipelines.fulfilment.report import RefusedRow


@dataclass
class IngestedStock:
    """The outcome of the levels of a feed.

    Attributes:
        newest: the latest as_of of the feed.
        held: why nothing of it entered the inbox.
    """

    taken: int = 0
    known: int = 0
    refusals: list[RefusedRow] = field(default_factory=list)
    newest: datetime | None = None
    held: str | None = None


def ingest_stock_levels(
    connection: psycopg.Connection[Any], integration: str, feed_id: int, rows: Sequence[StockRow]
) -> IngestedStock:
    """Stores levels in the inbox; their SKUs are unique (`duplicates`)."""
    if not rows:
        return IngestedStock(held="the feed has no row; an empty list of stock is not applied")
    # Read after the lock: of two feeds at once, the one that waited is the later one.
    now, last = _now_and_last(connection, integration)
    newest = max(row.as_of or now for row in rows)
    if last is not None and newest < last:
        return IngestedStock(
            newest=newest,
            held=f"the feed is older ({newest.isoformat()}) than the last one ({last.isoformat()})",
        )
    _stage(connection, rows, now)
    taken = connection.execute(_MERGE, {"key": integration, "feed": feed_id}).fetchone()
    assert taken is not None
    refusals = [
        RefusedRow(
            sku,
            f"older than what is known (counted {known_as_of.isoformat()}):"
            f" {'none' if quantity is None else shown(quantity)}",
            source,
        )
        for sku, quantity, known_as_of, source in connection.execute(_OLDER, [integration])
    ]
    known = len(rows) - taken[0] - len(refusals)
    return IngestedStock(taken[0], known, refusals, newest)


def _now_and_last(
    connection: psycopg.Connection[Any], integration: str
) -> tuple[datetime, datetime | None]:
    row = connection.execute(
        "SELECT clock_timestamp(), (SELECT max(newest_as_of) FROM fulfilment.feeds"
        " WHERE integration = %s AND kind = 'stock' AND state IN ('taken', 'released'))",
        [integration],
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _stage(connection: psycopg.Connection[Any], rows: Sequence[StockRow], now: datetime) -> None:
    connection.execute("DROP TABLE IF EXISTS pg_temp.stage_stock")
    connection.execute(
        "CREATE TEMP TABLE stage_stock (sku text, quantity numeric, as_of timestamptz, source text)"
        " ON COMMIT DROP"
    )
    copy = "COPY stage_stock (sku, quantity, as_of, source) FROM STDIN"
    with connection.cursor().copy(copy) as stream:
        for row in rows:
            stream.write_row([row.sku, row.quantity, row.as_of or now, row.source])
    connection.execute("ANALYZE stage_stock")


# What is counted at the same moment and differs is a correction: with times that are only days,
# the feed that came last is right. What was refused is tried again when it is sent again.
_MERGE = """
WITH merged AS (
    INSERT INTO fulfilment.stock_levels AS known
        (integration, sku, quantity, as_of, source, feed_id)
    SELECT %(key)s, sku, quantity, as_of, source, %(feed)s FROM stage_stock ORDER BY sku
    ON CONFLICT (integration, sku) DO UPDATE SET quantity = excluded.quantity,
        as_of = excluded.as_of, source = excluded.source, feed_id = excluded.feed_id,
        state = 'waiting', reason = NULL, journal_id = NULL, settled_at = NULL
    WHERE excluded.as_of > known.as_of
       OR (excluded.as_of = known.as_of
           AND (excluded.quantity IS DISTINCT FROM known.quantity OR known.state = 'refused'))
    RETURNING 1
)
SELECT count(*) FROM merged
"""

# The merge has locked every row it met, so this sees what it saw.
_OLDER = """
SELECT known.sku, known.quantity, known.as_of, stage.source
FROM stage_stock AS stage
JOIN fulfilment.stock_levels AS known ON known.integration = %s AND known.sku = stage.sku
WHERE known.as_of > stage.as_of
"""

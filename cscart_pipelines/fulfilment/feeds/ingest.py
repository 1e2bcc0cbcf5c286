"""Stores the rows of a feed in the inbox, and a record of the feed, in one transaction.

The same rows may come again, in other files, in pieces, from two processes at once or after a kill:
the inbox is the same afterwards. Not here: single rows (`ingest_shipments`, `ingest_stock`),
reading files (`parse`), pushing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from cscart_pipelines.fulfilment.feeds.ingest_shipments import ingest_shipment_rows
from cscart_pipelines.fulfilment.feeds.ingest_stock import ingest_stock_levels
from cscart_pipelines.fulfilment.feeds.parse import Parsed
from cscart_pipelines.fulfilment.feeds.text import printable
from cscart_pipelines.fulfilment.report import RefusedRow
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock

FeedKind = Literal["shipments", "stock"]
FeedState = Literal["taken", "held", "refused"]
MAX_STORED_REFUSALS = 1000
"""Refusals stored of one feed; their number is stored in full."""
MAX_ATTEMPTS = 5


@dataclass(frozen=True)
class IngestResult:
    """The outcome of a feed.

    Attributes:
        feed_id: None if it could not even be recorded.
        taken: rows that entered the inbox or corrected one in it.
        known: rows that were in it already.
    """

    feed_id: int | None
    taken: int
    known: int
    refusals: list[RefusedRow]
    state: FeedState
    reason: str | None = None
    kind: str = ""
    source: str = ""
    notes: list[str] = field(default_factory=list)


def ingest(
    connection: psycopg.Connection[Any],
    integration_key: str,
    kind: FeedKind,
    source: str,
    parsed: Parsed[Any],
) -> IngestResult:
    """Stores a feed in the inbox, and records it whatever became of it.

    On a connection in autocommit mode everything is committed on return; otherwise within the
    caller's transaction.

    Args:
        connection: to the warehouse.
        integration_key: whose inbox.
        kind: shipments or stock.
        source: name of the file.
        parsed: its rows and refusals.

    Raises:
        psycopg.Error: nothing is stored then.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            with connection.transaction():
                return _ingest(connection, integration_key, kind, printable(source), parsed)
        except psycopg.errors.DeadlockDetected:
            # A push marked the same rows in another order; it has ended or goes on by now.
            if attempt == MAX_ATTEMPTS or not connection.autocommit:
                raise
    raise AssertionError("unreachable")


def record_unreadable(
    connection: psycopg.Connection[Any],
    integration_key: str,
    kind: FeedKind,
    source: str,
    reason: str,
) -> IngestResult:
    """Records a feed of which nothing could be read."""
    source = printable(source)
    with connection.transaction():
        feed_id = _open_feed(connection, integration_key, kind, source)
        result = IngestResult(feed_id, 0, 0, [], "refused", reason, kind, source)
        _close_feed(connection, result, None)
    return result


def _ingest(
    connection: psycopg.Connection[Any],
    key: str,
    kind: FeedKind,
    source: str,
    parsed: Parsed[Any],
) -> IngestResult:
    # One at a time: feeds are compared with the one before, and parcels by more than their key.
    advisory.lock(connection, Lock.FEED, key, kind)
    feed_id = _open_feed(connection, key, kind, source)
    state: FeedState = "taken"
    reason = newest = None
    taken, known = 0, 0
    refusals = list(parsed.refusals)
    notes = list(parsed.notes)
    if not parsed.rows and refusals:
        state, reason = "refused", "every row of it was refused"
    elif kind == "shipments":
        entered = ingest_shipment_rows(connection, key, parsed.rows)
        taken, known = entered.taken, entered.known
        refusals += entered.refusals
    else:
        stock = ingest_stock_levels(connection, key, feed_id, parsed.rows)
        taken, known, newest = stock.taken, stock.known, stock.newest
        refusals += stock.refusals
        if stock.held is not None:
            state, reason = "held", stock.held
    result = IngestResult(
        feed_id, taken, known, _in_order(refusals), state, reason, kind, source, notes
    )
    _close_feed(connection, result, newest)
    return result


def _open_feed(connection: psycopg.Connection[Any], key: str, kind: str, source: str) -> int:
    row = connection.execute(
        "INSERT INTO fulfilment.feeds"
        " (integration, kind, source, rows_taken, rows_known, rows_refused, state)"
        " VALUES (%s, %s, %s, 0, 0, 0, 'taken') RETURNING id",
        [key, kind, source],
    ).fetchone()
    assert row is not None
    return int(row[0])


def _close_feed(connection: psycopg.Connection[Any], result: IngestResult, newest: Any) -> None:
    refusals = [
        {"line": refusal.source, "target": refusal.target, "reason": refusal.reason}
        for refusal in result.refusals[:MAX_STORED_REFUSALS]
    ]
    connection.execute(
        "UPDATE fulfilment.feeds SET rows_taken = %s, rows_known = %s, rows_refused = %s,"
        " refusals = %s, newest_as_of = %s, state = %s, reason = %s WHERE id = %s",
        [
            result.taken, result.known, len(result.refusals), Jsonb(refusals), newest,
            result.state, result.reason, result.feed_id,
        ],
    )  # fmt: skip


def _in_order(refusals: Sequence[RefusedRow]) -> list[RefusedRow]:
    """Sorts refusals by the lines of the file."""

    def line(refusal: RefusedRow) -> int:
        number = (refusal.source or "").rpartition(":")[2]
        return int(number) if number.isdecimal() else 0

    return sorted(refusals, key=line)

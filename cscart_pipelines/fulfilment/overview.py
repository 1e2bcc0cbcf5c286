"""Reads of the inboxes, the feeds and the write journal for people, and the retry of refused rows.

Not here: taking and settling rows (`shipments.inbox`, `stock.inbox`), writing the journal
(`journal`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from psycopg.rows import dict_row

from cscart_pipelines.fulfilment.journal import Kind, State
from cscart_pipelines.warehouse.driver import Connection

Row = dict[str, Any]
InboxTable = Literal["shipments", "stock_levels"]

_TARGETS: dict[InboxTable, str] = {
    "shipments": "concat_ws(' ', order_number, tracking_number)",
    "stock_levels": "sku",
}


def inbox_counts(connection: Connection, integration: str, table: InboxTable) -> list[Row]:
    """state, rows and oldest (when its oldest row came in) of each state of an inbox."""
    return _rows(
        connection,
        "SELECT state, count(*) AS rows, min(received_at) AS oldest"  # noqa: S608 (constants)
        f" FROM fulfilment.{table} WHERE integration = %(key)s GROUP BY state",
        {"key": integration},
    )


def inbox_rows(
    connection: Connection, integration: str, table: InboxTable, limit: int
) -> list[Row]:
    """Rows of an inbox that are not done, refused ones last, then the newest first."""
    return _rows(
        connection,
        f"SELECT {_TARGETS[table]} AS target, sku, quantity, state, reason, source,"  # noqa: S608
        f" received_at, settled_at FROM fulfilment.{table} WHERE integration = %(key)s"
        " AND state <> 'done' ORDER BY state = 'refused', received_at DESC, target, sku"
        " LIMIT %(limit)s",
        {"key": integration, "limit": limit},
    )


def retry_refused(connection: Connection, integration: str) -> None:
    """Makes refused rows of both inboxes wait for the next push again."""
    with connection.transaction():
        for table in _TARGETS:
            connection.execute(
                f"UPDATE fulfilment.{table} SET state = 'waiting', reason = NULL,"  # noqa: S608
                " journal_id = NULL, settled_at = NULL"
                " WHERE integration = %s AND state = 'refused'",
                [integration],
            )


def last_feeds(connection: Connection, integration: str, limit: int = 10) -> list[Row]:
    """The last files that came in, the newest first, with what became of their rows."""
    return _rows(
        connection,
        "SELECT id, kind, source, received_at, rows_taken, rows_known, rows_refused, refusals,"
        " newest_as_of, state, reason FROM fulfilment.feeds WHERE integration = %(key)s"
        " ORDER BY id DESC LIMIT %(limit)s",
        {"key": integration, "limit": limit},
    )


def newest_feed(connection: Connection) -> int:
    """The number of the newest file of any integration; 0 before the first."""
    rows = _rows(connection, "SELECT coalesce(max(id), 0) AS id FROM fulfilment.feeds", {})
    return int(rows[0]["id"])


def feeds_after(connection: Connection, number: int) -> list[Row]:
    """Files of all integrations that came in after a number, in their order."""
    return _rows(
        connection,
        "SELECT id, integration, kind, source, state, rows_taken, rows_refused, reason"
        " FROM fulfilment.feeds WHERE id > %(last)s ORDER BY id",
        {"last": number},
    )


def journal_entries(
    connection: Connection,
    integration: str,
    *,
    run: str | None = None,
    order_id: int | None = None,
    sku: str | None = None,
    kind: Kind | None = None,
    state: State | None = None,
    limit: int,
) -> list[Row]:
    """Entries of the write journal, the newest first.

    Args:
        connection: any connection.
        integration: the shop.
        run: only of this run; the first letters of its id are enough.
        order_id: only of this order.
        sku: only of the stock of this SKU.
        kind: only of this kind.
        state: only in this state.
        limit: at most so many.
    """
    return _rows(
        connection,
        "SELECT id, kind, target, state, order_id, product_id, tracking, plan, before,"
        " after, reason, attempts, created_at, sent_at, finished_at, run_id"
        " FROM fulfilment.journal WHERE integration = %(key)s"
        " AND (%(run)s::text IS NULL OR starts_with(run_id, %(run)s))"
        " AND (%(order_id)s::bigint IS NULL OR order_id = %(order_id)s)"
        " AND (%(sku)s::text IS NULL OR kind = 'stock' AND target = %(sku)s)"
        " AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
        " AND (%(state)s::text IS NULL OR state = %(state)s)"
        " ORDER BY id DESC LIMIT %(limit)s",
        {"key": integration, "run": run, "order_id": order_id, "sku": sku, "kind": kind,
         "state": state, "limit": limit},
    )  # fmt: skip


def writes_finished_after(connection: Connection, moment: datetime) -> list[Row]:
    """Writes by integration, kind and state with an outcome after a moment, counted.

    `last` of each row is the moment to ask for the next time.
    """
    return _rows(
        connection,
        "SELECT integration, kind, state, count(*) AS writes, max(finished_at) AS last"
        " FROM fulfilment.journal WHERE finished_at > %(moment)s"
        " AND state IN ('verified', 'failed', 'ambiguous')"
        " GROUP BY integration, kind, state ORDER BY integration, kind, state",
        {"moment": moment},
    )


def last_cursors(connection: Connection, integration: str) -> tuple[int, int]:
    """The last position and change position that the export of orders has given out."""
    row = connection.execute(
        "SELECT coalesce(max(position), 0), coalesce(max(change_position), 0)"
        " FROM fulfilment.orders WHERE integration = %s",
        [integration],
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _rows(connection: Connection, query: str, values: Row) -> list[Row]:
    return connection.cursor(row_factory=dict_row).execute(query.encode(), values).fetchall()

"""Groups of batches into schema `onsite`: one COPY and a few statements, one transaction.

Every statement takes its rows in the order of their keys, so that two collectors do not deadlock,
or one tries again. A repeated event (same id and day, same order) changes nothing. Not here: when
to commit and what to do when that fails (`writer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from cscart_pipelines.onsite.collector.rows import COLUMNS, IDENTITY, PURCHASE, REJECTED, Payload

SESSION = (
    # Acknowledged means durable, whatever the server's default is.
    "SET synchronous_commit = on",
    # A table locked for longer (a partition being made) is like a warehouse that is away.
    "SET lock_timeout = '3s'",
    "SET statement_timeout = '8s'",
    "SET idle_in_transaction_session_timeout = '30s'",
    # The staging table is never analysed; an index is right for the few rows in it.
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET jit = off",
    """
    CREATE TEMP TABLE incoming (
        write_key TEXT, integration TEXT, rejected TEXT, received BIGINT, event_id TEXT, name TEXT,
        occurred BIGINT, client BIGINT, visitor_id TEXT, email_sha256 TEXT, email TEXT, page TEXT,
        referrer TEXT, items JSONB, order_id TEXT, term TEXT, source TEXT, address TEXT, device TEXT
    ) ON COMMIT DELETE ROWS
    """,
    """
    CREATE TEMP TABLE told (
        integration TEXT, event_id TEXT, name TEXT, occurred_at TIMESTAMPTZ, visitor_id TEXT,
        email_sha256 TEXT, order_id TEXT
    ) ON COMMIT DELETE ROWS
    """,
    """
    CREATE TEMP TABLE bought (integration TEXT, order_id TEXT, event_id TEXT, client BIGINT)
    ON COMMIT DELETE ROWS
    """,
)

_COPY = f"COPY incoming ({', '.join(COLUMNS)}) FROM STDIN"
_MOMENT = "('epoch'::timestamptz + {} * interval '1 millisecond')"

_DROP_REMOVED = """
DELETE FROM incoming AS i WHERE NOT EXISTS (
    SELECT FROM onsite.keys AS k JOIN registry.integrations AS r USING (integration)
    WHERE k.write_key = i.write_key AND k.integration = i.integration)
"""
"""Batches may have waited in the spool while their integration was removed."""

_UNNAME_ERASED = """
UPDATE incoming AS i SET email_sha256 = NULL, email = NULL
FROM registry.integrations AS r
JOIN registry.suppressed_people AS erased USING (integration)
WHERE r.integration = i.integration AND i.email_sha256 IS NOT NULL
  AND erased.identity_hash = substring(sha256(convert_to(
    'visitor ' || trim(BOTH '[]' FROM registry.host_of(r.url)) || ' ' || i.email_sha256, 'UTF8'
  )) FROM 1 FOR 16)
"""
"""An erased person's browser may tell the address again, or have told it while the batch waited in
the spool: the visitor is stored as one without an address (`privacy.suppression.visitor_hash`)."""

_PURCHASES = """
WITH earliest AS (
    SELECT DISTINCT ON (integration, order_id) integration, order_id, event_id, client
    FROM incoming WHERE name = 'purchase'
    ORDER BY integration, order_id, incoming.ctid
), fresh AS (
    INSERT INTO onsite.purchases (integration, order_id, event_id)
    SELECT integration, order_id, event_id FROM earliest
    ON CONFLICT DO NOTHING
    RETURNING integration, order_id
)
INSERT INTO bought
SELECT integration, order_id, event_id, client
FROM earliest JOIN fresh USING (integration, order_id)
"""
"""Only what was claimed by this very transaction is stored below, with the time of its first
telling: a completion page that is opened again on another day tells the same event with another
time, which would be another row, also where both tellings wait for the same transaction."""

_EVENTS = f"""
WITH fresh AS (
    INSERT INTO onsite.events (
        integration, event_id, day, name, occurred_at, client_at, received_at, visitor_id,
        email_sha256, email, page, referrer, items, order_id, term, source, address, device)
    SELECT integration, event_id, ({_MOMENT.format("client")} AT TIME ZONE 'UTC')::date, name,
        {_MOMENT.format("occurred")}, {_MOMENT.format("client")}, {_MOMENT.format("received")},
        visitor_id, email_sha256, email, page, referrer, items, order_id, term, source, address,
        device
    FROM incoming AS i
    WHERE rejected IS NULL AND (name <> 'purchase' OR EXISTS (
        SELECT FROM bought AS p
        WHERE p.integration = i.integration AND p.order_id = i.order_id
          AND p.event_id = i.event_id AND p.client = i.client))
    ORDER BY integration, event_id, client
    ON CONFLICT DO NOTHING
    RETURNING integration, event_id, name, occurred_at, visitor_id, email_sha256, order_id
), kept AS (
    INSERT INTO told SELECT * FROM fresh WHERE email_sha256 IS NOT NULL OR order_id IS NOT NULL
)
SELECT count(*) FROM fresh
"""  # noqa: S608 - made of constants

_VISITORS = """
INSERT INTO onsite.visitors AS known (integration, visitor_id, email_sha256, first_at, last_at)
SELECT integration, visitor_id, email_sha256, min(occurred_at), max(occurred_at)
FROM told WHERE email_sha256 IS NOT NULL
GROUP BY integration, visitor_id, email_sha256 ORDER BY integration, visitor_id, email_sha256
ON CONFLICT (integration, visitor_id, email_sha256) DO UPDATE SET
    first_at = least(known.first_at, excluded.first_at),
    last_at = greatest(known.last_at, excluded.last_at)
"""

_CONSENTS = """
INSERT INTO onsite.consents (integration, event_id, email_sha256, granted, at)
SELECT integration, event_id, email_sha256, name = 'subscribe', occurred_at
FROM told WHERE name IN ('subscribe', 'unsubscribe') AND email_sha256 IS NOT NULL
ORDER BY integration, event_id
ON CONFLICT (integration, event_id) DO NOTHING
"""

_TOUCHED = """
INSERT INTO onsite.change_queue AS known (integration, kind, value, event)
SELECT DISTINCT ON (integration, kind, value) integration, kind, value, name
FROM (
    SELECT integration, 'order' AS kind, order_id AS value, name, occurred_at FROM told
    WHERE name = 'purchase' AND order_id ~ '^[1-9][0-9]{0,8}$'
    UNION ALL
    SELECT integration, 'order', order_id, name, '-infinity' FROM incoming AS i
    WHERE name = 'purchase' AND rejected IS NULL AND order_id ~ '^[1-9][0-9]{0,8}$'
      AND NOT EXISTS (
        SELECT FROM cscart.orders AS o
        WHERE o.integration = i.integration
          AND o.order_id = CASE WHEN i.order_id ~ '^[1-9][0-9]{0,8}$' THEN i.order_id::bigint END)
    UNION ALL
    SELECT integration, 'person', email_sha256, name, occurred_at FROM told
    WHERE name IN ('login', 'sign_up', 'profile_update', 'subscribe', 'unsubscribe')
      AND email_sha256 IS NOT NULL
) AS touch
ORDER BY integration, kind, value, occurred_at DESC
ON CONFLICT (integration, kind, value) DO UPDATE SET
    event = excluded.event, last_at = clock_timestamp(), attempts = 0,
    not_before = least(known.not_before, clock_timestamp())
"""
"""A new event about a person or order makes it due at once, however often it failed before. An
order that is not in the warehouse is queued for every event that names it: the first one need not
be the buyer's."""

_REJECTS = f"""
INSERT INTO onsite.rejects AS known (integration, day, reason, times, example, last_at)
SELECT integration, ({_MOMENT.format("received")} AT TIME ZONE 'UTC')::date AS day, rejected,
    count(*), max(term), {_MOMENT.format("max(received)")}
FROM incoming WHERE rejected IS NOT NULL
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (integration, day, reason) DO UPDATE SET
    times = known.times + excluded.times, example = coalesce(excluded.example, known.example),
    last_at = greatest(known.last_at, excluded.last_at)
"""  # noqa: S608 - made of constants


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Prepares a new connection, not in autocommit mode, for `commit`."""
    for statement in SESSION:
        connection.execute(statement)
    connection.commit()


def commit(connection: psycopg.Connection[Any], payloads: Sequence[Payload]) -> int:
    """Stores a group of batches in one transaction.

    Returns:
        How many events were new.

    Raises:
        psycopg.Error: Nothing was stored or, when the connection was lost, perhaps everything: the
            group may always be given again.
    """
    marks = 0
    try:
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for one in payloads:
                marks |= one.marks
                copy.write(one.text)
        # One round trip for all that follows.
        with connection.pipeline():
            connection.execute(_DROP_REMOVED)
            if marks & IDENTITY:
                connection.execute(_UNNAME_ERASED)
            if marks & PURCHASE:
                connection.execute(_PURCHASES)
            fresh = connection.execute(_EVENTS)
            if marks & IDENTITY:
                connection.execute(_VISITORS)
                connection.execute(_CONSENTS)
            if marks & (IDENTITY | PURCHASE):
                connection.execute(_TOUCHED)
            if marks & REJECTED:
                connection.execute(_REJECTS)
            connection.commit()
        row = fresh.fetchone()
        assert row is not None
        return int(row[0])
    except BaseException:
        if not connection.closed:
            connection.rollback()
        raise

"""Orders and people named by onsite events, to be read from the shop: table `onsite.change_queue`.

The collector adds rows; a targeted sync removes those it has read, unless an event named them again
meanwhile. A row that the shop does not show yet is tried again after growing pauses, then dropped:
the visitor stays anonymous. A shop that does not answer is paused as a whole (a row of kind
`shop`). Not here: reading the shop (`sync.targeted`), which shops are asked (`defs.onsite`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

ORDER, PERSON, SHOP = "order", "person", "shop"
NOT_YET = (60, 120, 300)
"""Seconds before each new attempt to find what the shop did not show; then the row is dropped. An
order placed a second ago may not be visible yet."""
NO_ANSWER = (60, 120, 240, 480, 900)
"""Seconds for which a shop that did not answer is paused; the last one repeats."""
MAX_ORDERS = 100
MAX_PEOPLE = 200
"""Of one integration in one run: a shop with thousands must not keep the others waiting."""
EARLIER = 5
"""Other addresses of the same visitor that are looked at: a family may share a browser."""


@dataclass(frozen=True)
class QueuedChange:
    """One row of the queue."""

    integration: str
    kind: str
    value: str
    event: str
    attempts: int
    last_at: datetime


DUE = """
    FROM onsite.change_queue AS touch
    WHERE touch.kind <> 'shop' AND touch.not_before <= clock_timestamp() AND NOT EXISTS (
        SELECT FROM onsite.change_queue AS shop
        WHERE shop.integration = touch.integration AND shop.kind = 'shop'
          AND shop.not_before > clock_timestamp()
    )
"""
WAITING = f"""
    SELECT touch.integration, concat_ws(' ', count(*), max(touch.last_at), sum(touch.attempts))
    {DUE} GROUP BY touch.integration
"""
CHOSEN = f"""
    WITH due AS (SELECT touch.* {DUE} AND touch.integration = %(integration)s
                 AND touch.kind = %(kind)s),
    longest AS (SELECT * FROM due ORDER BY not_before, value LIMIT %(half)s),
    newest AS (SELECT * FROM due AS touch WHERE NOT EXISTS (
                   SELECT FROM longest WHERE longest.value = touch.value)
               ORDER BY last_at DESC, value LIMIT %(half)s)
    SELECT integration, kind, value, event, attempts, last_at
    FROM (SELECT * FROM longest UNION ALL SELECT * FROM newest) AS chosen
    ORDER BY not_before, value
"""  # noqa: S608 - a constant
AS_READ = """
    WHERE integration = %(integration)s AND kind = %(kind)s AND value = %(value)s
      AND last_at = %(last_at)s
"""
"""The row as it was read: one that was named again since then has news that were not read."""
REMOVE = f"DELETE FROM onsite.change_queue {AS_READ}"  # noqa: S608 - a constant
DEFER = f"""
    UPDATE onsite.change_queue SET attempts = attempts + 1,
        not_before = clock_timestamp() + make_interval(secs => %(pause)s)
    {AS_READ}
"""  # noqa: S608 - a constant


def waiting(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """What is due for each integration, as a text that changes with it."""
    return dict(connection.execute(WAITING.encode()).fetchall())


def due(connection: psycopg.Connection[Any], integration: str) -> list[QueuedChange]:
    """What is due for one integration, as much as one run takes on.

    Half of it has waited longest and half is the newest: a client may name numbers that no shop
    has, and a new order must not wait behind thousands of them.
    """
    rows: list[QueuedChange] = []
    for kind, most in ((ORDER, MAX_ORDERS), (PERSON, MAX_PEOPLE)):
        found = connection.execute(
            CHOSEN.encode(), {"integration": integration, "kind": kind, "half": most // 2}
        )
        rows += [QueuedChange(*row) for row in found.fetchall()]
    return rows


def done(connection: psycopg.Connection[Any], touches: Collection[QueuedChange]) -> None:
    """Removes rows that have been read; those named again since stay."""
    with connection.cursor() as cursor:
        cursor.executemany(REMOVE.encode(), _named(touches))


def again(connection: psycopg.Connection[Any], touches: Sequence[QueuedChange]) -> int:
    """Puts off rows that the shop did not show, or drops them after the last attempt.

    Returns:
        How many were dropped.
    """
    over = [touch for touch in touches if touch.attempts >= len(NOT_YET)]
    later = [touch for touch in touches if touch.attempts < len(NOT_YET)]
    done(connection, over)
    with connection.cursor() as cursor:
        cursor.executemany(
            DEFER.encode(),
            [
                {**named, "pause": NOT_YET[touch.attempts]}
                for touch, named in zip(later, _named(later), strict=True)
            ],
        )
    return len(over)


def leave_alone(connection: psycopg.Connection[Any], integration: str) -> int:
    """Pauses a shop that did not answer.

    Returns:
        How many times in a row it did not answer.
    """
    row = connection.execute(
        """
        INSERT INTO onsite.change_queue AS known
            (integration, kind, value, event, attempts, not_before)
        VALUES (%(key)s, 'shop', '', 'no answer', 1,
                clock_timestamp() + make_interval(secs => (%(pauses)s::int[])[1]))
        ON CONFLICT (integration, kind, value) DO UPDATE SET
            attempts = known.attempts + 1, last_at = clock_timestamp(),
            not_before = clock_timestamp() + make_interval(
                secs => (%(pauses)s::int[])[least(known.attempts + 1, %(most)s)])
        RETURNING attempts
        """,
        {"key": integration, "pauses": list(NO_ANSWER), "most": len(NO_ANSWER)},
    ).fetchone()
    assert row is not None
    return int(row[0])


def answered(connection: psycopg.Connection[Any], integration: str) -> None:
    """Ends the pause of a shop that answered."""
    connection.execute(
        "DELETE FROM onsite.change_queue WHERE integration = %s AND kind = 'shop'", [integration]
    )


def drop_needless(connection: psycopg.Connection[Any]) -> int:
    """Removes rows that a sync of all entities has read since, and those of no integration.

    A minute is left for what the shop did not show yet when that sync began.

    Returns:
        How many were removed.
    """
    return connection.execute(
        """
        DELETE FROM onsite.change_queue AS touch
        WHERE NOT EXISTS (
            SELECT FROM registry.integrations AS shop WHERE shop.integration = touch.integration
        ) OR touch.last_at < (
            SELECT run.started_at FROM registry.sync_runs AS run
            WHERE run.integration = touch.integration AND run.state = 'succeeded'
              AND run.kind <> 'onsite' AND run.stats -> 'entities' ?& ARRAY['customers', 'orders']
            ORDER BY run.id DESC LIMIT 1
        ) - interval '1 minute'
        """
    ).rowcount


def earlier_addresses(
    connection: psycopg.Connection[Any], integration: str, people: Collection[str]
) -> dict[str, list[str]]:
    """For each hashed address others of the same visitors, the latest first.

    An account whose address was changed is found by the one before.
    """
    rows = connection.execute(
        """
        SELECT person, other FROM (
            SELECT now.email_sha256 AS person, before.email_sha256 AS other,
                   row_number() OVER (
                       PARTITION BY now.email_sha256
                       ORDER BY max(before.last_at) DESC, before.email_sha256
                   ) AS place
            FROM onsite.visitors AS now
            JOIN onsite.visitors AS before
              ON before.integration = now.integration AND before.visitor_id = now.visitor_id
             AND before.email_sha256 <> now.email_sha256
            WHERE now.integration = %s AND now.email_sha256 = ANY(%s)
            GROUP BY now.email_sha256, before.email_sha256
        ) AS pair
        WHERE place <= %s ORDER BY person, place
        """,
        [integration, list(people), EARLIER],
    ).fetchall()
    found: dict[str, list[str]] = {}
    for person, other in rows:
        found.setdefault(person, []).append(other)
    return found


def with_consent(
    connection: psycopg.Connection[Any], integration: str, people: Collection[str]
) -> set[str]:
    """Those of the people who ever subscribed or unsubscribed onsite, which the lists follow."""
    rows = connection.execute(
        "SELECT DISTINCT email_sha256 FROM onsite.consents"
        " WHERE integration = %s AND email_sha256 = ANY(%s)",
        [integration, list(people)],
    ).fetchall()
    return {row[0] for row in rows}


def _named(touches: Collection[QueuedChange]) -> list[dict[str, Any]]:
    return [
        {"integration": one.integration, "kind": one.kind, "value": one.value,
         "last_at": one.last_at}
        for one in touches
    ]  # fmt: skip

"""Reads of the tables that dbt builds: lists, segments and their members, numbers of rows.

Every read of `analytics` returns no rows if its table does not exist yet. Not here: creating the
tables before the first build (`analytics`), and what is shown of them (`cli`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

Row = dict[str, Any]

MEMBER_COLUMNS = (
    "identity", "email", "mobile", "firstname", "lastname", "is_guest", "email_subscribed",
    "mobile_subscribed", "category", "member_since", "reason",
)  # fmt: skip
"""Columns of a member of a segment, in the order of `segment_members` and `all_members`."""
_MEMBERS = """
    SELECT member.identity, person.email, person.mobile, person.firstname, person.lastname,
           person.is_guest, person.email_subscribed, person.mobile_subscribed,
           member.category, member.member_since, member.reason
    FROM analytics.segment_members AS member
    JOIN analytics.subscribers AS person USING (integration, identity)
    WHERE member.integration = %(key)s AND member.segment = %(segment)s
"""


def lists(connection: psycopg.Connection[Any], key: str | None = None) -> list[Row]:
    """Returns lists with their metrics under `metrics`, None for a list that is not built yet.

    Args:
        connection: In autocommit mode.
        key: Only this integration; None for all. A removed one is found while its data exists.
    """
    rows = _rows(
        connection,
        "SELECT integration, list_name, status, status_reason, currency, timezone, last_synced_at"
        " FROM analytics.lists WHERE %(key)s::text IS NULL OR integration = %(key)s"
        " ORDER BY integration",
        {"key": key},
    )
    built = {
        row["integration"]: row
        for row in _rows(connection, "SELECT * FROM analytics.list_metrics", {})
    }
    for row in rows:
        found = built.get(row["integration"])
        row["metrics"] = found and {
            name: value for name, value in found.items() if name not in ("integration", "currency")
        }
    return rows


def segments(connection: psycopg.Connection[Any], key: str) -> list[Row]:
    """Returns the segments of one list with their size and revenue, in no order."""
    query = "SELECT * FROM analytics.segments WHERE integration = %(key)s"
    return _rows(connection, query, {"key": key})


def list_thresholds(connection: psycopg.Connection[Any], key: str, segment: str) -> Row:
    """Returns the limits of a segment that are computed from the list, by name."""
    rows = _rows(
        connection,
        "SELECT catalogue.list_thresholds, statistics.*"
        " FROM intermediate.segment_catalogue AS catalogue, intermediate.int_list_statistics"
        " AS statistics WHERE segment = %(segment)s AND integration = %(key)s"
        " AND catalogue.list_thresholds IS NOT NULL",
        {"key": key, "segment": segment},
    )
    return {
        name: row[name]
        for row in rows
        for name in row["list_thresholds"].split()
        if row[name] is not None
    }


def segment_changes(connection: psycopg.Connection[Any], key: str, segment: Row) -> Row:
    """Counts members that entered and left a segment in the 7 and 30 days before its build."""
    rows = _rows(
        connection,
        """
        SELECT min(changed_at) AS since, max(changed_at) AS last_change,
               count(*) FILTER (WHERE change = 'entered' AND recent.week) AS entered_7d,
               count(*) FILTER (WHERE change = 'left' AND recent.week) AS left_7d,
               count(*) FILTER (WHERE change = 'entered' AND recent.month) AS entered_30d,
               count(*) FILTER (WHERE change = 'left' AND recent.month) AS left_30d
        FROM analytics.segment_changes AS change,
             LATERAL (SELECT changed_at > %(as_of)s - interval '7 days' AS week,
                             changed_at > %(as_of)s - interval '30 days' AS month) AS recent
        WHERE integration = %(key)s AND segment = %(segment)s
        """,
        {"key": key, "segment": segment["segment"], "as_of": segment["as_of"]},
    )
    return rows[0] if rows else {}


def segment_members(
    connection: psycopg.Connection[Any], key: str, segment: str, limit: int | None
) -> list[Row]:
    """Returns members of a segment, the newest first; at most `limit`."""
    return _rows(
        connection,
        f"{_MEMBERS} ORDER BY member.member_since DESC, member.identity, member.category"
        " LIMIT %(limit)s",
        {"key": key, "segment": segment, "limit": limit},
    )


def all_members(
    connection: psycopg.Connection[Any], key: str, segment: str
) -> Iterator[tuple[Any, ...]]:
    """Yields all members of a segment by identity, read in portions: a list may have millions.

    Args:
        connection: In a transaction, not in autocommit mode.
        key: Of the integration.
        segment: Its name.
    """
    with connection.cursor(name="members") as cursor:
        cursor.execute(
            f"{_MEMBERS} ORDER BY member.identity, member.category".encode(),
            {"key": key, "segment": segment},
        )
        yield from cursor


def subscriber_count(connection: psycopg.Connection[Any], key: str) -> int:
    """Counts the people on a list, without deleted accounts."""
    rows = _rows(
        connection,
        "SELECT count(*) AS people FROM analytics.subscribers"
        " WHERE integration = %(key)s AND deleted_at IS NULL",
        {"key": key},
    )
    return int(rows[0]["people"]) if rows else 0


def onsite_session(
    connection: psycopg.Connection[Any], key: str, visitor: str
) -> Mapping[str, Any] | None:
    """Returns the session of a visitor in the shop; None if there is none."""
    rows = _rows(
        connection,
        "SELECT identity, page_views, product_views, adds_to_cart, purchases"
        " FROM analytics.onsite_sessions"
        " WHERE integration = %(key)s AND visitor_id = %(visitor)s",
        {"key": key, "visitor": visitor},
    )
    return rows[0] if rows else None


def count_rows(
    connection: psycopg.Connection[Any], schema: str, table: str, keys: Collection[str]
) -> dict[str, int]:
    """Counts the rows of a model, by integration; one without rows is left out.

    Args:
        connection: In autocommit mode.
        schema: Of the model.
        table: Its name.
        keys: Integrations.
    """
    query = sql.SQL(
        "SELECT integration, count(*) FROM {} WHERE integration = ANY(%s) GROUP BY integration"
    ).format(sql.Identifier(schema, table))
    return dict(connection.execute(query, [list(keys)]).fetchall())


def _rows(connection: psycopg.Connection[Any], query: str, values: Row) -> list[Row]:
    try:
        cursor = connection.cursor(row_factory=dict_row)
        return cursor.execute(query.encode(), values).fetchall()
    except psycopg.errors.UndefinedTable:
        return []

"""What the asset checks find in the inboxes, the feeds and the write journal.

Each function takes the keys of the integrations that are looked at, and returns pairs: integration,
what was found. Not here: the verdicts (`defs.fulfilment.checks`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from cscart_pipelines.warehouse.driver import Connection

Finding = tuple[str, str]


def writes_in_doubt(connection: Connection, keys: Collection[str]) -> list[Finding]:
    """Returns writes that have been sent 10 minutes ago or earlier and are not confirmed."""
    return _findings(
        connection,
        """
        SELECT integration, format('%%s %%s: %%s since %%s', replace(kind, '_', ' '), target, state,
                                   date_trunc('second', sent_at))
        FROM fulfilment.journal
        WHERE integration = ANY(%(keys)s) AND state IN ('applying', 'ambiguous')
          AND sent_at < now() - interval '10 minutes'
        """,
        keys,
    )


def held_stock(connection: Connection, keys: Collection[str]) -> list[Finding]:
    """Returns held stock levels, and held feeds after which none of their kind was taken."""
    return _findings(
        connection,
        """
        SELECT integration, format('%%s stock levels: %%s', count(*), min(reason))
        FROM fulfilment.stock_levels
        WHERE integration = ANY(%(keys)s) AND state = 'held' GROUP BY integration
        UNION ALL
        SELECT feed.integration, format('%%s: %%s', feed.source, feed.reason)
        FROM fulfilment.feeds AS feed
        WHERE feed.integration = ANY(%(keys)s) AND feed.state = 'held'
          AND NOT EXISTS (
              SELECT FROM fulfilment.feeds AS later
              WHERE later.integration = feed.integration AND later.kind = feed.kind
                AND later.id > feed.id AND later.state IN ('taken', 'released')
          )
        """,
        keys,
    )


def refused_within_a_day(connection: Connection, keys: Collection[str]) -> list[Finding]:
    """Returns rows and feeds that were refused within a day, rows counted by reason."""
    return _findings(
        connection,
        """
        SELECT integration, format('%%s shipments: %%s', count(*), reason)
        FROM fulfilment.shipments
        WHERE integration = ANY(%(keys)s) AND state = 'refused'
          AND settled_at > now() - interval '1 day' GROUP BY integration, reason
        UNION ALL
        SELECT integration, format('%%s stock levels: %%s', count(*), reason)
        FROM fulfilment.stock_levels
        WHERE integration = ANY(%(keys)s) AND state = 'refused'
          AND settled_at > now() - interval '1 day' GROUP BY integration, reason
        UNION ALL
        SELECT integration, format('%%s: %%s', source, coalesce(reason, rows_refused || ' rows'))
        FROM fulfilment.feeds
        WHERE integration = ANY(%(keys)s) AND received_at > now() - interval '1 day'
          AND (state = 'refused' OR rows_refused > 0)
        """,
        keys,
    )


def late_shipments(
    connection: Connection, keys: Collection[str], max_wait_seconds: int
) -> list[Finding]:
    """Returns rows of the inbox of shipments that wait longer than allowed, counted."""
    return _findings(
        connection,
        """
        SELECT integration, format('%%s shipments since %%s', count(*),
                                   date_trunc('second', min(received_at)))
        FROM fulfilment.shipments
        WHERE integration = ANY(%(keys)s) AND state IN ('waiting', 'taken')
          AND received_at < now() - make_interval(secs => %(seconds)s)
        GROUP BY integration
        """,
        keys,
        seconds=max_wait_seconds,
    )


def waiting_levels(connection: Connection, keys: Collection[str]) -> list[tuple[str, int, float]]:
    """Returns integration, number of waiting levels and receipt of the oldest (epoch seconds)."""
    return connection.execute(
        """
        SELECT integration, count(*), extract(epoch FROM min(received_at))::float
        FROM fulfilment.stock_levels
        WHERE integration = ANY(%(keys)s) AND state = 'waiting' GROUP BY integration
        """,
        {"keys": list(keys)},
    ).fetchall()


def _findings(
    connection: Connection, query: LiteralString, keys: Collection[str], **values: object
) -> list[Finding]:
    return connection.execute(query, {"keys": list(keys), **values}).fetchall()

"""The inbox of stock levels as the push sees it: what waits, and what became of each row.

Rows go from waiting to done or refused; the circuit breaker holds them, a person releases them. A
row that was replaced by a newer level while its push was under way is left alone. All inside the
caller's transaction. Not here: how rows get in (`feeds/ingest_stock`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cscart_pipelines.fulfilment.models import StockRow
from cscart_pipelines.fulfilment.stock.sku_matching import UNKNOWN

Connection = psycopg.Connection[Any]
RELEASED = "released by a person: the circuit breaker lets it through"
"""The reason of a row that waits again after it was held. A newer level loses it."""


@dataclass(frozen=True)
class StockLevel:
    """One row of the inbox, or of a file in a dry run."""

    sku: str
    quantity: Decimal | None
    as_of: datetime
    source: str | None = None
    state: str = "waiting"
    reason: str | None = None

    @property
    def released(self) -> bool:
        """True if a person has released it: the circuit breaker lets it through."""
        return self.reason == RELEASED

    @property
    def key(self) -> dict[str, Any]:
        """What tells this level from a newer one of the same SKU, as JSON."""
        quantity = None if self.quantity is None else str(self.quantity)
        return {"quantity": quantity, "as_of": self.as_of.isoformat()}


def release(
    connection: Connection,
    integration: str,
    rows: Sequence[StockRow] = (),
    *,
    feed_id: int | None = None,
) -> None:
    """Lets what is held now pass the circuit breaker; held feeds are marked.

    Rows that merely wait are not among it: no person has seen them.

    Args:
        connection: within the caller's transaction.
        integration: key of the integration.
        rows: of a file that was named, released also where they wait.
        feed_id: of that file; identifies its rows without an `as_of`.
    """
    connection.execute(
        "UPDATE fulfilment.feeds SET state = 'released' WHERE integration = %(key)s AND id IN"
        " (SELECT feed_id FROM fulfilment.stock_levels WHERE integration = %(key)s"
        " AND state = 'held')",
        {"key": integration},
    )
    connection.execute(
        "UPDATE fulfilment.stock_levels AS level SET state = 'waiting', reason = %(reason)s,"
        " settled_at = NULL WHERE integration = %(key)s AND (state = 'held' OR state = 'waiting'"
        " AND EXISTS (SELECT FROM unnest(%(skus)s::text[], %(quantities)s::numeric[],"
        " %(counted)s::timestamptz[]) AS given (sku, quantity, as_of)"
        " WHERE given.sku = level.sku AND given.quantity IS NOT DISTINCT FROM level.quantity"
        " AND (given.as_of = level.as_of"
        " OR given.as_of IS NULL AND level.feed_id = %(feed)s::bigint)))",
        {
            "key": integration,
            "reason": RELEASED,
            "skus": [row.sku for row in rows],
            "quantities": [row.quantity for row in rows],
            "counted": [row.as_of for row in rows],
            "feed": feed_id,
        },
    )


def hold(
    connection: Connection, integration: str, levels: Sequence[StockLevel], reason: str
) -> None:
    """Holds levels until they are released or replaced by newer ones; their feeds are marked."""
    update_states(connection, integration, [(level, "held", reason) for level in levels])
    connection.execute(
        "UPDATE fulfilment.feeds SET state = 'held', reason = %(reason)s"
        " WHERE integration = %(key)s AND id IN (SELECT feed_id FROM fulfilment.stock_levels"
        " WHERE integration = %(key)s AND state = 'held' AND sku = ANY(%(skus)s))",
        {"key": integration, "reason": reason, "skus": [level.sku for level in levels]},
    )


def candidates(connection: Connection, integration: str, *, held: bool = False) -> list[StockLevel]:
    """Returns waiting rows, the oldest first, and those refused for an unknown SKU.

    `held`: held rows too, for a dry run of their release.
    """
    cursor = connection.cursor(row_factory=dict_row)
    rows = cursor.execute(
        "SELECT sku, quantity, as_of, source, state, reason FROM fulfilment.stock_levels"
        " WHERE integration = %s AND (state = 'waiting' OR state = 'held' AND %s"
        " OR state = 'refused' AND starts_with(reason, %s)) ORDER BY received_at, sku",
        [integration, held, UNKNOWN],
    ).fetchall()
    return [StockLevel(**row) for row in rows]


def counted_after(
    connection: Connection, integration: str, moment: datetime
) -> list[tuple[str, datetime]]:
    """Returns SKU and time of the levels that are in the shop and were counted after a moment."""
    return connection.execute(
        "SELECT sku, as_of FROM fulfilment.stock_levels"
        " WHERE integration = %s AND state = 'done' AND as_of > %s",
        [integration, moment],
    ).fetchall()


def waiting_count(connection: Connection, integration: str) -> int:
    """Returns how many rows the next push will take."""
    (found,) = connection.execute(
        "SELECT count(*) FROM fulfilment.stock_levels WHERE integration = %s AND state = 'waiting'",
        [integration],
    ).fetchall()
    return int(found[0])


def held_count(connection: Connection, integration: str) -> int:
    """Returns how many rows the circuit breaker holds."""
    (found,) = connection.execute(
        "SELECT count(*) FROM fulfilment.stock_levels WHERE integration = %s AND state = 'held'",
        [integration],
    ).fetchall()
    return int(found[0])


def unknown_count(connection: Connection, integration: str) -> int:
    """Returns how many rows were refused for an unknown SKU; a push tries them again."""
    (found,) = connection.execute(
        "SELECT count(*) FROM fulfilment.stock_levels WHERE integration = %s"
        " AND state = 'refused' AND starts_with(reason, %s)",
        [integration, UNKNOWN],
    ).fetchall()
    return int(found[0])


def waiting_versions(connection: Connection) -> dict[str, str]:
    """Returns a text by integration with waiting rows, which changes when those rows do."""
    rows = connection.execute(
        "SELECT integration, concat_ws(' ', 'rows', count(*), max(received_at))"
        " FROM fulfilment.stock_levels WHERE state = 'waiting' GROUP BY integration"
    )
    return dict(rows.fetchall())


def update_state(
    connection: Connection,
    integration: str,
    sku: str,
    key: dict[str, Any],
    state: str,
    reason: str | None = None,
    *,
    journal_id: int | None = None,
) -> None:
    """Marks a level as done, refused or held, unless a newer one has come meanwhile."""
    connection.execute(
        _UPDATE_STATE,
        {**_values(integration, sku, key), "to": state, "reason": reason, "journal": journal_id},
    )


def update_states(
    connection: Connection,
    integration: str,
    outcomes: Iterable[tuple[StockLevel, str, str | None]],
) -> None:
    """Does the same for many rows at once: the level, its new state and the reason."""
    rows = [
        {**_values(integration, level.sku, level.key), "to": to, "reason": why, "journal": None}
        for level, to, why in outcomes
    ]
    if rows:
        connection.cursor().executemany(_UPDATE_STATE, rows)


_UPDATE_STATE = (
    "UPDATE fulfilment.stock_levels SET state = %(to)s, reason = %(reason)s,"
    " journal_id = coalesce(%(journal)s, journal_id),"
    " settled_at = CASE WHEN %(to)s IN ('done', 'refused') THEN clock_timestamp() END"
    " WHERE integration = %(integration)s AND sku = %(sku)s"
    " AND quantity IS NOT DISTINCT FROM %(quantity)s::numeric AND as_of = %(as_of)s::timestamptz"
)


def _values(integration: str, sku: str, key: dict[str, Any]) -> dict[str, Any]:
    return {"integration": integration, "sku": sku, **key}

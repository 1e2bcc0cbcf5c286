"""Checks of the raw tables: each is one query that returns a line per finding.

They look at all integrations at once, except disabled and removed ones, whose rows are not kept up
to date. Not here: what Dagster shows of them (`defs.ingestion.checks`), rules about lists and
segments, which are dbt tests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

Finding = tuple[str, str, int]
"""Integration, what was found, how many findings the check has in all."""


@dataclass(frozen=True)
class DataCheck:
    """One rule about the rows of an entity.

    Attributes:
        entity: the raw table that the rule is about; in the query `{table}` and `%(entity)s`.
        name: unique among the checks of the entity.
        description: what holds if there is no finding.
        query: returns integration and finding.
        warning: a finding is worth a look, and no error.
    """

    entity: str
    name: str
    description: str
    query: LiteralString
    warning: bool = False


_PARITY: LiteralString = """
    SELECT run.integration,
           format('shop %%s, warehouse %%s', total.shop, total.warehouse)
    FROM (
        SELECT DISTINCT ON (integration)
               integration, stats -> 'entities' -> %(entity)s::text AS entity
        FROM registry.sync_runs
        WHERE state = 'succeeded' AND stats -> 'entities' ? %(entity)s
        ORDER BY integration, id DESC
    ) AS run
    CROSS JOIN LATERAL (
        SELECT (run.entity ->> 'shop_total')::bigint AS shop,
               (run.entity ->> 'warehouse_total')::bigint AS warehouse
    ) AS total
    WHERE total.shop > total.warehouse + (
        SELECT count(*) FROM cscart.rejects AS reject
        WHERE reject.integration = run.integration AND reject.entity = %(entity)s
          AND reject.resolved_at IS NULL
    ) OR total.shop < total.warehouse
"""
_VOLUME: LiteralString = """
    SELECT integration, format('%%s of %%s were deleted within a day', gone, gone + live)
    FROM (
        SELECT integration,
               count(*) FILTER (WHERE deleted_at > now() - interval '1 day') AS gone,
               count(*) FILTER (WHERE deleted_at IS NULL) AS live
        FROM {table} GROUP BY integration
    ) AS counted
    WHERE gone > 20 AND gone > 0.2 * (gone + live)
"""
_READABLE: LiteralString = """
    SELECT integration, format('%%s: %%s', entity_key, reason) FROM cscart.rejects
    WHERE entity = %(entity)s AND resolved_at IS NULL
"""

CHECKS = [
    *(
        DataCheck(
            entity,
            "parity_with_shop",
            f"The warehouse has as many live {entity} as the shop says it has (rows set aside as"
            " unreadable are counted in).",
            _PARITY,
        )
        for entity in ("customers", "orders")
    ),
    *(
        DataCheck(
            entity,
            "volume",
            f"No shop has lost more than a fifth of its {entity} since yesterday.",
            _VOLUME,
            warning=True,
        )
        for entity in ("customers", "orders")
    ),
    *(
        DataCheck(
            entity,
            "readable",
            "No row of the shop is set aside as unreadable.",
            _READABLE,
            warning=True,
        )
        for entity in ("customers", "orders", "products")
    ),
    DataCheck(
        "customers",
        "unique_email",
        "Accounts of one shop do not share an e-mail address (they become one subscriber).",
        """
        SELECT integration, format('%%s accounts share an address', sum(accounts))
        FROM (
            SELECT integration, count(*) AS accounts FROM cscart.customers
            WHERE deleted_at IS NULL AND email IS NOT NULL
            GROUP BY integration, lower(trim(email)) HAVING count(*) > 1
        ) AS shared
        GROUP BY integration
        """,
        warning=True,
    ),
    DataCheck(
        "orders",
        "lines_have_orders",
        "Every order line belongs to an order.",
        """
        SELECT line.integration, format('order %%s', line.order_id) FROM cscart.order_lines AS line
        LEFT JOIN cscart.orders AS placed USING (integration, order_id)
        WHERE placed.order_id IS NULL
        """,
    ),
    DataCheck(
        "orders",
        "known_statuses",
        "Every order's status is in the shop's list of statuses.",
        """
        SELECT placed.integration, format('status %%s, %%s orders', placed.status, count(*))
        FROM cscart.orders AS placed
        LEFT JOIN cscart.statuses AS known
          ON known.integration = placed.integration AND known.type = 'O'
         AND known.status = placed.status
        WHERE placed.deleted_at IS NULL AND placed.status NOT IN ('N', 'T')
          AND known.status IS NULL
          AND EXISTS (
              SELECT FROM cscart.statuses AS any_status
              WHERE any_status.integration = placed.integration
          )
        GROUP BY placed.integration, placed.status
        """,
        warning=True,
    ),
]

_OF_SERVED_SHOPS = sql.SQL(
    """
    SELECT found.integration, found.what, count(*) OVER ()
    FROM ({query}) AS found (integration, what)
    JOIN registry.integrations AS shop USING (integration)
    WHERE shop.status <> 'disabled' ORDER BY 1, 2 LIMIT %(limit)s
    """
)


def find(
    connection: psycopg.Connection[Any], checks: Collection[DataCheck], limit: int
) -> Iterator[tuple[DataCheck, list[Finding]]]:
    """Runs the checks.

    Args:
        connection: in autocommit mode.
        checks: of `CHECKS`.
        limit: at most so many findings of each check.

    Yields:
        Each check with its findings.
    """
    for check in checks:
        query = sql.SQL(check.query).format(table=sql.Identifier("cscart", check.entity))
        statement = _OF_SERVED_SHOPS.format(query=query)
        rows = connection.execute(statement, {"entity": check.entity, "limit": limit})
        yield check, rows.fetchall()

"""Checks of the raw tables, computed by the run that loads them: SQL in, verdicts out.

They look at all integrations at once, but for disabled and removed ones, whose rows nobody brings
up to date; a verdict names the shops it is about. Not here: rules about lists and segments, which
are dbt tests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs.ingestion.metadata import cell

SHOWN = 50
"""Findings that a verdict names; the rest it counts."""


@dataclass(frozen=True)
class RawCheck:
    """One query that returns a line per finding: integration, what."""

    entity: str
    name: str
    description: str
    query: str
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR

    @property
    def spec(self) -> dg.AssetCheckSpec:
        return dg.AssetCheckSpec(
            self.name, asset=["cscart", self.entity], description=self.description
        )


def _parity(entity: str) -> RawCheck:
    return RawCheck(
        entity,
        "parity_with_shop",
        f"The warehouse has as many live {entity} as the shop says it has (rows set aside as"
        " unreadable are counted in).",
        f"""
        SELECT run.integration,
               format('shop %s, warehouse %s', total.shop, total.warehouse)
        FROM (
            SELECT DISTINCT ON (integration) integration, stats FROM registry.sync_runs
            WHERE state = 'succeeded' AND stats -> 'entities' ? '{entity}'
            ORDER BY integration, id DESC
        ) AS run
        CROSS JOIN LATERAL (
            SELECT (stats #>> '{{entities,{entity},shop_total}}')::bigint AS shop,
                   (stats #>> '{{entities,{entity},warehouse_total}}')::bigint AS warehouse
        ) AS total
        WHERE total.shop > total.warehouse + (
            SELECT count(*) FROM cscart.rejects AS reject
            WHERE reject.integration = run.integration AND reject.entity = '{entity}'
              AND reject.resolved_at IS NULL
        ) OR total.shop < total.warehouse
        """,
    )


def _volume(entity: str) -> RawCheck:
    return RawCheck(
        entity,
        "volume",
        f"No shop has lost more than a fifth of its {entity} since yesterday.",
        f"""
        SELECT integration, format('%s of %s were deleted within a day', gone, gone + live)
        FROM (
            SELECT integration,
                   count(*) FILTER (WHERE deleted_at > now() - interval '1 day') AS gone,
                   count(*) FILTER (WHERE deleted_at IS NULL) AS live
            FROM cscart.{entity} GROUP BY integration
        ) AS counted
        WHERE gone > 20 AND gone > 0.2 * (gone + live)
        """,
        dg.AssetCheckSeverity.WARN,
    )


def _readable(entity: str) -> RawCheck:
    return RawCheck(
        entity,
        "readable",
        "No row of the shop is set aside as unreadable.",
        f"""
        SELECT integration, format('%s: %s', entity_key, reason) FROM cscart.rejects
        WHERE entity = '{entity}' AND resolved_at IS NULL
        """,
        dg.AssetCheckSeverity.WARN,
    )


CHECKS = [
    *(_parity(entity) for entity in ("customers", "orders")),
    *(_volume(entity) for entity in ("customers", "orders")),
    *(_readable(entity) for entity in ("customers", "orders", "products")),
    RawCheck(
        "customers",
        "unique_email",
        "Accounts of one shop do not share an e-mail address (they become one subscriber).",
        """
        SELECT integration, format('%s accounts share an address', sum(accounts))
        FROM (
            SELECT integration, count(*) AS accounts FROM cscart.customers
            WHERE deleted_at IS NULL AND email IS NOT NULL
            GROUP BY integration, lower(trim(email)) HAVING count(*) > 1
        ) AS shared
        GROUP BY integration
        """,
        dg.AssetCheckSeverity.WARN,
    ),
    RawCheck(
        "orders",
        "lines_have_orders",
        "Every order line belongs to an order.",
        """
        SELECT line.integration, format('order %s', line.order_id) FROM cscart.order_lines AS line
        LEFT JOIN cscart.orders AS placed USING (integration, order_id)
        WHERE placed.order_id IS NULL
        """,
    ),
    RawCheck(
        "orders",
        "freshness",
        "Every enabled integration was synchronised within the last three hours.",
        """
        SELECT integration, format('last synchronised %s', coalesce(last_synced_at::text, 'never'))
        FROM registry.integrations
        WHERE status IN ('enabled', 'failed')
          AND coalesce(last_synced_at, created_at) < now() - interval '3 hours'
        """,
        dg.AssetCheckSeverity.WARN,
    ),
    RawCheck(
        "orders",
        "known_statuses",
        "Every order's status is in the shop's list of statuses.",
        """
        SELECT placed.integration, format('status %s, %s orders', placed.status, count(*))
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
        dg.AssetCheckSeverity.WARN,
    ),
]
SPECS = [check.spec for check in CHECKS]


def results(
    app: AppContext, selected: Collection[dg.AssetCheckKey]
) -> Iterator[dg.AssetCheckResult]:
    """The verdicts of the selected checks."""
    chosen = [check for check in CHECKS if check.spec.key in selected]
    for check, findings in verdicts(app, chosen):
        yield dg.AssetCheckResult(
            check_name=check.name,
            asset_key=["cscart", check.entity],
            passed=not findings,
            severity=check.severity,
            metadata=shown_findings(findings),
        )


def verdicts(
    app: AppContext, checks: Collection[RawCheck]
) -> Iterator[tuple[RawCheck, list[tuple[Any, ...]]]]:
    """Checks and what they find: integration, what, how many in all; the first so many."""
    with app.warehouse.connect(autocommit=True) as connection:
        for check in checks:
            yield check, connection.execute(_of_served_shops(check.query)).fetchall()


def _of_served_shops(query: str) -> bytes:
    return f"""
        SELECT found.integration, found.what, count(*) OVER ()
        FROM ({query}) AS found (integration, what)
        JOIN registry.integrations AS shop USING (integration)
        WHERE shop.status <> 'disabled' ORDER BY 1, 2 LIMIT {SHOWN}
    """.encode()


def shown_findings(findings: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Findings (integration, what, how many in all) as the UI shows them."""
    if not findings:
        return {"findings": 0}
    lines = ["| integration | finding |", "|---|---|"]
    lines += [f"| {key} | {cell(text)} |" for key, text, _ in findings]
    return {
        "findings": findings[0][2],
        "integrations": ", ".join(sorted({key for key, _, _ in findings})),
        "which": dg.MarkdownMetadataValue("\n".join(lines)),
    }

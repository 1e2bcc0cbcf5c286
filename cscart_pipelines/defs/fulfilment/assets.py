"""The asset `fulfilment/orders`: the orders that the fulfilment system gets of each integration.

Not here: which orders are pulled (`fulfilment.orders.pull`), the job (`jobs`), when it runs
(`sensors`).
"""

# Without `from __future__ import annotations`: Dagster reads the annotations as they are.
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from cscart_pipelines.defs.fulfilment import checks as fulfilment_checks
from cscart_pipelines.defs.ingestion.metadata import column_schema
from cscart_pipelines.defs.shared import markdown
from cscart_pipelines.defs.shared.asset_specs import CODE_VERSION, OWNERS, code_version
from cscart_pipelines.defs.shared.failures import failure
from cscart_pipelines.defs.shared.partitions import integration_partitions, keys_of
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.fulfilment.orders.pull import PullReport, pull
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.warehouse.driver import unforeseen
from cscart_pipelines.warehouse.tables import fulfilment

PULL_VERSION = code_version(Path(inspect.getfile(pull)))


class PullConfig(dg.Config):
    """Of which integrations orders are pulled."""

    only: list[str] = Field(
        default_factory=list,
        description="Of the partitions, only these integrations (a range may hold others).",
    )


@dg.multi_asset(
    name="pull_shop_orders",
    specs=[
        dg.AssetSpec(
            key=fulfilment_checks.ORDERS,
            deps=[dg.AssetKey(["cscart", "orders"]), dg.AssetKey(["cscart", "statuses"])],
            description="Orders that pass the filters of their integration, with their numbers:"
            " each is exported once. `fulfilment.order_lines` comes with it.",
            group_name="fulfilment",
            kinds={"postgres"},
            owners=OWNERS,
            code_version=PULL_VERSION,
            metadata={
                "dagster/table_name": "fulfilment.orders",
                "dagster/column_schema": column_schema(fulfilment.orders),
            },
            partitions_def=integration_partitions,
            skippable=True,
        )
    ],
    check_specs=fulfilment_checks.SPECS,
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def pull_shop_orders(
    context: dg.AssetExecutionContext, config: PullConfig, pipelines: Pipelines
) -> Iterator[Any]:
    """Pulls the orders of each integration from the warehouse; no shop is asked.

    Raises:
        dagster.Failure: at the end, if the orders of an integration could not be pulled.
    """
    keys = keys_of(context, config.only)
    reports: dict[str, PullReport] = {}
    failures: dict[str, str] = {}
    with pipelines.open() as app:
        wanted = fulfilment_checks.ORDERS in context.selected_asset_keys
        with app.warehouse.connect(autocommit=True) as connection:
            for key in keys if wanted else []:
                try:
                    integration = app.registry.get(key)
                    reports[key] = pull(connection, integration)
                except UnknownIntegrationError as error:
                    context.log.info(str(error))  # removed meanwhile
                except Exception as error:  # one integration must not stop the others
                    failures[key] = unforeseen(error)
                    context.log.exception(f"{key}: its orders could not be pulled")
                    if connection.broken or connection.closed:
                        raise
                else:
                    _log_materialisation(context, key, reports[key])
        yield from fulfilment_checks.results(app, context.selected_asset_check_keys)
    table = _outcome(reports, failures)
    context.log.info(f"integrations whose orders were pulled: {len(reports):,}\n{table.value}")
    if failures:
        raise failure(failures, len(reports), table)


def _log_materialisation(context: dg.AssetExecutionContext, key: str, report: PullReport) -> None:
    shown: dict[str, Any] = {
        "dagster/table_name": "fulfilment.orders",
        "dagster/row_count": report.orders_total,
        "pulled": report.pulled,
        "changed": report.changed,
        "without_details": report.without_details,
        "skipped": sum(report.skipped.values()),
    }
    if report.skipped:
        reasons = sorted(report.skipped.items())
        shown["skipped_by_reason"] = markdown.table(("reason", "orders"), reasons, right=1)
    unmatched = [(word, "no country") for word in report.unmatched_countries]
    unmatched += [(word, "no order status") for word in report.unmatched_statuses]
    if unmatched:
        head = ("word of a filter", "is")
        shown["unmatched_words"] = markdown.table(head, sorted(unmatched))
    context.log_event(
        dg.AssetMaterialization(
            fulfilment_checks.ORDERS,
            partition=key,
            metadata=shown,
            tags={CODE_VERSION: PULL_VERSION},
        )
    )


def _outcome(reports: dict[str, PullReport], failures: dict[str, str]) -> dg.MarkdownMetadataValue:
    """Returns a line for each integration, failed ones first."""
    head = ("integration", "outcome", "pulled", "changed", "skipped", "orders")
    rows: list[tuple[object, ...]] = [
        (key, f"**failed**: {reason}") for key, reason in sorted(failures.items())
    ]
    for key, report in sorted(reports.items()):
        skipped = sum(report.skipped.values())
        rows.append((key, "ok", report.pulled, report.changed, skipped, report.orders_total))
    return markdown.table(head, rows, right=4)

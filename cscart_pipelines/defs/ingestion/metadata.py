"""What a materialisation of a raw asset shows in the UI.

Pure: reports in, metadata out. Not here: when it is shown (`assets`).
"""

from __future__ import annotations

from typing import Any

import dagster as dg
from sqlalchemy import Table

from cscart_pipelines.defs.shared import markdown
from cscart_pipelines.sync.context import EntityReport
from cscart_pipelines.sync.run import ENTITIES, SyncReport
from cscart_pipelines.warehouse.tables import metadata

TRACKING_FILE = dg.AssetKey(["onsite", "tracking_file"])
TABLES: dict[str, Table] = {name: metadata.tables[f"cscart.{name}"] for name in ENTITIES}


def tracking_command(key: str) -> str:
    """Returns the command that writes the onsite tracking file of an integration."""
    return f"cscart-pipelines integration tracking-file {key} -o onsite-tracking-{key}.json"


def column_schema(table: Table) -> dg.TableSchema:
    """Returns the columns of a table with their types and descriptions."""
    keys = {column.name for column in table.primary_key.columns}
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type).lower(),
                description=column.comment,
                constraints=dg.TableColumnConstraints(
                    nullable=bool(column.nullable),
                    unique=False,
                    other=["key"] * (column.name in keys),
                ),
            )
            for column in table.columns
        ]
    )


def definition_metadata(entity: str) -> dict[str, Any]:
    """Returns the metadata of the asset's definition."""
    shown: dict[str, Any] = {
        "dagster/table_name": f"cscart.{entity}",
        "dagster/column_schema": column_schema(TABLES[entity]),
    }
    if entity == "customers":  # the list that visits keep up to date
        shown["tracking_file"] = dg.MetadataValue.asset(TRACKING_FILE)
    return shown


def materialisation_metadata(report: EntityReport, kind: str, key: str) -> dict[str, Any]:
    """Returns what a synchronisation did to one entity.

    Args:
        report: of the entity.
        kind: of the synchronisation.
        key: of the integration.
    """
    numbers = report.numbers()
    seconds = max(report.seconds, 1e-6)
    shown: dict[str, Any] = {
        "dagster/table_name": f"cscart.{report.entity}",
        "dagster/row_count": report.warehouse_total or 0,
        "kind": kind,
        "rows_read": numbers["rows"],
        "rows_per_second": round(report.rows / seconds),
        "api_calls": numbers["calls"],
        **{
            name: numbers[name]
            for name in (
                "inserted", "updated", "unchanged", "deleted", "rejected", "pages", "seconds",
            )
        },
    }  # fmt: skip
    if report.shop_total is not None:
        shown["shop_total"] = report.shop_total
    for name in ("watermark_from", "watermark_to"):
        if moment := getattr(report, name):
            shown[name] = dg.TimestampMetadataValue(moment.timestamp())
    if report.entity == "customers":
        shown["tracking_file"] = dg.MetadataValue.asset(TRACKING_FILE)
        shown["tracking_file_command"] = tracking_command(key)
    return shown


def outcome_table(
    reports: list[SyncReport], failures: dict[str, str], refused: dict[str, str]
) -> dg.MarkdownMetadataValue:
    """Returns a line for each shop, failed ones first."""
    head = ("integration", "outcome", "customers", "orders", "changed", "API calls", "seconds")
    rows: list[tuple[object, ...]] = [
        *((key, f"**failed**: {reason}") for key, reason in sorted(failures.items())),
        *((key, f"not synchronised: {reason}") for key, reason in sorted(refused.items())),
        *(_outcome(report) for report in sorted(reports, key=lambda one: one.integration)),
    ]
    return markdown.table(head, rows, right=5)


def _outcome(report: SyncReport) -> tuple[object, ...]:
    entities = report.entities
    totals = (
        entities[name].warehouse_total if name in entities else None
        for name in ("customers", "orders")
    )
    calls = int(report.calls.get("calls", 0))
    return (
        report.integration,
        f"ok ({report.kind})",
        *totals,
        report.written(),
        calls,
        report.seconds,
    )

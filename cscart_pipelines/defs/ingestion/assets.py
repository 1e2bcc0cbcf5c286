"""The raw assets `cscart/…`: one op that synchronises the shops of its partitions.

Every shop succeeds or fails on its own; the run fails at the end if one did, and names it. Not
here: what a synchronisation does (`sync.run`), when one may start (`integrations.lifecycle`).
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from cscart_pipelines.cscart import records
from cscart_pipelines.cscart.errors import ShopError
from cscart_pipelines.defs.ingestion import checks as ingestion_checks
from cscart_pipelines.defs.ingestion.metadata import (
    definition_metadata,
    materialisation_metadata,
    outcome_table,
)
from cscart_pipelines.defs.shared.asset_specs import CODE_VERSION, OWNERS, code_version
from cscart_pipelines.defs.shared.failures import failure
from cscart_pipelines.defs.shared.partitions import integration_partitions, keys_of
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.integrations.secrets import SecretError
from cscart_pipelines.sync.batches.sync import SyncBatch
from cscart_pipelines.sync.run import ENTITIES, SyncFailedError, SyncReport
from cscart_pipelines.warehouse.driver import unforeseen

DESCRIPTIONS = {
    "customers": "Registered customers; all are read, since the shop names no changes.",
    "orders": "Orders with their lines; what changed since the watermark, on the shop's clock.",
    "products": "Products and variations, with their categories.",
    "statuses": "Order statuses: what a letter is called and whether it counts as paid.",
    "shipments": "Shipments with tracking numbers, as the shop has them.",
}
CODE_VERSIONS = {
    entity: code_version(Path(records.__file__).with_name(f"{entity}.py")) for entity in ENTITIES
}
"""Of what reads the entity's records."""


class ResyncConfig(dg.Config):
    """How the shops of this run's partitions are synchronised."""

    only: list[str] = Field(default_factory=list)
    """Of the partitions, only these integrations (a range of partitions may hold others)."""
    full: bool = False
    """Read everything again, not only what changed."""
    scheduled: bool = False
    """Started by the schedule: shops whose failure needs a person are left alone."""


@dg.multi_asset(
    name="read_shop",
    specs=[
        dg.AssetSpec(
            key=["cscart", entity],
            description=DESCRIPTIONS[entity],
            group_name="cscart",
            kinds={"cscart", "postgres"},
            owners=OWNERS,
            code_version=CODE_VERSIONS[entity],
            metadata=definition_metadata(entity),
            partitions_def=integration_partitions,
            skippable=True,
            freshness_policy=dg.FreshnessPolicy.time_window(
                fail_window=timedelta(hours=26), warn_window=timedelta(hours=3)
            ),
        )
        for entity in ENTITIES
    ],
    check_specs=ingestion_checks.SPECS,
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool="shop_api",
)
def read_shop(
    context: dg.AssetExecutionContext, config: ResyncConfig, pipelines: Pipelines
) -> Iterator[Any]:
    """Synchronises the selected entities of every shop of this run.

    Raises:
        dagster.Failure: at the end, if a shop failed; it names those that did.
    """
    entities = [key.path[-1] for key in context.selected_asset_keys]
    keys = keys_of(context, config.only)
    reports: list[SyncReport] = []
    failures: dict[str, str] = {}
    refused: dict[str, str] = {}
    with pipelines.open() as app:
        app.registry.release_dead()
        batch = SyncBatch(
            app,
            entities,
            context.run.run_id,
            full=config.full,
            scheduled=config.scheduled,
        )
        for key, future in batch.run(keys):
            try:
                report = future.result()
            except (NotAllowedError, UnknownIntegrationError) as error:  # removed meanwhile
                refused[key] = str(error)
                context.log.info(f"{key} is not synchronised: {error}")
            except (SyncFailedError, ShopError, SecretError) as error:
                failures[key] = str(error)
                context.log.error(f"{key}: {error}")
            except Exception as error:  # an unforeseen one in one shop must not stop the others
                failures[key] = unforeseen(error)
                context.log.exception(f"{key}: unexpected failure")
            else:
                reports.append(report)
                _log_materialisations(context, report)
        yield from ingestion_checks.results(app, context.selected_asset_check_keys)
    _finish(context, reports, failures, refused)


def _log_materialisations(context: dg.AssetExecutionContext, report: SyncReport) -> None:
    for entity, done in report.entities.items():
        context.log_event(
            dg.AssetMaterialization(
                asset_key=["cscart", entity],
                partition=report.integration,
                metadata=materialisation_metadata(done, report.kind, report.integration),
                tags={CODE_VERSION: CODE_VERSIONS[entity]},
            )
        )


def _finish(
    context: dg.AssetExecutionContext,
    reports: list[SyncReport],
    failures: dict[str, str],
    refused: dict[str, str],
) -> None:
    """Logs the outcome, and fails the run if a shop failed; one that was refused is no failure."""
    table = outcome_table(reports, failures, refused)
    if not failures:
        context.log.info(f"integrations synchronised: {len(reports):,}\n{table.value}")
        return
    raise failure(failures, len(reports), table)

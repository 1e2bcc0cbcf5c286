"""The jobs that write to shops: tracking numbers and stock levels, from the inboxes.

One run covers many integrations; each succeeds or fails on its own, and the run fails at the end if
one did. Not here: who is due (`write_back_due`), when a run starts (`write_back_sensors`).
"""

# Without `from __future__ import annotations`: Dagster reads the annotations as they are.
from collections.abc import Iterator
from typing import Any

import dagster as dg

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs.fulfilment import checks as fulfilment_checks
from cscart_pipelines.defs.fulfilment import due
from cscart_pipelines.defs.fulfilment import metadata as fulfilment_metadata
from cscart_pipelines.defs.fulfilment.config import (
    FilesConfig,
    PushConfig,
    StockConfig,
    stock_form,
    tracking_form,
)
from cscart_pipelines.defs.fulfilment.push_batch import Push, PushBatch, PushOutcome
from cscart_pipelines.defs.shared.failures import failure
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.fulfilment.feeds import drop_folder
from cscart_pipelines.fulfilment.feeds.ingest import IngestResult
from cscart_pipelines.fulfilment.push_session import PushContext, PushKind
from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines.fulfilment.shipments.push import push_shipments as push_tracking_numbers
from cscart_pipelines.fulfilment.stock import inbox as stock_inbox
from cscart_pipelines.fulfilment.stock.push import push_stock as push_stock_levels

POOL = "shop_writes"
LONGEST = {"dagster/max_runtime": str(6 * 3600)}
Reports = list[dict[str, Any]]
"""`PushReport.to_json()` of each integration, with its `failure`; see `Outcome.to_json`."""


@dg.op(
    name="ingest_drop_folder", description="Takes the files of the watched folder into the inboxes."
)
def ingest_drop_folder(
    context: dg.OpExecutionContext, config: FilesConfig, pipelines: Pipelines
) -> dict[str, str]:
    """Returns the integrations with a file of which nothing was taken in, and why."""
    troubles: dict[str, str] = {}
    taken: list[tuple[str, IngestResult]] = []
    if config.dry_run:
        context.log.info("A dry run leaves the files where they are.")
        return troubles
    if not (config.files or config.release):
        return troubles
    with (
        pipelines.open() as app,
        app.warehouse.connect(autocommit=True) as connection,
    ):
        for key in _keys(app, config, config.kind, with_files=True):
            if config.release:
                # Before the wait for the turn, and without new files: only what was held when it
                # was asked for has been looked at.
                with connection.transaction():
                    stock_inbox.release(connection, key)
                continue
            try:
                integration = app.registry.get(key)
                receipts = drop_folder.ingest_files(connection, app.settings, integration)
            except Exception as error:  # one folder must not stop the others
                troubles[key] = f"files could not be taken in: {type(error).__name__}: {error}"
                context.log.exception(f"{key}: {troubles[key]}")
                continue
            taken += [(key, receipt) for receipt in receipts]
            _log_receipts(context, key, receipts)
            # Nobody is told of a file again once it is filed away, so the run fails now.
            whole = [f"{one.source}: {one.reason}" for one in receipts if one.state != "taken"]
            if whole:
                troubles[key] = "; ".join(whole)
    context.add_output_metadata(fulfilment_metadata.files(taken))
    return troubles


@dg.op(
    name="push_shipments",
    pool=POOL,
    out=dg.Out(io_manager_key="in_memory"),
    description="Tracking numbers, carriers and order statuses: into the shop, and read back.",
)
def push_shipments(
    context: dg.OpExecutionContext,
    config: PushConfig,
    pipelines: Pipelines,
    troubles: dict[str, str],
) -> Iterator[Any]:
    yield from _push(context, config, pipelines, "shipments", push_tracking_numbers, troubles)


@dg.op(
    name="push_levels",
    pool=POOL,
    out=dg.Out(io_manager_key="in_memory"),
    description="Stock on hand: compared with the shop's, written where it differs, read back.",
)
def push_levels(
    context: dg.OpExecutionContext,
    config: StockConfig,
    pipelines: Pipelines,
    troubles: dict[str, str],
) -> Iterator[Any]:
    def push(round_: PushContext) -> PushReport:
        # For real `ingest_drop_folder` has released what was held.
        return push_stock_levels(round_, release=config.release and config.dry_run)

    yield from _push(context, config, pipelines, "stock", push, troubles)


@dg.job(
    name="push_tracking",
    config=tracking_form,
    tags=LONGEST,
    description="Writes shipments to the shops: tracking numbers, carriers, order statuses.",
)
def push_tracking() -> None:
    push_shipments(ingest_drop_folder())


@dg.job(
    name="push_stock",
    config=stock_form,
    tags=LONGEST,
    description="Writes stock levels to the shops.",
)
def push_stock() -> None:
    push_levels(ingest_drop_folder())


def _push(
    context: dg.OpExecutionContext,
    config: PushConfig,
    pipelines: Pipelines,
    kind: PushKind,
    push: Push,
    troubles: dict[str, str],
) -> Iterator[Any]:
    """The output comes before the failure: what was done is shown, and told, either way."""
    outcome = PushOutcome()
    with pipelines.open() as app:
        keys = _keys(app, config, kind)
        context.log.info(f"{kind} of {', '.join(keys) or 'no integration'}")
        pushes = PushBatch(
            app,
            kind,
            push,
            context.run.run_id,
            limit=config.limit,
            dry_run=config.dry_run,
            named=config.integration is not None,
        )
        for key, so_far in pushes.pay(keys):
            outcome = so_far
            _log(context, key, outcome)
        for key, reason in troubles.items():
            before = outcome.failures.get(key)
            outcome.failures[key] = f"{reason}; {before}" if before else reason
        if not config.dry_run:
            fulfilment_checks.log_verdicts(context, app)
    shown = fulfilment_metadata.metadata(outcome.reports, outcome.failures, outcome.refused)
    yield dg.Output(outcome.to_json(), metadata=shown)
    if outcome.failures:
        succeeded = sum(one.integration not in outcome.failures for one in outcome.reports)
        raise failure(outcome.failures, succeeded, shown["outcome"])


def _keys(
    app: AppContext, config: PushConfig, kind: PushKind, *, with_files: bool = False
) -> list[str]:
    """The integrations of this run. `with_files`: for whom files are taken in, nothing may wait
    in the inbox yet."""
    if config.integration is not None:
        keys = [config.integration]
        return due.pushable(app, kind, keys) if with_files else keys
    if config.only:
        return due.pushable(app, kind, config.only)
    with app.warehouse.connect(autocommit=True) as connection:
        return sorted(due.waiting(app, connection, kind))


def _log_receipts(context: dg.OpExecutionContext, key: str, receipts: list[IngestResult]) -> None:
    for one in receipts:
        said = f"{key}: {one.kind}/{one.source}: {one.taken} rows taken, {one.known} known before"
        said += f", {len(one.refusals)} refused"
        if one.state == "taken":
            context.log.info("; ".join([said, *one.notes]))
        else:
            context.log.warning(f"{key}: {one.kind}/{one.source} is {one.state}: {one.reason}")


def _log(context: dg.OpExecutionContext, key: str, outcome: PushOutcome) -> None:
    if key in outcome.surprises:
        error = outcome.surprises[key]
        context.log.error(f"{key}: unexpected failure", exc_info=error)
    elif key in outcome.failures:
        context.log.error(f"{key}: {outcome.failures[key]}")
    elif key in outcome.refused:
        context.log.info(f"{key} is not pushed: {outcome.refused[key]}")
    else:
        (report,) = (one for one in outcome.reports if one.integration == key)
        counted = ", ".join(f"{count} {name}" for name, count in report.counts.items())
        context.log.info(f"{key}: {counted}; {report.calls} API calls, {report.seconds:.1f} s")

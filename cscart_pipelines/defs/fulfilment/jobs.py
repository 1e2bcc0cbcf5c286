"""The jobs: orders from the warehouse; tracking numbers and stock levels to the shops.

One run covers many integrations; each succeeds or fails on its own, and the run fails at the end if
one did. Orders follow the synchronisations in a job of their own: in theirs, one shop that cannot
be read would skip the step for all. Not here: what is due (`fulfilment.pushes.due`), when a run
starts (`sensors`).
"""

# Without `from __future__ import annotations`: Dagster reads the annotations as they are.
import functools
from collections.abc import Iterator
from typing import Any

import dagster as dg

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs.fulfilment import checks as fulfilment_checks
from cscart_pipelines.defs.fulfilment import metadata as fulfilment_metadata
from cscart_pipelines.defs.fulfilment.assets import pull_shop_orders
from cscart_pipelines.defs.fulfilment.config import (
    StepConfig,
    stock_form,
    tracking_form,
)
from cscart_pipelines.defs.ingestion.jobs import range_request
from cscart_pipelines.defs.shared.failures import failure
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import HIDDEN
from cscart_pipelines.fulfilment.feeds import drop_folder
from cscart_pipelines.fulfilment.feeds.ingest import IngestResult
from cscart_pipelines.fulfilment.pushes import due
from cscart_pipelines.fulfilment.pushes.batch import Push, PushBatch, PushOutcome
from cscart_pipelines.fulfilment.shipments.push import push_shipments as push_tracking_numbers
from cscart_pipelines.fulfilment.stock import inbox as stock_inbox
from cscart_pipelines.fulfilment.stock.push import push_stock as push_stock_levels
from cscart_pipelines.warehouse.driver import unforeseen

ORDERS_REQUEST = f"{HIDDEN}orders_request"
"""The tag of a run that pulls orders: the name of the request."""
POOL = "shop_writes"
TAGS = {
    "dagster/max_runtime": str(6 * 3600),
    # Begun again on another machine, a run finds nothing of what its first step has returned.
    "dagster/retry_strategy": "ALL_STEPS",
}


pull_orders = dg.define_asset_job(
    "pull_orders",
    selection=dg.AssetSelection.assets(pull_shop_orders),
    tags={"dagster/max_runtime": str(3600)},
    description="Pulls the orders for the fulfilment system. A partition is an integration.",
)


def pull_request(keys: list[str], present: list[str], name: str | None = None) -> dg.RunRequest:
    """Returns the run that pulls orders.

    Args:
        keys: of these integrations.
        present: all partitions, in their order.
        name: of the request, as run key and tag; None for a run that is started by hand.
    """
    request = range_request("pull_shop_orders", keys, present, {"only": keys})
    if name is None:
        return request
    return request.with_replaced_attrs(run_key=name, tags={**request.tags, ORDERS_REQUEST: name})


@dg.op(
    name="ingest_drop_folder",
    description="Takes the files of the drop folder into the inboxes.",
)
def ingest_drop_folder(
    context: dg.OpExecutionContext, config: StepConfig, pipelines: Pipelines
) -> dict[str, str]:
    """Takes the files of the drop folder in, or releases what the circuit breaker holds.

    Returns:
        The integrations with a file of which nothing was taken in, and why.
    """
    refused: dict[str, str] = {}
    taken: list[tuple[str, IngestResult]] = []
    if config.dry_run:
        context.log.info("A dry run leaves the files where they are.")
        return refused
    if not (config.files or config.release):
        return refused
    with (
        pipelines.open() as app,
        app.warehouse.open_session(autocommit=True) as connection,
    ):
        for key in _keys(app, config, before_files=True):
            if config.release:
                # Before the wait for the write lock, and without new files: a person has seen only
                # what was held when the run was started.
                with connection.transaction():
                    stock_inbox.release(connection, key)
                continue
            try:
                integration = app.registry.get(key)
                results = drop_folder.ingest_files(connection, app.settings, integration)
            except Exception as error:  # one folder must not stop the others
                refused[key] = f"files could not be taken in: {unforeseen(error)}"
                context.log.exception(f"{key}: {refused[key]}")
                continue
            taken += [(key, result) for result in results]
            _log_files(context, key, results)
            # A file that is filed away is not reported by a later run, so this one fails.
            whole = [f"{one.source}: {one.reason}" for one in results if one.state != "taken"]
            if whole:
                refused[key] = "; ".join(whole)
    context.add_output_metadata(fulfilment_metadata.files(taken))
    return refused


def _push(
    context: dg.OpExecutionContext,
    config: StepConfig,
    pipelines: Pipelines,
    refused_files: dict[str, str],
) -> Iterator[Any]:
    """Pushes to the shops of the run.

    Yields:
        `PushOutcome.to_json()`, before the failure: what was done is shown either way.

    Raises:
        dagster.Failure: at the end, if a push failed or a file was refused; it names the
            integrations.
    """
    outcome = PushOutcome()
    with pipelines.open() as app:
        keys = _keys(app, config)
        context.log.info(f"{config.kind} of {', '.join(keys) or 'no integration'}")
        batch = PushBatch(
            app,
            config.kind,
            _push_function(config),
            context.run.run_id,
            limit=config.limit,
            dry_run=config.dry_run,
            named=config.integration is not None,
        )
        for key, so_far in batch.run(keys):
            outcome = so_far
            _log(context, key, outcome)
        for key, reason in refused_files.items():
            before = outcome.failures.get(key)
            outcome.failures[key] = f"{reason}; {before}" if before else reason
        if not config.dry_run:
            fulfilment_checks.log_verdicts(context, app)
    shown = fulfilment_metadata.metadata(outcome.reports, outcome.failures, outcome.refused)
    yield dg.Output(outcome.to_json(), metadata=shown)
    if outcome.failures:
        succeeded = sum(one.integration not in outcome.failures for one in outcome.reports)
        raise failure(outcome.failures, succeeded, shown["outcome"])


def _push_function(config: StepConfig) -> Push:
    if config.kind == "shipments":
        return push_tracking_numbers
    # Unless it is a dry run, `ingest_drop_folder` has released what was held.
    return functools.partial(push_stock_levels, release=config.release and config.dry_run)


push_shipments = dg.op(
    name="push_shipments",
    pool=POOL,
    description="Tracking numbers, carriers and order statuses: into the shop, and read back.",
)(_push)
push_levels = dg.op(
    name="push_levels",
    pool=POOL,
    description="Stock on hand: compared with the shop's, written where it differs, read back.",
)(_push)


@dg.job(
    name="push_tracking",
    config=tracking_form,
    tags=TAGS,
    description="Writes shipments to the shops: tracking numbers, carriers, order statuses.",
)
def push_tracking() -> None:
    """Takes files in, then pushes shipments."""
    push_shipments(ingest_drop_folder())


@dg.job(
    name="push_stock",
    config=stock_form,
    tags=TAGS,
    description="Writes stock levels to the shops.",
)
def push_stock() -> None:
    """Takes files in, then pushes stock levels."""
    push_levels(ingest_drop_folder())


def _keys(app: AppContext, config: StepConfig, *, before_files: bool = False) -> list[str]:
    """Returns the integrations of this run.

    Args:
        app: the warehouse and the registry.
        config: of the step.
        before_files: files are taken in next: one that is named is left out if it may not be pushed
            to (the push says why), and needs nothing in the inbox yet.
    """
    if config.integration is not None:
        keys = [config.integration]
        return due.pushable(app, config.kind, keys) if before_files else keys
    if config.only:
        return due.pushable(app, config.kind, config.only)
    with app.warehouse.connect(autocommit=True) as connection:
        return sorted(due.waiting(app, connection, config.kind))


def _log_files(context: dg.OpExecutionContext, key: str, results: list[IngestResult]) -> None:
    for one in results:
        said = f"{key}: {one.kind}/{one.source}: {one.taken} rows taken, {one.known} known before"
        said += f", {len(one.refusals)} refused"
        if one.state == "taken":
            context.log.info("; ".join([said, *one.notes]))
        else:
            context.log.warning(f"{key}: {one.kind}/{one.source} is {one.state}: {one.reason}")


def _log(context: dg.OpExecutionContext, key: str, outcome: PushOutcome) -> None:
    if key in outcome.unexpected:
        error = outcome.unexpected[key]
        context.log.error(f"{key}: unexpected failure", exc_info=error)
    elif key in outcome.failures:
        context.log.error(f"{key}: {outcome.failures[key]}")
    elif key in outcome.refused:
        context.log.info(f"{key} is not pushed: {outcome.refused[key]}")
    else:
        (report,) = (one for one in outcome.reports if one.integration == key)
        counted = ", ".join(f"{count} {name}" for name, count in report.counts.items())
        context.log.info(f"{key}: {counted}; {report.calls} API calls, {report.seconds:.1f} s")

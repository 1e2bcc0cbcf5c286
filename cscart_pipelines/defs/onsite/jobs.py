"""The targeted sync: orders and people that visits have touched are read from the shops again.

The sensor `rebuild_lists` sees the records of the run. Not here: what is done in one shop
(`sync.batches.targeted`), when a run starts (`sensors`).
"""

# Without `from __future__ import annotations`: Dagster reads the annotations as they are.
from typing import Any

import dagster as dg
from pydantic import Field

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs.shared import markdown
from cscart_pipelines.defs.shared.failures import failure
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.integrations.lifecycle import Action, rejection_reason
from cscart_pipelines.onsite import change_queue
from cscart_pipelines.sync.batches.targeted import TargetedBatch, TargetedOutcome, TargetedResult


class TargetedSyncConfig(dg.Config):
    """Of which integrations the change queue is worked off."""

    only: list[str] = Field(
        default_factory=list,
        description="These integrations. Empty: all for which something is due.",
    )


@dg.op(
    name="sync_touched_records",
    pool="onsite",
    description="Reads orders and customers of recent visits from their shops again.",
)
def sync_touched_records(
    context: dg.OpExecutionContext, config: TargetedSyncConfig, pipelines: Pipelines
) -> None:
    """Reads the touched records of each shop; the changes of one that does not answer wait.

    Raises:
        dagster.Failure: at the end, if a shop failed or has not answered for a while.
    """
    outcome = TargetedOutcome()
    with pipelines.open() as app:
        keys = config.only or _due(app)
        for key, future in TargetedBatch(app, context.run.run_id).run(keys):
            unexpected = outcome.add(key, future)
            if unexpected is not None:
                context.log.error(f"{key}: unexpected failure", exc_info=unexpected)
            elif key in outcome.followed:
                _observe(context, outcome.followed[key])
    for key, reason in {**outcome.refused, **outcome.no_answer}.items():
        context.log.warning(f"{key} is left for later: {reason}")
    table = _table(outcome)
    context.add_output_metadata(_metadata(outcome, table))
    if outcome.failures:
        raise failure(outcome.failures, len(outcome.followed), table)


@dg.job(
    name="follow_onsite",
    tags={"dagster/max_runtime": "900", "dagster/priority": "1"},
    description="Brings what visits have touched up to date: new accounts, changed profiles, new"
    " orders, read from the shops' APIs.",
)
def follow_onsite() -> None:
    """Reads what recent visits have touched."""
    sync_touched_records()


def _due(app: AppContext) -> list[str]:
    with app.warehouse.connect(autocommit=True) as connection:
        return sorted(allowed(app, change_queue.waiting(connection)))


def allowed(app: AppContext, waiting: dict[str, str]) -> set[str]:
    """Returns the integrations that may be asked now.

    While one is synchronised, its rows wait: most of them are needless afterwards.
    """
    if not waiting:
        return set()
    return {
        one.key
        for one, standing in app.registry.standings(waiting)
        if one.first_synced_at is not None and rejection_reason(Action.SCHEDULED, standing) is None
    }


def _observe(context: dg.OpExecutionContext, followed: TargetedResult) -> None:
    """Logs an observation and no materialisation: only a full sync makes a partition whole."""
    report = followed.report
    for entity, rows in (("customers", report.customers), ("orders", report.orders)):
        if rows:
            context.log_event(
                dg.AssetObservation(
                    ["cscart", entity],
                    partition=report.integration,
                    metadata={"rows_read": rows, "because_of": "onsite events"},
                )
            )


def _metadata(outcome: TargetedOutcome, table: dg.MarkdownMetadataValue) -> dict[str, Any]:
    results = list(outcome.followed.values())
    reports = [one.report for one in results]
    return {
        "outcome": table,
        "integrations": len(results),
        "touched": sum(one.touched for one in results),
        "changed": sum(report.changes.written for report in reports),
        "later": sum(one.later for one in results),
        "given_up": sum(one.given_up for one in results),
        "api_calls": sum(report.calls for report in reports),
        "not_asked": len(outcome.refused) + len(outcome.no_answer),
    }


def _table(outcome: TargetedOutcome) -> dg.MarkdownMetadataValue:
    """Returns a line for each shop, without addresses of people."""
    head = ("integration", "outcome", "touched", "orders", "customers", "changed", "later",
            "given up", "API calls", "seconds")  # fmt: skip
    failed = sorted({**outcome.no_answer, **outcome.failures}.items())
    rows: list[tuple[object, ...]] = [
        *((key, f"**not asked**: {reason}") for key, reason in failed),
        *((key, f"left for later: {reason}") for key, reason in sorted(outcome.refused.items())),
    ]
    for key, one in sorted(outcome.followed.items()):
        report = one.report
        rows.append(
            (key, "ok", one.touched, report.orders, report.customers, report.changes.written,
             one.later, one.given_up, report.calls, report.seconds)
        )  # fmt: skip
    return markdown.table(head, rows, right=8)

"""Tests of data that no build runs, since they read whole lists: once a day, over all of them.

Cheap ones run with each build (`assets`). Not here: the tests (`dbt_project/tests`).
"""

from collections.abc import Iterator

import dagster as dg
from dagster_dbt import DbtCliResource

from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.defs.shared.run_requests import STARTED_BY
from cscart_pipelines.defs.transformation.dbt_build import Event, daily_test_events


@dg.op(
    name="test_all_lists", out={}, pool="dbt", description="Runs the dbt tests with the tag daily."
)
def test_all_lists(
    context: dg.OpExecutionContext, dbt: DbtCliResource, pipelines: Pipelines
) -> Iterator[Event]:
    """Fails when a test fails; each is told as a check of its model."""
    with pipelines.open() as app:
        yield from daily_test_events(context, dbt, app.warehouse)


@dg.job(
    name="test_lists",
    tags={"dagster/max_runtime": str(3 * 3600)},
    description="Tests of data over all lists: layers agree, everyone is in one group of a kind,"
    " changes alternate.",
)
def test_lists() -> None:
    """Runs the tests of every day."""
    test_all_lists()


@dg.schedule(
    job=test_lists,
    cron_schedule="10 3 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night, between two synchronisations.",
)
def test_lists_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Requests the run of every night."""
    return dg.RunRequest(tags={STARTED_BY: "tests of lists"})

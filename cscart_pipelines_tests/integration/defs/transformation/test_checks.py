"""The tests of data that run once a day, over all lists."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from cscart_pipelines_tests.support.dagster.location import (
    PYDANTIC,
    Deployment,
    deployment,
    location,
)
from cscart_pipelines_tests.support.dbt.builds import (
    AS_OF,
    WITHOUT_TESTS,
    Shop,
    build,
    dbt_target,
    load,
    order,
)

__all__ = ["dbt_target", "deployment"]
pytestmark = pytest.mark.filterwarnings(PYDANTIC)


def run_of_the_day(deployment: Deployment) -> tuple[bool, dict[str, bool]]:
    """Whether the run succeeded, and of each check whether it passed."""
    done = (
        location()
        .resolve_job_def("test_lists")
        .execute_in_process(instance=deployment.instance, raise_on_error=False)
    )
    checks = [
        event.asset_check_evaluation_data
        for event in done.all_events
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    return done.success, {check.check_name: check.passed for check in checks}


def test_a_list_that_disagrees_with_itself_fails_the_run_of_the_day(
    deployment: Deployment, dbt_target: Path
) -> None:
    placed = [order(1, AS_OF - pd.Timedelta(days=1), email="ada@post.gr")]
    load(deployment.database, [Shop(name, orders=placed) for name in ("one", "two")])
    build(deployment.database, AS_OF, *WITHOUT_TESTS, target=dbt_target)
    success, checks = run_of_the_day(deployment)
    assert success
    assert checks["lifecycle_bands_are_a_partition"]
    assert set(checks.values()) == {True}
    deployment.execute(
        "DELETE FROM analytics.segment_members"
        " WHERE integration = 'two' AND segment LIKE 'lifecycle_%'"
    )
    success, checks = run_of_the_day(deployment)
    assert not success
    assert [name for name, passed in checks.items() if not passed] == [
        "lifecycle_bands_are_a_partition"
    ]

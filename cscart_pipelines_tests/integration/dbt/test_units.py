"""dbt's own unit tests of every rule, run in a new warehouse without a shop."""

from __future__ import annotations

import json
from pathlib import Path

from cscart_pipelines_tests.support.dbt.builds import AS_OF, Database, dbt


def test_an_empty_warehouse_builds_and_every_unit_test_passes(
    warehouse_database: Database, tmp_path: Path
) -> None:
    """A unit test runs once its model's parents exist, hence the whole build."""
    # A role that does not exist is no reason to stop.
    variables = {"as_of": AS_OF.isoformat(), "analyst_role": "role_never_made"}
    dbt(warehouse_database.dbt_env, "build", variables=variables, target=tmp_path)

    results = json.loads((tmp_path / "run_results.json").read_text("utf-8"))["results"]
    units = [r for r in results if r["unique_id"].startswith("unit_test.")]
    assert len(units) >= 25
    assert {r["status"] for r in units} == {"pass"}
    assert {r["status"] for r in results} <= {"pass", "success", "no-op"}  # exposures do nothing

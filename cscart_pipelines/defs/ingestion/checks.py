"""The asset checks of the raw tables, computed by the run that loads them.

Not here: what is checked (`sync.data_checks`), rules about lists and segments, which are dbt tests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import dagster as dg

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs.shared import markdown
from cscart_pipelines.sync.data_checks import CHECKS, DataCheck, find

SHOWN = 50
"""Findings that a verdict names; the rest is counted."""


def spec(check: DataCheck) -> dg.AssetCheckSpec:
    """Returns the check as Dagster knows it."""
    return dg.AssetCheckSpec(
        check.name, asset=["cscart", check.entity], description=check.description
    )


SPECS = [spec(check) for check in CHECKS]


def severity(check: DataCheck) -> dg.AssetCheckSeverity:
    """Returns how bad a finding of the check is."""
    return dg.AssetCheckSeverity.WARN if check.warning else dg.AssetCheckSeverity.ERROR


def results(
    app: AppContext, selected: Collection[dg.AssetCheckKey]
) -> Iterator[dg.AssetCheckResult]:
    """Computes the selected checks and yields their verdicts."""
    chosen = [check for check in CHECKS if spec(check).key in selected]
    with app.warehouse.connect(autocommit=True) as connection:
        for check, findings in find(connection, chosen, SHOWN):
            yield dg.AssetCheckResult(
                check_name=check.name,
                asset_key=["cscart", check.entity],
                passed=not findings,
                severity=severity(check),
                metadata=shown_findings(findings),
            )


def shown_findings(findings: Sequence[tuple[str, str, int]]) -> dict[str, Any]:
    """Returns findings (integration, what, how many in all) as the UI shows them."""
    if not findings:
        return {"findings": 0}
    return {
        "findings": findings[0][2],
        "integrations": ", ".join(sorted({key for key, _, _ in findings})),
        "which": markdown.table(
            ("integration", "finding"), [(key, text) for key, text, _ in findings]
        ),
    }

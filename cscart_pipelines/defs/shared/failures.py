"""How a run over many shops fails: at the end, naming the shops that failed.

Not here: what is shown of single shops (`metadata` of each domain), and the alert (`alerts`).
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

FAILED = "failed_integrations"
"""The failure's metadata under which alerts find the shops."""


def failure(
    failures: Mapping[str, str],
    succeeded: int,
    table: dg.MarkdownMetadataValue | None = None,
) -> dg.Failure:
    """Returns the failure of a run. Dagster does not retry it: the shop client has.

    Args:
        failures: reasons by integration.
        succeeded: how many integrations did not fail.
        table: the outcome of all, as Markdown.
    """
    names = ", ".join(sorted(failures))
    reasons = "; ".join(f"{key}: {reason}" for key, reason in sorted(failures.items()))
    return dg.Failure(
        description=f"{len(failures)} of {len(failures) + succeeded} failed: {names}. "
        + reasons[:2000],
        metadata={
            **({} if table is None else {"outcome": table}),
            FAILED: dg.MetadataValue.json(sorted(failures)),
        },
        allow_retries=False,
    )

"""How a run over many shops ends: each shop for itself, the run failed if one did.

Not here: what is told of single shops (`raw_metadata`, `write_back_report`), and whom (`alerts`).
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

FAILED = "failed_integrations"
"""The failure's metadata under which alerts find the shops."""


def failure(
    failures: Mapping[str, str], succeeded: int, table: dg.MarkdownMetadataValue
) -> dg.Failure:
    """The failure of the run, which names the shops that failed and why. Not tried again at once:
    what may pass has been waited for."""
    names = ", ".join(sorted(failures))
    reasons = "; ".join(f"{key}: {reason}" for key, reason in sorted(failures.items()))
    return dg.Failure(
        description=f"{len(failures)} of {len(failures) + succeeded} failed: {names}. "
        + reasons[:2000],
        metadata={"outcome": table, FAILED: dg.MetadataValue.json(sorted(failures))},
        allow_retries=False,
    )

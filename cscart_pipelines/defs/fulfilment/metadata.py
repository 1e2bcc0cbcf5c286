"""What a push shows in the UI: tables for people, and plain numbers.

Pure: reports in, metadata out. Long tables are cut. Not here: when they are shown (`jobs`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from cscart_pipelines.defs.shared import markdown
from cscart_pipelines.fulfilment.feeds.ingest import IngestResult
from cscart_pipelines.fulfilment.report import PushReport

MAX_ROWS = 200
"""Of one table; the journal has them all."""
MAX_CHARACTERS = 160
"""Of what the shop had before and after, in one cell."""
WRITTEN = ("verified", "planned")
REFUSALS = ("integration", "target", "reason", "where from")

Rows = list[tuple[object, ...]]


def metadata(
    reports: Sequence[PushReport], failures: Mapping[str, str], refused: Mapping[str, str]
) -> dict[str, Any]:
    """Returns everything about one run. Empty tables are left out.

    Args:
        reports: of the pushes that began.
        failures: reasons by integration.
        refused: reasons, by integration, why it was not pushed to.
    """
    counts: dict[str, int] = {}
    for report in reports:
        for name, count in report.counts.items():
            counts[name] = counts.get(name, 0) + count
    head = ("integration", "what", "target", "state", "before", "after", "note")
    return {
        "outcome": _outcome(reports, failures, refused),
        "integrations": len(reports),
        **counts,
        "api_calls": sum(report.calls for report in reports),
        "seconds": round(max((report.seconds for report in reports), default=0.0), 1),
        **_table("changes", head, _changes(reports)),
        **_table(
            "refusals",
            REFUSALS,
            [
                (report.integration, one.target, one.reason, one.source)
                for report in reports
                for one in report.refusals
            ],
        ),
        **_table(
            "notes",
            ("integration", "note"),
            [(report.integration, note) for report in reports for note in report.notes],
        ),
        **_table(
            "held",
            ("integration", "why"),
            sorted((report.integration, report.held) for report in reports if report.held),
        ),
    }


def files(taken: Sequence[tuple[str, IngestResult]]) -> dict[str, Any]:
    """Returns what was taken in from the drop folder, as pairs of integration and result."""
    rows: Rows = []
    refused: Rows = []
    for key, one in taken:
        note = "; ".join([one.reason or "", *one.notes]).strip("; ")
        name = f"{one.kind}/{one.source}"
        rows.append((key, name, one.state, one.taken, one.known, len(one.refusals), note))
        refused += [(key, each.target, each.reason, each.source) for each in one.refusals]
    head = ("integration", "file", "state", "taken", "known before", "refused", "note")
    return {
        "files": len(taken),
        **_table("which", head, rows),
        **_table("refusals", REFUSALS, refused),
    }


def _outcome(
    reports: Sequence[PushReport], failures: Mapping[str, str], refused: Mapping[str, str]
) -> dg.MarkdownMetadataValue:
    """Returns a line for each shop, failed ones first."""
    known = {report.integration: report for report in reports}
    rows: Rows = [
        *((key, f"**failed**: {why}", *_numbers(known.get(key)))
          for key, why in sorted(failures.items())),
        *((key, f"not pushed: {why}") for key, why in sorted(refused.items())),
        *((key, "dry run" if report.dry_run else "ok", *_numbers(report))
          for key, report in sorted(known.items()) if key not in failures),
    ]  # fmt: skip
    if not rows:
        return dg.MarkdownMetadataValue("Nothing waits for any integration.")
    head = ("integration", "outcome", "written", "unchanged", "refused", "waiting", "API calls",
            "seconds")  # fmt: skip
    return markdown.table(head, rows, right=6, limit=MAX_ROWS)


def _numbers(report: PushReport | None) -> tuple[object, ...]:
    if report is None:
        return ()
    written = sum(change.state in WRITTEN for change in report.changes)
    refused = len(report.refusals)
    return (written, report.unchanged, refused, report.waiting, report.calls, report.seconds)


def _changes(reports: Sequence[PushReport]) -> Rows:
    """Returns what was written, or would be in a dry run; what went wrong first."""
    found = [(report.integration, change) for report in reports for change in report.changes]
    found.sort(key=lambda each: each[1].state in WRITTEN)  # stable
    return [
        (key, change.kind.replace("_", " "), change.target, change.state, _brief(change.before),
         _brief(change.after), change.note)
        for key, change in found
    ]  # fmt: skip


def _brief(value: dict[str, Any] | None) -> str:
    text = ", ".join(
        f"{name} {one if isinstance(one, str | int) else json.dumps(one, default=str)}"
        for name, one in (value or {}).items()
        if one is not None
    )
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


def _table(
    name: str, head: Sequence[str], rows: Sequence[Sequence[object]]
) -> dict[str, dg.MarkdownMetadataValue]:
    return {name: markdown.table(head, rows, limit=MAX_ROWS)} if rows else {}

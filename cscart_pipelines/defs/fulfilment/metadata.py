"""What a push shows in the UI: tables for people, and plain numbers.

Pure: reports in, metadata out. Long tables are cut. Not here: when they are shown (`jobs`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from cscart_pipelines.defs.ingestion.metadata import cell
from cscart_pipelines.fulfilment.feeds.ingest import IngestResult
from cscart_pipelines.fulfilment.report import PushReport, WrittenChange

MOST_LINES = 200
"""Of one table; the journal has them all."""
MOST_CHARACTERS = 160
"""Of what the shop had before and after, in one cell."""
WRITTEN = ("verified", "planned")


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
    held = {report.integration: report.held for report in reports if report.held}
    tables = {
        "changes": changes(reports),
        "refusals": refusals(reports),
        "notes": notes(reports),
        "held": _table(("integration", "why"), sorted(held.items())),
    }
    return {
        "outcome": outcome(reports, failures, refused),
        "integrations": len(reports),
        **counts,
        "api_calls": sum(report.calls for report in reports),
        "seconds": round(max((report.seconds for report in reports), default=0.0), 1),
        **{name: table for name, table in tables.items() if table is not None},
    }


def outcome(
    reports: Sequence[PushReport], failures: Mapping[str, str], refused: Mapping[str, str]
) -> dg.MarkdownMetadataValue:
    """Returns a line for each shop, failed ones first."""
    known = {report.integration: report for report in reports}
    lines: list[tuple[str, ...]] = []
    for key, reason in sorted(failures.items()):
        lines.append((key, f"**failed**: {reason}", *_numbers(known.get(key))))
    for key, reason in sorted(refused.items()):
        lines.append((key, f"not pushed: {reason}", *_numbers(None)))
    for key, report in sorted(known.items()):
        if key not in failures:
            said = "dry run" if report.dry_run else "ok"
            lines.append((key, said, *_numbers(report)))
    head = ("integration", "outcome", "written", "unchanged", "refused", "waiting", "API calls",
            "seconds")  # fmt: skip
    return _table(head, lines) or dg.MarkdownMetadataValue("Nothing waits for any integration.")


def changes(reports: Sequence[PushReport]) -> dg.MarkdownMetadataValue | None:
    """Returns what was written, or would be in a dry run; what went wrong first."""
    found = [(report.integration, change) for report in reports for change in report.changes]
    found.sort(key=lambda each: each[1].state in WRITTEN)  # stable
    lines = [
        (key, change.kind.replace("_", " "), change.target, change.state, _brief(change.before),
         _brief(change.after), _note(change))
        for key, change in found
    ]  # fmt: skip
    head = ("integration", "what", "target", "state", "before", "after", "note")
    return _table(head, lines)


def refusals(reports: Sequence[PushReport]) -> dg.MarkdownMetadataValue | None:
    """Returns the refused rows of the inboxes, with the reasons."""
    lines = [
        (report.integration, one.target, one.reason, one.source or "")
        for report in reports
        for one in report.refusals
    ]
    return _table(("integration", "target", "reason", "where from"), lines)


def notes(reports: Sequence[PushReport]) -> dg.MarkdownMetadataValue | None:
    """Returns findings about a whole push."""
    lines = [(report.integration, note) for report in reports for note in report.notes]
    return _table(("integration", "note"), lines)


def files(taken: Sequence[tuple[str, IngestResult]]) -> dict[str, Any]:
    """Returns what was taken in from the drop folder, as pairs of integration and result."""
    lines: list[tuple[Any, ...]] = []
    refused: list[tuple[Any, ...]] = []
    for key, one in taken:
        said = "; ".join([one.reason or "", *one.notes]).strip("; ")
        name = f"{one.kind}/{one.source}"
        lines.append((key, name, one.state, one.taken, one.known, len(one.refusals), said))
        refused += [(key, each.target, each.reason, each.source or "") for each in one.refusals]
    head = ("integration", "file", "state", "taken", "known before", "refused", "note")
    tables = {
        "which": _table(head, lines),
        "refusals": _table(("integration", "target", "reason", "where from"), refused),
    }
    shown = {name: table for name, table in tables.items() if table is not None}
    return {"files": len(taken), **shown}


def _numbers(report: PushReport | None) -> tuple[str, ...]:
    if report is None:
        return ("",) * 6
    written = sum(change.state in WRITTEN for change in report.changes)
    counted = (written, report.unchanged, len(report.refusals), report.waiting, report.calls)
    return (*(f"{number:,}" for number in counted), f"{report.seconds:,.1f}")


def _note(change: WrittenChange) -> str:
    return change.note or ""


def _brief(value: dict[str, Any] | None) -> str:
    if not value:
        return ""
    text = ", ".join(
        f"{name} {one if isinstance(one, str | int) else json.dumps(one, default=str)}"
        for name, one in value.items()
        if one is not None
    )
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _table(
    head: tuple[str, ...], lines: Sequence[Sequence[Any]]
) -> dg.MarkdownMetadataValue | None:
    if not lines:
        return None
    shown = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    shown += [
        "| " + " | ".join(cell(str(one)) for one in line) + " |" for line in lines[:MOST_LINES]
    ]
    if len(lines) > MOST_LINES:
        shown.append(f"\nand {len(lines) - MOST_LINES:,} more")
    return dg.MarkdownMetadataValue("\n".join(shown))

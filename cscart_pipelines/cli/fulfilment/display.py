"""How pushes, refused rows and the journal look on a terminal. No commands, no queries here."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cscart_pipelines.cli.support import console, formats, tables
from cscart_pipelines.cscart.quantities import from_json, total
from cscart_pipelines.fulfilment.feeds.ingest import IngestResult
from cscart_pipelines.fulfilment.journal import State
from cscart_pipelines.fulfilment.push_session import PushKind
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow, WrittenChange

SHOWN = 40
"""Rows of one table; the rest is a command away."""
MARKS = {
    State.VERIFIED: "[green]✓[/]",
    State.PLANNED: "[cyan]+[/]",
    State.APPLYING: "[yellow]…[/]",
    State.SKIPPED: "[dim]–[/]",
    State.FAILED: "[red]✗[/]",
    State.AMBIGUOUS: "[yellow]?[/]",
}
_ORDER = (State.FAILED, State.AMBIGUOUS, State.APPLYING, State.PLANNED, State.VERIFIED)
"""What needs a person comes first, so that it is not among the rows that are left out."""
_NOTHING: Mapping[str, Any] = {}


def print_push(
    report: PushReport, *, refused: int, run_id: str | None, failure: str | None = None
) -> None:
    """Prints what a push did or would do: changes, findings, counts.

    Args:
        report: of the push.
        refused: rows that were refused in all, also when the file was taken in.
        run_id: of the run; None for a dry run.
        failure: why the run failed.
    """
    if report.changes:
        _print_changes(report)
    for note in report.notes:
        console.out.print(f"  [yellow]![/] {formats.plain(note)}", soft_wrap=True)
    for words in report.postponed:
        console.out.print(f"  [yellow]…[/] {formats.plain(words)}", soft_wrap=True)
    if report.held:
        console.out.print(f"  [red]held[/] {formats.plain(unheld(report.held))}", soft_wrap=True)
    if failure:
        console.out.print(f"  [red]failed[/] {formats.plain(failure)}", soft_wrap=True)
    console.out.print(_summary(report, refused, failed=bool(failure)), soft_wrap=True)
    if report.held and report.dry_run:
        console.note("  [dim]if it is right, --release writes it[/]")
    elif report.held:
        print_release(report.integration)
    if run_id is not None and report.changes:
        journal = console.command(f"fulfilment journal {report.integration} --run {run_id}")
        console.note(f"  [dim]what was done:[/] {journal}", soft_wrap=True)
        if any(change.kind == "stock" and change.state == "verified" for change in report.changes):
            undo = console.command(f"fulfilment undo {report.integration} {run_id}")
            console.note(f"  [dim]to undo it:[/] {undo}", soft_wrap=True)


def print_release(key: str) -> None:
    """Prints the commands that show and release a held feed."""
    apply = console.command(f"fulfilment stock {key} --release")
    console.note(f"  [dim]to see what it would write:[/] {apply} --dry-run", soft_wrap=True)
    console.note(f"  [dim]if it is right:[/] {apply}", soft_wrap=True)


def print_receipt(source: str, receipt: IngestResult) -> None:
    """Prints what of a file was taken into the inbox."""
    words = [f"{formats.count(receipt.taken, 'row')} taken"]
    words += [f"{receipt.known:,} known already"] if receipt.known else []
    words += [f"{len(receipt.refusals):,} refused"] if receipt.refusals else []
    console.out.print(f"{formats.plain(source)}: {', '.join(words)}")
    if receipt.state == "held":
        console.out.print(
            f"  [red]held[/] {formats.plain(receipt.reason or '')}; no row of it was taken in",
            soft_wrap=True,
        )


def unheld(reason: str | None) -> str:
    """Returns a reason without the word held, for a place where that word is shown already."""
    return (reason or "").removeprefix("held: ")


def print_queued(key: str, kind: PushKind, closed: str | None) -> None:
    """Prints when the rows are pushed; `closed` is the reason why that is not now."""
    if closed is not None:
        console.err.print(
            f"[yellow]![/] the rows wait in the inbox: {formats.plain(closed)}", soft_wrap=True
        )
        return
    when = "within a minute" if kind == "shipments" else "at the times of its schedule"
    console.out.print(
        f"The daemon pushes them {when} where `make up` is running. See:"
        f" {console.command(f'fulfilment inbox {key}')}",
        soft_wrap=True,
    )


def place_in_file(refusal: RefusedRow) -> tuple[str, int]:
    """Returns the file and line of a refused row, to sort by."""
    name, _, line = (refusal.source or "").rpartition(":")
    return name, int(line) if line.isdecimal() else 0


def distinct(refusals: Sequence[RefusedRow]) -> list[RefusedRow]:
    """Returns refused rows, each once: the file's check and the push may both refuse a row."""
    kept: dict[tuple[str, str], RefusedRow] = {}
    for refusal in refusals:
        known = kept.get((refusal.target, refusal.reason))
        if known is None or (known.source is None and refusal.source is not None):
            kept[refusal.target, refusal.reason] = refusal
        elif refusal.source is not None and refusal.source != known.source:
            kept[refusal.target, f"{refusal.reason} {refusal.source}"] = refusal
    return list(kept.values())


def print_refusals(refusals: Sequence[RefusedRow]) -> None:
    """Prints refused rows with their line in the file and the reason; each once."""
    refusals = distinct(refusals)
    if not refusals:
        return
    table = tables.table("refused", "order or SKU", ("reason", "text"))
    for refusal in refusals[:SHOWN]:
        table.add_row(
            formats.plain(refusal.source or "–"),
            formats.plain(refusal.target),
            f"[red]{formats.plain(refusal.reason)}[/]",
        )
    tables.show(table)
    if len(refusals) > SHOWN:
        console.out.print(f"  [dim]and {len(refusals) - SHOWN:,} more; --json has them all[/]")


def print_journal(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints entries of the journal in the order given, those of one run together."""
    for run_id, entries in itertools.groupby(rows, lambda row: row["run_id"]):
        mine = list(entries)
        console.out.print(f"[bold]{_when(mine[0]):%Y-%m-%d}[/]  run {formats.plain(run_id or '–')}")
        table = tables.table("", "UTC", "order or SKU", ("in the shop", "text"), ("note", "text"))
        for row in mine:
            tries = f"{row['attempts']} attempts; " if row["attempts"] > 1 else ""
            table.add_row(
                MARKS[State(row["state"])],
                f"{_when(row):%H:%M:%S}",
                formats.plain(row["target"]),
                formats.plain(what_changed(row["kind"], row["before"], row["after"], row["plan"])),
                formats.plain(f"{tries}{row['reason'] or ''}".removesuffix("; ")),
            )
        tables.show(table)


def _when(row: Mapping[str, Any]) -> datetime:
    moment: datetime = row["finished_at"] or row["sent_at"] or row["created_at"]
    return moment.astimezone(UTC)


def what_changed(
    kind: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    plan: Mapping[str, Any] | None = None,
) -> str:
    """Returns one write in a few words: 5 → 3, P → C, or the shipment."""
    before, after, plan = before or _NOTHING, after or _NOTHING, plan or _NOTHING
    if kind == "shipment":
        return _parcel({**plan, **after})
    name = "amount" if kind == "stock" else "status"
    now = after.get(name, plan.get(name, plan.get("to")))
    was = before.get(name)
    if now is None or was is None:
        return "–" if now is None and was is None else _text(was if now is None else now)
    return _text(was) if was == now else f"{_text(was)} → {_text(now)}"


def _parcel(facts: Mapping[str, Any]) -> str:
    quantities = facts.get("quantities") or {}
    pieces = total(from_json(each) for each in quantities.values())
    said = [f"shipment {facts['shipment_id']}"] if facts.get("shipment_id") else []
    if pieces:
        said.append(f"{formats.quantity(pieces)} piece{'s' * (pieces != 1)}")
    if facts.get("carrier"):
        said.append(str(facts["carrier"]))
    return ", ".join(said) or "–"


def _print_changes(report: PushReport) -> None:
    rank = {state: place for place, state in enumerate(_ORDER)}
    changes = sorted(report.changes, key=lambda change: rank.get(State(change.state), 9))
    head: str = "would become" if report.dry_run else "in the shop"
    fed = any(change.feed is not None for change in changes)
    target = "SKU" if report.kind == "stock" else "order and shipment"
    columns: list[Any] = ["", target, *[("feed", "right")] * fed, (head, "text")]
    table = tables.table(*columns, ("rule or note" if fed else "note", "text"))
    for change in changes[:SHOWN]:
        mark, name, *rest = _change_cells(change)
        table.add_row(mark, name, *([formats.quantity(change.feed)] if fed else []), *rest)
    tables.show(table)
    if len(changes) > SHOWN:
        console.out.print(f"  [dim]and {len(changes) - SHOWN:,} more[/]")


def _change_cells(change: WrittenChange) -> tuple[str, str, str, str]:
    return (
        MARKS[State(change.state)],
        formats.plain(change.target),
        formats.plain(what_changed(change.kind, change.before, change.after)),
        formats.plain(change.note or ""),
    )


def _summary(report: PushReport, refused: int, *, failed: bool) -> str:
    """Returns the last line: how many of what."""
    counts = {n: count for n, count in {**report.counts, "refused": refused}.items() if count}
    if report.dry_run:
        planned = counts.pop("planned", 0)
        words = [f"{planned:,} would be written"]
    else:
        words = [f"{counts.pop('verified', 0):,} written"]
    words += [f"{count:,} {name}" for name, count in counts.items()]
    if report.waiting and not report.dry_run:
        words.append(f"{report.waiting:,} still waiting")
    calls = f"{report.calls:,} API calls, {report.seconds:.1f} s"
    mark = "[yellow]![/]" if refused or report.held else "[green]✓[/]"  # the exit code is not 0
    mark = "[red]✗[/]" if report.problems or failed else mark
    dry = "[cyan]dry run, nothing was written:[/] " if report.dry_run else ""
    return f"{mark} {report.integration}: {dry}{', '.join(words)}  [dim]{calls}[/]"


def _text(value: Any) -> str:
    return formats.quantity(value) if isinstance(value, int | float) else str(value)

"""How pushes, their refusals and the journal look on the terminal. No commands, no queries here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from cscart_pipelines.cli import console
from cscart_pipelines.fulfilment.journal import State
from cscart_pipelines.fulfilment.report import Change, PushReport, Refusal

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
"""Troubles first: they must not be among those that are not shown."""
_NOTHING: Mapping[str, Any] = {}


def print_push(report: PushReport, *, run_id: str | None) -> None:
    """What a push did or would do: the changes, the counts, the findings."""
    if report.changes:
        _print_changes(report)
    for note in report.notes:
        console.out.print(f"  [yellow]![/] {console.plain(note)}", soft_wrap=True)
    for words in report.postponed:
        console.out.print(f"  [yellow]…[/] {console.plain(words)}", soft_wrap=True)
    if report.held:
        console.out.print(f"  [red]held[/] {console.plain(report.held)}", soft_wrap=True)
    console.out.print(_summary(report))
    if run_id is not None and report.changes:
        journal = console.command(f"fulfilment journal {report.integration} --run {run_id}")
        console.out.print(f"  [dim]what was done:[/] {journal}", soft_wrap=True)
        if any(change.kind == "stock" and change.state == "verified" for change in report.changes):
            undo = console.command(f"fulfilment undo {report.integration} {run_id}")
            console.out.print(f"  [dim]to take it back:[/] {undo}", soft_wrap=True)


def print_refusals(refusals: Sequence[Refusal], key: str) -> None:
    """Rows that were not carried out, with where they stand and why."""
    if not refusals:
        return
    table = console.table("refused", "order or SKU", "reason")
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for refusal in refusals[:SHOWN]:
        table.add_row(
            console.plain(refusal.source or "–"),
            console.plain(refusal.target),
            f"[red]{console.plain(refusal.reason)}[/]",
        )
    console.out.print(table)
    if len(refusals) > SHOWN:
        rest = console.command(f"fulfilment inbox {key} --limit {len(refusals)}")
        console.out.print(f"  [dim]and {len(refusals) - SHOWN:,} more: {rest}[/]", soft_wrap=True)


def journal_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Entries of the journal, in the order given."""
    table = console.table("", "when (UTC)", "order or SKU", "in the shop", "note", "run")
    table.columns[1].no_wrap = True
    for row in rows:
        when = row["finished_at"] or row["sent_at"] or row["created_at"]
        tries = f"{row['attempts']} attempts; " if row["attempts"] > 1 else ""
        table.add_row(
            MARKS[State(row["state"])],
            f"{when:%m-%d %H:%M:%S}",
            console.plain(row["target"]),
            console.plain(what_changed(row["kind"], row["before"], row["after"], row["plan"])),
            console.plain(f"{tries}{row['reason'] or ''}".removesuffix("; ")),
            f"[dim]{console.plain((row['run_id'] or '–')[:13])}[/]",
        )
    return table


def what_changed(
    kind: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    plan: Mapping[str, Any] | None = None,
) -> str:
    """One write in a few words: 5 → 3, P → C, or the parcel."""
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
    pieces = sum(int(pieces) for pieces in quantities.values())
    said = [f"shipment {facts['shipment_id']}"] if facts.get("shipment_id") else []
    if pieces:
        said.append(f"{pieces:,} piece{'s' * (pieces != 1)}")
    if facts.get("carrier"):
        said.append(str(facts["carrier"]))
    return ", ".join(said) or "–"


def _print_changes(report: PushReport) -> None:
    rank = {state: place for place, state in enumerate(_ORDER)}
    changes = sorted(report.changes, key=lambda change: rank.get(State(change.state), 9))
    head = "would become" if report.dry_run else "in the shop"
    table = console.table("", "SKU" if report.kind == "stock" else "order and parcel", head, "note")
    for change in changes[:SHOWN]:
        table.add_row(*_change_cells(change))
    console.out.print(table)
    if len(changes) > SHOWN:
        console.out.print(f"  [dim]and {len(changes) - SHOWN:,} more[/]")


def _change_cells(change: Change) -> tuple[str, str, str, str]:
    return (
        MARKS[State(change.state)],
        console.plain(change.target),
        console.plain(what_changed(change.kind, change.before, change.after)),
        console.plain(change.note or ""),
    )


def _summary(report: PushReport) -> str:
    """The last line: how many of what."""
    counts = {name: count for name, count in report.counts.items() if count}
    if report.dry_run:
        planned = counts.pop("planned", 0)
        words = [f"{planned:,} would be written"]
    else:
        words = [f"{counts.pop('verified', 0):,} written"]
    words += [f"{count:,} {name}" for name, count in counts.items()]
    if report.waiting and not report.dry_run:
        words.append(f"{report.waiting:,} still waiting")
    calls = f"{report.calls:,} API calls, {report.seconds:.1f} s"
    mark = "[red]✗[/]" if report.troubles else "[green]✓[/]"
    dry = "[cyan]dry run, nothing was written:[/] " if report.dry_run else ""
    return f"{mark} {report.integration}: {dry}{', '.join(words)}  [dim]{calls}[/]"


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)

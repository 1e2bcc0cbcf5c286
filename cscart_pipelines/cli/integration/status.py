"""`integration list`, `show` and `status`: the integrations as they are now.

Not here: what changes them (`integration`, `desk`), their lists (`reports`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.support import console
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.integrations.conflicts import overlap
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.integrations.sync_runs import history
from cscart_pipelines.integrations.sync_runs.progress import Progress, progress_of

Key = Annotated[str, typer.Argument(metavar="KEY", help="The integration's key.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


def list_integrations(as_csv: Csv = False, as_json: Json = False) -> None:
    """All integrations: status, age of the data, last error."""
    with opened() as app:
        integrations = app.registry.all()
        with app.warehouse.connect(autocommit=True) as connection:
            runs = history.running(connection)
    running = {key: progress_of(run) for key, run in runs.items()}
    if as_json or as_csv:
        rows = [
            {**summary(one), "progress": _numbers(running.get(one.key))} for one in integrations
        ]
        if as_json:
            console.print_json(rows)
        else:
            console.print_csv(SUMMARY, rows)
        return
    if not integrations:
        console.out.print(f"No integrations yet. Next: {console.command('integration add --help')}")
        return
    counts = Counter(one.status for one in integrations)
    console.out.print(
        "  ".join(f"{counts[one]} {console.status(one)}" for one in Status if counts[one])
    )
    table = console.table(
        "integration", "list", "status", "synchronised", ("shop", "text"), ("problem", "text")
    )
    for one in integrations:
        table.add_row(
            one.key,
            console.plain(one.settings.list_name),
            console.status(one.status) + _brief(running.get(one.key)),
            console.ago(one.last_synced_at),
            console.plain(one.settings.url),
            _trouble(one),
        )
    console.show(table)


def show(key: Key, as_json: Json = False) -> None:
    """All settings of an integration, without the API key."""
    with opened() as app:
        integration = app.registry.get(key)
    if as_json:
        console.print_json({**summary(integration), "settings": _settings(integration)})
        return
    table = console.table("setting", ("value", "text"))
    for name, value in _settings(integration).items():
        table.add_row(name, _shown(value))
    table.add_row("status", console.status(integration.status))
    console.show(table)


def show_status(key: Key, as_json: Json = False) -> None:
    """Status, reason, progress and last runs of an integration."""
    with opened() as app:
        integration = app.registry.get(key)
        runs = recent_runs(app, key)
        warnings = overlaps(app, key)
    if as_json:
        progress = _numbers(progress_of(runs[0])) if runs else None
        told = {**summary(integration), "progress": progress, "runs": runs, "warnings": warnings}
        console.print_json(told)
        return
    print_status(integration, runs)
    for warning in warnings:
        console.out.print(f"  [yellow]![/] {console.plain(warning)}")


# --- what the commands share -------------------------------------------------------------------


SUMMARY = (
    "integration", "list_name", "url", "status", "reason", "since", "attempts", "first_synced_at",
    "last_synced_at", "tested_at", "progress",
)  # fmt: skip


def summary(integration: Integration) -> dict[str, Any]:
    """An integration in short, for JSON."""
    return {
        "integration": integration.key,
        "list_name": integration.settings.list_name,
        "url": integration.settings.url,
        "status": str(integration.status),
        "reason": integration.status_reason,
        "since": integration.status_since,
        "attempts": integration.attempts,
        "first_synced_at": integration.first_synced_at,
        "last_synced_at": integration.last_synced_at,
        "tested_at": integration.tested_at,
    }


def overlaps(app: AppContext, key: str) -> list[str]:
    """What other integrations take of the same shop."""
    every = {one.key: one.settings for one in app.registry.all()}
    return overlap.warnings(every[key], every.values()) if key in every else []


def _settings(integration: Integration) -> dict[str, Any]:
    values = dict(integration.settings)
    values["api_key"] = values.pop("api_key_reference") or "••••••••"
    return values


def _shown(value: Any) -> str:
    if value is None or value == "" or value == ():
        return "[dim]–[/]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return console.plain(", ".join(map(str, value)) if isinstance(value, tuple) else value)


def recent_runs(app: AppContext, key: str) -> list[dict[str, Any]]:
    """The last synchronisations of an integration, the newest first."""
    with app.warehouse.connect(autocommit=True) as connection:
        return history.recent_runs(connection, key)


def _numbers(progress: Progress | None) -> dict[str, Any] | None:
    return None if progress is None else progress.numbers()


def _brief(progress: Progress | None) -> str:
    """Behind the status, on the board."""
    if progress is None or progress.phase is None:
        return ""
    percent = "" if progress.percent is None else f" {progress.percent:.0f} %"
    return f" [dim]{progress.phase}{percent}[/]"


def _trouble(integration: Integration) -> str:
    if not integration.status_reason:
        return ""
    times = f" ({integration.attempts} times)" if integration.attempts > 1 else ""
    return console.plain(integration.status_reason) + times


def print_status(integration: Integration, runs: list[dict[str, Any]]) -> None:
    console.out.print(
        f"[bold]{integration.key}[/]  {console.status(integration.status)}"
        f"  since {console.ago(integration.status_since)}"
        f"  · synchronised {console.ago(integration.last_synced_at)}"
    )
    if integration.status_reason:
        attempts = integration.attempts
        times = f"  [dim]{attempts} attempts since the last success[/]" if attempts > 1 else ""
        console.out.print(f"  [red]{console.plain(integration.status_reason)}[/]{times}")
    for run in runs:
        if progress := progress_of(run):
            console.out.print(f"  {_progress_line(progress)}")
        console.out.print(f"  {console.plain(_run_line(run))}")


def _progress_line(progress: Progress) -> str:
    """A bar with its numbers, as the foreground shows it."""
    total, percent = progress.rows_total, progress.percent
    full = "█" * round((percent or 0) / 100 * 24)
    line = f"{progress.phase or 'starting'}  [cyan]{full}[/][dim]{'░' * (24 - len(full))}[/]"
    line += "" if percent is None else f"  {percent:.0f} %"
    line += f"  {progress.rows_done:,} of {'?' if total is None else f'{total:,}'} rows"
    if progress.rows_per_second:
        line += f"  {progress.rows_per_second:,.0f} rows/s"
    if progress.seconds_left is not None:
        line += f"  {console.duration(progress.seconds_left)} left"
    return line


def _run_line(run: dict[str, Any]) -> str:
    ended = run["finished_at"] or datetime.now(UTC)
    seconds = (ended - run["started_at"]).total_seconds()
    line = (
        f"{run['started_at']:%Y-%m-%d %H:%M} UTC  {run['kind']:<6} {run['state']}, {seconds:.0f} s"
    )
    if run["state"] == "running":
        return line
    if run["state"] == "failed":
        return f"{line}: {run['error']}"
    return f"{line}; changed: {changes_of(run['stats'])}"


def changes_of(stats: Mapping[str, Any] | None) -> str:
    """Customers and orders that a synchronisation has changed."""
    entities = (stats or {}).get("entities", {})
    changed = []
    for name in ("customers", "orders"):
        if numbers := entities.get(name):
            rows = sum(numbers[what] for what in ("inserted", "updated", "deleted"))
            changed.append(f"{rows:,} {name}")
    return ", ".join(changed)

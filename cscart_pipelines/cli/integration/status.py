"""`integration list`, `show` and `status`: the integrations as they are now.

Not here: what changes them (`connect`, `manage`), their lists (`reports`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.support import console, formats, machine_output, tables
from cscart_pipelines.cli.support.arguments import Csv, Json, Key
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.integrations.conflicts import overlap
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.integrations.sync_runs import history
from cscart_pipelines.integrations.sync_runs.progress import Progress, progress_of


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
            machine_output.print_json(rows)
        else:
            machine_output.print_csv(SUMMARY, rows)
        return
    if not integrations:
        console.out.print(f"No integrations yet. Next: {console.command('integration add --help')}")
        return
    counts = Counter(one.status for one in integrations)
    console.out.print(
        "  ".join(f"{counts[one]} {formats.status(one)}" for one in Status if counts[one])
    )
    table = tables.table(
        "integration", "list", "status", "synchronised", ("shop", "text"), ("problem", "text")
    )
    for one in integrations:
        table.add_row(
            one.key,
            formats.plain(one.settings.list_name),
            formats.status(one.status) + _brief(running.get(one.key)),
            formats.ago(one.last_synced_at),
            formats.plain(one.settings.url),
            _trouble(one),
        )
    tables.show(table)


def show(key: Key, as_json: Json = False) -> None:
    """All settings of an integration, without the API key."""
    with opened() as app:
        integration = app.registry.get(key)
    if as_json:
        machine_output.print_json({**summary(integration), "settings": _settings(integration)})
        return
    table = tables.table("setting", ("value", "text"))
    for name, value in _settings(integration).items():
        table.add_row(name, _shown(value))
    table.add_row("status", formats.status(integration.status))
    tables.show(table)


def show_status(key: Key, as_json: Json = False) -> None:
    """Status, reason, progress and last runs of an integration."""
    with opened() as app:
        integration = app.registry.get(key)
        runs = recent_runs(app, key)
        warnings = overlaps(app, key)
    if as_json:
        progress = _numbers(progress_of(runs[0])) if runs else None
        told = {**summary(integration), "progress": progress, "runs": runs, "warnings": warnings}
        machine_output.print_json(told)
        return
    print_status(integration, runs)
    for warning in warnings:
        console.out.print(f"  [yellow]![/] {formats.plain(warning)}")


# --- what the commands share -------------------------------------------------------------------


SUMMARY = (
    "integration", "list_name", "url", "status", "reason", "since", "attempts", "first_synced_at",
    "last_synced_at", "tested_at", "progress",
)  # fmt: skip


def summary(integration: Integration) -> dict[str, Any]:
    """Returns an integration in short, for JSON."""
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
    """Returns a sentence for each other integration that takes the same orders of the shop."""
    every = {one.key: one.settings for one in app.registry.all()}
    return overlap.warnings(every[key], every.values()) if key in every else []


def _settings(integration: Integration) -> dict[str, Any]:
    values = dict(integration.settings)
    values["api_key"] = values.pop("api_key_reference") or "••••••••"
    return values


def _shown(value: Any) -> str:
    text = formats.plain(formats.setting(value))
    return f"[dim]{text}[/]" if text == "–" else text


def recent_runs(app: AppContext, key: str) -> list[dict[str, Any]]:
    """Returns the last synchronisations of an integration, the newest first."""
    with app.warehouse.connect(autocommit=True) as connection:
        return history.recent_runs(connection, key)


def _numbers(progress: Progress | None) -> dict[str, Any] | None:
    return None if progress is None else progress.numbers()


def _brief(progress: Progress | None) -> str:
    """Returns the progress in short, for the column of the status."""
    if progress is None or progress.phase is None:
        return ""
    percent = "" if progress.percent is None else f" {progress.percent:.0f} %"
    return f" [dim]{progress.phase}{percent}[/]"


def _trouble(integration: Integration) -> str:
    if not integration.status_reason:
        return ""
    times = f" ({integration.attempts} times)" if integration.attempts > 1 else ""
    return formats.plain(integration.status_reason) + times


def print_status(integration: Integration, runs: list[dict[str, Any]]) -> None:
    """Prints the status of an integration, its reason, and a line for each run."""
    console.out.print(
        f"[bold]{integration.key}[/]  {formats.status(integration.status)}"
        f"  since {formats.ago(integration.status_since)}"
        f"  · synchronised {formats.ago(integration.last_synced_at)}"
    )
    if integration.status_reason:
        attempts = integration.attempts
        times = f"  [dim]{attempts} attempts since the last success[/]" if attempts > 1 else ""
        console.out.print(f"  [red]{formats.plain(integration.status_reason)}[/]{times}")
    for run in runs:
        if progress := progress_of(run):
            console.out.print(f"  {_progress_line(progress)}")
        console.out.print(f"  {formats.plain(_run_line(run))}")


def _progress_line(progress: Progress) -> str:
    """Returns a bar with its numbers, as a run in the foreground shows them."""
    total, percent = progress.rows_total, progress.percent
    full = "█" * round((percent or 0) / 100 * 24)
    line = f"{progress.phase or 'starting'}  [cyan]{full}[/][dim]{'░' * (24 - len(full))}[/]"
    line += "" if percent is None else f"  {percent:.0f} %"
    line += f"  {progress.rows_done:,} of {'?' if total is None else f'{total:,}'} rows"
    if progress.rows_per_second:
        line += f"  {progress.rows_per_second:,.0f} rows/s"
    if progress.seconds_left is not None:
        line += f"  {formats.duration(progress.seconds_left)} left"
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
    changes = changes_of(run["stats"])
    return f"{line}; changed: {changes}" if changes else line


def changes_of(stats: Mapping[str, Any] | None) -> str:
    """Returns how many customers and orders a synchronisation has changed."""
    entities = (stats or {}).get("entities", {})
    changed = []
    for name in ("customers", "orders"):
        if numbers := entities.get(name):
            rows = sum(numbers[what] for what in ("inserted", "updated", "deleted"))
            changed.append(formats.count(rows, name.removesuffix("s")))
    return ", ".join(changed)

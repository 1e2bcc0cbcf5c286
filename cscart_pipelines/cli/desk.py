"""`cscart-pipelines integration …` over its life: edit, disable, enable, remove, apply, audit.

Not here: connecting, starting and looking (`integration`), the rules (`integrations.lifecycle`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from psycopg.rows import dict_row
from rich.prompt import Confirm

from cscart_pipelines.cli import console, exits
from cscart_pipelines.cli.board import Json, Key
from cscart_pipelines.cli.integration import app, read_key, show_test, yes_no
from cscart_pipelines.cli.premises import Premises, opened
from cscart_pipelines.integrations import declare, secrets
from cscart_pipelines.integrations.acts import FrontDesk
from cscart_pipelines.integrations.connection import test_connection
from cscart_pipelines.integrations.forget import forget, known_integrations
from cscart_pipelines.integrations.lifecycle import Act, require
from cscart_pipelines.integrations.settings import InvalidSettingsError, check

GTM_ADVICE = (
    "If the onsite tracking file was imported in Google Tag Manager, delete it there too: "
    "its tags stay on the shop's pages until you do."
)
Text = Annotated[str | None, typer.Option()]


def _desk(premises: Premises) -> FrontDesk:
    return FrontDesk(premises.warehouse, premises.registry, premises.settings)


@app.command()
def edit(
    key: Key,
    url: Annotated[
        str | None, typer.Option(help="Same host; scheme, port, folder may change.")
    ] = None,
    email: Text = None,
    api_key_env: Annotated[str | None, typer.Option(metavar="VAR")] = None,
    api_key_file: Annotated[Path | None, typer.Option(metavar="FILE")] = None,
    api_key_ref: Annotated[str | None, typer.Option(metavar="REF")] = None,
    new_api_key: Annotated[
        bool, typer.Option("--new-api-key", help="Ask for a new API key.")
    ] = False,
    list_name: Annotated[
        str | None, typer.Option(help="Cannot be changed; says what to do.")
    ] = None,
    timezone: Text = None,
    currency: Text = None,
    settled_statuses: Annotated[
        str | None, typer.Option(metavar="P,C", help="Empty: as the shop says.")
    ] = None,
    refund_statuses: Annotated[str | None, typer.Option(metavar="X")] = None,
    include_guests: Annotated[
        bool | None, typer.Option("--include-guests/--no-include-guests")
    ] = None,
    user_id: Text = None,
    order_prefix: Text = None,
    start_date: Annotated[str | None, typer.Option(metavar="dd/MM/yyyy")] = None,
    countries: Annotated[str | None, typer.Option(metavar="GB,Greece")] = None,
    order_statuses: Annotated[str | None, typer.Option(metavar="O,P")] = None,
    update_tracking_number: Annotated[str | None, typer.Option(metavar="yes|no")] = None,
    update_tracking_url: Annotated[str | None, typer.Option(metavar="yes|no")] = None,
    update_stock: Annotated[str | None, typer.Option(metavar="yes|no")] = None,
    stock_schedule: Annotated[str | None, typer.Option(metavar="CRON")] = None,
    shipped_status: Annotated[str | None, typer.Option(metavar="LETTER")] = None,
    partially_shipped_status: Annotated[str | None, typer.Option(metavar="LETTER")] = None,
    notify_customer: Annotated[str | None, typer.Option(metavar="yes|no")] = None,
) -> None:
    """Change settings. A changed connection detail is saved only after a passed test."""
    given: dict[str, Any] = {
        "url": url, "email": email, "list_name": list_name, "timezone": timezone,
        "currency": currency, "settled_statuses": settled_statuses,
        "refund_statuses": refund_statuses, "include_guests": include_guests, "user_id": user_id,
        "order_prefix": order_prefix, "start_date": start_date, "countries": countries,
        "order_statuses": order_statuses, "stock_schedule": stock_schedule,
        "shipped_status": shipped_status, "partially_shipped_status": partially_shipped_status,
        "api_key_reference": api_key_ref,
    }  # fmt: skip
    values = {name: value for name, value in given.items() if value is not None}
    for emptied in ("settled_statuses", "user_id", "start_date"):
        if values.get(emptied) == "":
            values[emptied] = None
    problems: dict[str, str] = {}
    try:
        values |= yes_no(
            update_tracking_number=update_tracking_number,
            update_tracking_url=update_tracking_url,
            update_stock=update_stock,
            notify_customer=notify_customer,
        )
    except InvalidSettingsError as error:
        problems = error.problems
    fresh = None
    if api_key_env or api_key_file or new_api_key:
        fresh = read_key(api_key_env, api_key_file, api_key_ref)
        values["api_key_reference"] = None
    with opened() as premises, console.err.status("checking"):
        if problems:
            before = premises.registry.get(key).settings.model_dump()
            try:
                check({**before, **values})
            except InvalidSettingsError as error:
                problems = {**error.problems, **problems}
            raise InvalidSettingsError(problems)
        done = _desk(premises).edit(key, values, fresh)
    if not done.changes:
        console.out.print("Nothing to change.")
        return
    if done.test is not None:
        show_test(done.test)
    _show_changes(done.changes)
    console.out.print(f"[green]✓[/] {key} is saved")


@app.command()
def disable(key: Key) -> None:
    """Stop synchronising; settings and data stay."""
    with opened() as premises:
        _desk(premises).disable(key)
    console.out.print(f"[green]✓[/] {key} is {console.status('disabled')}. {GTM_ADVICE}")


@app.command()
def enable(key: Key) -> None:
    """Synchronise again, from where it stopped."""
    with opened() as premises:
        status = _desk(premises).enable(key)
    console.out.print(f"[green]✓[/] {key} is {console.status(status)}")


@app.command()
def remove(
    key: Key,
    purge_data: Annotated[
        bool, typer.Option("--purge-data", help="Delete the shop's data as well.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also while it is syncing: the run is stopped first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete the settings, the key and the watermarks of an integration for good."""
    with opened() as premises:
        premises.registry.get(key)
        what = "its settings and all its data" if purge_data else "its settings"
        if (
            not yes
            and sys.stdin.isatty()
            and not Confirm.ask(
                f"Delete {what} of {key} for good?", console=console.err, default=False
            )
        ):
            raise exits.CommandError("nothing was removed", exits.WRONG_USAGE)
        purged = _desk(premises).remove(key, force=force, purge_data=purge_data)
    console.out.print(f"[green]✓[/] {key} is removed; its settings and its API key are deleted")
    for table, rows in purged.items():
        console.out.print(f"  {rows:>9,} rows of {table}")
    if not purge_data:
        console.out.print("  Its data stays in the warehouse until the key is used again.")
    console.out.print(f"  {GTM_ADVICE}")


@app.command("tracking-file")
def tracking_file(
    key: Key,
    output: Annotated[Path | None, typer.Option("-o", metavar="FILE")] = None,
) -> None:
    """The onsite tracking file for Google Tag Manager; only for an enabled integration."""
    with opened() as premises:
        integration = premises.registry.get(key)
        require(Act.TRACKING_FILE, premises.registry.standing(integration))
    raise exits.CommandError("this release does not write the onsite tracking file yet")


@app.command()
def apply(
    file: Annotated[Path, typer.Option("-f", "--file", help="integrations.yaml")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the difference.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make the integrations those of a file: shows the difference first; twice is as once."""
    wanted = declare.read(file)
    with opened() as premises:
        changes = declare.plan(wanted, premises.registry.all())
        needed = [change for change in changes if change.needed]
        for change in needed:
            sign = "[green]+[/]" if change.new else "[yellow]~[/]"
            console.out.print(
                f"{sign} {change.settings.integration}  {console.plain(change.settings.url)}"
            )
            _show_changes(change.differences)
        if not needed:
            console.out.print("Nothing to change.")
            return
        if dry_run:
            return
        if (
            not yes
            and sys.stdin.isatty()
            and not Confirm.ask(f"Apply {len(needed)} changes?", console=console.err, default=False)
        ):
            raise exits.CommandError("nothing was changed", exits.WRONG_USAGE)
        failures: list[BaseException] = []
        for change in needed:
            try:
                _apply(premises, change)
                console.out.print(f"[green]✓[/] {change.settings.integration}")
            except Exception as error:
                if exits.code_of(error) is None:
                    raise
                failures.append(error)
                console.err.print(
                    f"[red]✗[/] {change.settings.integration}: {console.plain(error)}",
                    soft_wrap=True,
                )
    if failures:
        raise exits.CommandError(
            f"{len(failures)} of {len(needed)} changes failed",
            max(exits.code_of(error) or exits.RUN_FAILED for error in failures),
        )


def _apply(premises: Premises, change: declare.Change) -> None:
    settings = change.settings
    if not change.new:
        values = {name: after for name, (_, after) in change.differences.items()}
        _desk(premises).edit(settings.integration, values)
        return
    api_key = secrets.resolve(settings.api_key_reference or "")
    found = test_connection(settings, api_key)
    premises.registry.add(settings, api_key, found.model_dump(mode="json"))


@app.command()
def export(
    output: Annotated[Path | None, typer.Option("-o", metavar="FILE")] = None,
) -> None:
    """All integrations as a file for `apply`; keys appear as references only."""
    with opened() as premises:
        text = declare.export(premises.registry.all())
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
        console.out.print(f"written to {console.plain(output)}")


@app.command()
def audit(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]")] = None,
    limit: Annotated[int, typer.Option(help="The newest so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Who did what to which integration, and every change of status."""
    with opened() as premises, premises.warehouse.connect(autocommit=True) as connection:
        rows = (
            connection.cursor(row_factory=dict_row)
            .execute(
                "SELECT at, integration, actor, act, detail FROM registry.audit"
                " WHERE %(key)s::text IS NULL OR integration = %(key)s"
                " ORDER BY id DESC LIMIT %(limit)s",
                {"key": key, "limit": limit},
            )
            .fetchall()
        )
    if as_json:
        console.print_json(rows)
        return
    table = console.table("when (UTC)", "integration", "who", "what", "detail")
    for row in reversed(rows):
        detail = ", ".join(
            f"{name}: {value}"
            if row["act"] == "added" or not isinstance(value, list)
            else f"{name}: {value[0]} → {value[1]}"
            for name, value in row["detail"].items()
            if name not in ("status", "integration")
        )
        table.add_row(
            f"{row['at']:%Y-%m-%d %H:%M:%S}", row["integration"],
            console.plain(row["actor"]), row["act"], console.plain(detail[:160]),
        )  # fmt: skip
    console.out.print(table)


def purge_person(
    email: Annotated[str, typer.Argument(metavar="EMAIL")],
    integration: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only there; default: everywhere.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Forget a person: raw tables, marts and rejects; orders stay, without the person."""
    if "@" not in email:
        raise InvalidSettingsError({"email": "expected the e-mail address of a person"})
    with opened() as premises:
        with premises.warehouse.connect(autocommit=True) as connection:
            keys = known_integrations(connection)
        if integration is not None:
            if integration not in keys:
                premises.registry.get(integration)  # says that there is none
            keys = [integration]
        if (
            not yes
            and sys.stdin.isatty()
            and not Confirm.ask(
                f"Forget {email} in {len(keys)} integrations for good?",
                console=console.err,
                default=False,
            )
        ):
            raise exits.CommandError("nothing was purged", exits.WRONG_USAGE)
        with premises.warehouse.connect(autocommit=True) as connection:
            report = forget(connection, keys, email)
    if as_json:
        console.print_json(report)
        return
    for key, tables in report.items():
        console.out.print(f"[bold]{key}[/]" + ("" if tables else "  nothing was there"))
        for name, rows in tables.items():
            console.out.print(f"  {rows:>7,} {name}")
    console.out.print(
        "What the shop itself still has is not loaded again; delete the person there too."
    )


def _show_changes(changes: dict[str, tuple[Any, Any]]) -> None:
    for name, (before, after) in changes.items():
        before, after = console.plain(_plain(before)), console.plain(_plain(after))
        console.out.print(f"  {name}: [red]{before}[/] → [green]{after}[/]")


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "–"
    return "–" if value in (None, "") else str(value)

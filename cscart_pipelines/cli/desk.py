"""`cscart-pipelines integration …` over its life: edit, disable, enable, remove, tracking file.

Not here: connecting and starting (`integration`), looking (`board`), integrations as a file
(`declared`), the rules (`integrations.lifecycle`).
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.prompt import Confirm

from cscart_pipelines.cli import console, exits
from cscart_pipelines.cli.board import Key
from cscart_pipelines.cli.integration import read_key, show_test, yes_no
from cscart_pipelines.cli.premises import opened
from cscart_pipelines.cli.unknown_words import tell, unknown_words
from cscart_pipelines.integrations.acts import FrontDesk
from cscart_pipelines.integrations.lifecycle import Act, require
from cscart_pipelines.integrations.premises import Premises
from cscart_pipelines.integrations.settings import InvalidSettingsError, check
from cscart_pipelines.onsite import tracking_file as tracking
from cscart_pipelines.onsite.keys import rotate

GTM_ADVICE = (
    "If the onsite tracking file was imported in Google Tag Manager, delete it there too: "
    "its tags stay on the shop's pages until you do."
)
Text = Annotated[str | None, typer.Option()]


def desk_of(premises: Premises) -> FrontDesk:
    return FrontDesk(premises.warehouse, premises.registry, premises.settings)


def show_changes(changes: dict[str, tuple[Any, Any]]) -> None:
    for name, (before, after) in changes.items():
        before, after = console.plain(_plain(before)), console.plain(_plain(after))
        console.out.print(f"  {name}: [red]{before}[/] → [green]{after}[/]")


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "–"
    return "–" if value in (None, "") else str(value)


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
        done = desk_of(premises).edit(key, values, fresh)
        with premises.warehouse.connect() as connection:
            unknown = unknown_words(
                connection, key, premises.registry.get(key).settings, values.keys()
            )
    if not done.changes:
        console.out.print("Nothing to change.")
        return
    if done.test is not None:
        show_test(done.test)
    show_changes(done.changes)
    console.out.print(f"[green]✓[/] {key} is saved")
    tell(unknown)


def disable(key: Key) -> None:
    """Stop synchronising; settings and data stay."""
    with opened() as premises:
        desk_of(premises).disable(key)
    console.out.print(f"[green]✓[/] {key} is {console.status('disabled')}. {GTM_ADVICE}")


def enable(key: Key) -> None:
    """Synchronise again, from where it stopped."""
    with opened() as premises:
        status = desk_of(premises).enable(key)
    console.out.print(f"[green]✓[/] {key} is {console.status(status)}")


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
        purged = desk_of(premises).remove(key, force=force, purge_data=purge_data)
    console.out.print(f"[green]✓[/] {key} is removed; its settings and its API key are deleted")
    for table, rows in purged.items():
        console.out.print(f"  {rows:>9,} rows of {table}")
    if not purge_data:
        console.out.print("  Its data stays in the warehouse until the key is used again.")
    console.out.print(f"  {GTM_ADVICE}")


def tracking_file(
    key: Key,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Else it is printed.")
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="With a new write key in place of the present one.")
    ] = False,
    keep_old_key: Annotated[
        int, typer.Option(metavar="DAYS", min=0, max=365, help="How long the old one is taken yet.")
    ] = 30,
) -> None:
    """The onsite tracking file for Google Tag Manager; only for an enabled integration.

    How to import, publish and remove it, step by step: docs/onsite.md
    """
    with opened() as premises:
        integration = premises.registry.get(key)
        require(Act.TRACKING_FILE, premises.registry.standing(integration))
        collector_url = premises.settings.collector_url
        with premises.warehouse.connect(autocommit=True) as connection:
            if new_key:
                rotate(connection, key, keep_old_for=timedelta(days=keep_old_key))
            file = tracking.tracking_file(connection, integration, collector_url)
    if output is None or str(output) == "-":
        sys.stdout.write(file.decode())
    else:
        try:
            output.write_bytes(file)
        except OSError as error:
            raise exits.CommandError(
                f"{output} cannot be written: {error.strerror}", exits.WRONG_USAGE
            ) from None
        console.out.print(f"[green]✓[/] the onsite tracking file of {key} is in", end=" ")
        console.out.print(str(output), markup=False, highlight=False)
        console.out.print(
            "  In Google Tag Manager: Admin > Import Container, Merge, Rename conflicting tags; "
            "preview, publish. Step by step: docs/onsite.md"
        )
    if problem := tracking.drawback(integration.settings.url, collector_url):
        console.err.print("[yellow]![/] " + console.plain(problem), end=" ")
        console.err.print("(CSCART_PIPELINES_COLLECTOR_URL)", markup=False)

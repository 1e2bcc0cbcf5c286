"""`integration edit`, `disable`, `enable`, `remove`: an integration over its life.

Not here: connecting and starting (`connect`), showing (`status`), integrations as a file (`apply`),
the rules (`integrations.lifecycle`).
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.integration import options
from cscart_pipelines.cli.integration.connect import print_overlaps, print_test
from cscart_pipelines.cli.integration.unknown_words import print_warnings, unknown_words
from cscart_pipelines.cli.support import console, exit_codes, formats
from cscart_pipelines.cli.support.arguments import Key
from cscart_pipelines.cli.support.confirm import Yes, confirm
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.integrations.audit import was_removed
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.service import LIMITS, IntegrationService
from cscart_pipelines.integrations.settings import InvalidSettingsError, check

GTM_ADVICE = (
    "If the onsite tracking file was imported in Google Tag Manager, delete it there too: "
    "its tags stay on the shop's pages until you do."
)


def service_of(app: AppContext) -> IntegrationService:
    """The service that changes the integrations of this warehouse."""
    return IntegrationService(app.warehouse, app.registry, app.settings)


def print_changes(changes: dict[str, tuple[Any, Any]]) -> None:
    """Prints settings with their values before and after."""
    for name, (before, after) in changes.items():
        before, after = map(formats.plain, map(formats.setting, (before, after)))
        console.out.print(f"  {name}: [red]{before}[/] → [green]{after}[/]")


def edit(
    context: typer.Context,
    key: Key,
    url: Annotated[
        str | None, typer.Option(help="Address of the shop; the host cannot be changed.")
    ] = None,
    email: Annotated[str | None, typer.Option(help="E-mail of the shop's administrator.")] = None,
    api_key_env: options.ApiKeyEnv = None,
    api_key_file: options.ApiKeyFile = None,
    api_key_ref: options.ApiKeyRef = None,
    new_api_key: Annotated[
        bool, typer.Option("--new-api-key", help="Ask for a new API key and store it encrypted.")
    ] = False,
    list_name: Annotated[
        str | None, typer.Option(help="The list's name; it cannot be changed.")
    ] = None,
    timezone: options.Timezone = None,
    currency: options.Currency = None,
    default_country: options.DefaultCountry = None,
    settled_statuses: options.SettledStatuses = None,
    refund_statuses: options.RefundStatuses = None,
    include_guests: options.IncludeGuests = None,
    storefronts: options.Storefronts = None,
    companies: options.Companies = None,
    user_id: options.UserId = None,
    order_prefix: options.OrderPrefix = None,
    start_date: options.StartDate = None,
    countries: options.Countries = None,
    order_statuses: options.OrderStatuses = None,
    update_tracking_number: options.UpdateTrackingNumber = None,
    update_tracking_url: options.UpdateTrackingUrl = None,
    update_stock: options.UpdateStock = None,
    stock_schedule: options.StockSchedule = None,
    shipped_status: options.ShippedStatus = None,
    partially_shipped_status: options.PartiallyShippedStatus = None,
    notify_customer: options.NotifyCustomer = None,
) -> None:
    """Change settings of an integration.

    Changed connection details are saved only after a passed connection test.
    """
    values, problems = options.given_settings(context.params)
    fresh = None
    if api_key_env or api_key_file or new_api_key:
        fresh = options.read_key(api_key_env, api_key_file, api_key_ref)
        values["api_key_reference"] = None
    with opened() as app, console.err.status("checking"):
        if problems:
            before = app.registry.get(key).settings.model_dump()
            try:
                check({**before, **values})
            except InvalidSettingsError as error:
                problems = {**error.problems, **problems}
            raise InvalidSettingsError(problems)
        edited = service_of(app).edit(key, values, fresh)
        with app.warehouse.connect() as connection:
            unknown = unknown_words(connection, key, app.registry.get(key).settings, values.keys())
        print_overlaps(app, key)
    if not edited.changes:
        console.out.print("Nothing to change.")
        return
    if edited.test is not None:
        print_test(edited.test)
    print_changes(edited.changes)
    console.note(f"[green]✓[/] {key} is saved")
    if LIMITS & edited.changes.keys():
        console.out.print(
            "  What is outside has left the raw tables; the next synchronisation is a full one. "
            f"Now: {console.command(f'integration resync {key}')}"
        )
    print_warnings(unknown)


def disable(key: Key) -> None:
    """Stop synchronising a shop; settings and data stay."""
    with opened() as app:
        service_of(app).disable(key)
    console.note(
        f"[green]✓[/] {key} is {formats.status('disabled')}. {GTM_ADVICE}", soft_wrap=False
    )


def enable(key: Key) -> None:
    """Synchronise a disabled shop again, from where it stopped."""
    with opened() as app:
        status = service_of(app).enable(key)
        reason = app.registry.get(key).status_reason
    if status is not Status.FAILED:
        console.note(f"[green]✓[/] {key} is {formats.status(status)}")
        return
    console.out.print(
        f"[yellow]![/] {key} is no longer disabled. It is {formats.status(status)}, as before:"
        f" {formats.plain(reason)}",
        soft_wrap=True,
    )
    console.out.print(
        f"  The schedule tries it again; now: {console.command(f'integration resync {key}')}",
        soft_wrap=True,
    )


def remove(
    key: Key,
    purge_data: Annotated[
        bool, typer.Option("--purge-data", help="Delete the data of the shop in the warehouse too.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Stop a running synchronisation first.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete an integration: settings, API key, watermarks.

    For good. The data in the warehouse stays unless --purge-data is given.
    """
    with opened() as app:
        gone = was_removed(app.warehouse, key)
        if gone and not purge_data:
            raise exit_codes.CommandError(
                f"{key} is removed already; its data stays until the key is used again,"
                f" or until: integration remove {key} --purge-data",
                exit_codes.WRONG_USAGE,
            )
        if gone:
            confirm(f"This deletes all data of {key} in the warehouse for good", yes=yes)
        else:
            app.registry.get(key)
            data = "all its data in the warehouse" if purge_data else "its data stays"
            confirm(
                f"This deletes the integration {key} for good: settings, API key, watermarks"
                f"{' and ' if purge_data else '; '}{data}",
                yes=yes,
            )
        purged = service_of(app).remove(key, force=force, purge_data=purge_data)
    if gone:
        console.note(f"[green]✓[/] the data of {key} is deleted")
    else:
        console.note(f"[green]✓[/] {key} is removed; its settings and its API key are deleted")
    for table, rows in purged.items():
        console.out.print(f"  {rows:>9,} {'row' if rows == 1 else 'rows'} of {table}")
    if not purge_data:
        console.out.print(
            "  Its data stays in the warehouse, in analytics as of the last build, until the key is"
            f" used again or: {console.command(f'integration remove {key} --purge-data')}",
            soft_wrap=True,
        )
    console.out.print(f"  {GTM_ADVICE}")

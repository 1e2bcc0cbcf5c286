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

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.integration.connect import read_key, show_test, tell_overlaps, yes_no
from cscart_pipelines.cli.integration.status import Key
from cscart_pipelines.cli.integration.validation import tell, unknown_words
from cscart_pipelines.cli.support import console, exit_codes
from cscart_pipelines.cli.support.confirm import Yes, confirm
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.integrations.audit import was_removed
from cscart_pipelines.integrations.lifecycle import Action, Status, require
from cscart_pipelines.integrations.service import LIMITS, IntegrationService
from cscart_pipelines.integrations.settings import InvalidSettingsError, check
from cscart_pipelines.onsite import tracking_file as tracking
from cscart_pipelines.onsite.write_keys import rotate

GTM_ADVICE = (
    "If the onsite tracking file was imported in Google Tag Manager, delete it there too: "
    "its tags stay on the shop's pages until you do."
)


def desk_of(premises: AppContext) -> IntegrationService:
    return IntegrationService(premises.warehouse, premises.registry, premises.settings)


def show_changes(changes: dict[str, tuple[Any, Any]]) -> None:
    for name, (before, after) in changes.items():
        before, after = console.plain(_plain(before)), console.plain(_plain(after))
        console.out.print(f"  {name}: [red]{before}[/] → [green]{after}[/]")


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value in (None, "") else str(value)


def edit(
    key: Key,
    url: Annotated[
        str | None, typer.Option(help="Address of the shop; the host cannot be changed.")
    ] = None,
    email: Annotated[str | None, typer.Option(help="E-mail of the shop's administrator.")] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(
            metavar="VAR", help="Read the new API key from this variable, store it encrypted."
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Read the new API key from this file, store it encrypted."
        ),
    ] = None,
    api_key_ref: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Store no key; read env:NAME or file:/path when needed."),
    ] = None,
    new_api_key: Annotated[
        bool, typer.Option("--new-api-key", help="Ask for a new API key and store it encrypted.")
    ] = False,
    list_name: Annotated[
        str | None, typer.Option(help="The list's name; it cannot be changed.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Time zone of days and schedules, such as Europe/Athens.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="The shop's primary currency, as ISO 4217.")
    ] = None,
    default_country: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Country of phone numbers without one, such as GR; empty: the time zone's.",
        ),
    ] = None,
    settled_statuses: Annotated[
        str | None,
        typer.Option(
            metavar="P,C", help="Order statuses that count as purchases; empty: as the shop says."
        ),
    ] = None,
    refund_statuses: Annotated[
        str | None, typer.Option(metavar="X", help="Order statuses that mean refunded.")
    ] = None,
    include_guests: Annotated[
        bool | None,
        typer.Option(
            "--include-guests/--no-include-guests",
            help="Whether buyers without an account are subscribers too.",
        ),
    ] = None,
    storefronts: Annotated[
        str | None,
        typer.Option(metavar="1,2", help="Take only these storefronts' orders, by id; empty: all."),
    ] = None,
    companies: Annotated[
        str | None,
        typer.Option(metavar="1,2", help="Take only these companies or vendors; empty: all."),
    ] = None,
    user_id: Annotated[
        str | None,
        typer.Option(help="The client's id in the fulfilment system; stands on every order."),
    ] = None,
    order_prefix: Annotated[
        str | None, typer.Option(help="Put before order ids: CS makes order 1000012 CS1000012.")
    ] = None,
    start_date: Annotated[
        str | None,
        typer.Option(
            metavar="dd/MM/yyyy", help="Fulfilment: leave out orders placed before this day."
        ),
    ] = None,
    countries: Annotated[
        str | None,
        typer.Option(
            metavar="GB,Greece", help="Fulfilment: only orders to these countries; empty: all."
        ),
    ] = None,
    order_statuses: Annotated[
        str | None,
        typer.Option(metavar="O,P", help="Fulfilment: only orders in these statuses; empty: all."),
    ] = None,
    update_tracking_number: Annotated[
        str | None, typer.Option(metavar="yes|no", help="Write tracking numbers back to the shop.")
    ] = None,
    update_tracking_url: Annotated[
        str | None, typer.Option(metavar="yes|no", help="Write tracking URLs back to the shop.")
    ] = None,
    update_stock: Annotated[
        str | None, typer.Option(metavar="yes|no", help="Write stock levels back to the shop.")
    ] = None,
    stock_schedule: Annotated[
        str | None,
        typer.Option(
            metavar="CRON", help='When stock is written, as a cron schedule: "0 */2 * * *".'
        ),
    ] = None,
    shipped_status: Annotated[
        str | None,
        typer.Option(
            metavar="LETTER",
            help="Status of an order that has shipped completely, by letter or name.",
        ),
    ] = None,
    partially_shipped_status: Annotated[
        str | None,
        typer.Option(metavar="LETTER", help="Status of an order of which a part has shipped."),
    ] = None,
    notify_customer: Annotated[
        str | None,
        typer.Option(
            metavar="yes|no", help="Whether the shop mails the customer about a shipment."
        ),
    ] = None,
) -> None:
    """Change settings of an integration.

    Changed connection details are saved only after a passed connection test.
    """
    given: dict[str, Any] = {
        "url": url, "email": email, "list_name": list_name, "timezone": timezone,
        "currency": currency, "default_country": default_country,
        "settled_statuses": settled_statuses,
        "refund_statuses": refund_statuses, "include_guests": include_guests,
        "storefronts": storefronts, "companies": companies, "user_id": user_id,
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
        tell_overlaps(premises, key)
    if not done.changes:
        console.out.print("Nothing to change.")
        return
    if done.test is not None:
        show_test(done.test)
    show_changes(done.changes)
    console.note(f"[green]✓[/] {key} is saved")
    if LIMITS & done.changes.keys():
        console.out.print(
            "  What is outside has left the raw tables; the next synchronisation is a full one. "
            f"Now: {console.command(f'integration resync {key}')}"
        )
    tell(unknown)


def disable(key: Key) -> None:
    """Stop synchronising a shop; settings and data stay."""
    with opened() as premises:
        desk_of(premises).disable(key)
    console.note(
        f"[green]✓[/] {key} is {console.status('disabled')}. {GTM_ADVICE}", soft_wrap=False
    )


def enable(key: Key) -> None:
    """Synchronise a disabled shop again, from where it stopped."""
    with opened() as premises:
        status = desk_of(premises).enable(key)
        reason = premises.registry.get(key).status_reason
    if status is not Status.FAILED:
        console.note(f"[green]✓[/] {key} is {console.status(status)}")
        return
    console.out.print(
        f"[yellow]![/] {key} is no longer disabled. It is {console.status(status)}, as before:"
        f" {console.plain(reason)}",
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
    with opened() as premises:
        gone = was_removed(premises.warehouse, key)
        if gone and not purge_data:
            raise exit_codes.CommandError(
                f"{key} is removed already; its data stays until the key is used again,"
                f" or until: integration remove {key} --purge-data",
                exit_codes.WRONG_USAGE,
            )
        if gone:
            confirm(f"This deletes all data of {key} in the warehouse for good", yes=yes)
        else:
            premises.registry.get(key)
            data = "all its data in the warehouse" if purge_data else "its data stays"
            confirm(
                f"This deletes the integration {key} for good: settings, API key, watermarks"
                f"{' and ' if purge_data else '; '}{data}",
                yes=yes,
            )
        purged = desk_of(premises).remove(key, force=force, purge_data=purge_data)
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


def _after(days: int) -> str:
    return f"after {console.count(days, 'day')}" if days else "at once"


def tracking_file(
    key: Key,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write to FILE; default: print."),
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make a new write key that replaces the present one.")
    ] = False,
    keep_old_key: Annotated[
        int,
        typer.Option(
            metavar="DAYS",
            min=0,
            max=365,
            help="With --new-key: days for which the old key is accepted too.",
        ),
    ] = 30,
    yes: Yes = False,
) -> None:
    """Write the onsite tracking file for Google Tag Manager.

    Only for an enabled integration. How to import, publish and remove it: docs/onsite.md
    """
    with opened() as premises:
        integration = premises.registry.get(key)
        require(Action.TRACKING_FILE, premises.registry.standing(integration))
        collector_url = premises.settings.collector_url
        if new_key:
            confirm(
                f"This replaces the write key of {key}: events from the file that is published in"
                f" Google Tag Manager now are refused {_after(keep_old_key)}",
                yes=yes,
            )
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
            raise exit_codes.CommandError(
                f"{output} cannot be written: {error.strerror}", exit_codes.WRONG_USAGE
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

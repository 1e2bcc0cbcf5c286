"""`integration add`, `test`, `start`: connecting shops.

Not here: the options of `add` (`options`), later changes (`manage`), the rules of what is allowed
(`integrations.lifecycle`).
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.integration import options
from cscart_pipelines.cli.integration import status as integration_status
from cscart_pipelines.cli.integration.resync import ask_daemon
from cscart_pipelines.cli.integration.status import print_status, recent_runs
from cscart_pipelines.cli.integration.unknown_words import print_unknown_words
from cscart_pipelines.cli.support import console, formats, machine_output
from cscart_pipelines.cli.support.arguments import Json, Key
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.cli.support.sync_run import sync_in_foreground
from cscart_pipelines.cscart.capabilities import Capabilities
from cscart_pipelines.integrations.connection import shortcomings, test_connection
from cscart_pipelines.integrations.lifecycle import Action, require
from cscart_pipelines.integrations.secrets import SecretError
from cscart_pipelines.integrations.settings import InvalidSettingsError, check
from cscart_pipelines.integrations.status_words import with_letters_of_shop


def add(
    context: typer.Context,
    key: Key,
    url: Annotated[str, typer.Option(help="Address of the shop: https://shop.example.")],
    email: Annotated[str, typer.Option(help="E-mail of the shop's administrator.")],
    api_key_env: options.ApiKeyEnv = None,
    api_key_file: options.ApiKeyFile = None,
    api_key_ref: options.ApiKeyRef = None,
    list_name: Annotated[
        str | None, typer.Option(help="Name of the list; default: the key.")
    ] = None,
    timezone: options.Timezone = "UTC",
    currency: options.Currency = "EUR",
    default_country: options.DefaultCountry = None,
    settled_statuses: options.SettledStatuses = None,
    refund_statuses: options.RefundStatuses = None,
    include_guests: options.IncludeGuests = True,
    storefronts: options.Storefronts = None,
    companies: options.Companies = None,
    user_id: options.UserId = None,
    order_prefix: options.OrderPrefix = None,
    start_date: options.StartDate = None,
    countries: options.Countries = None,
    order_statuses: options.OrderStatuses = None,
    update_tracking_number: options.UpdateTrackingNumber = "no",
    update_tracking_url: options.UpdateTrackingUrl = "no",
    update_stock: options.UpdateStock = "no",
    stock_schedule: options.StockSchedule = None,
    shipped_status: options.ShippedStatus = None,
    partially_shipped_status: options.PartiallyShippedStatus = None,
    notify_customer: options.NotifyCustomer = "no",
    start: Annotated[
        bool, typer.Option("--start", help="Start the first synchronisation at once.")
    ] = False,
) -> None:
    """Connect a shop; saved only after a passed connection test.

    The API key: CS-Cart admin panel, Customers > Administrators, the administrator's page, tab
    API access; tick "Yes, allow this user to use the API" and copy the key. Step by step, with
    the privileges it needs and what the messages mean: docs/connect-a-shop.md
    """
    values, problems = options.given_settings(context.params)
    settings = None
    try:
        settings = check({"list_name": key, **values, "integration": key})
    except InvalidSettingsError as error:
        problems = {**error.problems, **problems}
    sources = (api_key_env, api_key_file, api_key_ref)
    if problems and not any(sources) and sys.stdin.isatty():
        raise InvalidSettingsError(problems)  # no prompt for the key: it fails anyway
    try:
        api_key = options.read_key(*sources)
    except (InvalidSettingsError, SecretError) as error:
        more = getattr(error, "problems", None) or {"api_key": str(error)}
        raise InvalidSettingsError({**more, **problems}) from None
    if settings is None or problems:
        raise InvalidSettingsError(problems)
    with opened(make=True) as app:
        _refuse_known(app, settings.integration, settings.list_name)
        with console.err.status(f"testing the connection to {settings.url}"):
            found = test_connection(settings, api_key)
        print_test(found)
        can = found.model_dump(mode="json")
        settings = with_letters_of_shop(settings, api_key, can)
        app.registry.add(settings, api_key, can)
        console.note(
            f"[green]✓[/] {settings.integration} is saved: "
            f"list “{formats.plain(settings.list_name)}”, "
            f"status {formats.status('ready')}."
        )
        print_unknown_words(app, settings, ("countries",))
        print_overlaps(app, settings.integration)
        if start:
            _start(app, settings.integration)
        else:
            console.note(f"  Next: {console.command(f'integration start {settings.integration}')}")


def test(key: Key, as_json: Json = False) -> None:
    """Test the connection of an integration as it is saved."""
    with opened() as app:
        integration = app.registry.get(key)
        api_key = app.registry.api_key(key)
        with console.err.status(f"testing the connection to {integration.settings.url}"):
            found = test_connection(integration.settings, api_key)
        app.registry.record_test(key, found.model_dump(mode="json"))
        if as_json:
            machine_output.print_json(found.model_dump(mode="json"))
        else:
            print_test(found)


def start(
    key: Key,
    background: Annotated[
        bool, typer.Option("--background", help="Leave it to the daemon of `up`.")
    ] = False,
) -> None:
    """First synchronisation: read the shop, build its list."""
    with opened() as app:
        _start(app, key, background=background)


# --- what the commands share ---------------------------------------------------------------------


def _start(app: AppContext, key: str, *, background: bool = False) -> None:
    integration = app.registry.get(key)
    require(Action.START, app.registry.standing(integration))
    if background:
        ask_daemon(app, [key], full=False)
        return
    print_overlaps(app, key)
    sync_in_foreground(app, key)
    now = app.registry.get(key)
    print_status(now, recent_runs(app, key)[:1])
    print_unknown_words(app, now.settings, type(now.settings).model_fields)
    console.note(f"  Next: {console.command(f'segments {key}')}")


def print_overlaps(app: AppContext, key: str) -> None:
    """Prints which other integrations take the same orders, on standard error."""
    for warning in integration_status.overlaps(app, key):
        console.err.print(f"[yellow]![/] {formats.plain(warning)}", soft_wrap=True)


def _refuse_known(app: AppContext, key: str, list_name: str) -> None:
    """Refuses before the test, which takes time; the constraints of the database come after."""
    for one in app.registry.all():
        if one.key == key:
            raise InvalidSettingsError({"integration": f"{key!r} exists already"})
        if one.settings.list_name == list_name:
            raise InvalidSettingsError({"list_name": f"the list {list_name!r} exists already"})


def print_test(found: Capabilities) -> None:
    """Prints what a passed connection test found."""
    console.note(
        f"[green]✓[/] connected: CS-Cart {found.family}, "
        f"API {formats.plain(found.api_version)}, "
        f"{formats.whole(found.orders_total)} order{'s' * (found.orders_total != 1)}"
    )
    for line in shortcomings(found):
        console.out.print(f"  [yellow]![/] {line}")
    if found.style == "api.php":
        console.out.print("  [yellow]![/] the shop does not rewrite addresses; api.php is used")
    if found.clock_skew is not None and abs(found.clock_skew) > 60:
        console.out.print(
            f"  [yellow]![/] the shop's clock is {found.clock_skew:+.0f} s off; its time is used"
        )

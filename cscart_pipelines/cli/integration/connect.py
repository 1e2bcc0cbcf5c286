"""`cscart-pipelines integration …`: connecting shops, starting and resyncing them, their status.

Not here: rules about what is allowed (`integrations.lifecycle`), how runs are shown (`running`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.prompt import Prompt

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cli.integration import status as integration_status
from cscart_pipelines.cli.integration.resync import ask_daemon, resync
from cscart_pipelines.cli.integration.status import Json, Key, print_status, recent_runs
from cscart_pipelines.cli.integration.validation import tell_unknown_words
from cscart_pipelines.cli.support import console
from cscart_pipelines.cli.support.environment import opened
from cscart_pipelines.cli.support.run_process import run_in_foreground
from cscart_pipelines.cscart.capabilities import Capabilities
from cscart_pipelines.integrations import secrets
from cscart_pipelines.integrations.connection import shortcomings, test_connection
from cscart_pipelines.integrations.lifecycle import Action, require
from cscart_pipelines.integrations.settings import InvalidSettingsError, check
from cscart_pipelines.integrations.status_words import with_letters_of_shop

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Connect shops, synchronise them, show their status.",
)
YES_NO = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}


@app.command()
def add(
    key: Key,
    url: Annotated[str, typer.Option(help="Address of the shop: https://shop.example.")],
    email: Annotated[str, typer.Option(help="E-mail of the shop's administrator.")],
    api_key_env: Annotated[
        str | None,
        typer.Option(
            metavar="VAR",
            help="Read the API key from this environment variable and store it encrypted.",
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Read the API key from this file and store it encrypted."
        ),
    ] = None,
    api_key_ref: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Store no key; read it from env:NAME or file:/path whenever it is needed.",
        ),
    ] = None,
    list_name: Annotated[
        str | None, typer.Option(help="Name of the list; default: the key.")
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="Time zone of days and schedules, such as Europe/Athens.")
    ] = "UTC",
    currency: Annotated[
        str, typer.Option(help="The shop's primary currency, as ISO 4217.")
    ] = "EUR",
    default_country: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Country of phone numbers without one, such as GR; default: the time zone's.",
        ),
    ] = None,
    settled_statuses: Annotated[
        str | None,
        typer.Option(
            metavar="P,C", help="Order statuses that count as purchases; default: as the shop says."
        ),
    ] = None,
    refund_statuses: Annotated[
        str, typer.Option(metavar="X", help="Order statuses that mean refunded.")
    ] = "",
    include_guests: Annotated[
        bool, typer.Option(help="Whether buyers without an account are subscribers too.")
    ] = True,
    storefronts: Annotated[
        str, typer.Option(metavar="1,2", help="Take only these storefronts' orders; empty: all.")
    ] = "",
    companies: Annotated[
        str, typer.Option(metavar="1,2", help="Take only these companies or vendors; empty: all.")
    ] = "",
    user_id: Annotated[
        str | None,
        typer.Option(help="The client's id in the fulfilment system; stands on every order."),
    ] = None,
    order_prefix: Annotated[
        str, typer.Option(help="Put before order ids: CS makes order 1000012 CS1000012.")
    ] = "",
    start_date: Annotated[
        str | None,
        typer.Option(
            metavar="dd/MM/yyyy", help="Fulfilment: leave out orders placed before this day."
        ),
    ] = None,
    countries: Annotated[
        str,
        typer.Option(
            metavar="GB,Greece", help="Fulfilment: only orders to these countries; empty: all."
        ),
    ] = "",
    order_statuses: Annotated[
        str,
        typer.Option(metavar="O,P", help="Fulfilment: only orders in these statuses; empty: all."),
    ] = "",
    update_tracking_number: Annotated[
        str, typer.Option(metavar="yes|no", help="Write tracking numbers back to the shop.")
    ] = "no",
    update_tracking_url: Annotated[
        str, typer.Option(metavar="yes|no", help="Write tracking URLs back to the shop.")
    ] = "no",
    update_stock: Annotated[
        str, typer.Option(metavar="yes|no", help="Write stock levels back to the shop.")
    ] = "no",
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
        str,
        typer.Option(
            metavar="yes|no", help="Whether the shop mails the customer about a shipment."
        ),
    ] = "no",
    start: Annotated[
        bool, typer.Option("--start", help="Start the first synchronisation at once.")
    ] = False,
) -> None:
    """Connect a shop; saved only after a passed connection test.

    The API key: CS-Cart admin panel, Customers > Administrators, the administrator's page, tab
    API access; tick "Yes, allow this user to use the API" and copy the key. Step by step, with
    the privileges it needs and what the messages mean: docs/connect-a-shop.md
    """
    values: dict[str, Any] = {
        "integration": key, "list_name": key if list_name is None else list_name, "url": url,
        "email": email, "timezone": timezone, "currency": currency,
        "default_country": default_country,
        "settled_statuses": settled_statuses, "refund_statuses": refund_statuses,
        "include_guests": include_guests, "storefronts": storefronts, "companies": companies,
        "user_id": user_id, "order_prefix": order_prefix,
        "start_date": start_date, "countries": countries, "order_statuses": order_statuses,
        "stock_schedule": stock_schedule, "shipped_status": shipped_status,
        "partially_shipped_status": partially_shipped_status, "api_key_reference": api_key_ref,
    }  # fmt: skip
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
    settings = None
    try:
        settings = check(values)
    except InvalidSettingsError as error:
        problems = {**error.problems, **problems}
    sources = (api_key_env, api_key_file, api_key_ref)
    if problems and not any(sources) and sys.stdin.isatty():
        raise InvalidSettingsError(problems)  # nobody is asked for a key in vain
    try:
        api_key = read_key(*sources)
    except (InvalidSettingsError, secrets.SecretError) as error:
        more = getattr(error, "problems", None) or {"api_key": str(error)}
        raise InvalidSettingsError({**more, **problems}) from None
    if settings is None or problems:
        raise InvalidSettingsError(problems)
    with opened(make=True) as premises:
        _refuse_known(premises, settings.integration, settings.list_name)
        with console.err.status(f"testing the connection to {settings.url}"):
            found = test_connection(settings, api_key)
        show_test(found)
        can = found.model_dump(mode="json")
        settings = with_letters_of_shop(settings, api_key, can)
        premises.registry.add(settings, api_key, can)
        console.note(
            f"[green]✓[/] {settings.integration} is saved: "
            f"list “{console.plain(settings.list_name)}”, "
            f"status {console.status('ready')}."
        )
        tell_unknown_words(premises, settings, ("countries",))
        tell_overlaps(premises, settings.integration)
        if start:
            _start(premises, settings.integration)
        else:
            console.note(f"  Next: {console.command(f'integration start {settings.integration}')}")


@app.command()
def test(key: Key, as_json: Json = False) -> None:
    """Test the connection of an integration as it is saved."""
    with opened() as premises:
        integration = premises.registry.get(key)
        api_key = premises.registry.api_key(key)
        with console.err.status(f"testing the connection to {integration.settings.url}"):
            found = test_connection(integration.settings, api_key)
        premises.registry.record_test(key, found.model_dump(mode="json"))
        if as_json:
            console.print_json(found.model_dump(mode="json"))
        else:
            show_test(found)


@app.command()
def start(
    key: Key,
    background: Annotated[
        bool, typer.Option("--background", help="Leave it to the daemon of `up`.")
    ] = False,
) -> None:
    """First synchronisation: read the shop, build its list."""
    with opened() as premises:
        _start(premises, key, background=background)


app.command("resync")(resync)
app.command("list")(integration_status.list_integrations)
app.command("show")(integration_status.show)
app.command("status")(integration_status.show_status)


# --- what the commands share ---------------------------------------------------------------------


def _start(premises: AppContext, key: str, *, background: bool = False) -> None:
    integration = premises.registry.get(key)
    require(Action.START, premises.registry.standing(integration))
    if background:
        ask_daemon(premises, [key], full=False)
        return
    tell_overlaps(premises, key)
    run_in_foreground(premises, [key])
    now = premises.registry.get(key)
    print_status(now, recent_runs(premises, key)[:1])
    tell_unknown_words(premises, now.settings, type(now.settings).model_fields)
    console.note(f"  Next: {console.command(f'segments {key}')}")


def tell_overlaps(premises: AppContext, key: str) -> None:
    """Which other integrations take the same orders, on standard error."""
    for warning in integration_status.overlaps(premises, key):
        console.err.print(f"[yellow]![/] {console.plain(warning)}", soft_wrap=True)


def yes_no(**texts: str | None) -> dict[str, bool]:
    """Settings given as yes or no; those not given (None) are left out."""
    given = {name: text.lower() for name, text in texts.items() if text is not None}
    problems = {
        name: f"{text!r} is neither yes nor no"
        for name, text in given.items()
        if text not in YES_NO
    }
    if problems:
        raise InvalidSettingsError(problems)
    return {name: YES_NO[text] for name, text in given.items()}


def read_key(variable: str | None, file: Path | None, reference: str | None) -> SecretStr:
    """The API key from where it was said to be, or from the person."""
    given = [one for one in (variable, file, reference) if one is not None]
    if len(given) > 1:
        raise InvalidSettingsError({"api_key": "expected from one place, not several"})
    if variable is not None:
        return secrets.resolve(f"env:{variable}")
    if file is not None:
        return secrets.resolve(f"file:{file}")
    if reference is not None:
        if not secrets.is_reference(reference):
            raise InvalidSettingsError({"api_key_ref": "expected env:NAME or file:/path"})
        return secrets.resolve(reference)
    if not sys.stdin.isatty():
        raise InvalidSettingsError(
            {"api_key": "without a terminal to ask on, expected --api-key-env or --api-key-file"}
        )
    return secrets.checked(Prompt.ask("API key", password=True, console=console.err).strip())


def _refuse_known(premises: AppContext, key: str, list_name: str) -> None:
    """Before the test, so that nobody waits for it in vain; the database has the last word."""
    for one in premises.registry.all():
        if one.key == key:
            raise InvalidSettingsError({"integration": f"{key!r} exists already"})
        if one.settings.list_name == list_name:
            raise InvalidSettingsError({"list_name": f"the list {list_name!r} exists already"})


def show_test(found: Capabilities) -> None:
    """What a passed connection test found."""
    console.note(
        f"[green]✓[/] connected: CS-Cart {found.family}, "
        f"API {console.plain(found.api_version)}, "
        f"{console.whole(found.orders_total)} orders"
    )
    for line in shortcomings(found):
        console.out.print(f"  [yellow]![/] {line}")
    if found.style == "api.php":
        console.out.print("  [yellow]![/] the shop does not rewrite addresses; api.php is used")
    if found.clock_skew is not None and abs(found.clock_skew) > 60:
        console.out.print(
            f"  [yellow]![/] the shop's clock is {found.clock_skew:+.0f} s off; its time is used"
        )

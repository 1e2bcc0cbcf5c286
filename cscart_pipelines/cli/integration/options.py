"""The options of `integration add` and `edit`, each declared once, and reading their values.

Not here: what a setting accepts (`integrations.settings`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.prompt import Prompt

from cscart_pipelines.cli.support import console
from cscart_pipelines.integrations import secrets
from cscart_pipelines.integrations.settings import InvalidSettingsError

ApiKeyEnv = Annotated[
    str | None,
    typer.Option(
        metavar="VAR",
        help="Read the API key from this environment variable and store it encrypted.",
    ),
]
ApiKeyFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Read the API key from this file and store it encrypted."),
]
ApiKeyRef = Annotated[
    str | None,
    typer.Option(
        metavar="REF",
        help="Store no key; read it from env:NAME or file:/path whenever it is needed.",
    ),
]
Timezone = Annotated[
    str | None, typer.Option(help="Time zone of days and schedules, such as Europe/Athens.")
]
Currency = Annotated[str | None, typer.Option(help="The shop's primary currency, as ISO 4217.")]
DefaultCountry = Annotated[
    str | None,
    typer.Option(
        metavar="CODE",
        help="Country of phone numbers without one, such as GR; empty: the time zone's.",
    ),
]
SettledStatuses = Annotated[
    str | None,
    typer.Option(
        metavar="P,C", help="Order statuses that count as purchases; empty: as the shop says."
    ),
]
RefundStatuses = Annotated[
    str | None, typer.Option(metavar="X", help="Order statuses that mean refunded.")
]
IncludeGuests = Annotated[
    bool | None,
    typer.Option(
        "--include-guests/--no-include-guests",
        help="Whether buyers without an account are subscribers too.",
    ),
]
Storefronts = Annotated[
    str | None,
    typer.Option(metavar="1,2", help="Take only these storefronts' orders, by id; empty: all."),
]
Companies = Annotated[
    str | None,
    typer.Option(metavar="1,2", help="Take only these companies or vendors; empty: all."),
]
UserId = Annotated[
    str | None,
    typer.Option(help="The client's id in the fulfilment system; stands on every order."),
]
OrderPrefix = Annotated[
    str | None, typer.Option(help="Put before order ids: CS makes order 1000012 CS1000012.")
]
StartDate = Annotated[
    str | None,
    typer.Option(metavar="dd/MM/yyyy", help="Fulfilment: leave out orders placed before this day."),
]
Countries = Annotated[
    str | None,
    typer.Option(
        metavar="GB,Greece", help="Fulfilment: only orders to these countries; empty: all."
    ),
]
OrderStatuses = Annotated[
    str | None,
    typer.Option(metavar="O,P", help="Fulfilment: only orders in these statuses; empty: all."),
]
UpdateTrackingNumber = Annotated[
    str | None, typer.Option(metavar="yes|no", help="Write tracking numbers back to the shop.")
]
UpdateTrackingUrl = Annotated[
    str | None, typer.Option(metavar="yes|no", help="Write tracking URLs back to the shop.")
]
UpdateStock = Annotated[
    str | None, typer.Option(metavar="yes|no", help="Write stock levels back to the shop.")
]
StockSchedule = Annotated[
    str | None,
    typer.Option(metavar="CRON", help='When stock is written, as a cron schedule: "0 */2 * * *".'),
]
ShippedStatus = Annotated[
    str | None,
    typer.Option(
        metavar="LETTER",
        help="Status of an order that has shipped completely, by letter or name.",
    ),
]
PartiallyShippedStatus = Annotated[
    str | None,
    typer.Option(metavar="LETTER", help="Status of an order of which a part has shipped."),
]
NotifyCustomer = Annotated[
    str | None,
    typer.Option(metavar="yes|no", help="Whether the shop mails the customer about a shipment."),
]

TEXTS = (
    "url", "email", "list_name", "timezone", "currency", "default_country", "settled_statuses",
    "refund_statuses", "include_guests", "storefronts", "companies", "user_id", "order_prefix",
    "start_date", "countries", "order_statuses", "stock_schedule", "shipped_status",
    "partially_shipped_status",
)  # fmt: skip
"""Settings whose options have their name and are read by the settings themselves."""
SWITCHES = ("update_tracking_number", "update_tracking_url", "update_stock", "notify_customer")
"""Settings that are given as yes or no."""
UNSET_WHEN_EMPTY = ("settled_statuses", "user_id", "start_date")
YES_NO = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}


def given_settings(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings among the options of a command.

    Args:
        options: the parameters of the command, as click keeps them in its context.

    Returns:
        Values by setting, those not given (None) left out; and the problems by setting.
    """
    values = {name: options[name] for name in TEXTS if options[name] is not None}
    for name in UNSET_WHEN_EMPTY:
        if values.get(name) == "":
            values[name] = None
    if options["api_key_ref"] is not None:
        values["api_key_reference"] = options["api_key_ref"]
    try:
        return values | yes_no(**{name: options[name] for name in SWITCHES}), {}
    except InvalidSettingsError as error:
        return values, error.problems


def yes_no(**texts: str | None) -> dict[str, bool]:
    """Settings given as yes or no; those not given (None) are left out.

    Raises:
        InvalidSettingsError: a text is neither yes nor no.
    """
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
    """The API key from the place that an option names, else from a prompt on the terminal.

    Raises:
        InvalidSettingsError: several places, no place without a terminal, or no valid reference.
        SecretError: nothing usable is in that place.
    """
    if sum(one is not None for one in (variable, file, reference)) > 1:
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

"""The settings of one integration, checked field by field.

Pure: nothing here reads the shop or the database. All mistakes are reported at once, each with the
field as the command line spells it and what is expected. Not here: how a key is kept (`secrets`),
whether a change is allowed in a status (`lifecycle`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from cscart_pipelines.cscart.http.address import InvalidAddressError, normalise_base_url
from cscart_pipelines.identity import region_of, region_of_zone
from cscart_pipelines.integrations.limit import Limit

KEY = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62})")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|[^@\s]+@localhost")
CLIENT_ID = re.compile(r"[^\W_][\w .@/:#&()-]{0,63}")
"""It is on every exported order, and so in spreadsheets: nothing that is read as a formula."""
REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[/~].*")
ZONES = frozenset(available_timezones())


class InvalidSettingsError(ValueError):
    """One or more settings are not usable; `problems` maps each field to what is expected."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__("; ".join(f"{field}: {text}" for field, text in self.problems.items()))


def _words(value: object) -> object:
    """Splits a list with commas, as the command line gives it; an empty one means none."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _printable(value: str, most: int) -> str:
    """Returns the text on one line of printable characters."""
    value = " ".join(value.split())
    if not value or len(value) > most or not value.isprintable():
        raise ValueError(f"expected 1 to {most} printable characters")
    return value


def _ids(value: object) -> object:
    """Reads ids as the command line and a file give them, 1,2 or [1, 2]; each once, sorted."""
    if value is None:
        return ()
    given = _words(str(value) if isinstance(value, int) and value is not True else value)
    words = [str(one).strip() for one in given] if isinstance(given, list | tuple) else [str(given)]
    for word in words:
        if not re.fullmatch(r"0*[1-9][0-9]{0,8}", word, re.ASCII):
            raise ValueError(f"{word!r} is no id; expected whole numbers above 0, as 1,2")
    return tuple(sorted({int(word) for word in words}))


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Ids = Annotated[tuple[int, ...], BeforeValidator(_ids)]


class IntegrationSettings(BaseModel):
    """One shop's settings, valid and normalised. The API key itself is not part of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    integration: str
    list_name: str
    url: str
    email: str
    timezone: str = "UTC"
    currency: str = "EUR"
    default_country: str | None = None
    settled_statuses: Words | None = None
    refund_statuses: Words = ()
    include_guests: bool = True
    storefronts: Ids = ()
    companies: Ids = ()
    user_id: str | None = None
    order_prefix: str = ""
    start_date: date | None = None
    countries: Words = ()
    order_statuses: Words = ()
    update_tracking_number: bool = False
    update_tracking_url: bool = False
    update_stock: bool = False
    stock_schedule: str | None = None
    shipped_status: str | None = None
    partially_shipped_status: str | None = None
    notify_customer: bool = False
    api_key_reference: Annotated[str | None, Field(repr=False)] = None

    @field_validator("integration")
    @classmethod
    def _key(cls, value: str) -> str:
        if not KEY.fullmatch(value):
            raise ValueError(
                f"{value!r} is not a key; expected lower-case letters, digits and -, starting with "
                "a letter or digit, at most 63 characters"
            )
        return value

    @field_validator("list_name")
    @classmethod
    def _list_name(cls, value: str) -> str:
        return _printable(value, 120)

    @field_validator("user_id")
    @classmethod
    def _client_id(cls, value: str | None) -> str | None:
        if not value:
            return None
        value = unicodedata.normalize("NFC", re.sub(" +", " ", value.strip()))
        if not CLIENT_ID.fullmatch(value):
            raise ValueError(
                f"{value!r} is no client id; expected 1 to 64 letters, digits, spaces and"
                " . _ - @ / : # & ( ), beginning with a letter or digit"
            )
        return value

    @field_validator("countries")
    @classmethod
    def _countries(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # Not once each: "Republic of" may be the second half of two names (`fulfilment.countries`).
        return tuple(_printable(part, 60) for part in value)

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        try:
            return normalise_base_url(value)
        except InvalidAddressError as error:
            raise ValueError(str(error)) from None

    @field_validator("email")
    @classmethod
    def _email(cls, value: str) -> str:
        value = value.strip()
        odd = ":" in value or not value.isprintable() or len(value) > 254
        if odd or not EMAIL.fullmatch(value):
            raise ValueError(f"{value!r} is not an e-mail address; expected admin@shop.example")
        return value

    @field_validator("timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        if value not in ZONES:
            raise ValueError(f"{value!r} is not a time zone; expected a name as Europe/Athens")
        return value

    @field_validator("currency")
    @classmethod
    def _currency(cls, value: str) -> str:
        value = value.strip().upper()
        if not re.fullmatch(r"[A-Z]{3}", value):
            raise ValueError(f"{value!r} is not a currency; expected three letters as EUR")
        return value

    @field_validator("default_country")
    @classmethod
    def _default_country(cls, value: str | None) -> str | None:
        if not value or not value.strip():
            return None
        if region_of(value) is None:
            raise ValueError(f"{value!r} is not the code of a country; expected two letters as GR")
        return region_of(value)

    @field_validator("settled_statuses", "refund_statuses")
    @classmethod
    def _letters(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is None:
            return None
        return tuple(dict.fromkeys(_printable(part, 120) for part in value)) or None

    @field_validator("refund_statuses", mode="after")
    @classmethod
    def _never_none(cls, value: tuple[str, ...] | None) -> tuple[str, ...]:
        return value or ()

    @field_validator("order_statuses")
    @classmethod
    def _status_words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Keeps letters or names as given: `status_words` knows what a name means."""
        return tuple(dict.fromkeys(_printable(part, 120) for part in value))

    @field_validator("shipped_status", "partially_shipped_status")
    @classmethod
    def _status_word(cls, value: str | None) -> str | None:
        return _printable(value, 120) if value else None

    @field_validator("order_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]{0,20}", value):
            raise ValueError(
                f"{value!r} is not a prefix; expected up to 20 letters, digits, - or _ "
                "(CS makes order 1000012 into CS1000012)"
            )
        return value

    @field_validator("start_date", mode="before")
    @classmethod
    def _start_date(cls, value: object) -> object:
        if value is None or value == "":
            return None
        if isinstance(value, date):
            return value
        if isinstance(value, str) and re.fullmatch(r"\d{2}/\d{2}/\d{4}", value):
            try:
                return datetime.strptime(value, "%d/%m/%Y").date()
            except ValueError:
                pass
        raise ValueError(f"{value!r} is not a date; expected dd/MM/yyyy as 31/12/2026")

    @field_validator("stock_schedule")
    @classmethod
    def _cron(cls, value: str | None) -> str | None:
        if not value:
            return None
        value = " ".join(value.split())
        if not _is_cron(value):
            raise ValueError(
                f"{value!r} is not a schedule; expected five cron fields as 0 */2 * * *"
            )
        return value

    @field_validator("api_key_reference")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not REFERENCE.fullmatch(value) or not value.isprintable():
            # Not repeated: it may be the key itself.
            raise ValueError("expected env:NAME or file:/path")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the shop."""
        return ZoneInfo(self.timezone)

    @property
    def phone_region(self) -> str | None:
        """The country (ISO 3166-1 alpha-2) of phone numbers without one.

        It is `default_country`, else the country of the time zone; None for a zone of no country,
        as UTC.
        """
        return self.default_country or region_of_zone(self.timezone)

    @property
    def limit(self) -> Limit:
        """The companies and storefronts of the installation that are taken."""
        return Limit(self.companies, self.storefronts)


def from_row(row: Mapping[str, Any]) -> IntegrationSettings:
    """Returns the settings of a saved row, which were checked when they were saved."""
    values: dict[str, Any] = {
        name: tuple(row[name]) if isinstance(row[name], list) else row[name]
        for name in IntegrationSettings.model_fields
    }
    return IntegrationSettings.model_construct(**values)


def uses_fulfilment(settings: IntegrationSettings) -> bool:
    """Tells whether a setting of fulfilment is set: only then the schedule exports orders."""
    return any(
        (
            settings.user_id,
            settings.order_prefix,
            settings.start_date,
            settings.countries,
            settings.order_statuses,
            settings.update_tracking_number,
            settings.update_tracking_url,
            settings.update_stock,
        )
    )


def check(values: Mapping[str, Any]) -> IntegrationSettings:
    """Reads settings from values of a command line or a file.

    Raises:
        InvalidSettingsError: Names every problem.
    """
    problems: dict[str, str] = {}
    found = None
    try:
        found = IntegrationSettings.model_validate(dict(values))
    except ValidationError as error:
        for entry in error.errors(include_url=False, include_input=False):
            field = str(entry["loc"][0]) if entry["loc"] else "settings"
            problems.setdefault(field, _plain(entry["type"], entry["msg"]))
    # Beside the fields' own checks, so that all problems are reported at once.
    stock = values.get("update_stock") if found is None else found.update_stock
    if stock is True and not values.get("stock_schedule"):
        problems.setdefault("stock_schedule", "expected a cron schedule when update_stock is yes")
    if found is None or problems:
        raise InvalidSettingsError(problems)
    return found


def _plain(kind: str, text: str) -> str:
    """Returns a message of Pydantic in the words of the command line."""
    plain = {
        "missing": "is required",
        "extra_forbidden": "is no setting",
        "string_type": "expected text; in a YAML file put it in quotes",
        "bool_type": "expected yes or no",
        "bool_parsing": "expected yes or no",
        "tuple_type": "expected a list of words, as P,C",
        "invalid_key": "is no setting",
    }
    return plain.get(kind) or text.removeprefix("Value error, ")


def host_of(url: str) -> str:
    """Returns the host of a shop's address in lower case, which an integration keeps for life."""
    return (urlsplit(url).hostname or "").lower()


def _is_cron(text: str) -> bool:
    # With six fields cronsim counts seconds; a step of 99 minutes is every hour to it.
    if len(text.split()) != 5 or any(int(step) > 59 for step in re.findall(r"/(\d+)", text)):
        return False
    try:
        CronSim(text, datetime(2000, 1, 1))
    except CronSimError:
        return False
    return True

"""The wire format of the tag, version 1: models that check a batch and describe it (OpenAPI).

A body that is no batch is refused as a whole (`UnreadableBatchError`); a single event that is wrong
is left out and named in `Batch.rejected`, so that one mistake of a theme does not cost the rest.
Unknown keys are dropped. Not here: cleaning of text (`sanitise`), clocks, rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from cscart_pipelines.identity import normal
from cscart_pipelines.identity import sha256 as digest
from cscart_pipelines.onsite import sanitise

VERSION = 1
MAX_EVENTS = 50
MAX_ITEMS = 50
MAX_BYTES = 64 * 1024
MAX_QUANTITY = 1_000_000
MAX_MS = 253_402_300_799_999
"""The end of the year 9999, in milliseconds since 1970: what a date can be."""

EventName = Literal[
    "page_view", "view_item", "view_item_list", "search", "add_to_cart", "remove_from_cart",
    "add_to_wishlist", "begin_checkout", "purchase", "login", "sign_up", "profile_update",
    "subscribe", "unsubscribe",
]  # fmt: skip
NAMES = frozenset(get_args(EventName))

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
_WORD = re.compile(r"[a-z0-9_]{1,32}")
_BATCH_REASONS = {
    "v": "unknown version",
    "sent_at": "sent_at is no time",
    "visitor": "visitor is no id",
    "events": "events is no list of 1 to 50",
}
_EVENT_REASONS = {"name": "unknown name", "at": "bad time"}


class UnreadableBatchError(ValueError):
    """The body is no batch; `reason` says why in a few fixed words, without any of the body."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _text_of_id(value: Any) -> str | None:
    """A data layer may write ids as numbers; what is no id at all is dropped."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _address(value: str) -> str:
    email = normal(value)
    if not _EMAIL.fullmatch(email) or sanitise.CONTROL.search(email):
        raise ValueError("not an e-mail address")
    return email


Milliseconds = Annotated[
    int,
    Field(
        strict=True, ge=0, le=MAX_MS, description="milliseconds since 1970 by the browser's clock"
    ),
    BeforeValidator(lambda value: int(value) if isinstance(value, float) else value),
]
Id = Annotated[str, Field(strict=True, pattern="^[A-Za-z0-9_-]{16,64}$")]
Text = Annotated[str, Field(strict=True)]


class Item(BaseModel):
    """A product of an event, by code or number."""

    model_config = ConfigDict(frozen=True)

    sku: Annotated[
        str | None,
        BeforeValidator(_text_of_id),
        AfterValidator(lambda text: sanitise.clean(text, 64)),
        Field(description="at most 64 characters are kept"),
    ] = None
    product_id: Annotated[
        str | None,
        BeforeValidator(_text_of_id),
        AfterValidator(lambda text: sanitise.clean(text, 20)),
        Field(description="at most 20 characters are kept"),
    ] = None
    quantity: Annotated[int, Field(strict=True, ge=1, le=MAX_QUANTITY), BeforeValidator(_whole)] = 1


class Event(BaseModel):
    """One event of a visitor."""

    model_config = ConfigDict(frozen=True)

    name: EventName
    id: Annotated[Id, Field(description="the same however often the event is sent")]
    at: Milliseconds
    source: Literal["hook", "ga4", "page"] | None = None
    order_id: Annotated[
        str | None, Field(pattern="^[A-Za-z0-9_-]{1,32}$", validate_default=True)
    ] = None
    page: Annotated[
        Text | None, AfterValidator(sanitise.page), Field(description="path, and dispatch")
    ] = None
    referrer: Annotated[
        Text | None, AfterValidator(sanitise.referrer), Field(description="host")
    ] = None
    items: Annotated[tuple[Item, ...], Field(max_length=MAX_ITEMS)] = ()
    term: Annotated[Text | None, AfterValidator(lambda text: sanitise.clean(text, 100))] = None

    @field_validator("order_id", mode="before")
    @classmethod
    def _of_a_purchase(cls, value: Any, info: ValidationInfo) -> str | None:
        if info.data.get("name") != "purchase":
            return None
        if (text := _text_of_id(value)) is None:
            raise ValueError("a purchase has an order number")
        return text

    @field_validator("items", mode="before")
    @classmethod
    def _first_items(cls, value: Any) -> Any:
        return () if value is None else value[:MAX_ITEMS] if isinstance(value, list) else value

    def item_rows(self) -> list[dict[str, Any]]:
        """The items that say which product they are, as they are stored."""
        rows = ({k: v for k, v in item if v is not None} for item in self.items)
        return [row for row in rows if len(row) > 1]


class Identity(BaseModel):
    """Who the visitor is, if the browser knows."""

    email_sha256: Annotated[
        str | None,
        Field(strict=True, pattern="^[0-9a-fA-F]{64}$"),
        AfterValidator(lambda text: text and text.lower()),
    ] = None
    email: Annotated[
        Annotated[Text, AfterValidator(_address)] | None,
        Field(description="kept only where the integration allows it"),
    ] = None


class BatchBody(BaseModel):
    """The body of a request; its events and identity are checked one by one (`read_batch`)."""

    v: Annotated[int, Field(strict=True, ge=VERSION, le=VERSION)]
    sent_at: Milliseconds
    visitor: Id
    identity: SkipValidation[Identity | None] = None
    events: Annotated[
        list[SkipValidation[Event]], Field(strict=True, min_length=1, max_length=MAX_EVENTS)
    ]


@dataclass(frozen=True, slots=True)
class Rejection:
    """What was not accepted: one of a fixed set of reasons, and a harmless piece of it at most."""

    reason: str
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A checked batch; times in milliseconds since 1970 by the browser's clock."""

    sent_at: int
    visitor: str
    email_sha256: str | None
    email: str | None
    """Lower case and trimmed; the caller drops it where the integration does not allow it."""
    events: tuple[Event, ...]
    rejected: tuple[Rejection, ...]


def read_batch(body: bytes) -> Batch:
    """Reads the body of a request.

    Raises:
        UnreadableBatchError: It is no batch of this version.
    """
    try:
        data = orjson.loads(body)
    except ValueError:
        raise UnreadableBatchError("not JSON") from None
    if not isinstance(data, dict):
        raise UnreadableBatchError("not an object")
    try:
        batch = BatchBody.model_validate(data)
    except ValidationError as error:
        raise UnreadableBatchError(_BATCH_REASONS[str(_field(error)[0])]) from None
    rejected: list[Rejection] = []
    identity = _checked(Identity, batch.identity or None, rejected) or Identity()
    events = [_checked(Event, event, rejected) for event in batch.events]
    return Batch(
        batch.sent_at,
        batch.visitor,
        digest(identity.email) if identity.email else identity.email_sha256,
        identity.email,
        tuple(event for event in events if event is not None),
        tuple(rejected),
    )


Model = TypeVar("Model", Event, Identity)


def _checked(model: type[Model], data: Any, rejected: list[Rejection]) -> Model | None:
    """The model, or None and a rejection; None without one where there is nothing."""
    if data is None and model is Identity:
        return None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        place = _field(error)
    if model is Identity:
        rejected.append(Rejection("bad identity"))
    elif not place:
        rejected.append(Rejection("not an object"))
    else:
        field = place[-1] if place[-1] == "quantity" else place[0]
        name = data.get("name")
        known = isinstance(name, str) and _WORD.fullmatch(name)
        reason = _EVENT_REASONS.get(str(field), f"bad {field}")
        rejected.append(Rejection(reason, name if known else None))
    return None


def _field(error: ValidationError) -> tuple[int | str, ...]:
    """Where the first error is."""
    return error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]

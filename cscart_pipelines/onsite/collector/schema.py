"""The wire format of the tag, version 1: bytes of a request to a checked batch. Pure.

What cannot be read at all is refused as a whole (`UnreadableBatchError`); a single event that is
wrong is left out and named in `Batch.rejected`, so that one mistake of a theme does not cost the
rest. Unknown keys are dropped. Not here: how words are cleaned (`words`), clocks (`clock_skew`),
rows (`incoming`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeGuard

import orjson

from cscart_pipelines.identity import normal
from cscart_pipelines.identity import sha256 as digest
from cscart_pipelines.onsite.sanitise import CONTROL, clean, page, referrer

VERSION = 1
MOST_EVENTS = 50
MOST_ITEMS = 50
MOST_BYTES = 64 * 1024
MOST_QUANTITY = 1_000_000
LAST_MS = 253_402_300_799_999
"""The end of the year 9999, in milliseconds since 1970: what a date can be."""

NAMES = frozenset(
    {
        "page_view", "view_item", "view_item_list", "search", "add_to_cart", "remove_from_cart",
        "add_to_wishlist", "begin_checkout", "purchase", "login", "sign_up", "profile_update",
        "subscribe", "unsubscribe",
    }
)  # fmt: skip
SOURCES = frozenset({"hook", "ga4", "page"})

ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
ORDER = re.compile(r"[A-Za-z0-9_-]{1,32}")
SHA256 = re.compile(r"[0-9a-f]{64}")
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
WORD = re.compile(r"[a-z0-9_]{1,32}")


class UnreadableBatchError(ValueError):
    """The body is no batch; `reason` says why in a few fixed words, nothing of the body in them."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Wrong(Exception):  # noqa: N818
    """One event is wrong."""

    def __init__(self, reason: str, example: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.example = reason, example


@dataclass(frozen=True, slots=True)
class Event:
    """One checked event. `at`: milliseconds since 1970 by the browser's clock."""

    id: str
    name: str
    at: int
    page: str | None = None
    referrer: str | None = None
    items: tuple[dict[str, Any], ...] = ()
    order_id: str | None = None
    term: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """What was not taken: one of a fixed set of reasons, and a harmless piece of it at most."""

    reason: str
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A readable batch; times in milliseconds since 1970 by the browser's clock."""

    sent_at: int
    visitor: str
    email_sha256: str | None
    email: str | None
    """Lower case and trimmed; the caller drops it where the integration does not allow it."""
    events: tuple[Event, ...]
    rejected: tuple[Rejection, ...]


def read_batch(body: bytes) -> Batch:
    """Reads the body of a request. Raises UnreadableBatchError."""
    try:
        data = orjson.loads(body)
    except ValueError:
        raise UnreadableBatchError("not JSON") from None
    if not isinstance(data, dict):
        raise UnreadableBatchError("not an object")
    if data.get("v") != VERSION or isinstance(data["v"], bool):
        raise UnreadableBatchError("unknown version")
    sent_at = data.get("sent_at")
    if not _is_moment(sent_at):
        raise UnreadableBatchError("sent_at is no time")
    visitor = data.get("visitor")
    if not isinstance(visitor, str) or not ID.fullmatch(visitor):
        raise UnreadableBatchError("visitor is no id")
    given = data.get("events")
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_EVENTS:
        raise UnreadableBatchError("events is no list of 1 to 50")
    events: list[Event] = []
    rejected: list[Rejection] = []
    sha256 = email = None
    try:
        sha256, email = _identity(data.get("identity"))
    except _Wrong as wrong:
        rejected.append(Rejection(wrong.reason))
    for one in given:
        try:
            events.append(_event(one))
        except _Wrong as wrong:
            rejected.append(Rejection(wrong.reason, wrong.example))
    return Batch(int(sent_at), visitor, sha256, email, tuple(events), tuple(rejected))


def _event(data: Any) -> Event:
    if not isinstance(data, dict):
        raise _Wrong("not an object")
    name = data.get("name")
    if not isinstance(name, str) or name not in NAMES:
        known = isinstance(name, str) and WORD.fullmatch(name)
        raise _Wrong("unknown name", name if known else None)
    event_id, at = data.get("id"), data.get("at")
    if not isinstance(event_id, str) or not ID.fullmatch(event_id):
        raise _Wrong("bad id", name)
    if not _is_moment(at):
        raise _Wrong("bad time", name)
    source = data.get("source")
    if source is not None and (not isinstance(source, str) or source not in SOURCES):
        raise _Wrong("bad source", name)
    order_id = None
    if name == "purchase":
        order_id = _word(data.get("order_id"))
        if order_id is None or not ORDER.fullmatch(order_id):
            raise _Wrong("bad order_id", name)
    return Event(
        event_id,
        name,
        int(at),
        page(_text(data, "page", name)),
        referrer(_text(data, "referrer", name)),
        _items(data.get("items"), name),
        order_id,
        clean(_text(data, "term", name), 100),
        source,
    )


def _identity(data: Any) -> tuple[str | None, str | None]:
    if data is None:
        return None, None
    if not isinstance(data, dict):
        raise _Wrong("bad identity")
    email, sha256 = data.get("email"), data.get("email_sha256")
    if email is not None:
        email = normal(email) if isinstance(email, str) else ""
        if not EMAIL.fullmatch(email) or CONTROL.search(email):
            raise _Wrong("bad identity")
        return digest(email), email
    if sha256 is None:
        return None, None
    if not isinstance(sha256, str) or not SHA256.fullmatch(sha256.lower()):
        raise _Wrong("bad identity")
    return sha256.lower(), None


def _items(data: Any, name: str) -> tuple[dict[str, Any], ...]:
    if data is None:
        return ()
    if not isinstance(data, list):
        raise _Wrong("bad items", name)
    items = []
    for one in data[:MOST_ITEMS]:
        if not isinstance(one, dict):
            raise _Wrong("bad items", name)
        item: dict[str, Any] = {}
        for key, most in (("sku", 64), ("product_id", 20)):
            if text := clean(_word(one.get(key)), most):
                item[key] = text
        quantity = one.get("quantity", 1)
        if not _is_quantity(quantity):
            raise _Wrong("bad quantity", name)
        if item:
            items.append(item | {"quantity": int(quantity)})
    return tuple(items)


def _is_quantity(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 1 <= value <= MOST_QUANTITY and value == int(value)


def _is_moment(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LAST_MS


def _text(data: dict[str, Any], key: str, name: str) -> str | None:
    value = data.get(key)
    if value is not None and not isinstance(value, str):
        raise _Wrong(f"bad {key}", name)
    return value


def _word(value: Any) -> str | None:
    """Ids may come as numbers: a data layer's author thinks of them so."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None

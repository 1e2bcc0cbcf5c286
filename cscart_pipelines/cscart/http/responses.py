"""Reading an answer of a shop: the JSON, what stands around it, and the shop's clock.

Not here: what a status code means (`error_mapping`), what the fields mean (`records`).
"""

from __future__ import annotations

import email.utils
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

KEPT_HEADERS = ("content-type", "date", "retry-after", "server", "x-powered-by")
"""The headers that an ApiResponse keeps; no cookies."""
_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
_LOOK_FOR_START = 65536
_INSIDE_JSON = b"[{:,"


class NotJsonError(Exception):
    """The bytes hold no complete JSON document."""


@dataclass(frozen=True)
class ApiResponse:
    """One answer of the shop.

    `body`: parsed JSON, None if the shop sends none (204). `date`: the shop's own clock, from the
    Date header (UTC). `seconds`: from sending to the last byte. `bytes`: of the body, unpacked.
    `notices`: PHP notices stood around the JSON.
    """

    status: int
    body: Any = field(repr=False)
    date: datetime | None
    seconds: float
    bytes: int
    headers: Mapping[str, str]
    notices: bool = False


def parse_body(content: bytes) -> tuple[Any, bool]:
    """Returns the JSON in `content`, and whether anything else (PHP notices) stood around it.

    Shops in development mode print notices before the JSON (reference 7.4).

    Raises:
        NotJsonError: There is no complete document; nothing of half a page is used.
    """
    content = content.strip(_BLANK)
    while content.startswith(_BOM):
        content = content[len(_BOM) :].lstrip(_BLANK)
    try:
        return orjson.loads(content), False
    except orjson.JSONDecodeError:
        pass
    if content[:1] in (b"{", b"["):
        return _parse_leniently(content)
    if looks_like_html(content):
        raise NotJsonError
    start = _next_start(content, 0)
    while start >= 0:
        try:
            return _parse_leniently(content[start:])[0], True
        except NotJsonError:
            start = _next_start(content, start + 1)
    raise NotJsonError


def _next_start(content: bytes, after: int) -> int:
    """Finds where a document may start: a bracket that is not inside another document."""
    for place in range(after, min(len(content), _LOOK_FOR_START)):
        if content[place] in b"{[":
            before = content[:place].rstrip(_BLANK)
            if not before or before[-1] not in _INSIDE_JSON:
                return place
    return -1


def _parse_leniently(content: bytes) -> tuple[Any, bool]:
    """Reads with Python's own parser: lone surrogates pass, notices may follow."""
    text = content.decode("utf-8", "replace")
    try:
        body, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        raise NotJsonError from None
    rest = text[end:].strip()
    if rest and not rest.startswith(("<br", "<b>", "PHP ", "Notice", "Warning", "Deprecated")):
        raise NotJsonError
    return body, bool(rest)


def looks_like_html(content: bytes) -> bool:
    """Tells whether this is a web page, such as a crash page or a login form."""
    head = content[:512].lstrip(_BOM + _BLANK).lower()
    return head.startswith((b"<!doctype", b"<html", b"<head", b"<body"))


def parse_date(text: str | None) -> datetime | None:
    """Reads an HTTP date as aware UTC time; None if there is none or it cannot be read."""
    if not text:
        return None
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """Reads the seconds of a Retry-After header: a number of seconds or an HTTP date."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    moment = parse_date(text)
    return max(0.0, (moment - now).total_seconds()) if moment else None


def error_messages(body: Any) -> tuple[str, ...]:
    """Returns the messages of an error body (reference 7.1), as short plain lines."""
    if not isinstance(body, dict):
        return ()
    said: list[Any] = []
    for key in ("errors", "messages"):
        value = body.get(key)
        said += value if isinstance(value, list) else []
    if not said:
        said = [body.get("message")]
    lines = (" ".join(text.split())[:200] for text in said if isinstance(text, str))
    return tuple(line for line in lines if line)[:5]

"""Cleans text of visitors and pages for storage: one line, short, no e-mail address. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

HOST = re.compile(r"[a-z0-9_.-]{1,253}(?::\d{1,5})?")
DISPATCH = re.compile(r"(?:^|&)dispatch=([A-Za-z0-9_.-]{1,64})(?:&|$)")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ADDRESS = re.compile(r"[^\s/?&=@\"'<>:;,]{0,64}(?:@|%40)[^\s/?&=@\"'<>:;,]*", re.IGNORECASE)
HIDDEN = "[e-mail]"
MOST_PAGE = 500


def clean(text: str | None, most: int) -> str | None:
    """One line of at most `most` characters without anything like an e-mail address."""
    if not text:
        return None
    if len(text) <= most and text.isprintable() and "@" not in text and "%40" not in text:
        return text.strip() or None  # nearly all of them
    # Truncate before matching to bound the cost, and after it to the limit.
    text = _ADDRESS.sub(HIDDEN, CONTROL.sub(" ", text[: 4 * most + 256]))
    return text[:most].strip() or None


def page(text: str | None) -> str | None:
    """A page's path with `dispatch` as its only query key; host, other keys, fragment go."""
    if not text:
        return None
    path, _, query = text[:4096].partition("#")[0].partition("?")
    if "://" in path:
        path = path.partition("://")[2].partition("/")[2]
    shown = clean("/" + path.lstrip("/"), MOST_PAGE - 100) or "/"
    dispatch = DISPATCH.search(query)
    return f"{shown}?dispatch={dispatch[1]}" if dispatch else shown


def referrer(text: str | None) -> str | None:
    """The host that a visitor came from; None for what is no host."""
    if not text:
        return None
    text = text.strip().lower()[:2048]
    try:
        host = (urlsplit(text).hostname or "") if "://" in text else text
    except ValueError:
        return None
    return host if HOST.fullmatch(host) else None

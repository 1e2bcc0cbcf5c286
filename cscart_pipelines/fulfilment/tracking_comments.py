"""A parcel's tracking address in the comments of its shipment, in a form that is found again.

The shop has no field for it (reference 9.5); comments are shown to the customer and printed in the
shop's e-mail. Pure. Not here: when the address is needed (`parcels`).
"""

from __future__ import annotations

import html
from urllib.parse import urlsplit

_LONGEST = 2000
_HEAD = "Tracking: "


def trouble_of(url: str) -> str | None:
    """Why an address is not put before customers: no web page, or no plain text."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        fine = False
    # What is beyond the basic plane is cut off by old shops' columns, with all that follows.
    odd = any(letter in ' <>"\\' or letter > "\uffff" for letter in url)
    if fine and url.isprintable() and not odd and len(url) <= _LONGEST:
        return None
    return f"the tracking URL is no address of a web page (http or https, up to {_LONGEST} letters)"


def line_of(url: str) -> str:
    """The line of comments for an address."""
    return _HEAD + url


def has_line(comments: str, line: str) -> bool:
    """True if one of the lines is this one, also where somebody has written around it or the shop
    escaped it for HTML."""
    return any(
        line in (each.strip(), html.unescape(each).strip()) for each in comments.splitlines()
    )

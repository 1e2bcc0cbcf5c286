"""A parcel's tracking address in the comments of its shipment, in a form that is found again. Pure.

The shop has no field for it (reference 9.5); comments are shown to the customer and printed in the
shop's e-mail. Not here: when the address is needed (`fields`).
"""

from __future__ import annotations

import html

_HEAD = "Tracking: "


def line_of(url: str) -> str:
    """Returns the line of comments for an address."""
    return _HEAD + url


def has_line(comments: str, line: str) -> bool:
    """Returns True if one of the lines is this one, also if it was escaped for HTML."""
    return any(
        line in (each.strip(), html.unescape(each).strip()) for each in comments.splitlines()
    )

"""Tracking numbers: when two spellings mean the same parcel. Pure.

Not here: finding the parcel in the shop (`shipments/parcels/parcel`), checking a cell of a feed
(`feeds/tracking_field`).
"""

from __future__ import annotations

import re

_SEPARATORS = re.compile(
    r"[\s.\-\u00ad\u2010-\u2015\u2212\ufe58\ufe63\uff0d\u200b-\u200f\u2060\ufeff='\"]+"
)
"""Spaces, dots, what word processors make of a hyphen, and the marks of a text cell (`="…"`)."""


def normalise_tracking(text: str) -> str:
    """Returns the number upper-case and without separators: `1z 999-aa1.01` is `1Z999AA101`."""
    return _SEPARATORS.sub("", text).upper()

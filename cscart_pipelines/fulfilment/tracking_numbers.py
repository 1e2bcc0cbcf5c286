"""Tracking numbers: when two spellings mean the same parcel.

Pure. Not here: finding the parcel in the shop (`parcel`) and sending its number (`tracking`).
"""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[\s.\-\u00ad\u2010-\u2015\u2212\ufe58\ufe63\uff0d]+")
"""Spaces, dots, and what word processors make of a hyphen."""


def normalise_tracking(text: str) -> str:
    """Upper-case, without spaces, dashes and dots: `1z 999-aa1.01` is `1Z999AA101`."""
    return _SEPARATORS.sub("", text).upper()

"""Order numbers: the client's prefix before the shop's order id (seed 002).

Pure; here and not in `fulfilment`, because integrations of one client are refused if their prefixes
cannot be told apart. Not here: that refusal (`conflicts.order_prefixes`).
"""

from __future__ import annotations

import re

MOST_DIGITS = 18
"""Of an order id: as many as a bigint surely holds."""
_ID = re.compile(rf"[1-9][0-9]{{0,{MOST_DIGITS - 1}}}")


def strip(prefix: str, order_number: str) -> int | None:
    """Returns the shop's order id; None if the number is not the prefix and an id.

    Upper and lower case count as the same, as for people and fulfilment systems.
    """
    number = order_number.strip()
    if number[: len(prefix)].casefold() != prefix.casefold():
        return None
    rest = number[len(prefix) :]
    return int(rest) if _ID.fullmatch(rest) else None


def ambiguous(one: str, other: str) -> bool:
    """Tells whether an order number could have either prefix: CS and CS, "" and 1, A and A2."""
    short, long = sorted((one.casefold(), other.casefold()), key=len)
    rest = long[len(short) :]
    if not long.startswith(short):
        return False
    return not rest or (rest.isdigit() and rest[0] != "0" and len(rest) < MOST_DIGITS)

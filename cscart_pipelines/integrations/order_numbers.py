"""Order numbers: the client's prefix before the shop's order id (seed 002).

Pure, and here and not in `fulfilment`, because integrations of one client are refused when their
prefixes cannot be told apart. Not here: which integration an order number belongs to (whoever has a
number knows the integration), and the refusal itself (`registry`).
"""

from __future__ import annotations

import re

MOST_DIGITS = 18
"""Of an order id: what a bigint surely holds."""
_ID = re.compile(rf"[1-9][0-9]{{0,{MOST_DIGITS - 1}}}")


def number_of(prefix: str, order_id: int) -> str:
    """CS and 1000012 make CS1000012."""
    return f"{prefix}{order_id}"


def strip(prefix: str, order_number: str) -> int | None:
    """The shop's order id; None if the number does not start with the prefix or has no id after.

    Upper and lower case are the same to people and to fulfilment systems, so also here.
    """
    number = order_number.strip()
    if number[: len(prefix)].casefold() != prefix.casefold():
        return None
    rest = number[len(prefix) :]
    return int(rest) if _ID.fullmatch(rest) else None


def ambiguous(one: str, other: str) -> bool:
    """True if some order number could belong to either prefix: CS and CS, "" and 1, A and A2."""
    short, long = sorted((one.casefold(), other.casefold()), key=len)
    rest = long[len(short) :]
    if not long.startswith(short):
        return False
    return not rest or (rest.isdigit() and rest[0] != "0" and len(rest) < MOST_DIGITS)

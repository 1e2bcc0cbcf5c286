"""The habits of PHP that show in the API: query strings, casts, numbers, JSON.

Pure functions. Nothing that knows an entity.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

import orjson

_LEADING_INT = re.compile(r"\s*([+-]?\d+)")
_LARGEST_INT = 2**32 - 1
_LARGEST_AMOUNT = Decimal("999999999.99")
_KEY = re.compile(r"^([^\[]+)((?:\[[^\]]*\])*)$")


def parse_query(query: str) -> dict[str, Any]:
    """``a=1&b[]=2&b[]=3&c[x]=4`` as PHP reads it: the last scalar wins, ``[]`` collects a list."""
    found: dict[str, Any] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        match = _KEY.match(key)
        if match is None:
            continue
        name, inner = match.group(1), re.findall(r"\[([^\]]*)\]", match.group(2))
        if not inner:
            found[name] = value
        elif inner[0] == "":
            held = found.get(name)
            found[name] = [*held, value] if isinstance(held, list) else [value]
        else:
            held = found.get(name)
            found[name] = {**held, inner[0]: value} if isinstance(held, dict) else {inner[0]: value}
    return found


def intval(value: Any) -> int:
    """PHP's integer cast: the leading digits, else 0; clipped to a database column's range."""
    if isinstance(value, bool | int | float | Decimal):
        whole = int(value)
    else:
        match = _LEADING_INT.match(value) if isinstance(value, str) else None
        whole = int(match.group(1)) if match else 0
    return max(-_LARGEST_INT, min(_LARGEST_INT, whole))


def is_numeric(value: Any) -> bool:
    """PHP's `is_numeric`."""
    if isinstance(value, int | float):
        return True
    return isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+(\.\d*)?\s*", value) is not None


def truthy(value: Any) -> bool:
    """PHP's idea of non-empty: ``"N"`` and ``"false"`` are true, ``"0"`` and ``""`` are not."""
    return value not in (None, "", "0", 0, False, [], {})


def as_list(value: Any, *, split: bool = False) -> list[str]:
    """One value, a list or a map as a list of texts; `split` also cuts at commas."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [str(each) for each in value]
    text = str(value)
    return [part.strip() for part in text.split(",")] if split else [text]


def number(amount: Decimal | int) -> int | float:
    """A computed amount in JSON: floats without fraction print as integers (reference 5)."""
    whole = int(amount)
    return whole if amount == whole else float(amount)


def quantity(value: Any, *, weighed: bool) -> int | Decimal:
    """What a column of quantities makes of a value: pieces, or a weight with three decimals."""
    if not weighed:
        return intval(value)
    return decimal(value).quantize(Decimal("0.001")).normalize() + 0


def money(amount: Decimal, digits: int = 2) -> str:
    """An amount as PHP writes it."""
    return f"{amount:.{digits}f}"


def decimal(value: Any) -> Decimal:
    """A number sent by a client, clipped to its column; what is none counts as 0."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
    if not amount.is_finite():
        return Decimal(0)
    return max(-_LARGEST_AMOUNT, min(_LARGEST_AMOUNT, amount))


def either(mapping: dict[str, Any]) -> dict[str, Any] | list[Any]:
    """A map, or ``[]`` when it is empty: PHP cannot tell them apart (reference 5)."""
    return mapping or []


def listed(mapping: dict[str, Any]) -> dict[str, Any] | list[Any]:
    """A map whose keys are 0, 1, 2 … becomes a list; any other stays a map (reference 5)."""
    if list(mapping) == [str(i) for i in range(len(mapping))]:
        return list(mapping.values())
    return mapping


def encode(body: Any) -> bytes:
    """Compact JSON with the slash escaped, as json_encode does. Fragments must be encoded too."""
    return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS).replace(b"/", b"\\/")

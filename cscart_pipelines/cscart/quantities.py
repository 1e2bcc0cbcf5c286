"""Quantities of goods, with a fraction where a shop sells by weight.

A quantity is a Decimal in its shortest form, 1 and never 1.000, so that equal quantities have equal
texts and hashes. Not here: reading them from a shop's JSON (`coerce`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

NOTHING = Decimal(0)


def is_whole(value: Decimal) -> bool:
    """Tells whether the quantity has no fraction."""
    return value == int(value)


def tidy(value: Decimal) -> Decimal:
    """Returns the quantity in its shortest form; its `str` is plain digits, never 1E+2."""
    return Decimal(int(value)) if is_whole(value) else value.normalize()


def shown(value: Decimal) -> str:
    """Returns the text for people, 1 or 1.5; also of any number that was inserted by SQL."""
    plain = value.is_finite() and abs(value.adjusted()) < 30
    return f"{value.normalize():f}" if plain else str(value)


def total(values: Iterable[Decimal]) -> Decimal:
    """Returns the sum, in its shortest form."""
    return tidy(sum(values, NOTHING))


def json_number(value: Decimal) -> int | float:
    """Returns the quantity for JSON, 1 or 1.5. Exact for what `coerce.quantity` reads."""
    return int(value) if is_whole(value) else float(value)


def from_json(value: float | str) -> Decimal:
    """Reads what `json_number` made."""
    return tidy(Decimal(str(value)))


def json_numbers(values: Mapping[str, Decimal]) -> dict[str, int | float]:
    """Returns quantities by name, for JSON."""
    return {name: json_number(value) for name, value in values.items()}

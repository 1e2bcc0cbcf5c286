"""Quantities: how many of something, with a fraction where a shop sells by weight.

A quantity is a Decimal in its shortest form, 1 and never 1.000, so that equal quantities have equal
texts and hashes. Not here: reading them from a shop's JSON (`coerce`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

NOTHING = Decimal(0)


def is_whole(value: Decimal) -> bool:
    """True if the quantity has no fraction."""
    return value == int(value)


def tidy(value: Decimal) -> Decimal:
    """The same quantity in its shortest form; its `str` is plain digits, never 1E+2."""
    return Decimal(int(value)) if is_whole(value) else value.normalize()


def shown(value: Decimal) -> str:
    """As people read it: 1 and 1.5; also of what was inserted by SQL and is no quantity at all."""
    plain = value.is_finite() and abs(value.adjusted()) < 30
    return f"{value.normalize():f}" if plain else str(value)


def total(values: Iterable[Decimal]) -> Decimal:
    """The sum, in its shortest form."""
    return tidy(sum(values, NOTHING))


def json_number(value: Decimal) -> int | float:
    """The quantity as JSON has it: 1 or 1.5. Exact for what `coerce.quantity` reads."""
    return int(value) if is_whole(value) else float(value)


def from_json(value: float | str) -> Decimal:
    """What `json_number` made."""
    return tidy(Decimal(str(value)))


def json_numbers(values: Mapping[str, Decimal]) -> dict[str, int | float]:
    """Quantities by name, as JSON has them."""
    return {name: json_number(value) for name, value in values.items()}

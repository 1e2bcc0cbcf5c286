"""Countries by code or by name, in many languages or as the shop spells them.

Orders only add names to those that are always known (`country_names`), so a filter means the same
before the first order. Not here: which orders are pulled (`orders/pull`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from cscart_pipelines.fulfilment.country_names import (
    REGIONS,
    codes_by_iso,
    codes_of_name,
    normalise_name,
    with_suggestions,
)


@dataclass(frozen=True)
class ResolvedCountries:
    """What the words of a filter mean: ISO 3166-1 alpha-2 codes, and words that mean no country."""

    codes: frozenset[str]
    unmatched: tuple[str, ...]

    def warnings(self) -> list[str]:
        """Returns what a filter of these words does not do, as sentences to show."""
        warnings = []
        if self.unmatched:
            names = ", ".join(map(with_suggestions, self.unmatched))
            warnings.append(f"no country is called {names}: no order is let through for it")
        warnings += [
            f"{code} is an entry of the shop's list of countries, and does not stand for the"
            " countries in it; name those"
            for code in sorted(self.codes & REGIONS)
        ]
        return warnings


@dataclass(frozen=True)
class Countries:
    """What the orders of one shop tell about countries. Pure."""

    names: Mapping[str, frozenset[str]]
    """The shop's spelling, made plain -> codes in its orders."""
    codes: frozenset[str] = frozenset()
    """All codes in its orders."""
    languages: tuple[str, ...] = ()
    """Of its orders, as the shop calls them: en, el, pt_BR."""

    def codes_of(self, word: str) -> frozenset[str]:
        """Returns the codes that a word stands for; empty if it names no country.

        A code is that code; a name is what it means in English, else in another language, and what
        the shop's orders call so.
        """
        code = word.strip().upper()
        found = frozenset({code}) & self.codes | codes_by_iso().get(code, frozenset())
        if found:
            return found
        own = self.names.get(normalise_name(word), frozenset())
        return own | codes_of_name(word, self.languages)

    def resolve(self, words: Iterable[str]) -> ResolvedCountries:
        """Returns what a filter of these words means.

        A name with a comma may have been divided into two words: "Korea" and "Republic of".
        """
        codes: set[str] = set()
        unmatched: list[str] = []
        left = list(words)
        while left:
            word, rest = left.pop(0), left[0] if left else ""
            whole = frozenset[str]()
            if normalise_name(rest) and not self.codes_of(rest):
                whole = self.codes_of(f"{word}, {rest}")
            if whole:
                left.pop(0)
            found = whole or self.codes_of(word)
            codes |= found
            if not found:
                unmatched.append(word)
        return ResolvedCountries(frozenset(codes), tuple(unmatched))


def countries_of(
    seen: Iterable[tuple[str | None, str | None]], languages: Iterable[str]
) -> Countries:
    """Builds the countries of a shop from its orders.

    Args:
        seen: pairs of code and name in orders.
        languages: languages of the orders, as the shop calls them (en, pt_BR).
    """
    names: dict[str, set[str]] = {}
    codes: set[str] = set()
    for code, name in seen:
        if code := (code or "").strip().upper():
            codes.add(code)
            if key := normalise_name(name or ""):
                names.setdefault(key, set()).add(code)
    frozen = {name: frozenset(found) for name, found in names.items()}
    return Countries(frozen, frozenset(codes), tuple(sorted(set(languages))))


def read_countries(connection: psycopg.Connection[Any], integration: str) -> Countries:
    """Reads the countries of a shop's synchronised orders, deleted ones included."""
    cursor = connection.cursor(row_factory=tuple_row)
    seen = cursor.execute(
        "SELECT DISTINCT s_country, s_country_name FROM cscart.orders WHERE integration = %(key)s"
        " UNION SELECT DISTINCT b_country, b_country_name FROM cscart.orders"
        " WHERE integration = %(key)s",
        {"key": integration},
    ).fetchall()
    languages = cursor.execute(
        "SELECT DISTINCT lang_code FROM cscart.orders WHERE integration = %s"
        " AND lang_code IS NOT NULL",
        [integration],
    ).fetchall()
    return countries_of(((row[0], row[1]) for row in seen), (row[0] for row in languages))

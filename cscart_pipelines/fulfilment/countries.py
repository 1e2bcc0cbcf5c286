"""Countries by code or by name, in English or as the shop spells them: what a filter word means.

Names come from CLDR through Babel, in English and in the languages of the shop's orders, and from
the orders themselves. Case, accents and punctuation do not count. Not here: which orders are pulled
(`order_feed`).
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from babel import Locale
from babel.core import UnknownLocaleError, get_global
from psycopg.rows import tuple_row

NO_COUNTRIES = frozenset({"EU", "EZ", "UN", "QO", "ZZ", "XA", "XB"})
"""Two letters, but a group, an unknown region, or a test of translators."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "AE": ("UAE", "Emirates"),
    "BA": ("Bosnia",),
    "BN": ("Brunei Darussalam",),
    "BO": ("Bolivia, Plurinational State of",),
    "CC": ("Cocos Islands", "Keeling Islands"),
    "CD": ("DR Congo", "DRC", "Democratic Republic of the Congo", "Congo, Democratic Republic of"),
    "CG": ("Republic of the Congo",),
    "CI": ("Ivory Coast",),
    "CN": ("PRC", "People's Republic of China", "Mainland China"),
    "CV": ("Cabo Verde",),
    "CZ": ("Czech Republic",),
    "FK": ("Falkland Islands (Malvinas)",),
    "FM": ("Micronesia, Federated States of", "Federated States of Micronesia"),
    "GB": (
        "UK",
        "Great Britain",
        "Britain",
        "United Kingdom of Great Britain and Northern Ireland",
    ),
    "GR": ("Hellas",),
    "HK": ("Hong Kong",),
    "IE": ("Republic of Ireland", "Eire"),
    "IR": ("Iran, Islamic Republic of", "Islamic Republic of Iran"),
    "KP": ("Korea, Democratic People's Republic of", "Democratic People's Republic of Korea"),
    "KR": ("Korea, Republic of", "Republic of Korea"),
    "LA": ("Lao People's Democratic Republic",),
    "LY": ("Libyan Arab Jamahiriya",),
    "MD": ("Moldova, Republic of", "Republic of Moldova"),
    "MK": ("Macedonia", "Macedonia, the Former Yugoslav Republic of", "FYROM"),
    "MM": ("Myanmar", "Burma"),
    "MO": ("Macao", "Macau"),
    "NL": ("Holland",),
    "PS": ("Palestine", "State of Palestine", "Palestinian Territory, Occupied"),
    "RU": ("Russian Federation",),
    "SK": ("Slovak Republic",),
    "SY": ("Syrian Arab Republic",),
    "SZ": ("Swaziland",),
    "TL": ("East Timor",),
    "TR": ("Turkey", "Turkiye"),
    "TW": ("Taiwan, Province of China",),
    "TZ": ("Tanzania, United Republic of", "United Republic of Tanzania"),
    "US": ("USA", "United States of America", "America"),
    "VA": ("Vatican", "Holy See", "Holy See (Vatican City State)"),
    "VE": ("Venezuela, Bolivarian Republic of",),
    "VN": ("Viet Nam",),
}
"""English names that people use and CLDR does not, among them those of CS-Cart's own list. England
is not one: a filter cannot keep Scotland out, so it is reported instead."""

_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "&": " "}
)
_APOSTROPHES = re.compile("['’‘`ʼʻ´.]")
_LITTLE_WORDS = frozenset({"the", "and"})
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[_-][A-Za-z]{2,4})?")


def plain(name: str) -> str:
    """A name as it is compared: letters and digits only, without case and accents.

    St. is Saint; "the" and "and" do not count. U.S.A. is usa, Côte d’Ivoire is cotedivoire.
    """
    name = unicodedata.normalize("NFKC", name)
    text = _APOSTROPHES.sub("", unicodedata.normalize("NFC", name)).casefold().translate(_PLAIN)
    text = "".join(
        c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) != "Mn"
    )
    words = "".join(c if c.isalnum() else " " for c in text).split()
    return "".join("saint" if word == "st" else word for word in words if word not in _LITTLE_WORDS)


@dataclass(frozen=True)
class Resolved:
    """What words mean: ISO 3166-1 alpha-2 codes, and the words that mean no country."""

    codes: frozenset[str]
    unmatched: tuple[str, ...]


@dataclass(frozen=True)
class Countries:
    """What one shop's orders tell about countries. Pure."""

    names: Mapping[str, frozenset[str]]
    """The shop's spelling, made plain -> codes in its orders."""
    codes: frozenset[str] = frozenset()
    """All codes in its orders."""
    languages: tuple[str, ...] = ()
    """Of its orders, as the shop calls them: en, el, pt_BR."""

    def codes_of(self, word: str) -> frozenset[str]:
        """The codes that a word stands for; empty if it is no country.

        A code is a code; then the shop's own spelling, English names, and those of its languages.
        """
        code = word.strip().upper()
        found = frozenset({code}) & self.codes | _iso().get(code, frozenset())
        name = plain(word)
        if found or not name:
            return found
        for names in (self.names, _english(), *(_names_in(one) for one in self.languages)):
            if name in names:
                return names[name]
        return frozenset()

    def resolve(self, words: Iterable[str]) -> Resolved:
        codes: set[str] = set()
        unmatched: list[str] = []
        for word in words:
            found = self.codes_of(word)
            codes |= found
            if not found:
                unmatched.append(word)
        return Resolved(frozenset(codes), tuple(unmatched))


def countries_of(
    seen: Iterable[tuple[str | None, str | None]], languages: Iterable[str]
) -> Countries:
    """From pairs of code and name in orders, and the languages of the orders."""
    names: dict[str, set[str]] = {}
    codes: set[str] = set()
    for code, name in seen:
        if code := (code or "").strip().upper():
            codes.add(code)
            if key := plain(name or ""):
                names.setdefault(key, set()).add(code)
    frozen = {name: frozenset(found) for name, found in names.items()}
    return Countries(frozen, frozenset(codes), tuple(sorted(set(languages))))


def read_countries(connection: psycopg.Connection[Any], integration: str) -> Countries:
    """What the synchronised orders of a shop tell, deleted ones included."""
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


@cache
def _iso() -> dict[str, frozenset[str]]:
    """Two and three letters -> the alpha-2 code; also old codes with one successor (UK, BU)."""
    known = {
        code
        for code in _territories("en")
        if len(code) == 2 and code.isalpha() and code not in NO_COUNTRIES
    }
    found = {code: frozenset({code}) for code in known}
    for code, now in get_global("territory_aliases").items():
        if str(code).isalpha() and len(now) == 1 and now[0] in known:
            found.setdefault(str(code), frozenset(now))
    return found


@cache
def _english() -> dict[str, frozenset[str]]:
    aliases = {plain(name): frozenset({code}) for code, names in ALIASES.items() for name in names}
    return {**_names_in("en"), **aliases}


@cache
def _names_in(language: str) -> dict[str, frozenset[str]]:
    """Plain name -> codes, in a language; empty for one that nobody knows."""
    found: dict[str, set[str]] = {}
    for code, name in _territories(language).items():
        if code in _iso() and (key := plain(name)):
            found.setdefault(key, set()).add(code)
    return {name: frozenset(codes) for name, codes in found.items()}


def _territories(language: str) -> dict[str, str]:
    if _LANGUAGE.fullmatch(language):
        with contextlib.suppress(UnknownLocaleError, ValueError):
            return dict(Locale.parse(language.replace("-", "_")).territories)
    return {}

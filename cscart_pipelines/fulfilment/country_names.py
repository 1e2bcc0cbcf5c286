"""Names of countries in many languages, and the codes they stand for.

Names come from CLDR through Babel, and from a table of those that CLDR lacks. Case, accents and
punctuation do not count. Not here: what the orders of one shop add (`countries`).
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache

from babel import Locale
from babel.core import UnknownLocaleError, get_global

NOT_COUNTRIES = frozenset({"EZ", "UN", "QO", "ZZ", "XA", "XB"})
"""Two letters, but a group, an unknown region, or a test of translators."""

REGIONS = frozenset({"AP", "EU"})
"""Entries of CS-Cart's own list that are no countries: Asia-Pacific and Europe. Each stands for the
orders that have this code, and not for the countries in it."""

NAMES: Mapping[str, str] = {
    "AE": "UAE; Emirates",
    "AG": "Antigua",
    "AN BQ CW SX": "Netherlands Antilles; Dutch Antilles",
    "AP": "Asia-Pacific; Asia/Pacific Region",
    "AX": "Aland",
    "BA": "Bosnia",
    "BN": "Brunei Darussalam",
    "BO": "Plurinational State of Bolivia",
    "BQ": "Bonaire, Sint Eustatius and Saba; Bonaire",
    "CC": "Cocos Islands; Keeling Islands",
    "CD": "DR Congo; DRC; Democratic Republic of the Congo; Zaire",
    "CG": "Republic of the Congo; Congo",
    "CI": "Ivory Coast",
    "CN": "PRC; People's Republic of China; Mainland China",
    "CS ME RS": "Serbia and Montenegro",
    "CV": "Cabo Verde",
    "CZ": "Czech Republic; Česká republika; Tschechische Republik",
    "EU": "Europe",
    "FK": "Malvinas; Falklands; Falkland Islands (Malvinas)",
    "FM": "Federated States of Micronesia",
    "FO": "Faeroe Islands; Faroes",
    "FR FX": "France",
    "FX": "France, Metropolitan; Metropolitan France",
    "GB": "UK; Great Britain; Britain; United Kingdom of Great Britain and Northern Ireland;"
    " Großbritannien; Grande-Bretagne; Gran Bretagna; Gran Bretaña; Μεγάλη Βρετανία",
    "GR": "Hellas; Hellenic Republic; Ελλάς; EL",
    "GS": "S. Georgia and S. Sandwich Islands; South Georgia",
    "HK": "Hong Kong",
    "HM": "Heard Island and McDonald Islands",
    "IE": "Republic of Ireland; Eire",
    "IR": "Islamic Republic of Iran",
    "KG": "Kyrgyz Republic",
    "KN": "St. Kitts",
    "KP": "Democratic People's Republic of Korea; DPRK",
    "KR": "Republic of Korea",
    "LA": "Lao People's Democratic Republic",
    "LU": "Luxemburg",
    "LY": "Libyan Arab Jamahiriya",
    "MD": "Republic of Moldova",
    "MF": "Saint Martin (French part)",
    "MK": "Macedonia; The Former Yugoslav Republic of Macedonia; FYROM;"
    " Republic of North Macedonia",
    "MM": "Myanmar; Burma",
    "MO": "Macao; Macau",
    "NL": "Holland",
    "PM": "Saint Pierre",
    "PN": "Pitcairn; Pitcairn Island",
    "PS": "Palestine; State of Palestine; Occupied Palestinian Territory; Palestine Authority;"
    " Palestinian Authority; Palestinian Territory",
    "RU": "Russian Federation",
    "SH": "Saint Helena, Ascension and Tristan da Cunha",
    "SJ": "Svalbard and Jan Mayen Islands",
    "SK": "Slovak Republic",
    "ST": "Sao Tome",
    "SX": "Sint Maarten (Dutch part); St. Maarten",
    "SY": "Syrian Arab Republic",
    "SZ": "Swaziland",
    "TC": "Turks and Caicos",
    "TF": "French Southern and Antarctic Lands",
    "TL TP": "East Timor; Timor-Leste",
    "TR": "Turkey",
    "TT": "Trinidad",
    "TW": "Taiwan, Province of China; Taiwan, Republic of China",
    "TZ": "United Republic of Tanzania",
    "UM": "US Minor Outlying Islands; United States Minor Outlying Islands",
    "US": "USA; United States of America; America; ΗΠΑ; США; EE. UU.",
    "VA": "Vatican; Holy See; Vatican City State",
    "VC": "St. Vincent",
    "VE": "Bolivarian Republic of Venezuela",
    "VG": "Virgin Islands, British",
    "VI": "United States Virgin Islands",
    "VN": "Socialist Republic of Vietnam",
    "WF": "Wallis and Futuna Islands",
    "WS": "Western Samoa",
    "YU ME RS": "Yugoslavia",
}
"""Codes -> names that CLDR lacks: those of CS-Cart's own list, of ISO 3166, and what people
say. Several codes: the list has the name, or a part of the country, under each. England is not one
of them: a filter cannot keep Scotland out, so it is reported instead."""

LANGUAGES: tuple[str, ...] = (
    "ar", "bg", "cs", "da", "de", "el", "es", "et", "fa", "fi", "fr", "he", "hr", "hu", "id", "it",
    "ja", "ka", "ko", "lt", "lv", "mk", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr",
    "sr_Latn", "sv", "th", "tr", "uk", "vi", "zh", "zh_Hant",
)  # fmt: skip
"""In which names are known from the first day: those in which shops are run."""

_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th", "&": " "}
)
_APOSTROPHES = re.compile("['’‘`ʼʻ´.]")
_ACCENTS = re.compile(r"[\u0300-\u036f]")  # in other scripts marks are vowels
_SAINT = re.compile(r"\bst\.", re.I)
_BRACKETS = re.compile(r"([^()]+)\(([^()]+)\)([^()]*)")
_UK_NATIONS = frozenset({"england", "scotland", "wales", "northernireland"})
_IGNORED_WORDS = frozenset({"the", "and"})
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[_-][A-Za-z]{2,4})?")


def normalise_name(name: str) -> str:
    """Returns a name as it is compared: letters, marks and digits, without case and accents.

    St. is Saint; "the" and "and" do not count. U.S.A. is usa, Côte d’Ivoire is cotedivoire.
    """
    name = _SAINT.sub("saint ", unicodedata.normalize("NFKC", name))
    text = _APOSTROPHES.sub("", unicodedata.normalize("NFC", name)).casefold().translate(_LETTERS)
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    text = unicodedata.normalize("NFC", text)
    words = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split()
    return "".join(
        "saint" if word == "st" else word for word in words if word not in _IGNORED_WORDS
    )


def suggestions(word: str) -> tuple[str, ...]:
    """Returns English names of up to three countries that a word without a match may mean."""
    known, key = _codes_by_english_name(), normalise_name(word)
    if key in _UK_NATIONS:
        return ("United Kingdom",)
    within = [name for name in known if len(key) > 3 and key in name]
    found: dict[frozenset[str], str] = {}
    for name in [*within, *get_close_matches(key, known, 3, 0.8)]:
        found.setdefault(known[name], _display_names()[name])
    return tuple(found.values())[:3]


def with_suggestions(word: str) -> str:
    """Returns the word with the countries it may mean: "Grece (did you mean Greece?)"."""
    found = suggestions(word)
    return f"{word} (did you mean {' or '.join(found)}?)" if found else word


def codes_of_name(word: str, languages: Iterable[str]) -> frozenset[str]:
    """Returns the codes of a name in English or another language, empty for none.

    Its parts may be turned round: "Korea, Republic of", "Korea (South)".

    A second name in brackets must be one of the same country: "Croatia (Hrvatska)".
    """
    head, comma, rest = word.rpartition(",")
    spellings = [word, f"{rest} {head}"] if comma else [word]
    brackets = _BRACKETS.fullmatch(word)
    if brackets:
        outside, inside = f"{brackets[1]} {brackets[3]}", brackets[2]
        spellings.append(f"{inside} {outside}")
    for spelling in spellings:
        if found := _codes_in_languages(normalise_name(spelling), languages):
            return found
    if brackets and (found := _codes_in_languages(normalise_name(outside), languages)):
        return (
            found
            if found == _codes_in_languages(normalise_name(inside), languages)
            else frozenset()
        )
    return frozenset()


def _codes_in_languages(name: str, languages: Iterable[str]) -> frozenset[str]:
    """The codes of a plain name, in English, else in all other languages."""
    if not name or name in _codes_by_english_name():
        return _codes_by_english_name().get(name, frozenset())
    others = dict.fromkeys([*LANGUAGES, *languages])
    return frozenset().union(*(_names_in(one).get(name, ()) for one in others))


@cache
def codes_by_iso() -> dict[str, frozenset[str]]:
    """Returns codes of two and three letters -> alpha-2; old ones with one successor too (UK)."""
    known = {
        code
        for code in _territories("en")
        if len(code) == 2 and code.isalpha() and code not in NOT_COUNTRIES
    } | {codes.split()[0] for codes in NAMES}
    found = {code: frozenset({code}) for code in known}
    for code, now in get_global("territory_aliases").items():
        if str(code).isalpha() and len(now) == 1 and now[0] in known:
            found.setdefault(str(code), frozenset(now))
    return found


@cache
def _extra_names() -> dict[str, str]:
    """English name -> its codes, of the names that CLDR lacks."""
    return {name.strip(): codes for codes, names in NAMES.items() for name in names.split(";")}


@cache
def _codes_by_english_name() -> dict[str, frozenset[str]]:
    ours = {
        normalise_name(name): frozenset(codes.split()) for name, codes in _extra_names().items()
    }
    return {**_names_in("en"), **ours}


@cache
def _display_names() -> dict[str, str]:
    """English names by their plain form, as they are written."""
    return {normalise_name(name): name for name in (*_extra_names(), *_territories("en").values())}


@cache
def _names_in(language: str) -> dict[str, frozenset[str]]:
    """Plain name -> codes, in a language; empty for an unknown one."""
    several = {codes[:2]: codes.split() for codes in NAMES}
    found: dict[str, set[str]] = {}
    for code, name in _territories(language).items():
        if code in codes_by_iso() and (key := normalise_name(name)):
            found.setdefault(key, set()).update(several.get(code, [code]))
    return {name: frozenset(codes) for name, codes in found.items()}


def _territories(language: str) -> dict[str, str]:
    if _LANGUAGE.fullmatch(language):
        with contextlib.suppress(UnknownLocaleError, ValueError):
            return dict(Locale.parse(language.replace("-", "_")).territories)
    return {}

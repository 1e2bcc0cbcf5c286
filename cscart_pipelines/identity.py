"""Who a row is about: the one definition of an e-mail address, a mobile and an identity.

What is typed into a shop becomes an address or a number here and nowhere else: the models and the
purge of a person read what `warehouse.contacts` has stored of it, a synchronisation and the
collector call it. Pure: no database, no shop.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import Literal, NamedTuple

Kind = Literal["usable", "reserved", "faulty"]


class Address(NamedTuple):
    """An e-mail address in its normal form."""

    text: str
    kind: Kind
    """`usable`: mail can reach it. `reserved`: no mail ever can (a domain for documentation and
    tests, which is also what CS-Cart invents where a checkout has no e-mail field): no person.
    `faulty`: meant as an address, but not one; tells people apart, cannot be written to."""


MOST_EMAIL = 320
"""Longer texts are no addresses (RFC 3696); CS-Cart's column holds 128."""
MOST_PHONE = 60

_TRIMMED = (
    "\t\n\v\f\r \xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + ("\u2028\u2029\u202f\u205f\u3000\ufeff")
)
"""What ECMAScript's trim takes away."""
_SPACE = re.compile(f"[{_TRIMMED}\\0-\\x1f\x7f\x85]+")
_LABEL = re.compile(r"^(?:mailto|e-?mail|mail)[ ]*:[ ]*")
_QUERY = re.compile(r"\?[^@]*$")
_NAMED = re.compile(r"([^<>]*)<([^<>]*)>[ ,;.]*")
_COMMENT = re.compile(r"(?<=\w)[ ]*\([^()@]*\)$")
_BEFORE = " \"'`“”‘’„‚«»‹›<>()[]{},;:.•·"
_AFTER = _BEFORE + "!?/\\|"
# A domain's labels are letters, digits and inner hyphens; the last one has a letter first.
_WORD = r"[^\s@\"(),:;<>\[\]\\.⋯]+"
_LOCAL = rf"{_WORD}(?:\.{_WORD})*"
_PART = r"(?:[^\W_](?:(?:[^\W_]|-){0,61}[^\W_])?)"
_EMAIL = re.compile(rf"({_LOCAL})@((?:{_PART}\.)+(?=[^\W\d_](?:[^\W_]|-)){_PART}|localhost)")
_MEANT = re.compile(r"[^@]*[^@\s]@[^@\s].*", re.DOTALL)
_RESERVED = re.compile(r"(?:.*\.)?(?:example\.(?:com|net|org)|invalid|localhost)")
"""Domains in which CS-Cart and other programs invent addresses. Others that no mail can reach
(`.example`, `.test`, `.local`) stay usable: trial shops are full of them."""


def written(text: str) -> str:
    """The text as browsers normalise an address before they hash it: trimmed, in lower case."""
    return text.strip(_TRIMMED).lower()


def sha256(text: str) -> str:
    """In hexadecimal, as the tag sends it."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


@lru_cache(20_000)
def read_email(text: str | None) -> Address | None:
    """The address that is meant by a text, or None where it means none.

    White space and invisible characters, punctuation, quotes, brackets, a name before it and
    `mailto:` around an address are taken away; its letters become lower case, and a domain is in
    its own letters. What leaves a doubt (two addresses, a space inside, no top-level domain, a cut
    end) is `faulty`. Dots and plus signs stay: they tell people apart.
    """
    if not text or len(text) > MOST_EMAIL:
        return None
    plain = _stable(text)
    if len(plain) > MOST_EMAIL:  # one character may become eighteen
        return None
    core = _core(plain)
    found = _EMAIL.fullmatch(core) if core else None
    if found is None or len(found[1]) > 64 or len(found[0]) > 254:
        return Address(plain, "faulty") if _MEANT.fullmatch(plain) else None
    shown = f"{found[1]}@{_in_letters(found[2])}"
    if not _EMAIL.fullmatch(shown) or len(shown) > 254:
        shown = found[0]
    return Address(shown, "reserved" if _RESERVED.fullmatch(found[2]) else "usable")


def _in_letters(domain: str) -> str:
    """The domain as people write it: some browsers send `bücher.de` as `xn--bcher-kva.de`."""
    if "xn--" not in domain:
        return domain
    import idna  # slow to import, and rarely needed

    try:
        letters = idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain
    return letters if _stable(letters) == letters else domain


def _stable(text: str) -> str:
    """The text in one form: lower case, no invisible characters, single blanks.

    Compatible forms (full-width letters, ligatures) become the usual ones.
    """
    if text.isascii():
        return _SPACE.sub(" ", text).strip(" ").lower()
    for _ in range(3):  # lower case and compatible forms may give way to each other
        before = text
        # The ellipsis is no three dots: the end of the address was cut off.
        text = unicodedata.normalize("NFKC", text.lower().replace("…", "⋯"))
        text = "".join(c for c in text if unicodedata.category(c) != "Cf")
        text = _SPACE.sub(" ", text).strip(" ")
        if text == before:
            break
    return text


def _core(text: str) -> str | None:
    """What is left of an address without what may stand around it; None for two addresses."""
    if (named := _NAMED.fullmatch(text)) and "@" in named[2]:
        if "@" in named[1] and named[1].strip(_BEFORE) != named[2].strip(_BEFORE):
            return None
        text = named[2]
    before = None
    while text != before:
        before, text = text, text.removeprefix('="')
        text = _LABEL.sub("", text.lstrip(_BEFORE))
        text = _COMMENT.sub("", _QUERY.sub("", text)).rstrip(_AFTER)
    return text


def normal(text: str, region: str | None = None) -> str:
    """The name of a person as it is compared.

    The address that is meant, else the mobile in E.164, else the text as it is written.
    """
    address = read_email(text)
    return address.text if address else read_mobile(text, region) or written(text)


@lru_cache(20_000)
def read_mobile(text: str | None, region: str | None) -> str | None:
    """The number in E.164 if the text is one number, and one that can be a mobile; else None.

    `region`: the country (ISO 3166-1 alpha-2) that a number without one belongs to; None leaves
    only numbers in international form. Notes, two numbers, and numbers that went through a
    spreadsheet (`306912345678.0`, `3.06912E+11`) are none.
    """
    if not text or len(text) > MOST_PHONE:
        return None
    plain = "".join(
        " " if (kind := unicodedata.category(c)) == "Zs" or c in "\t\r"
        else "-" if kind == "Pd"
        else str(unicodedata.digit(c)) if kind == "Nd"
        else "" if kind == "Cf"
        else c
        for c in unicodedata.normalize("NFKC", text)
    )  # fmt: skip
    plain = plain.removeprefix("tel:").replace("(0)", "").strip(" \n\v\f\x85\u2028\u2029\"'`=,;:.")
    if not _NUMBER.fullmatch(plain) or _FLOAT.fullmatch(plain):
        return None
    if region is None and plain.startswith("00"):
        plain = "+" + plain[2:]
    return _mobile(plain, region)


_NUMBER = re.compile(
    r"(?:\(?\+|\()?(?:[0-9][-. ()]*){0,6}(?:(?<=[0-9) ])/ ?)?(?:[0-9][-. ()]*){5,18}"
)
"""A number as it is written: one plus sign in front, a slash only after an area code."""
_FLOAT = re.compile(r"\+?[0-9]{7,}\.[0-9]{1,2}")


def _mobile(text: str, region: str | None) -> str | None:
    # Slow to import, and most commands read no phone.
    import phonenumbers
    from phonenumbers import PhoneNumberType as Type

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.number_type(number) not in (Type.MOBILE, Type.FIXED_LINE_OR_MOBILE):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def region_of(country: str | None) -> str | None:
    """The country code if phones can be numbered by it: an order's country may be anything."""
    import phonenumbers  # slow to import

    code = (country or "").strip().upper()
    code = {"FX": "FR"}.get(code, code)  # CS-Cart has metropolitan France beside France
    return code if code in phonenumbers.SUPPORTED_REGIONS else None


def region_of_zone(timezone: str) -> str | None:
    """The country of a time zone; None for one of no country, as UTC."""
    from babel.core import get_global  # slow to import

    countries = get_global("zone_territories")
    name = {"Europe/Kyiv": "Europe/Kiev"}.get(timezone, timezone)  # newer than the names of CLDR
    alias = get_global("zone_aliases").get(name, name)
    return region_of(countries.get(name) or countries.get(alias))

"""Carriers: from the name that a fulfilment system writes to the code that the shop knows.

The client's own map (`fulfilment.carriers`) comes first, then the codes of CS-Cart itself with
their usual spellings (reference 9.5), then the map's `*`. There is no list of carriers to ask the
shop for, and it takes any text. Not here: what a parcel says of its carrier (`parcels`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

OTHERS = "*"
LONGEST = 255
"""Characters of the shop's columns for carrier and number; it cuts what is longer."""

_COMPUTING = {
    "fedex": ("FedEx", "Federal Express", "FedEx Express", "FedEx Ground", "FedEx Home Delivery"),
    "ups": ("UPS", "United Parcel Service", "UPS Ground", "UPS Standard", "UPS Express"),
    "usps": ("USPS", "United States Postal Service", "US Postal Service", "U.S. Mail"),
    "dhl": ("DHL", "DHL Express", "DHL Worldwide", "DHL International", "DHL Worldwide Express"),
    "aup": ("AUP", "Australia Post", "AusPost", "Australian Post"),
    "can": ("CAN", "Canada Post", "Postes Canada", "Canada Post Corporation"),
    "swisspost": ("Swiss Post", "Schweizerische Post", "Die Schweizerische Post", "Schweizer Post",
                  "La Poste Suisse", "Posta Svizzera"),
}  # fmt: skip
"""DHL's other companies (parcels within a country) have other tracking pages: not listed."""

_OTHER_CODES = {
    "temando": ("Temando",),
    "fedexrest": ("fedexrest",),
    "uspsv2": ("uspsv2",),
    "upsdeprecated": ("upsdeprecated",),
    "sagawa": ("Sagawa", "Sagawa Express"),
    "yamato": ("Yamato", "Yamato Transport"),
    "jpost": ("jpost", "Japan Post"),
}
"""Codes of some versions only; whether the shop computes their address is not known."""


@dataclass(frozen=True)
class Match:
    """`code`: what is sent, "" for nothing. `computes_url`: the shop shows the carrier's tracking
    page for it. `matched`: False if nobody has said what the name means."""

    code: str
    computes_url: bool
    matched: bool


class CarrierMap:
    """The carriers of one integration. `rows`: name to (code, computes_url), `*` for others."""

    def __init__(self, rows: Mapping[str, tuple[str, bool]] | None = None) -> None:
        self._exact: dict[str, Match] = {}
        self._loose: dict[str, Match] = {}
        for name, (code, computes_url) in sorted((rows or {}).items()):
            plain = code.strip()
            match = Match(plain, computes_url and bool(plain), matched=True)
            self._exact[name.strip()] = match
            if _key(name):
                self._loose.setdefault(_key(name), match)
        self._others = self._exact.pop(OTHERS, None)

    @property
    def others(self) -> str:
        """The code of `*`; "" if there is none."""
        return self._others.code if self._others else ""

    def code_of(self, name: str | None) -> Match:
        """Upper and lower case, spaces and punctuation do not matter. No name has no code.

        A name that means nothing is sent as it is if a shop can hold it, else nothing is sent.
        """
        plain = " ".join((name or "").split())
        if not plain:
            return Match("", computes_url=False, matched=True)
        key = _key(plain)
        found = self._exact.get(plain) or self._loose.get(key) or _BUILT_IN.get(key) or self._others
        if found:
            return found
        fits = len(plain) <= LONGEST and plain.isprintable()
        return Match(plain if fits else "", computes_url=False, matched=False)


def read_carriers(connection: psycopg.Connection[Any], integration: str) -> CarrierMap:
    """The map of one integration as it is now."""
    rows = connection.execute(
        "SELECT name, code, computes_url FROM fulfilment.carriers WHERE integration = %s",
        [integration],
    ).fetchall()
    return CarrierMap({name: (code, computes_url) for name, code, computes_url in rows})


def _key(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


_BUILT_IN = {
    _key(name): Match(code, computes_url, matched=True)
    for codes, computes_url in ((_COMPUTING, True), (_OTHER_CODES, False))
    for code, names in codes.items()
    for name in (code, *names)
}

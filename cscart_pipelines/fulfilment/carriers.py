"""Carriers: from the name that a fulfilment system writes to the code that the shop knows.

The client's own map (`fulfilment.carriers`) comes first, then the codes of CS-Cart itself with
their usual spellings (reference 9.5), then the map's `*`. Not here: which carrier a parcel names
(`shipments/parcels/fields`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

FALLBACK = "*"
MAX_LENGTH = 255
"""Characters of the shop's columns for carrier and number; it cuts what is longer."""

_WITH_TRACKING_PAGE = {
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
class CarrierCode:
    """What a carrier's name means.

    Attributes:
        code: what is sent; "" for nothing.
        computes_url: the shop shows the carrier's tracking page for this code.
        matched: False if neither the map nor CS-Cart's own codes have the name.
    """

    code: str
    computes_url: bool
    matched: bool


class CarrierMap:
    """The carriers of one integration.

    Args:
        rows: name to (code, computes_url); the name `*` is the fallback for all others.
    """

    def __init__(self, rows: Mapping[str, tuple[str, bool]] | None = None) -> None:
        self._exact: dict[str, CarrierCode] = {}
        self._normalised: dict[str, CarrierCode] = {}
        for name, (code, computes_url) in sorted((rows or {}).items()):
            plain = code.strip()
            match = CarrierCode(plain, computes_url and bool(plain), matched=True)
            self._exact[name.strip()] = match
            if _key(name):
                self._normalised.setdefault(_key(name), match)
        self._fallback = self._exact.pop(FALLBACK, None)

    @property
    def fallback(self) -> str:
        """The code of `*`; "" if there is none."""
        return self._fallback.code if self._fallback else ""

    def code_of(self, name: str | None) -> CarrierCode:
        """Finds the code of a carrier; case, spaces and punctuation of the name do not matter.

        A name without a code is sent as it is if the shop's column can hold it, else nothing is
        sent.
        """
        plain = " ".join((name or "").split())
        if not plain:
            return CarrierCode("", computes_url=False, matched=True)
        key = _key(plain)
        found = (
            self._exact.get(plain)
            or self._normalised.get(key)
            or _BUILT_IN.get(key)
            or self._fallback
        )
        if found:
            return found
        fits = len(plain) <= MAX_LENGTH and plain.isprintable()
        return CarrierCode(plain if fits else "", computes_url=False, matched=False)


def read_carriers(connection: psycopg.Connection[Any], integration: str) -> CarrierMap:
    """The map of one integration as it is now."""
    rows = connection.execute(
        "SELECT name, code, computes_url FROM fulfilment.carriers WHERE integration = %s",
        [integration],
    ).fetchall()
    return CarrierMap({name: (code, computes_url) for name, code, computes_url in rows})


def _key(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def is_carrier(text: str) -> bool:
    """Returns True for a code of CS-Cart or one of its usual spellings."""
    return _key(text) in _BUILT_IN


_BUILT_IN = {
    _key(name): CarrierCode(code, computes_url, matched=True)
    for codes, computes_url in ((_WITH_TRACKING_PAGE, True), (_OTHER_CODES, False))
    for code, names in codes.items()
    for name in (code, *names)
}

"""Made-up people for CDNOW's numbers: names, addresses, phones, e-mail at domains for private use.

Everything is drawn from a generator seeded by the customer's number, so the same number is always
the same person. No orders here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from cscart_pipelines.sandbox.shop.model import PostalAddress

_FIRST_NAMES = """
Anna Maria Eleni Katerina Sofia Ioanna Dimitra Georgia Vasiliki Christina Nikos Giorgos Yannis
Kostas Dimitris Panos Vangelis Thanos Stelios Petros Emma Olivia Amelia Isla Ava Mia Grace Lily
Chloe Ella Jack Noah Leo Oscar Harry Arthur Theo Finn Lukas Jonas Felix Paul Clara Lea Marie
Louise Camille Lucas Hugo Jules Giulia Aurora Marco Luca Alba Carmen Pablo Diego Ioana Andrei
Ivana Petar Zoë Siân Jürgen
"""
_FIRST = _FIRST_NAMES.split()

_LAST_NAMES = """
Papadopoulou Papadopoulos Georgiou Ioannou Nikolaou Dimitriou Vlachos Oikonomou Angelis Karras
Makris Samaras Markou Petridis Christou Smith Jones Taylor Brown Walker Wright Green Hall Wood
Clarke Murphy Kelly Byrne Walsh Ryan Müller Schmidt Weber Wagner Becker Hoffmann Koch Martin
Bernard Dubois Moreau Laurent Rossi Russo Ferrari Bianchi Garcia Lopez Torres Navarro Popescu
Ionescu Dumitru Petrov Ivanov Georgiev Jansen Visser Bakker O'Neill van-den-Berg
"""
_LAST = _LAST_NAMES.split()

_PLACES = {
    "GR": (34, "+30 69", 8, (("Athens", "10431"), ("Thessaloniki", "54622"), ("Patras", "26221"))),
    "CY": (9, "+357 99", 6, (("Nicosia", "1010"), ("Limassol", "3010"))),
    "GB": (17, "+44 7700 900", 3, (("London", "SW1A 1AA"), ("Leeds", "LS1 1UR"))),
    "IE": (5, "+353 83", 7, (("Dublin", "D01 F5P2"), ("Cork", "T12 W8KP"))),
    "DE": (12, "+49 151", 8, (("Berlin", "10115"), ("Hamburg", "20095"))),
    "FR": (8, "+33 6", 8, (("Paris", "75001"), ("Lyon", "69001"))),
    "IT": (6, "+39 34", 8, (("Rome", "00118"), ("Milan", "20121"))),
    "RO": (5, "+40 72", 7, (("Bucharest", "010011"), ("Cluj-Napoca", "400001"))),
    "BG": (4, "+359 88", 7, (("Sofia", "1000"), ("Varna", "9000"))),
}
_COUNTRIES = tuple(_PLACES)
_WEIGHTS = tuple(place[0] for place in _PLACES.values())
_STREETS = ("Example Street", "Market Square", "Harbour Road", "Station Avenue", "Mill Lane")
_DOMAINS = ("inbox.internal", "mail.internal", "post.internal")
"""Reserved for private use, so no real address. Not a domain for documentation, which
the project takes for an invented address, as CS-Cart's own."""


@dataclass(frozen=True, slots=True)
class Person:
    """One customer's made-up particulars; `phone` is empty for about a third."""

    number: int
    firstname: str
    lastname: str
    email: str
    phone: str
    address: PostalAddress


def person(number: int) -> Person:
    """The person with this number; always the same one, with an e-mail address of its own."""
    dice = random.Random(f"person {number}")  # noqa: S311 - repeatable, not secret
    first, last = dice.choice(_FIRST), dice.choice(_LAST)
    country = dice.choices(_COUNTRIES, _WEIGHTS)[0]
    _, prefix, digits, cities = _PLACES[country]
    city, zipcode = dice.choice(cities)
    has_phone = dice.random() < 0.66
    phone = f"{prefix}{dice.randrange(10**digits):0{digits}d}" if has_phone else ""
    if has_phone and dice.random() < 0.5:
        phone = phone.replace(" ", "")
    plain = _ascii(f"{first}.{last}").lower()
    street = f"{dice.randint(1, 120)} {dice.choice(_STREETS)}"
    address = PostalAddress(first, last, street, "", city, "", country, zipcode, phone)
    email = f"{plain}.{number}@{dice.choice(_DOMAINS)}"
    return Person(number, first, last, email, phone, address)


def _ascii(text: str) -> str:
    table = str.maketrans({"ü": "u", "ë": "e", "â": "a", "'": "", " ": "", "-": ""})
    return text.translate(table)

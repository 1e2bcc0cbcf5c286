"""Order statuses by letter or by name: the meaning of a word of the settings in one shop.

A shop's owner may rename statuses and add letters, so a word is looked up among the shop's present
names, then among the names that CS-Cart ships (reference 8.5). A word is never cut to its first
letter: that is what the shop does with it, and Shipped would become S. Not here: the statuses that
the warehouse has (`integrations.status_words`), writing a status (`writes`).
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import UnreadableRowError
from cscart_pipelines.cscart.lists import read_short_list
from cscart_pipelines.cscart.records.statuses import parse_status

INCOMPLETE = "N"
"""Checkout begun and not finished; in no list of statuses (reference 8.1, 8.5)."""

DEFAULT_NAMES: Mapping[str, tuple[str, ...]] = {
    "P": ("Processed", "Paid"),
    "C": ("Complete", "Completed"),
    "O": ("Open",),
    "F": ("Failed",),
    "D": ("Declined",),
    "B": ("Backordered", "Backorder"),
    "I": ("Canceled", "Cancelled"),
    "Y": ("Awaiting call",),
    INCOMPLETE: ("Incomplete",),
}
"""Names of older and newer shops, and usual spellings (reference 8.5; seed 002)."""


def _exact(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def _loose(name: str) -> str:
    """Reduces a name: Back Ordered and back-ordered are one, as are Απεστάλη and ΑΠΕΣΤΑΛΗ."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in plain if c.isalnum())


_DEFAULTS = {_loose(name): letter for letter, names in DEFAULT_NAMES.items() for name in names}


@dataclass(frozen=True)
class Resolved:
    """The letters that words stand for, and the words that are no status of this shop."""

    letters: frozenset[str]
    unmatched: tuple[str, ...]


@dataclass(frozen=True)
class StatusNames:
    """The statuses of one shop. Pure."""

    present: Mapping[str, str]
    """The present name by letter, from the shop's list of statuses."""
    seen: frozenset[str] = frozenset()
    """Letters that orders carry, those of deleted and unlisted statuses included."""

    @property
    def known(self) -> frozenset[str]:
        """The letters of this shop; if its list was not read, those of every shop."""
        return self.seen | {INCOMPLETE} | frozenset(self.present or DEFAULT_NAMES)

    def letters(self, word: str) -> tuple[str, ...]:
        """Returns the letters that a word stands for; several if two statuses have that name.

        A single letter is itself (a small one the capital, unless the shop has both). The shop's
        present names come before the default ones, the same spelling before a similar one.
        """
        word = word.strip()
        for letter in (word, word.upper()):
            if letter in self.known:
                return (letter,)
        for spelling in (_exact, _loose):
            wanted = spelling(word)
            found = sorted(one for one, name in self.present.items() if spelling(name) == wanted)
            if wanted and found:
                return tuple(found)
        default = _DEFAULTS.get(_loose(word))
        return (default,) if default in self.known and default is not None else ()

    def letter(self, word: str) -> str | None:
        """Returns the one letter of a word; None if it is no status, or several."""
        letters = self.letters(word)
        return letters[0] if len(letters) == 1 else None

    def name(self, letter: str) -> str:
        """Returns the present name, else the newest default one, else the letter."""
        return self.present.get(letter) or (*DEFAULT_NAMES.get(letter, (letter,))[:2],)[-1]

    def resolve(self, words: Iterable[str]) -> Resolved:
        """Translates words into letters."""
        found: set[str] = set()
        unmatched: list[str] = []
        for word in words:
            letters = self.letters(word)
            found.update(letters)
            if not letters:
                unmatched.append(word)
        return Resolved(frozenset(found), tuple(unmatched))

    def advice(self, word: str) -> str:
        """Returns a message about an unknown word: the likely status, and all of the shop."""
        spelled = {self.name(letter): letter for letter in sorted(self.present)}
        close = difflib.get_close_matches(word, spelled, n=1, cutoff=0.6)
        meant = f"did you mean {close[0]}? " if close else ""
        has = ", ".join(f"{letter} ({name})" for name, letter in spelled.items())
        return (
            f"the shop has no status {word!r}; {meant}It has {has}"
            if meant
            else (f"the shop has no status {word!r}; it has {has}")
        )


def read_names(client: ShopClient) -> StatusNames:
    """Reads the order statuses that the shop has now. Raises ShopError."""
    present: dict[str, str] = {}
    for raw in read_short_list(client, "statuses", {"type": "O"}):
        try:
            row = parse_status(raw)
        except UnreadableRowError:
            continue
        present[row.status] = row.description or ""
    return StatusNames(present)

"""Order statuses by letter or by name: what a word of the settings means in one shop.

A shop's owner may rename statuses and add letters, so a word is looked up among the shop's present
names, then among the names that CS-Cart ships (reference 8.5). A word is never cut to its first
letter: that is what the shop does with it, and Shipped would become S. Not here: the statuses that
the warehouse knows (`cscart.status_names`), writing a status (`writes`).
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
"""Older and newer shops, and spellings that people use (reference 8.5; seed 002)."""


def _exact(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def _loose(name: str) -> str:
    """Back Ordered, back-ordered and Backordered are one name; so are Απεστάλη and ΑΠΕΣΤΑΛΗ."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in plain if c.isalnum())


_DEFAULTS = {_loose(name): letter for letter, names in DEFAULT_NAMES.items() for name in names}


@dataclass(frozen=True)
class Resolved:
    """What words mean: the letters, and the words that mean nothing in this shop."""

    letters: frozenset[str]
    unmatched: tuple[str, ...]


@dataclass(frozen=True)
class StatusNames:
    """The statuses of one shop. Pure."""

    present: Mapping[str, str]
    """Letter -> its name now, as the shop's list of statuses says."""
    seen: frozenset[str] = frozenset()
    """Letters that orders carry: also those of statuses that were deleted or are in no list."""

    @property
    def known(self) -> frozenset[str]:
        """Letters that mean something here. Before the list was read, those of every shop."""
        return self.seen | {INCOMPLETE} | frozenset(self.present or DEFAULT_NAMES)

    def letters(self, word: str) -> tuple[str, ...]:
        """The letters that a word stands for; several if the shop has given a name twice.

        A single letter is itself (a small one the capital, unless the shop has both). The shop's
        present names go before the default ones, the same spelling before a similar one.
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
        """The one letter of a word; None if it means nothing here, or more than one status."""
        letters = self.letters(word)
        return letters[0] if len(letters) == 1 else None

    def name(self, letter: str) -> str:
        """What people call it: the present name, the newest default one, or the letter."""
        return self.present.get(letter) or (*DEFAULT_NAMES.get(letter, (letter,))[:2],)[-1]

    def resolve(self, words: Iterable[str]) -> Resolved:
        found: set[str] = set()
        unmatched: list[str] = []
        for word in words:
            letters = self.letters(word)
            found.update(letters)
            if not letters:
                unmatched.append(word)
        return Resolved(frozenset(found), tuple(unmatched))

    def advice(self, word: str) -> str:
        """What the shop has instead, the likely one first."""
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
    """The order statuses that the shop has now. Raises ShopError."""
    present: dict[str, str] = {}
    for raw in read_short_list(client, "statuses", {"type": "O"}):
        try:
            row = parse_status(raw)
        except UnreadableRowError:
            continue
        present[row.status] = row.description or ""
    return StatusNames(present)

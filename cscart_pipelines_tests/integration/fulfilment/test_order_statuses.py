"""Statuses by letter or by name: never by the first letter of a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.cscart.status_names import DEFAULT_NAMES, StatusNames
from cscart_pipelines.integrations.status_words import read_status_names
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.fulfilment.order_feeds import raw_shop

SHOP = {"P": "Paid", "C": "Complete", "O": "Open", "F": "Failed", "D": "Declined",
        "B": "Backordered", "I": "Canceled", "E": "Handed to courier", "x": "Small"}  # fmt: skip
NAMES = StatusNames(SHOP)


@pytest.mark.parametrize(
    ("word", "letter"),
    [("P", "P"), ("p", "P"), (" c ", "C"), ("Processed", "P"), ("Paid", "P"), ("PAID", "P"),
     ("Complete", "C"), ("completed", "C"), ("Open", "O"), ("Cancelled", "I"), ("canceled", "I"),
     ("Back Ordered", "B"), ("back-ordered", "B"), ("Handed to  courier", "E"), ("e", "E"),
     ("x", "x"), ("N", "N"), ("Incomplete", "N")],
)  # fmt: skip
def test_what_a_word_stands_for(word: str, letter: str) -> None:
    assert NAMES.letters(word) == (letter,)
    assert NAMES.letter(word) == letter


@pytest.mark.parametrize(
    "word",
    ["Shipped", "Pending", "Pa", "Paidd", "X", "S", "Y", "Awaiting call", "T", "", "-", "PC"],
)
def test_what_means_nothing_here_is_reported(word: str) -> None:
    assert NAMES.letters(word) == ()
    found = NAMES.resolve(["Paid", word])
    assert (found.letters, found.unmatched) == ({"P"}, (word,))


def test_a_renamed_status_has_both_names() -> None:
    renamed = StatusNames({"P": "Оплачен", "O": "Neu", "Y": "Call me"})
    assert renamed.letter("оплачен") == renamed.letter("Processed") == renamed.letter("Paid") == "P"
    assert renamed.letter("Open") == renamed.letter("NEU") == "O"
    assert renamed.letter("awaiting call") == "Y"


def test_the_present_name_goes_before_a_default_one() -> None:
    moved = StatusNames({"P": "Money is here", "A": "Paid", "O": "Complete", "C": "Done"})
    assert moved.letter("Paid") == "A"
    assert moved.letter("Processed") == "P"
    assert moved.letter("Complete") == "O"
    assert moved.letter("C") == "C"


def test_accents_do_not_count_unless_they_make_the_difference() -> None:
    greek = StatusNames({"C": "Απεστάλη", "E": "Ελέγχθηκε"})
    assert greek.letter("ΑΠΕΣΤΑΛΗ") == "C"
    assert StatusNames({"A": "Envoye", "B": "Envoyé"}).letter("envoyé") == "B"


def test_a_name_given_twice_means_both_and_is_no_single_letter() -> None:
    twice = StatusNames({"A": "Shipped", "S": "shipped", "B": "Ship-ped"})
    assert twice.letters("Shipped") == ("A", "S")
    assert twice.letter("Shipped") is None
    assert twice.letters("ship-ped") == ("B",)


def test_before_the_list_was_read_the_default_letters_are_known() -> None:
    unread = StatusNames({}, frozenset({"Z"}))
    assert unread.letter("Awaiting call") == "Y"
    assert unread.letter("Z") == "Z"
    assert unread.letter("K") is None


def test_what_people_call_a_letter() -> None:
    assert [NAMES.name(one) for one in ("P", "E", "N", "Q")] == [
        "Paid", "Handed to courier", "Incomplete", "Q",
    ]  # fmt: skip
    assert StatusNames({}).name("P") == "Paid"


def test_it_is_read_from_this_shops_live_statuses_and_orders(warehouse_database: Database) -> None:
    shop, other = raw_shop(warehouse_database), raw_shop(warehouse_database)
    shop.status("P", "Paid")
    shop.status("G", "Gone")
    shop.order(1, status="K")
    other.status("H", "Elsewhere")
    shop.connection.execute("UPDATE cscart.statuses SET deleted_at = now() WHERE status = 'G'")
    names = read_status_names(shop.connection, shop.key)
    assert (names.present, names.seen) == ({"P": "Paid"}, {"K"})
    assert names.resolve(["K", "G", "Gone", "Elsewhere"]).unmatched == ("G", "Gone", "Elsewhere")


LETTERS = st.sampled_from("PCOFDBIYNEGpx12")
WORDS = st.text(max_size=6) | st.sampled_from(
    [name for names in DEFAULT_NAMES.values() for name in names] + ["Shipped", "p", "P"]
)
SHOPS = st.builds(
    StatusNames, st.dictionaries(LETTERS, WORDS, max_size=6), st.frozensets(LETTERS, max_size=3)
)


@given(SHOPS, WORDS)
def test_a_word_only_means_a_status_of_the_shop_that_bears_it(shop: StatusNames, word: str) -> None:
    letters = shop.letters(word)
    assert set(letters) <= shop.known
    said = "".join(c for c in word.casefold() if c.isalnum())
    for letter in letters:
        names = [shop.present.get(letter, ""), *DEFAULT_NAMES.get(letter, ())]
        called = ["".join(c for c in name.casefold() if c.isalnum()) for name in names]
        assert word.strip().upper() == letter.upper() or said in called or not word.isascii()


@given(SHOPS)
def test_every_letter_and_every_present_name_is_found(shop: StatusNames) -> None:
    for letter in shop.known:
        assert shop.letters(letter) == (letter,)
    for letter, name in shop.present.items():
        if (
            name.strip()
            and name.strip() not in shop.known
            and name.strip().upper() not in shop.known
        ):
            assert letter in shop.letters(name)

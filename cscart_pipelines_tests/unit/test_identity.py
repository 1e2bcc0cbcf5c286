"""What is an address, a mobile, an identity: texts as shops have them, and rules for all texts."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cscart_pipelines.identity import (
    normal,
    read_email,
    read_mobile,
    region_of,
    region_of_zone,
    written,
)

AROUND = [
    "john@x.gr", "John@X.GR", " john@x.gr\t", "john@x.gr,", "john@x.gr;", "john@x.gr.",
    "john@x.gr...",
    "<john@x.gr>", "<<john@x.gr>>", '"John" <john@x.gr>', "John Smith <john@x.gr>;", "(john@x.gr)",
    "john@x.gr <john@x.gr>", "mailto:john@x.gr", "MAILTO:John@x.gr?subject=hi", "E-mail: john@x.gr",
    "'john@x.gr'", "'john@x.gr", '="john@x.gr"', "«john@x.gr»", "john@x.gr (work)",
    "\u200bjohn@x.gr\u200b", "\ufeffjohn@x.gr", "jo\u00adhn@x.gr", "\u202ajohn@x.gr\u202c",
    "\xa0john@x.gr\xa0", "\u3000john@x.gr\u2028", "\x1fjohn@x.gr\x85", "ｊｏｈｎ＠ｘ．ｇｒ",
    "john@x.gr!", "{john@x.gr}", ".john@x.gr", "john@x.gr\r\n",
]  # fmt: skip
"""What is certainly john@x.gr."""
FAULTY = [
    "john@x", "jo hn@x.gr", "john@x.gr a@b.gr", "john@x.gr, a@b.gr", "john@x.gr/a@b.gr",
    "john@x,gr",
    "john@x..gr", "john..d@x.gr", "john@x_y.gr", "john@-x.gr", "john@x.gr-", "john@1.2.3.4",
    "john@x.g", "john@x.123", "john@x.gr…", "a@x.gr <john@x.gr>", "John john@x.gr", "john@x.gr a",
    f"{'j' * 65}@x.gr",
]  # fmt: skip
NONE = ["", " ", "n/a", "-", "john", "john@", "@x.gr", "john(at)x.gr", "call after 5", "john@@x.gr"]
RESERVED = [
    "ada-lovelace-1700000000@example.com", "a@EXAMPLE.org", "a@sub.example.net",
    "a@b.invalid", "a@localhost", "<a@example.com>,",
]  # fmt: skip
USABLE = ["a@example.co", "a@myexample.com", "a@example.community", "a@latest.gr", "o'neill@x.gr",
          "a.b+c@x.gr", "x@müller.de", "x@xn--mller-kva.de", "i@x.museum",
    "a@mail.internal", "a@shop.example", "a@b.test", "a@shop.local"]  # fmt: skip


@pytest.mark.parametrize("text", AROUND)
def test_what_stands_around_an_address_is_taken_away(text: str) -> None:
    assert read_email(text) == ("john@x.gr", "usable")


@pytest.mark.parametrize(
    ("kind", "texts"),
    [("faulty", FAULTY), ("reserved", RESERVED), ("usable", USABLE), (None, NONE)],
)
def test_what_leaves_a_doubt_cannot_be_written_to(kind: str | None, texts: list[str]) -> None:
    found = {text: (address := read_email(text)) and address.kind for text in texts}
    assert found == dict.fromkeys(texts, kind)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a@xn--bcher-kva.de", "a@bücher.de"),
        ("A@shop.XN--BCHER-KVA.de", "a@shop.bücher.de"),
        ("a@xn--mxahngml.gr", "a@ελαιον.gr"),
        ("a@bücher.xn--qxam", "a@bücher.ελ"),
        ("a@xn--a.de", "a@xn--a.de"),  # means nothing
        ("a@xn--11b4c3d.in", "a@xn--11b4c3d.in"),  # letters that this module reads in no domain
    ],
)
def test_a_domain_is_the_same_in_its_letters_and_as_browsers_send_it(
    text: str, address: str
) -> None:
    assert read_email(text) == (address, "usable")
    assert read_email(address) == (address, "usable")


def test_no_address_is_longer_than_the_text_may_be() -> None:
    """Longer ones do not fit into an index, and no list of the shop could be built any more."""
    assert read_email("x@y " + "ﷺ" * 100) is None


SIGNS = st.text(
    st.one_of(
        st.sampled_from("@@@..,;<>()\"' \t\n\xa0\u3000\u2028\ufeff\u200b\x1f\x85jJxXgGrR=:?-+"),
        st.sampled_from("İIıiſßΣςσKÅﬁ．＠ⓐ\u0345\u00ad"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=24,
)
TEXTS = st.one_of(
    SIGNS,
    st.builds("{}{}@{}{}".format, SIGNS, st.sampled_from(["john", "İ", "ΑΣ"]),
              st.sampled_from(["x.gr", "X.GR", "example.com", "ΕΛΛΑΣ.ΕΛ", "xn--mller-kva.de"]),
              SIGNS),
)  # fmt: skip


@given(TEXTS)
@example("İ@x.gr")
@example("ΑΣ@x.gr")
@example("\u0345@x.gr")
@example("john@x.gr.\xa0")
@example("JOHN@XN--MLLER-KVA.DE.")
def test_case_and_browsers_make_no_difference_and_an_address_means_itself(text: str) -> None:
    """What a browser hashes names the same person as what the shop has, or a hash would name two;
    and what purges a person finds what the models call them."""
    address = read_email(text)
    assert read_email(written(text)) == address
    assert read_email(text.lower()) == address
    around = f" \n\xa0\u2003{text}\ufeff\t"
    assert (read_email(around), written(around)) == (address, written(text))
    if address is not None:
        assert read_email(address.text) == address
        assert written(address.text) == address.text
        assert normal(text) == address.text == normal(address.text)
    if address is not None and address.kind != "faulty":
        assert re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", address.text)


MOBILE = [
    "+30 691 234 5678", "6912345678", "691-234-5678", "691.234.5678", "(+30) 6912345678",
    "６９１２３４５６７８",
    "00306912345678", "306912345678", "tel:+306912345678", "'6912345678",
    '="6912345678"', "6912345678,",
    "+30 (0) 691 234 5678", "\u202a+30 691 234 5678\u202c", "691\xa0234\u20095678", "691–234–5678",
    "٦٩١٢٣٤٥٦٧٨", "+3 0 6 9 1 2 3 4 5 6 7 8",
]  # fmt: skip
NO_MOBILE = [
    "", "0000000", "00000000000", "1234567890", "12345", "call after 5", "6912345678 call after 5",
    "6912345678 / 6987654321", "6912345678/6987654321", "6912345678, 6987654321",
    "6912345678 6987654321",
    "6912345678;6987654321", "6912345678\n6987654321", "6912345678 or 6987654321", "306912345678.0",
    "6912345678.0", "306912345678.00", "3.06912E+11", "3.06912345678E11", "3,06912E+11", "nan",
    "None",
    "+30+306912345678", "*6912345678", "6912345678 ext 5", "6912345678x12", "691234567",
    "69123456781",
    "2101234567", "+30 210 123 4567", "800 123 4567", "+", "john@x.gr",
]  # fmt: skip


def test_only_one_number_that_can_be_a_mobile_is_one() -> None:
    assert {text: read_mobile(text, "GR") for text in MOBILE} == dict.fromkeys(
        MOBILE, "+306912345678"
    )
    assert {text: read_mobile(text, "GR") for text in NO_MOBILE} == dict.fromkeys(NO_MOBILE)


def test_a_national_number_is_of_its_region_and_of_none_without() -> None:
    assert read_mobile("6912345678", "DE") is None  # Frankfurt
    assert read_mobile("0151/23456789", "DE") == "+4915123456789"
    assert read_mobile("(202) 555-0143", "US") == "+12025550143"  # fixed or mobile, who knows
    assert read_mobile("6912345678", None) is None
    assert read_mobile("00306912345678", None) == read_mobile("+306912345678", None)
    zones = ["Europe/Athens", "US/Eastern", "Europe/Kyiv", "Asia/Calcutta", "UTC", "Etc/GMT+3"]
    assert [region_of_zone(zone) for zone in zones] == ["GR", "US", "UA", "IN", None, None]
    countries = ["gr", "FX", "Bo", "EU", "", None, "Greece"]
    assert [region_of(one) for one in countries] == ["GR", "FR", "BO", None, None, None, None]


@given(st.one_of(SIGNS, st.text("0123456789+-./() ,\n\xa0\u202a６٦Ee", max_size=40)))
def test_a_mobile_means_itself_everywhere(text: str) -> None:
    for region in ("GR", "US", "DE", None):
        mobile = read_mobile(text, region)
        if mobile is not None:
            assert re.fullmatch(r"\+[1-9][0-9]{6,14}", mobile)
            assert read_mobile(mobile, None) == read_mobile(f"\xa0{mobile} ", "JP") == mobile

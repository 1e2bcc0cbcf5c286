"""Countries by code or name: what people and shops write, and nothing by chance."""

from __future__ import annotations

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.countries import (
    ALIASES,
    NO_COUNTRIES,
    Countries,
    countries_of,
    plain,
    read_countries,
)
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.feed_fixtures import raw_shop

NOBODY = countries_of([], [])
ENGLISH = {
    code: name
    for code, name in Locale("en").territories.items()
    if len(code) == 2 and code not in NO_COUNTRIES
}


@pytest.mark.parametrize(
    ("word", "code"),
    [("GB", "GB"), ("gb", "GB"), ("GBR", "GB"), ("UK", "GB"), ("U.K.", "GB"), ("usa", "US"),
     ("U.S.A.", "US"), ("United States of America", "US"), ("Great Britain", "GB"),
     ("Holland", "NL"), ("The Netherlands", "NL"), ("Greece", "GR"), ("GREECE ", "GR"),
     ("Cote d'Ivoire", "CI"), ("CÔTE D’IVOIRE", "CI"), ("Ivory Coast", "CI"),
     ("Czech Republic", "CZ"),
     ("Saint Lucia", "LC"), ("St Lucia", "LC"), ("Trinidad and Tobago", "TT"), ("Turkey", "TR"),
     ("Türkiye", "TR"), ("South Korea", "KR"), ("Korea, Republic of", "KR"), ("Burma", "MM"),
     ("Viet Nam", "VN"), ("Hong Kong", "HK"), ("reunion", "RE"), ("Åland Islands", "AX"),
     ("Guinea-Bissau", "GW"), ("GUINEA", "GN"), ("Niger", "NE"), ("nigeria", "NG")],
)  # fmt: skip
def test_what_people_write_in_english(word: str, code: str) -> None:
    assert NOBODY.codes_of(word) == {code}


@pytest.mark.parametrize(
    "word",
    ["", " ", "—", "G", "Narnia", "EU", "Europe", "ZZ", "England", "Korea", "Congo", "United",
     "Gree", "GBRX", "1", "826", "%", "Ελλάδα"],
)  # fmt: skip
def test_what_is_no_country_matches_nothing(word: str) -> None:
    assert NOBODY.codes_of(word) == frozenset()
    assert NOBODY.resolve(["GB", word]).unmatched == (word,)


def test_names_in_the_languages_of_the_orders() -> None:
    greek = countries_of([], ["el", "xx", "../etc", "cn"])
    assert greek.codes_of("Ελλάδα") == greek.codes_of("ΕΛΛΑΔΑ") == {"GR"}
    assert countries_of([], ["pt-BR"]).codes_of("reino unido") == {"GB"}
    assert countries_of([], ["ru"]).codes_of("Великобритания") == {"GB"}


def test_the_shops_own_spelling_goes_first() -> None:
    shop = countries_of([("gb", "Angleterre!"), ("US", "Georgia"), ("QQ", "Moon"), (None, "x")], [])
    assert shop.codes_of("ANGLETERRE") == {"GB"}
    assert shop.codes_of("Georgia") == {"US"}
    assert shop.codes_of("qq") == shop.codes_of("moon") == {"QQ"}
    assert shop.codes_of("x") == frozenset()
    assert countries_of([("UK", "Britain")], []).codes_of("uk") == {"UK", "GB"}


def test_it_is_read_from_both_addresses_of_this_shops_orders(warehouse_database: Database) -> None:
    shop, other = raw_shop(warehouse_database), raw_shop(warehouse_database)
    shop.order(1, s_country="GR", s_country_name="Hellenic Rep.", lang_code="el")
    shop.order(2, b_country="DE", b_country_name="Allemagne", lang_code="fr")
    other.order(1, s_country="FR", s_country_name="Gaul")
    found = read_countries(shop.connection, shop.key)
    assert found.codes == {"GR", "DE"}
    assert found.languages == ("el", "fr")
    assert found.resolve(["hellenic rep", "Allemagne", "Gaul", "Royaume-Uni"]).codes == {
        "GR", "DE", "GB",
    }  # fmt: skip
    assert found.resolve(["Gaul"]).unmatched == ("Gaul",)


ODD = st.sampled_from(["{}", " {} ", "the {}", "{}.", "{}!", "«{}»"])


@given(st.sampled_from(sorted(ENGLISH)), ODD, st.sampled_from([str, str.upper, str.lower]))
def test_every_country_is_found_under_its_name(code: str, odd: str, case: type[str]) -> None:
    assert NOBODY.codes_of(odd.format(case(ENGLISH[code]))) == {code}
    assert NOBODY.codes_of(case(code)) == {code}


@given(st.sampled_from([(code, name) for code, names in ALIASES.items() for name in names]))
def test_every_alias_is_its_country(pair: tuple[str, str]) -> None:
    assert NOBODY.codes_of(pair[1]) == {pair[0]}


@given(
    st.lists(
        st.tuples(st.sampled_from(["GB", "gr", "Q1", None, ""]), st.text(max_size=6) | st.none())
    ),
    st.lists(st.text(max_size=5), max_size=2),
    st.lists(st.text(max_size=8) | st.sampled_from(["GB", "Greece", "de"]), max_size=4),
)  # fmt: skip
def test_a_word_is_matched_or_reported(
    seen: list[tuple[str | None, str | None]], languages: list[str], words: list[str]
) -> None:
    shop = countries_of(seen, languages)
    found = shop.resolve(words)
    assert found.codes == frozenset().union(*(shop.codes_of(word) for word in words))
    assert found.unmatched == tuple(word for word in words if not shop.codes_of(word))
    for code, name in seen:
        if code and plain(name or "") and not shop.codes_of(name or "") & {code.upper()}:
            # Only a code goes before the shop's own name.
            assert (name or "").strip().upper() in shop.codes or NOBODY.codes_of(name or "")


@given(st.text(max_size=20))
def test_plain_names_are_plain(name: str) -> None:
    assert plain(name).isalnum() or not plain(name)
    assert plain(name) == plain(name + "-") == plain(f" {name}  ")


def test_countries_without_orders_are_the_english_ones() -> None:
    assert Countries({}).codes_of("Greece") == {"GR"}

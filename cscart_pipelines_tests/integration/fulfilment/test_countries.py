"""Countries by code or name: what people and shops write, and nothing by chance."""

from __future__ import annotations

import unicodedata

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.countries import Countries, countries_of, read_countries
from cscart_pipelines.fulfilment.country_names import (
    NAMES,
    NOT_COUNTRIES,
    normalise_name,
    suggestions,
)
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.fulfilment.order_feeds import raw_shop

NOBODY = countries_of([], [])
ENGLISH = {
    code: name
    for code, name in Locale("en").territories.items()
    if len(code) == 2 and code not in NOT_COUNTRIES
}
CS_CART = {
    "AN": "Netherlands Antilles", "AP": "Asia-Pacific", "AX": "Aland Islands",
    "BN": "Brunei Darussalam", "CC": "Cocos (Keeling) Islands", "CG": "Congo",
    "CD": "Congo, Democratic Republic of", "CI": "Cote D'ivoire", "CS": "Serbia and Montenegro",
    "EU": "Europe", "FK": "Falkland Islands (Malvinas)", "FR": "France",
    "FX": "France, Metropolitan", "GB": "United Kingdom (Great Britain)", "GW": "Guinea-bissau",
    "GS": "South Georgia and the South Sandwich Islands", "HM": "Heard and McDonald Islands",
    "HR": "Croatia (Hrvatska)", "IR": "Islamic Republic of Iran",
    "KP": "Korea, Democratic People's Republic of", "KR": "Korea, Republic of",
    "LA": "Lao People's Democratic Republic", "LY": "Libyan Arab Jamahiriya",
    "MD": "Moldova, Republic of", "MK": "Macedonia, the former Yugoslav Republic of",
    "PM": "St. Pierre and Miquelon", "PN": "Pitcairn", "PS": "Palestine Authority",
    "RU": "Russian Federation", "SJ": "Svalbard and Jan Mayen Islands", "TP": "East Timor",
    "SK": "Slovakia (Slovak Republic)", "SY": "Syrian Arab Republic", "SZ": "Swaziland",
    "TW": "Taiwan, Province of China", "TZ": "Tanzania, United Republic of",
    "UM": "United States Minor Outlying Islands", "VA": "Vatican City State",
    "VC": "St. Vincent and the Grenadines", "VG": "British Virgin Islands",
    "VI": "United States Virgin Islands", "VN": "Viet Nam", "WF": "Wallis and Futuna Islands",
}  # fmt: skip
"""Names of CS-Cart's own list that are not those of CLDR, and entries that CLDR has not."""


@pytest.mark.parametrize(("code", "name"), CS_CART.items())
def test_every_name_of_the_shops_list_means_its_code_from_the_first_day(
    code: str, name: str
) -> None:
    """And whatever orders have arrived, under whatever code."""
    assert code in NOBODY.codes_of(name)
    assert code in NOBODY.codes_of(code) or code == "TP"
    assert countries_of([("GR", name)], []).codes_of(name) == NOBODY.codes_of(name) | {"GR"}


@pytest.mark.parametrize(
    ("word", "codes"),
    [
        ("France", "FR FX"),
        ("Frankreich", "FR FX"),
        ("France, Metropolitan", "FX"),
        ("FX", "FX"),
        ("FR", "FR"),
        ("Timor-Leste", "TL TP"),
        ("East Timor", "TL TP"),
        ("Netherlands Antilles", "AN BQ CW SX"),
        ("Serbia and Montenegro", "CS ME RS"),
        ("Serbia", "RS"),
        ("Virgin Islands (U.S.)", "VI"),
        ("Virgin Islands, British", "VG"),
        ("Iran (Islamic Republic of)", "IR"),
        ("Congo (Kinshasa)", "CD"),
        ("Korea (South)", "KR"),
        ("Germany (Deutschland)", "DE"),
        ("Bahamas, The", "BS"),
        ("S.Georgia & S.Sandwich Islands", "GS"),
        ("St.Lucia", "LC"),
        ("Ελλάδα", "GR"),
        ("ΕΛΛΑΔΑ", "GR"),
        ("Deutschland", "DE"),
        ("Großbritannien", "GB"),
        ("Royaume-Uni", "GB"),
        ("Россия", "RU"),
        ("日本", "JP"),
        ("ไทย", "TH"),
        ("Ireland (Northern)", ""),
        ("Germany (Georgia)", ""),
        ("Indiana", ""),
        ("South America", ""),
        ("New England", ""),
    ],
)
def test_a_name_means_all_its_codes_and_nothing_by_chance(word: str, codes: str) -> None:
    assert NOBODY.codes_of(word) == set(codes.split())


@pytest.mark.parametrize(("code", "name"), CS_CART.items())
def test_a_name_with_a_comma_is_one_name_also_in_a_list_with_commas(code: str, name: str) -> None:
    words = [word.strip() for word in f"Greece, {name}, UK".split(",")]
    found = NOBODY.resolve(words)
    assert (found.codes, found.unmatched) == (NOBODY.codes_of(name) | {"GR", "GB"}, ())
    assert code in found.codes


def test_a_word_that_is_no_country_stays_unknown_beside_one() -> None:
    words = ["Greece", "Republic of", "Hong Kong", "China", "Korea", "Moldova", "Republic of"]
    found = NOBODY.resolve(words)
    assert found.codes == {"GR", "HK", "CN", "MD"}
    assert found.unmatched == ("Republic of", "Korea")


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("Frnace", ["France"]),
        ("Germny", ["Germany"]),
        ("Korea", ["North Korea", "South Korea"]),
        ("England", ["United Kingdom"]),
        ("Virgin Islands", ["British Virgin Islands", "U.S. Virgin Islands"]),
        ("Atlantis", []),
        ("", []),
        ("x", []),
    ],
)
def test_what_may_be_meant(word: str, names: list[str]) -> None:
    assert list(suggestions(word)) == names
    assert all(NOBODY.codes_of(name) for name in names)


def test_a_region_is_told_since_it_does_not_mean_the_countries_in_it() -> None:
    assert NOBODY.resolve(["Europe", "GB"]).codes == {"EU", "GB"}
    (warning,) = NOBODY.resolve(["Europe", "GB"]).warnings()
    assert "EU is an entry" in warning
    assert NOBODY.resolve(["Greece"]).warnings() == []
    assert NOBODY.resolve(["Grmany", "Zzzz"]).warnings() == [
        "no country is called Grmany (did you mean Germany?), Zzzz: no order is let through for it"
    ]


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
    ["", " ", "—", "G", "Narnia", "UN", "ZZ", "England", "Korea", "Virgin Islands", "United",
     "Gree", "GBRX", "1", "826", "%", ",", "()", "Ελλ"],
)  # fmt: skip
def test_what_is_no_country_matches_nothing(word: str) -> None:
    assert NOBODY.codes_of(word) == frozenset()
    assert NOBODY.resolve(["GB", word]).unmatched == (word,)


def test_names_in_the_languages_of_the_orders() -> None:
    assert NOBODY.codes_of("ግሪክ") == frozenset()
    assert countries_of([], ["am", "xx", "../etc", "cn"]).codes_of("ግሪክ") == {"GR"}
    assert countries_of([], ["pt-BR"]).codes_of("reino unido") == {"GB"}
    # The older name in Greek, and the code of the European Union's tax numbers.
    assert NOBODY.codes_of("ΕΛΛΑΣ") == NOBODY.codes_of("el") == {"GR"}


def test_the_shops_own_spelling_is_added() -> None:
    shop = countries_of([("gb", "Angleterre!"), ("US", "Georgia"), ("QQ", "Moon"), (None, "x")], [])
    assert shop.codes_of("ANGLETERRE") == {"GB"}
    assert shop.codes_of("Georgia") == {"GE", "US"}
    assert shop.codes_of("qq") == shop.codes_of("moon") == {"QQ"}
    assert shop.codes_of("x") == frozenset()
    assert countries_of([("UK", "Britain")], []).codes_of("uk") == {"UK", "GB"}
    assert countries_of([("UK", "Britain")], []).codes_of("Britain") == {"UK", "GB"}


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
    assert NOBODY.codes_of(odd.format(case(ENGLISH[code]))) >= {code}
    assert NOBODY.codes_of(case(code)) == {code}


def test_no_name_of_the_table_is_in_cldr_or_twice() -> None:
    names = [
        (normalise_name(name), codes)
        for codes, all_of in NAMES.items()
        for name in all_of.split(";")
    ]
    assert len({name for name, _ in names}) == len(names)
    english = {normalise_name(name): code for code, name in ENGLISH.items()}
    assert [name for name, codes in names if english.get(name) == codes] == []
    assert [name for name, codes in names if NOBODY.codes_of(name) != set(codes.split())] == []


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
        if code and normalise_name(name or "") and not shop.codes_of(name or "") & {code.upper()}:
            # Only a code goes before the shop's own name.
            assert (name or "").strip().upper() in shop.codes or NOBODY.codes_of(name or "")


@given(st.text(max_size=20))
def test_plain_names_are_plain(name: str) -> None:
    assert not any(unicodedata.category(c)[0] in "ZPCS" for c in normalise_name(name))
    assert normalise_name(name) == normalise_name(name + "-") == normalise_name(f" {name}  ")


def test_countries_without_orders_are_the_english_ones() -> None:
    assert Countries({}).codes_of("Greece") == {"GR"}

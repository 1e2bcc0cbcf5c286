"""Names of carriers become the shop's codes; unknown ones are sent as they are, and reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.carriers import CarrierCode, CarrierMap, read_carriers
from cscart_pipelines.sandbox.api.render_entities import CARRIERS
from cscart_pipelines_tests.conftest import Database

BUILT_IN = CarrierMap()


@pytest.mark.parametrize("code", CARRIERS)
def test_what_the_shop_computes_is_found_by_its_code_and_by_its_name(code: str) -> None:
    for name in (code, code.upper(), CARRIERS[code][0]):
        assert BUILT_IN.code_of(name) == CarrierCode(code, computes_url=True, matched=True)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("United Parcel Service", "ups"),
        ("U.P.S.", "ups"),
        ("dhl-express", "dhl"),
        (" Federal  Express ", "fedex"),
        ("united states postal service", "usps"),
        ("AusPost", "aup"),
        ("CANADA POST", "can"),
        ("Die Schweizerische Post", "swisspost"),
    ],
)
def test_usual_spellings_are_known(name: str, code: str) -> None:
    assert BUILT_IN.code_of(name) == CarrierCode(code, computes_url=True, matched=True)


@pytest.mark.parametrize("name", ["temando", "uspsv2", "fedexrest", "Yamato Transport", "jpost"])
def test_codes_of_some_versions_promise_no_page(name: str) -> None:
    found = BUILT_IN.code_of(name)
    assert found.matched and not found.computes_url


def test_a_parcel_company_of_dhl_is_not_dhl_express() -> None:
    assert BUILT_IN.code_of("DHL Paket") == CarrierCode(
        "DHL Paket", computes_url=False, matched=False
    )


def test_the_clients_map_goes_before_the_built_in_names() -> None:
    carriers = CarrierMap({"D.H.L.": ("custom1", True), "Acme": ("acme", False)})
    assert carriers.code_of("dhl") == CarrierCode("custom1", computes_url=True, matched=True)
    assert carriers.code_of("ACME") == CarrierCode("acme", computes_url=False, matched=True)
    assert carriers.code_of("UPS").code == "ups"


def test_the_exact_name_goes_before_a_similar_one() -> None:
    carriers = CarrierMap({"ACME": ("one", False), "Acme": ("two", False)})
    assert carriers.code_of("Acme").code == "two" and carriers.code_of("ACME").code == "one"


def test_the_star_takes_what_nothing_else_knows() -> None:
    carriers = CarrierMap({"*": ("custom", False)})
    assert carriers.code_of("Whoever") == CarrierCode("custom", computes_url=False, matched=True)
    assert carriers.code_of("UPS").code == "ups"
    assert carriers.code_of("*").code == "custom"
    assert carriers.fallback == "custom" and BUILT_IN.fallback == ""


def test_no_name_has_no_code_also_with_a_star() -> None:
    carriers = CarrierMap({"*": ("custom", True)})
    for name in (None, "", "  "):
        assert carriers.code_of(name) == CarrierCode("", computes_url=False, matched=True)


def test_a_name_that_may_be_left_out_computes_nothing() -> None:
    assert CarrierMap({"own van": (" ", True)}).code_of("Own Van") == CarrierCode("", False, True)


def test_a_strange_name_is_sent_if_the_shop_can_hold_it() -> None:
    assert BUILT_IN.code_of("Acme \t Ltd") == CarrierCode(
        "Acme Ltd", computes_url=False, matched=False
    )
    assert BUILT_IN.code_of("x" * 255).code == "x" * 255
    assert BUILT_IN.code_of("x" * 256) == CarrierCode("", computes_url=False, matched=False)
    assert BUILT_IN.code_of("bad\x00name") == CarrierCode("", computes_url=False, matched=False)
    assert BUILT_IN.code_of("---") == CarrierCode("---", computes_url=False, matched=False)


@given(
    st.text(max_size=300), st.dictionaries(st.text(max_size=5), st.tuples(st.text(), st.booleans()))
)
def test_a_code_always_fits_or_was_said_by_the_client(
    name: str, rows: dict[str, tuple[str, bool]]
) -> None:
    found = CarrierMap(rows).code_of(name)
    said = {code.strip() for code, _ in rows.values()}
    assert found.code in said or (len(found.code) <= 255 and found.code == found.code.strip())
    assert not (found.computes_url and not found.code)


def test_the_map_is_read_per_integration(warehouse_database: Database) -> None:
    with warehouse_database.connect() as connection:
        for integration, name, code, computes in (
            ("one", "Acme", "acme", True),
            ("one", "*", "rest", False),
            ("two", "Acme", "other", False),
        ):
            connection.execute(
                "INSERT INTO fulfilment.carriers (integration, name, code, computes_url)"
                " VALUES (%s, %s, %s, %s)",
                [integration, name, code, computes],
            )
        one, two = read_carriers(connection, "one"), read_carriers(connection, "two")
        none = read_carriers(connection, "three")
    assert one.code_of("acme") == CarrierCode("acme", computes_url=True, matched=True)
    assert one.code_of("x").code == "rest"
    assert two.code_of("acme").code == "other" and two.code_of("x").matched is False
    assert none.code_of("ups").code == "ups"

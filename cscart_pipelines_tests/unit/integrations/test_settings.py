"""Settings of an integration: each field's message, all mistakes at once, nothing unexpected."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from cronsim import CronSim
from hypothesis import example, given
from hypothesis import strategies as st

from cscart_pipelines.integrations.settings import (
    IntegrationSettings,
    InvalidSettingsError,
    check,
    host_of,
)

GOOD: dict[str, Any] = {
    "integration": "shop",
    "list_name": "Customers",
    "url": "https://shop.example",
    "email": "admin@shop.example",
}


def problems(**values: Any) -> dict[str, str]:
    with pytest.raises(InvalidSettingsError) as caught:
        check({**GOOD, **values})
    return caught.value.problems


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("integration", "Shop", "lower-case letters, digits and -"),
        ("integration", "-shop", "starting with a letter or digit"),
        ("integration", "a" * 64, "at most 63"),
        ("integration", "", "is not a key"),
        ("list_name", "  ", "1 to 120 printable"),
        ("list_name", "a\0b", "printable"),
        ("url", "shop.example", "http:// or https://"),
        ("url", "ftp://shop.example", "http:// or https://"),
        ("url", "https://a:b@shop.example", "must not hold a user name"),
        ("email", "admin", "expected admin@shop.example"),
        ("email", "a:b@shop.example", "expected admin@shop.example"),
        ("email", "a\0@shop.example", "expected admin@shop.example"),
        ("timezone", "Athens", "expected a name as Europe/Athens"),
        ("timezone", "../etc/passwd", "is not a time zone"),
        ("currency", "EURO", "expected three letters as EUR"),
        ("settled_statuses", "P,a\x07", "1 to 120 printable"),
        ("order_statuses", ["a\nb", "\x07"], "1 to 120 printable"),
        ("order_prefix", "CS 1", "up to 20 letters"),
        ("start_date", "2026-12-31", "expected dd/MM/yyyy as 31/12/2026"),
        ("start_date", "31/02/2026", "is not a date"),
        ("start_date", 5, "is not a date"),
        ("countries", "GB,a\x07", "printable"),
        *(
            ("user_id", text, "1 to 64 letters, digits")
            for text in (
                "\x1b[31m",
                "=1+1",
                "+44",
                "-7",
                "@sum",
                "a\nb",
                "a\tb",
                " \t",
                "a" * 65,
                "a\u202eb",
                "a;b",
                "[x]",
                "'a",
                "_a",
                "a\u200bb",
                "a\0",
            )
        ),
        ("stock_schedule", "61 * * * *", "expected five cron fields"),
        ("stock_schedule", "* * * *", "expected five cron fields"),
        ("stock_schedule", "*/99 * * * *", "expected five cron fields"),
        ("stock_schedule", "5-1 * * * *", "expected five cron fields"),
        ("stock_schedule", "0 0 30 2 *", "expected five cron fields"),
        ("stock_schedule", "* * * * * *", "expected five cron fields"),
        ("shipped_status", "ship\x1bped", "1 to 120 printable"),
        ("partially_shipped_status", "x" * 121, "1 to 120 printable"),
        ("include_guests", "perhaps", "expected yes or no"),
        ("api_key_reference", "3f2a9c01", "expected env:NAME or file:/path"),
        ("api_key_reference", "file:secret", "expected env:NAME or file:/path"),
        ("colour", "red", "is no setting"),
        ("countries", [False], "put it in quotes"),
    ],
)
def test_each_field_says_what_it_expects(field: str, value: Any, expected: str) -> None:
    found = problems(**{field: value})
    assert list(found) == [field]
    assert expected in found[field]


def test_all_mistakes_are_told_at_once() -> None:
    found = problems(
        integration="NO", url="nowhere", email="x", currency="E", start_date="never",
        update_stock=True, shipped_status="\x07",
    )  # fmt: skip
    assert set(found) == {
        "integration", "url", "email", "currency", "start_date", "stock_schedule", "shipped_status",
    }  # fmt: skip


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        check({})
    assert caught.value.problems == dict.fromkeys(GOOD, "is required")


def test_a_reference_that_is_no_reference_is_not_repeated() -> None:
    assert "3f2a9c01d4e5" not in str(problems(api_key_reference="3f2a9c01d4e5"))


def test_what_was_typed_is_normalised() -> None:
    found = check(
        {**GOOD, "url": "HTTPS://Shop.Example:443/", "list_name": "  My   list ",
         "email": " admin@shop.example ", "currency": " eur", "settled_statuses": "P, C,P",
         "countries": "GB, Greece,", "start_date": "31/12/2026", "stock_schedule": " 0  */2 * * * "}
    )  # fmt: skip
    assert found.url == "https://shop.example"
    assert (found.list_name, found.email, found.currency) == (
        "My list",
        "admin@shop.example",
        "EUR",
    )
    assert (found.settled_statuses, found.countries) == (("P", "C"), ("GB", "Greece"))
    assert (found.start_date, found.stock_schedule) == (date(2026, 12, 31), "0 */2 * * *")


@pytest.mark.parametrize(
    ("given", "kept"),
    [("ACME-EU", "ACME-EU"), (" client  7 ", "client 7"), ("ops@fm.example", "ops@fm.example"),
     ("Πελάτης 7", "Πελάτης 7"), ("7/8 (UK)", "7/8 (UK)"), ("a" * 64, "a" * 64)],
)  # fmt: skip
def test_client_ids_of_every_usual_form_are_taken(given: str, kept: str) -> None:
    assert check({**GOOD, "user_id": given}).user_id == kept


def test_statuses_of_fulfilment_are_letters_or_names_as_given() -> None:
    found = check(
        {**GOOD, "order_statuses": "Processed, p,Awaiting  call,Έτοιμη,Processed",
         "shipped_status": "Shipped", "partially_shipped_status": " B "}
    )  # fmt: skip
    assert found.order_statuses == ("Processed", "p", "Awaiting call", "Έτοιμη")
    assert (found.shipped_status, found.partially_shipped_status) == ("Shipped", "B")
    assert check(GOOD).order_statuses == ()


@pytest.mark.parametrize(
    "field", ["settled_statuses", "shipped_status", "user_id", "start_date", "stock_schedule"]
)
def test_an_empty_optional_setting_is_none(field: str) -> None:
    assert getattr(check({**GOOD, field: ""}), field) is None


def test_the_settings_hold_no_secret_in_their_repr() -> None:
    assert "API_KEY" not in repr(check({**GOOD, "api_key_reference": "env:API_KEY"}))


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.binary(),
    st.dates(), st.datetimes(), st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip
FIELDS = sorted(IntegrationSettings.model_fields)
CRON = st.lists(
    st.text("0123456789*/,-", max_size=6), min_size=4, max_size=6
).map(" ".join)  # fmt: skip


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=6))
@example({"email": "\ud800@b.c"})
@example({"start_date": float("nan")})
def test_whatever_is_given_is_settings_or_a_list_of_problems(values: dict[str, Any]) -> None:
    try:
        found = check({**GOOD, **values})
    except InvalidSettingsError as error:
        assert error.problems
        assert set(error.problems) <= {*FIELDS}
    else:
        # What passed can be stored: PostgreSQL takes no NUL, and no half surrogates.
        for text in (found.list_name, found.email, found.user_id or "", *found.countries):
            assert text.isprintable()
            text.encode()
        assert check(found.model_dump()) == found


@pytest.mark.parametrize("field", ["url", "start_date", "email", "settled_statuses", "timezone"])
def test_any_text_in_a_field_is_settings_or_a_problem_of_that_field(field: str) -> None:
    @given(st.text(max_size=60) | st.text("htps:/.@[]0123456789%", max_size=30))
    def holds(text: str) -> None:
        try:
            check({**GOOD, field: text})
        except InvalidSettingsError as error:
            assert set(error.problems) == {field}

    holds()


@given(CRON | st.text(max_size=20))
def test_a_schedule_that_passes_has_a_next_time(text: str) -> None:
    try:
        schedule = check({**GOOD, "stock_schedule": text}).stock_schedule
    except InvalidSettingsError as error:
        assert set(error.problems) == {"stock_schedule"}
    else:
        assert schedule is None or next(CronSim(schedule, datetime(2026, 1, 1)))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://shop.example/store", "shop.example"),
        ("http://shop.example:8080", "shop.example"),
        ("http://[::1]:8080/x", "::1"),
        ("nonsense", ""),
    ],
)
def test_the_host_is_what_an_address_keeps_for_life(url: str, host: str) -> None:
    assert host_of(url) == host

"""Addresses: one spelling, clear refusals, and both styles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.cscart.http.address import (
    EXPECTED,
    ApiAddress,
    InvalidAddressError,
    normalise_base_url,
)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("https://shop.example", "https://shop.example"),
        (" HTTPS://Shop.Example/ ", "https://shop.example"),
        ("https://shop.example:443/", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:8080/Store/", "http://shop.example:8080/Store"),
        ("https://shop.example/a/b//", "https://shop.example/a/b"),
        ("https://BÜCHER.example/", "https://xn--bcher-kva.example"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://[::1]:5000/", "http://[::1]:5000"),
        ("http://shop_web:8080", "http://shop_web:8080"),
        ("https://shop.example./", "https://shop.example"),
        ("https://shop.example/ma%20gasin", "https://shop.example/ma%20gasin"),
    ],
)
def test_an_address_has_one_spelling(typed, kept):
    assert normalise_base_url(typed) == kept
    assert normalise_base_url(kept) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "   ",
        "shop.example",
        "//shop.example",
        "ftp://shop.example",
        "http:/shop.example",
        "http://",
        "https://user:hunter2@shop.example",
        "https://shop.example?x=hunter2",
        "https://shop.example/?",
        "https://shop.example#top",
        "https://shop.example:0",
        "https://shop.example:99999",
        "https://shop.example:http",
        "https://shop .example",
        "https://shop.example\\x",
        "https://-shop.example",
        "https://shop..example",
        "https://shop.example/a//b",
        "https://shop.example/../x",
        "https://shop.example/api",
        "https://shop.example/api/2.0/orders",
        "https://shop.example/admin.php",
        "http://[::1",
        "http://[nonsense]",
        "https://" + "a" * 300,
    ],
)
def test_what_is_no_address_is_refused_with_what_is_expected_and_not_repeated(typed):
    with pytest.raises(InvalidAddressError) as caught:
        normalise_base_url(typed)
    assert EXPECTED in str(caught.value)
    assert "hunter2" not in str(caught.value)


@given(st.text() | st.from_regex(r"https?://[^/]{1,12}(/.{0,8})?", fullmatch=True))
def test_any_text_is_normalised_for_good_or_refused(typed):
    try:
        kept = normalise_base_url(typed)
    except InvalidAddressError:
        return
    assert normalise_base_url(kept) == kept
    assert kept.isascii()


def test_both_styles_carry_the_version():
    params = {"page": 2, "status[]": ["P", "C"], "email": "a+b@example.com"}
    query = "page=2&status%5B%5D=P&status%5B%5D=C&email=a%2Bb%40example.com"
    rewrite = ApiAddress("https://shop.example/store")
    assert rewrite.url("orders", params=params) == (
        f"https://shop.example/store/api/2.0/orders?{query}"
    )
    assert rewrite.url("orders", 96) == "https://shop.example/store/api/2.0/orders/96"
    plain = ApiAddress("https://shop.example/store", "api.php")
    assert plain.url("orders", 96, {"page": 1}) == (
        "https://shop.example/store/api.php?_d=2.0/orders/96&ajax_custom=1&page=1"
    )


@pytest.mark.parametrize(
    ("style", "location", "base"),
    [
        ("rewrite", "https://www.shop.example/api/version", "https://www.shop.example"),
        ("rewrite", "https://shop.example/store/api/version/", "https://shop.example/store"),
        ("rewrite", "/store/api/version?x=1", "http://shop.example/store"),
        ("rewrite", "https://shop.example/login", None),
        ("rewrite", "https://u:p@shop.example/api/version", None),
        ("api.php", "https://shop.example/api.php?_d=version", "https://shop.example"),
    ],
)
def test_a_redirect_tells_the_base_address_behind_it(style, location, base):
    address = ApiAddress("http://shop.example", style)
    assert address.base_behind(address.url("version"), location) == base


def test_the_versions_are_asked_for_without_a_version() -> None:
    """Reference 2.1: `BASE/api/version`."""
    assert ApiAddress("https://shop.example").url("version") == "https://shop.example/api/version"
    behind = ApiAddress("https://shop.example", "api.php").url("version")
    assert behind == "https://shop.example/api.php?_d=version&ajax_custom=1"

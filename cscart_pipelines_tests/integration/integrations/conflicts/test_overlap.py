"""Two integrations of one shop: what both take is refused for fulfilment, and said for lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.integrations import config_file
from cscart_pipelines.integrations.conflicts.overlap import (
    maybe_same_shop,
    same_shop,
    shared,
    warnings,
)
from cscart_pipelines.integrations.limit import Limit
from cscart_pipelines.integrations.settings import InvalidSettingsError, check
from cscart_pipelines_tests.support.shop.commands import KEY, PASSED, Installation
from cscart_pipelines_tests.support.shop.commands import installation as installation

SHOP = "https://shop.example"


@pytest.mark.parametrize(
    ("one", "other", "same", "maybe"),
    [
        (SHOP, SHOP, True, True),
        (SHOP, "http://shop.example", True, True),
        (SHOP, "https://www.shop.example", True, True),
        (SHOP, "https://shop.example:8443", False, True),
        (SHOP, "https://shop.example/de", False, True),
        ("https://shop.example/a", "http://www.shop.example/a", True, True),
        (SHOP, "https://store2.shop.example", False, False),
        ("http://localhost:8090", "http://127.0.0.1:8090", True, True),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8091", False, False),
    ],
)
def test_which_addresses_are_one_shop(one: str, other: str, same: bool, maybe: bool) -> None:
    for pair in ((one, other), (other, one)):
        assert (same_shop(*pair), maybe_same_shop(*pair)) == (same, maybe)


IDS = st.sets(st.integers(1, 3)).map(lambda ids: tuple(sorted(ids)))
LIMITS = st.builds(Limit, IDS, IDS)


@given(LIMITS, LIMITS)
def test_what_is_shared_is_what_some_order_is_inside_both(one: Limit, other: Limit) -> None:
    """Over all orders: whichever company may sell in whichever storefront."""
    both = any(
        one.why_outside(company, front) is None and other.why_outside(company, front) is None
        for company in range(1, 5)
        for front in range(1, 5)
    )
    assert (shared(one, other) is not None) is both
    assert shared(one, other) == shared(other, one)


def test_why_they_share_is_told() -> None:
    assert "the whole shop" in str(shared(Limit(), Limit((1,))))
    assert "both take the companies 2" in str(shared(Limit((1, 2)), Limit((2, 3))))
    assert "nothing can tell" in str(shared(Limit((1,)), Limit((), (1,))))


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(InvalidSettingsError) as caught:
        act()
    assert list(caught.value.problems) == ["companies"]
    return caught.value.problems["companies"]


def test_fulfilment_is_refused_by_whatever_way_it_is_saved(installation: Installation) -> None:
    installation.save("a", url=SHOP, order_prefix="A")
    assert "'a'" in refused(lambda: installation.save("b", url=SHOP, order_prefix="B"))
    installation.save("b", url="http://www.shop.example")  # lists only
    installation.save("c", url=SHOP + "/c", order_prefix="C")
    assert "'a'" in refused(lambda: installation.service.edit("b", {"countries": "GB"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cscart_pipelines.integrations.service.test_connection", lambda *_: Passed())
        assert "'a'" in refused(lambda: installation.service.edit("c", {"url": SHOP}))
    installation.service.edit("a", {"companies": "1"})
    assert "storefront" in refused(
        lambda: installation.service.edit("b", {"storefronts": "2", "order_prefix": "B"})
    )
    installation.service.edit("b", {"companies": [2, 3], "order_prefix": "B"})
    assert "companies 1" in refused(lambda: installation.service.edit("b", {"companies": "1,2"}))
    assert installation.registry.get("b").settings.companies == (2, 3)


def test_stock_is_not_written_by_two_storefronts_of_a_shop(installation: Installation) -> None:
    stock = {"update_stock": True, "stock_schedule": "0 * * * *"}
    installation.save("a", url=SHOP, storefronts="1", **stock)
    assert "'a' writes the stock" in refused(
        lambda: installation.save("b", url=SHOP, storefronts="2", **stock)
    )
    installation.save("b", url=SHOP, storefronts="2", order_prefix="B")
    assert "'a' writes the stock" in refused(lambda: installation.service.edit("b", stock))
    installation.service.edit("a", {"companies": "1"})
    installation.service.edit("b", {"companies": "2", **stock})
    assert installation.registry.get("b").settings.update_stock


class Passed:
    def model_dump(self, **_: Any) -> dict[str, Any]:
        return PASSED


def test_a_file_is_checked_before_anything_is_done(tmp_path: Path) -> None:
    file = tmp_path / "integrations.yaml"
    entry = (
        "  - {{integration: {0}, url: 'https://shop.example', email: a@b.example,"
        " api_key: 'env:K', order_prefix: '{0}', companies: {1}}}\n"
    )
    file.write_text("integrations:\n" + entry.format("a", 1) + entry.format("b", "[1, 2]"))
    with pytest.raises(InvalidSettingsError) as caught:
        config_file.read(file)
    assert list(caught.value.problems) == ["b.companies"]
    file.write_text("integrations:\n" + entry.format("a", 1) + entry.format("b", "'3, 2'"))
    assert [one.companies for one in config_file.read(file)] == [(1,), (2, 3)]


def test_a_limit_is_exported_and_read_again(installation: Installation, tmp_path: Path) -> None:
    installation.save("a", companies="2,1", storefronts="7", api_key_reference="env:A")
    file = tmp_path / "integrations.yaml"
    file.write_text(config_file.export(installation.registry.all()))
    (again,) = config_file.read(file)
    assert not config_file.plan([again], installation.registry.all())[0].needed
    assert KEY not in file.read_text()


def test_lists_that_share_orders_are_told() -> None:
    def settings(key: str, url: str = SHOP, **values: Any) -> Any:
        names = {"integration": key, "list_name": key, "email": "a@b.example"}
        return check({**names, "url": url, **values})

    one = settings("one", companies="1")
    others = [
        one,
        settings("two", companies="2"),
        settings("all"),
        settings("far", "https://shop.example:8443"),
        settings("else", "https://else.example"),
    ]
    whole, far = warnings(one, others)
    assert whole.startswith("all reads the same shop")
    assert far.startswith("far may read the same shop")


@pytest.mark.parametrize("text", ["0", "-1", "1;2", "1.5", "x", "1,,a", "٣", "9" * 12, True, [0]])
def test_what_is_no_id_is_told(installation: Installation, text: Any) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        installation.save("a", storefronts=text)
    assert "expected whole numbers above 0" in caught.value.problems["storefronts"]


def test_ids_are_taken_in_every_form(installation: Installation) -> None:
    for text in ("2, 1,2", [1, "2"], (2, 1)):
        names = {"integration": "a", "list_name": "a", "email": "a@b.example", "url": SHOP}
        assert check({**names, "companies": text}).companies == (1, 2)
    assert check({**names, "companies": 7, "storefronts": ""}).limit == Limit((7,))


def test_storefronts_that_the_shop_does_not_tell_are_refused(installation: Installation) -> None:
    installation.save("a")
    installation.execute(
        "UPDATE registry.integrations SET capabilities = capabilities"
        " || '{\"orders_with_details\": false}'"
    )
    with pytest.raises(InvalidSettingsError) as caught:
        installation.service.edit("a", {"storefronts": "1"})
    assert "--companies instead" in caught.value.problems["storefronts"]
    installation.service.edit("a", {"companies": "1"})

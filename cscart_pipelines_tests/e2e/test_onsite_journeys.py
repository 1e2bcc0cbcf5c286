"""Journeys of visitors, from the click in a real browser to the list in PostgreSQL.

Told is only what happened, each once, and the raw tables hold what the shop says of it. Single
abilities of the tag are in test_onsite_tag, of the collector in test_onsite_collector.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cscart_pipelines.integrations.service import IntegrationService
from cscart_pipelines_tests.support.dbt.builds import WITHOUT_TESTS, build
from cscart_pipelines_tests.support.dbt.builds import dbt_target as dbt_target
from cscart_pipelines_tests.support.onsite.browser import Browser
from cscart_pipelines_tests.support.onsite.browser import browser as browser
from cscart_pipelines_tests.support.onsite.browser import logging_browser as logging_browser
from cscart_pipelines_tests.support.onsite.browser import (
    logging_module_browser as logging_module_browser,
)
from cscart_pipelines_tests.support.onsite.browser import module_browser as module_browser
from cscart_pipelines_tests.support.onsite.collectors import until
from cscart_pipelines_tests.support.onsite.shopping import Journey, Services, journey
from cscart_pipelines_tests.support.onsite.shopping import services as services

pytestmark = pytest.mark.begun_first


@pytest.fixture
def visit(services: Services, browser: Browser) -> Iterator[Journey]:
    """A visitor who has never been here, in a shop where everybody has agreed."""
    with journey(services) as made:
        yield made


# --- consent -------------------------------------------------------------------------------------


def test_who_does_not_agree_leaves_no_trace(services: Services, logging_browser: Browser) -> None:
    services = replace(services, browser=logging_browser)
    with journey(services, consent="ask", theme_events="objects", ga4_addon=True) as visit:
        visit.look_at(1)
        visit.add_to_cart(1)
        visit.buy("guest@mail.internal")
        visit.leave()
        asked = [one["url"] for one in logging_browser.requests()]
        assert [url for url in asked if url.startswith(services.settings.collector_url)] == []
        assert visit.told() == []
        assert visit.queue() == set()
        for table in ("visitors", "consents", "purchases", "rejects"):
            assert visit.rows(f"SELECT FROM onsite.{table} WHERE integration = %s") == []


def test_who_agrees_in_the_middle_is_known_from_then_on(
    services: Services, browser: Browser
) -> None:
    with journey(services, consent="ask", theme_events="objects") as visit:
        visit.look_at(1)
        visit.add_to_cart(1)
        visit.go()
        browser.click("#consent_grant")
        browser.wait_for("Object.keys(localStorage).some(name => name.endsWith('_visitor'))")
        visit.look_at(2)
        visit.add_to_cart(2, 3)
        visit.buy("guest@mail.internal")
        visit.leave()
        visit.has_told(
            "page_view index.index",
            "page_view products.view",
            "view_item products.view SKU-0002×1",
            "add_to_cart products.view SKU-0002×3",
            "page_view checkout.checkout",
            "begin_checkout checkout.checkout SKU-0001×1 SKU-0002×3",
            "page_view checkout.complete",
            "purchase checkout.complete SKU-0001×1 SKU-0002×3 #1 guest@mail.internal",
        )
        visit.follow()
        visit.agrees()


# --- buying --------------------------------------------------------------------------------------


def test_a_guest_browses_and_buys_though_theme_and_addon_tell_it_too(
    services: Services, browser: Browser
) -> None:
    """Where they do not: `test_a_collector_that_goes_and_comes_loses_and_doubles_nothing`."""
    with journey(services, theme_events="objects", ga4_addon=True) as visit:
        visit.go("categories.view", category_id=1)
        browser.follow("a.product-title[href*='product_id=1']")
        visit.add_to_cart(1, 2)
        visit.go("checkout.cart")
        visit.buy("guest@mail.internal")
        visit.leave()
        visit.has_told(
            "page_view categories.view",
            "view_item_list categories.view SKU-0001×1 SKU-0002×1 SKU-0003×1",
            "page_view products.view",
            "view_item products.view SKU-0001×1",
            "add_to_cart products.view SKU-0001×2",
            "page_view checkout.cart",
            "page_view checkout.checkout",
            "begin_checkout checkout.checkout SKU-0001×2",
            "page_view checkout.complete",
            "purchase checkout.complete SKU-0001×2 #1 guest@mail.internal",
        )
        assert visit.queue() == {"order #1"}
        followed = visit.follow()
        assert followed is not None
        assert (followed.report.orders, followed.report.customers) == (1, 0)
        assert followed.report.calls == 1
        visit.agrees()
        assert visit.queue() == set()
        assert visit.rows(
            "SELECT email, total FROM cscart.orders WHERE integration = %s AND order_id = %s",
            visit.orders[0],
        ) == [("guest@mail.internal", visit.store.orders[visit.orders[0]].total)]
        assert visit.rows("SELECT FROM onsite.events WHERE integration = %s AND email <> ''") == []


# --- people --------------------------------------------------------------------------------------


def test_who_registers_is_a_customer_at_once(visit: Journey) -> None:
    visit.register("Ann@mail.internal")
    visit.leave()
    visit.has_told(
        "page_view profiles.add",
        "sign_up profiles.add Ann@mail.internal",
        "page_view profiles.success_add",
    )
    followed = visit.follow()
    assert followed is not None
    assert (followed.report.customers, followed.report.changes.inserted) == (1, 1)
    visit.agrees()


def test_a_changed_profile_is_read_again_under_the_new_address_too(
    visit: Journey, browser: Browser
) -> None:
    number = visit.account("ann@mail.internal")
    visit.connected.sync()
    visit.sign_in("ann@mail.internal")
    visit.change_profile(firstname="Annette")
    visit.change_profile(email="annette@mail.internal")
    visit.leave()
    visit.has_told(
        "page_view auth.login_form",
        "login auth.login_form ann@mail.internal",
        "page_view index.index",
        "page_view profiles.update",
        "profile_update profiles.update ann@mail.internal",
        "page_view profiles.update",
        "page_view profiles.update",
        "profile_update profiles.update annette@mail.internal",
        "page_view profiles.update",
    )
    assert visit.queue() == {"person ann@mail.internal", "person annette@mail.internal"}
    visit.shop.requests.clear()
    visit.follow()
    assert [one.path.rpartition("/")[2] for one in visit.shop.requests] == [str(number)]
    visit.agrees()
    assert visit.queue() == set()
    assert visit.rows(
        "SELECT user_id, email, firstname FROM cscart.customers"
        " WHERE integration = %s AND email LIKE 'ann%%'"
    ) == [(number, "annette@mail.internal", "Annette")]


def test_what_is_said_about_mail_is_kept_with_its_time(visit: Journey, browser: Browser) -> None:
    visit.account("ann@mail.internal")
    visit.sign_in("ann@mail.internal")
    visit.subscribe("ann@mail.internal")
    visit.go("profiles.update")
    browser.follow("#unsubscribe_but")
    assert "You will not hear from us again" in browser.text("body")
    visit.subscribe("stranger@mail.internal")
    visit.leave()
    visit.has_told(
        "page_view auth.login_form",
        "login auth.login_form ann@mail.internal",
        *["page_view index.index"] * 2,
        "subscribe index.index ann@mail.internal",
        *["page_view profiles.update"] * 2,
        "unsubscribe profiles.update ann@mail.internal",
        "subscribe profiles.update stranger@mail.internal",
        "page_view index.index",
    )
    said = visit.rows(
        "SELECT email_sha256, granted FROM onsite.consents WHERE integration = %s ORDER BY at"
    )
    assert [(visit.people[who], granted) for who, granted in said] == [
        ("ann@mail.internal", True), ("ann@mail.internal", False), ("stranger@mail.internal", True)
    ]  # fmt: skip
    visit.follow()
    visit.agrees()
    assert visit.queue() == {"person stranger@mail.internal"}, "nobody in the shop, for now"


# --- mishaps -------------------------------------------------------------------------------------


def test_who_is_gone_at_once_after_the_click_has_clicked(visit: Journey, browser: Browser) -> None:
    visit.look_at(1)
    browser.js("document.querySelector('#button_cart_1').click(); location.href = 'about:blank'")
    visit.has_told(
        "page_view products.view",
        "view_item products.view SKU-0001×1",
        "add_to_cart products.view SKU-0001×1",
    )


def test_a_collector_that_goes_and_comes_loses_and_doubles_nothing(
    visit: Journey, services: Services
) -> None:
    visit.look_at(1)
    until(visit.told)
    visit.add_to_cart(1)
    services.collector_down()
    visit.look_at(2)
    visit.add_to_cart(2, 2)  # the shop works as ever
    number = visit.buy("guest@mail.internal")
    visit.leave()
    services.collector_up()
    visit.look_at(3)
    visit.waits_for_nothing()
    visit.leave()
    visit.has_told(
        "page_view products.view",
        "view_item products.view SKU-0001×1",
        "add_to_cart products.view SKU-0001×1",
        "page_view products.view",
        "view_item products.view SKU-0002×1",
        "add_to_cart products.view SKU-0002×2",
        "page_view checkout.checkout",
        "begin_checkout checkout.checkout",
        "page_view checkout.complete",
        "purchase checkout.complete #1 guest@mail.internal",
        "page_view products.view",
        "view_item products.view SKU-0003×1",
    )
    assert number in visit.store.orders
    visit.follow()
    visit.agrees()


def test_an_integration_that_is_disabled_is_not_told_any_more_and_the_shop_works(
    visit: Journey, services: Services, browser: Browser
) -> None:
    visit.look_at(1)
    until(visit.told)
    service = IntegrationService(
        visit.connected.warehouse, visit.connected.registry, services.settings
    )
    service.disable(visit.connected.key)
    until(lambda: services.asks(visit.write_key) == 410)
    refused = services.answered(410)
    visit.add_to_cart(1)
    visit.buy("guest@mail.internal")
    visit.look_at(2)
    until(lambda: services.answered(410) > refused)
    visit.waits_for_nothing()
    service.enable(visit.connected.key)
    until(lambda: services.asks(visit.write_key, visit.shop.url) == 204)
    visit.leave()
    visit.has_told("page_view products.view", "view_item products.view SKU-0001×1")
    assert visit.queue() == set()
    assert visit.orders[0] in visit.store.orders


# --- the list ------------------------------------------------------------------------------------


def test_the_list_follows_a_day_of_visits(
    visit: Journey, browser: Browser, dbt_target: Path
) -> None:
    """Ann, who is known, buys; Ben registers, fills a cart, wants no mail, and goes; and somebody
    looks around."""
    visit.account("ann@mail.internal")
    visit.connected.sync()
    visit.sign_in("ann@mail.internal")
    visit.look_at(1)
    visit.add_to_cart(1, 2)
    bought = visit.buy()
    visit.store.edit_order(bought, status="P")
    visit.leave()
    browser.fresh()
    visit.register("Ben@mail.internal")
    visit.look_at(2)
    visit.add_to_cart(2)
    visit.subscribe("Ben@mail.internal")
    visit.go("profiles.update")
    browser.follow("#unsubscribe_but")
    visit.leave()
    browser.fresh()
    visit.look_at(1)
    visit.waits_for_nothing()
    visit.leave()
    until(lambda: len(visit.told()) == 23)
    visit.follow()
    visit.agrees()
    # So much later the cart has been left; without variables dbt keeps what it has parsed.
    later = datetime.now(UTC) + timedelta(hours=2)
    models = ("+subscribers", "+segment_members", "+onsite_sessions", "+product_funnel")
    build(visit.services.database, later, *WITHOUT_TESTS, "--select", *models, target=dbt_target)
    total = visit.store.orders[bought].total
    assert visit.rows(
        "SELECT identity, email_subscribed, last_seen_at IS NOT NULL, is_guest"
        " FROM analytics.subscribers WHERE integration = %s ORDER BY identity"
    ) == [
        ("ann@mail.internal", True, True, False),
        ("before@mail.internal", True, False, True),
        ("ben@mail.internal", False, True, False),
    ]
    assert visit.rows(
        "SELECT identity, product_views, adds_to_cart, purchases, revenue"
        " FROM analytics.onsite_sessions WHERE integration = %s ORDER BY started_at"
    ) == [
        ("ann@mail.internal", 1, 1, 1, total),
        ("ben@mail.internal", 1, 1, 0, 0),
        (None, 1, 0, 0, 0),
    ]
    assert visit.rows(
        "SELECT sku, viewed, added_quantity, bought_quantity FROM analytics.product_funnel"
        " WHERE integration = %s ORDER BY sku"
    ) == [("SKU-0001", 2, 2, 2), ("SKU-0002", 1, 1, 0)]
    assert visit.rows(
        "SELECT segment, identity FROM analytics.segment_members WHERE integration = %s"
        " AND segment IN ('viewed_not_purchased', 'cart_abandoners') ORDER BY segment"
    ) == [("cart_abandoners", "ben@mail.internal"), ("viewed_not_purchased", "ben@mail.internal")]

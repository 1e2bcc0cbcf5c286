"""The tag on the sandbox's storefront: the container file, run by the tag runner in Chromium."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import quote

import pytest

from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.onsite.browser import Browser
from cscart_pipelines_tests.support.onsite.browser import browser as browser
from cscart_pipelines_tests.support.onsite.browser import logging_browser as logging_browser
from cscart_pipelines_tests.support.onsite.browser import (
    logging_module_browser as logging_module_browser,
)
from cscart_pipelines_tests.support.onsite.browser import module_browser as module_browser
from cscart_pipelines_tests.support.onsite.tag_pages import STEM, Recorder, export
from cscart_pipelines_tests.support.onsite.tag_pages import recorder as recorder
from cscart_pipelines_tests.support.onsite.tag_pages import shop as shop

pytestmark = pytest.mark.begun_first

STORED = "JSON.stringify([Object.keys(localStorage), Object.keys(sessionStorage), document.cookie])"


def go(
    browser: Browser, shop: SandboxShop, dispatch: str = "index.index", **params: object
) -> None:
    query = "".join(f"&{name}={quote(str(value))}" for name, value in params.items())
    browser.open(f"{shop.url}/index.php?dispatch={dispatch}{query}")


def leave(browser: Browser) -> None:
    """Away from the shop: what waits is sent."""
    browser.open("about:blank")


def off_stage(browser: Browser, shop: SandboxShop) -> None:
    """A page with the shop's storage, but without the tag."""
    browser.open(f"{shop.url}/static/storefront.css")


def quiet(browser: Browser) -> None:
    """No error on the page, neither of the runner nor of a script."""
    assert browser.js("return window.tagRunner.errors") == []


def add_to_cart(browser: Browser, product: int, quantity: int = 1) -> None:
    """On the product's page; waits until the shop has answered."""
    browser.fill(f"#qty_count_{product}", str(quantity))
    browser.js("document.querySelector('.cm-notification-container').textContent = ''")
    browser.click(f"#button_cart_{product}")
    browser.wait_for("document.querySelector('.cm-notification-content') !== null")


def register(browser: Browser, shop: SandboxShop, email: str, password: str = "secret1") -> None:
    go(browser, shop, "profiles.add")
    browser.fill('[name="user_data[email]"]', email)
    browser.fill('[name="user_data[password1]"]', password)
    browser.fill('[name="user_data[password2]"]', password)
    browser.click("#save_profile_but")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- consent -------------------------------------------------------------------------------------


@pytest.mark.parametrize("consent", ["ask", "none"])
def test_without_consent_nothing_is_stored_or_sent(
    logging_browser: Browser, shop: SandboxShop, recorder: Recorder, consent: str
) -> None:
    shop.storefront.settings.change(consent=consent, ga4_addon=True, theme_events="objects")
    go(logging_browser, shop, "products.view", product_id=1)
    add_to_cart(logging_browser, 1)
    quiet(logging_browser)
    assert STEM not in logging_browser.js(f"return {STORED}")
    leave(logging_browser)
    assert [
        asked for asked in logging_browser.requests() if asked["url"].startswith(recorder.url)
    ] == []
    assert recorder.attempts == []


def test_consent_in_the_middle_of_a_page_counts_from_then_on(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    shop.storefront.settings.change(consent="ask", theme_events="objects")
    go(browser, shop, "products.view", product_id=1)
    add_to_cart(browser, 1)
    browser.click("#consent_grant")
    browser.wait_for(f"{STORED}.includes('{STEM}visitor')")
    add_to_cart(browser, 1, 2)
    quiet(browser)
    leave(browser)
    recorder.wait(lambda: recorder.named("add_to_cart"))
    assert sorted(recorder.names) == ["add_to_cart", "page_view", "view_item"]
    assert recorder.named("add_to_cart")[0]["items"][0]["quantity"] == 2


def test_a_withdrawn_consent_stops_at_once_and_deletes_the_id(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    shop.storefront.settings.change(consent="ask")
    browser.open(shop.url)
    browser.click("#consent_grant")
    first = recorder.wait(lambda: recorder.named("page_view"))[0]["visitor"]
    go(browser, shop, "products.view", product_id=1)
    browser.click("#consent_settings")
    browser.click("#consent_deny")
    add_to_cart(browser, 1)
    assert STEM not in browser.js(f"return {STORED}")
    leave(browser)
    go(browser, shop, "products.view", product_id=2)
    browser.click("#consent_settings")
    browser.click("#consent_grant")
    leave(browser)
    again = recorder.wait(lambda: recorder.named("view_item"))
    assert recorder.named("add_to_cart") == []
    assert [event["items"][0]["product_id"] for event in again] == ["2"]
    assert again[0]["visitor"] != first  # somebody new


# --- pages ---------------------------------------------------------------------------------------


def test_a_product_page_tells_the_view_with_code_and_number(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    go(browser, shop, "products.view", product_id=2, email="ann@example.com")
    recorder.wait(lambda: len(recorder.events) == 2)
    quiet(browser)
    page, view = recorder.events
    assert (page["name"], page["source"]) == ("page_view", "page")
    assert page["page"] == view["page"] == "/index.php?dispatch=products.view"
    assert view["items"] == [{"sku": "SKU-0002", "quantity": 1, "product_id": "2"}]
    assert page["identity"] is None
    [batch] = recorder.attempts
    assert batch["type"].lower() == "text/plain;charset=utf-8"
    assert "preflight" not in batch


def test_lists_searches_and_the_referring_host(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    go(browser, shop, "categories.view", category_id=2)
    browser.fill("#search_input", "SKU-000  ")
    browser.follow(".ty-search-magnifier")
    leave(browser)
    recorder.wait(lambda: recorder.named("search"))
    [listed] = recorder.named("view_item_list")
    assert [item["product_id"] for item in listed["items"]] == ["4", "5", "6"]
    [search] = recorder.named("search")
    assert (search["term"], search["page"]) == ("SKU-000", "/index.php?dispatch=products.search")
    assert search["referrer"] == "127.0.0.1"
    assert len({event["visitor"] for event in recorder.events}) == 1


# --- the cart ------------------------------------------------------------------------------------


def test_what_is_put_into_the_cart_taken_out_and_wished_for(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    go(browser, shop, "products.view", product_id=1)
    add_to_cart(browser, 1, 3)
    browser.click("#button_wishlist_1")
    browser.wait_for("document.body.textContent.includes('added to your wish list')")
    go(browser, shop, "checkout.cart")
    browser.click('.ty-cart-content [id^="delete_"]')
    browser.wait_for("document.querySelector('.ty-no-items') !== null")
    quiet(browser)
    leave(browser)
    recorder.wait(lambda: recorder.named("remove_from_cart"))
    one = {"sku": "SKU-0001", "quantity": 1, "product_id": "1"}
    deeds = recorder.named("add_to_cart", "add_to_wishlist", "remove_from_cart")
    assert [(event["name"], event["items"], event["source"]) for event in deeds] == [
        ("add_to_cart", [one | {"quantity": 3}], "hook"),
        ("add_to_wishlist", [one | {"quantity": 3}], "hook"),
        ("remove_from_cart", [one | {"quantity": 3}], "hook"),
    ]


def test_a_link_of_a_list_and_the_small_cart_in_the_head(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    go(browser, shop, "categories.view", category_id=2)
    browser.click("#button_wishlist_4")
    browser.wait_for("document.body.textContent.includes('added to your wish list')")
    browser.click("#button_cart_5")
    browser.wait_for("document.body.textContent.includes('added to your cart')")
    browser.click("#cart_status_1 summary")
    browser.click('#cart_status_1 [id^="delete_"]')
    browser.wait_for("document.querySelector('.ty-minicart-count').textContent === '0'")
    leave(browser)
    recorder.wait(lambda: recorder.named("remove_from_cart"))
    deeds = recorder.named("add_to_cart", "add_to_wishlist", "remove_from_cart")
    assert [(event["name"], event["items"][0]["product_id"]) for event in deeds] == [
        ("add_to_wishlist", "4"), ("add_to_cart", "5"), ("remove_from_cart", "5")
    ]  # fmt: skip


def test_the_same_thing_done_twice_is_told_twice(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    shop.storefront.settings.change(theme_events="objects")
    go(browser, shop, "products.view", product_id=1)
    add_to_cart(browser, 1)
    browser.js("return new Promise(done => setTimeout(done, 600))")
    add_to_cart(browser, 1)
    leave(browser)
    recorder.wait(lambda: len(recorder.named("add_to_cart")) == 2)


def test_what_the_shop_refused_did_not_happen(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    go(browser, shop, "products.view", product_id=1)
    add_to_cart(browser, 1, 101)  # there are 100
    assert "in stock" in browser.text(".cm-notification-content")
    browser.js(
        "var fetch = window.fetch; window.fetch = function (address, more) {"
        " return String(address).includes('/v1/') ? fetch(address, more)"
        " : Promise.reject(new Error('broken')); }"
    )
    browser.js("document.querySelector('.cm-notification-container').textContent = ''")
    browser.fill("#qty_count_1", "1")
    browser.click("#button_cart_1")
    browser.wait_for("document.body.textContent.includes('does not answer')")
    leave(browser)
    recorder.wait(lambda: recorder.named("view_item"))
    assert sorted(recorder.names) == ["page_view", "view_item"]


def test_whoever_leaves_at_once_after_the_click_has_done_it(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    go(browser, shop, "products.view", product_id=1)
    browser.js("document.querySelector('#button_cart_1').click(); location.href = 'about:blank'")
    recorder.wait(lambda: recorder.named("add_to_cart"))
    assert sorted(recorder.names) == ["add_to_cart", "page_view", "view_item"]


# --- an order, with everything that tells about it ------------------------------------------------


@pytest.mark.parametrize(
    ("theme", "addon"), [("off", False), ("off", True), ("objects", True), ("gtag", True)]
)
def test_a_guest_buys_and_each_step_is_told_once_whoever_else_tells_it(
    browser: Browser, shop: SandboxShop, recorder: Recorder, theme: str, addon: bool
) -> None:
    shop.storefront.settings.change(theme_events=theme, ga4_addon=addon)
    go(browser, shop, "categories.view", category_id=1)
    browser.click("a.product-title[href*='product_id=1']")
    add_to_cart(browser, 1, 2)
    go(browser, shop, "checkout.checkout")
    browser.reload()  # still the same checkout
    browser.fill('[name="user_data[email]"]', " Guest@Example.com")
    browser.fill('[name="user_data[s_lastname]"]', "Guest")
    browser.click("#litecheckout_place_order")
    browser.wait_for("location.search.includes('checkout.complete')")
    order = browser.js("return new URLSearchParams(location.search).get('order_id')")
    quiet(browser)
    leave(browser)
    # Each page sends on its own: nothing says that what left first arrives first.
    recorder.wait(lambda: recorder.named("purchase") and len(recorder.named("page_view")) >= 5)
    names = [name for name in recorder.names if name != "page_view"]
    assert sorted(names) == [
        "add_to_cart", "begin_checkout", "purchase", "view_item", "view_item_list"
    ]  # fmt: skip
    assert recorder.names.count("page_view") == 5
    [sale] = recorder.named("purchase")
    assert sale["order_id"] == order
    assert sale["identity"] == {"email_sha256": sha256("guest@example.com")}
    assert recorder.named("add_to_cart")[0]["items"][0]["quantity"] == 2
    if theme != "off":  # only a theme that tells the cart has it on these pages
        [checkout] = recorder.named("begin_checkout")
        for told in (checkout, sale):
            assert [(one["sku"], one["quantity"]) for one in told["items"]] == [("SKU-0001", 2)]
    assert "price" not in str(recorder.attempts)
    assert "value" not in str(recorder.attempts)
    assert "@" not in str(recorder.attempts)


def test_a_completion_page_that_is_loaded_again_is_the_same_event(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    go(browser, shop, "products.view", product_id=1)
    add_to_cart(browser, 1)
    go(browser, shop, "checkout.checkout")
    browser.fill('[name="user_data[email]"]', "guest@example.com")
    browser.click("#litecheckout_place_order")
    browser.wait_for("location.search.includes('checkout.complete')")
    place = browser.url
    browser.reload()
    leave(browser)
    recorder.wait(lambda: len(recorder.named("page_view")) == 4)
    assert len(recorder.named("purchase")) == 1
    # A bookmark, tomorrow: the tab knows nothing any more.
    off_stage(browser, shop)
    browser.js("sessionStorage.clear(); localStorage.removeItem('cscart_pipelines_shop_kept')")
    told = len(recorder.batches)
    browser.open(place)
    leave(browser)
    recorder.wait(
        lambda: [
            one for batch in recorder.batches[told:] for one in batch["events"]
            if one["name"] == "purchase"
        ]
    )  # fmt: skip
    assert len(recorder.named("purchase")) == 1


# --- who it is -----------------------------------------------------------------------------------


def test_registering_changing_the_profile_and_subscribing(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    register(browser, shop, "Ann@Example.com")
    browser.wait_for("document.body.textContent.includes('Your account has been created')")
    go(browser, shop, "profiles.update")
    browser.fill('[name="user_data[firstname]"]', "Ann")
    browser.click("#save_profile_but")
    browser.wait_for("document.body.textContent.includes('Your profile is up to date')")
    browser.fill('[name="subscribe_email"]', "ann.news@example.com")
    browser.click('[name="dispatch[newsletters.add_subscriber]"]')
    browser.wait_for("document.body.textContent.includes('you will hear from us')")
    leave(browser)
    recorder.wait(lambda: recorder.named("subscribe"))
    people = recorder.named("sign_up", "profile_update", "subscribe", "login")
    assert [(event["name"], event["identity"]["email_sha256"]) for event in people] == [
        ("sign_up", sha256("ann@example.com")),
        ("profile_update", sha256("ann@example.com")),
        ("subscribe", sha256("ann.news@example.com")),
    ]
    assert "@" not in str(recorder.attempts)
    assert "secret1" not in str(recorder.attempts)


def test_a_login_counts_when_it_succeeds(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    customer = shop.store.add_customer("ann@example.com")
    shop.store.set_password(customer.user_id, "secret1")
    for password in ("wrong", "secret1"):
        go(browser, shop, "auth.login_form")
        browser.fill('[name="user_login"]', "ann@example.com")
        browser.fill('[name="password"]', password)
        browser.click('[name="dispatch[auth.login]"]')
        browser.wait_for("document.querySelector('.cm-notification-content') !== null")
    assert browser.shows(".ty-account-info__sign-out")
    leave(browser)
    recorder.wait(lambda: recorder.named("login"))
    [login] = recorder.named("login")
    assert login["identity"] == {"email_sha256": sha256("ann@example.com")}
    assert login["page"] == "/index.php?dispatch=auth.login_form"


def test_a_registration_that_the_shop_refuses_is_none(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    shop.store.add_customer("ann@example.com")
    register(browser, shop, "ann@example.com")
    browser.wait_for("document.body.textContent.includes('an account with this e-mail address')")
    leave(browser)
    recorder.wait(lambda: len(recorder.named("page_view")) == 2)
    assert recorder.named("sign_up", "profile_update") == []
    assert [event["identity"] for event in recorder.events] == [None] * len(recorder.events)


def test_a_subscription_that_nobody_has_answered_is_none(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    browser.open(shop.url)
    browser.js(
        "document.querySelector('[name=subscribe_form]').classList.add('cm-ajax');"
        "var fetch = window.fetch; window.fetch = function (address, more) {"
        " return String(address).includes('/v1/') ? fetch(address, more) : new Promise(() => 0); }"
    )
    browser.fill('[name="subscribe_email"]', "ann@example.com")
    browser.click('[name="dispatch[newsletters.add_subscriber]"]')
    browser.wait_for("document.documentElement.classList.contains('shop-busy')")
    go(browser, shop, "products.view", product_id=1)
    leave(browser)
    recorder.wait(lambda: recorder.named("view_item"))
    assert recorder.named("subscribe") == []
    assert [event["identity"] for event in recorder.events] == [None] * len(recorder.events)


@pytest.mark.parametrize(("notice", "told"), [("N", True), ("W", False), ("", False)])
def test_a_subscription_by_ajax_counts_when_the_answer_confirms_it(
    browser: Browser, shop: SandboxShop, recorder: Recorder, notice: str, told: bool
) -> None:
    browser.open(shop.url)
    answer = {
        "notifications": {"1": {"type": notice, "title": "", "message": "x"}} if notice else {}
    }
    browser.js(
        "var answer = arguments[0]; var fetch = window.fetch; window.answered = false;"
        "document.querySelector('[name=subscribe_form]').classList.add('cm-ajax');"
        "Tygh.$.ceEvent('on', 'ce.ajaxdone', function () { window.answered = true; });"
        "window.fetch = function (address, more) {"
        " return String(address).includes('/v1/') ? fetch(address, more)"
        " : Promise.resolve(new Response(answer)); }",
        json.dumps(answer),
    )
    browser.fill('[name="subscribe_email"]', "ann@example.com")
    browser.click('[name="dispatch[newsletters.add_subscriber]"]')
    browser.wait_for("window.answered")
    leave(browser)
    recorder.wait(lambda: recorder.named("page_view"))
    browser.open(shop.url)
    leave(browser)
    recorder.wait(lambda: len(recorder.named("page_view")) == 2)
    assert len(recorder.named("subscribe")) == told


def test_the_address_itself_only_where_the_integration_says_so(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    shop.storefront.settings.change(container=export(recorder.url, raw_email=True))
    browser.open(shop.url)
    browser.fill('[name="subscribe_email"]', "Ann@Example.com")
    browser.click('[name="dispatch[newsletters.add_subscriber]"]')
    browser.wait_for("document.body.textContent.includes('you will hear from us')")
    leave(browser)
    [event] = recorder.wait(lambda: recorder.named("subscribe"))
    assert event["identity"] == {
        "email": "ann@example.com", "email_sha256": sha256("ann@example.com")
    }  # fmt: skip


# --- a collector that does not answer -------------------------------------------------------------


@pytest.mark.parametrize("status", [None, 503, 429])
def test_what_could_not_be_delivered_comes_later_with_the_same_ids(
    browser: Browser, shop: SandboxShop, recorder: Recorder, status: int | None
) -> None:
    recorder.status = status
    go(browser, shop, "products.view", product_id=1)
    recorder.wait(lambda: recorder.attempts)
    browser.wait_for("localStorage.getItem('cscart_pipelines_shop_kept') !== null")
    quiet(browser)
    go(browser, shop, "products.view", product_id=2)  # the shop works as ever
    add_to_cart(browser, 2)
    recorder.wait(lambda: len(recorder.attempts) >= 2)
    tried = {event["id"] for batch in recorder.attempts for event in batch["events"]}
    recorder.status = 204
    go(browser, shop, "index.index")
    recorder.wait(lambda: len(recorder.events) == 6)
    ids = [event["id"] for event in recorder.events]
    assert len(set(ids)) == 6
    assert tried <= set(ids)
    assert browser.wait_for("localStorage.getItem('cscart_pipelines_shop_kept') === null")


def test_a_collector_that_asks_for_time_gets_it(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    recorder.status, recorder.retry_after = 503, 3600
    browser.open(shop.url)
    recorder.wait(lambda: recorder.attempts)
    browser.wait_for("localStorage.getItem('cscart_pipelines_shop_not_before') !== null")
    recorder.status = 204
    go(browser, shop, "products.view", product_id=1)
    leave(browser)
    browser.open(shop.url)
    kept = browser.wait_for("JSON.parse(localStorage.getItem('cscart_pipelines_shop_kept'))")
    assert [one["e"]["name"] for one in kept][:3] == ["page_view", "page_view", "view_item"]
    assert len(recorder.attempts) == 1
    browser.js("localStorage.setItem('cscart_pipelines_shop_not_before', '0')")
    browser.reload()
    recorder.wait(lambda: len(recorder.events) >= 4)


@pytest.mark.parametrize("status", [404, 410])
def test_a_collector_that_does_not_know_the_shop_is_left_alone(
    browser: Browser, shop: SandboxShop, recorder: Recorder, status: int
) -> None:
    recorder.status = status
    go(browser, shop, "products.view", product_id=1)
    recorder.wait(lambda: recorder.attempts)
    browser.wait_for("performance.getEntriesByType('resource').some(e => e.name.includes('/v1/'))")
    add_to_cart(browser, 1)
    leave(browser)
    off_stage(browser, shop)
    assert browser.js("return localStorage.getItem('cscart_pipelines_shop_kept')") is None
    assert len(recorder.attempts) == 1


def test_what_was_kept_for_a_collector_that_refuses_the_shop_for_good_is_forgotten(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    recorder.status = 503
    go(browser, shop, "products.view", product_id=1)
    recorder.wait(lambda: recorder.attempts)
    browser.wait_for("localStorage.getItem('cscart_pipelines_shop_kept') !== null")
    recorder.forget()
    recorder.status = 410
    go(browser, shop, "products.view", product_id=2)
    recorder.wait(lambda: recorder.attempts)
    browser.wait_for("localStorage.getItem('cscart_pipelines_shop_kept') === null")
    asked = "performance.getEntriesByType('resource').filter(e => e.name.includes('/v1/')).length"
    browser.wait_for(f"{asked} === 1")
    add_to_cart(browser, 2)
    # Longer than the tag waits before it tells or tries again.
    browser.js("return new Promise(done => setTimeout(done, 2500))")
    quiet(browser)
    assert browser.js(f"return {asked}") == 1
    leave(browser)
    off_stage(browser, shop)
    assert browser.js("return localStorage.getItem('cscart_pipelines_shop_kept')") is None
    assert len(recorder.attempts) == 1


def test_what_went_with_the_page_is_sent_again_when_the_collector_turns_out_to_be_down(
    browser: Browser, shop: SandboxShop, recorder: Recorder
) -> None:
    recorder.status = 503
    go(browser, shop, "products.view", product_id=1)
    leave(browser)  # by beacon: nobody hears the answer
    recorder.wait(lambda: recorder.attempts)
    go(browser, shop, "products.view", product_id=2)
    recorder.wait(lambda: len(recorder.attempts) == 2)
    browser.wait_for("localStorage.getItem('cscart_pipelines_shop_kept') !== null")
    recorder.status = 204
    browser.open(shop.url)
    recorder.wait(lambda: len(recorder.events) == 5)
    seen = [event["items"][0]["product_id"] for event in recorder.named("view_item")]
    assert sorted(seen) == ["1", "2"]

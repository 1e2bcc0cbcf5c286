"""The tag's script on pages of its own: other themes' markup, odd browsers, the data layer."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from cscart_pipelines_tests.support.onsite.browser import Browser
from cscart_pipelines_tests.support.onsite.browser import browser as browser
from cscart_pipelines_tests.support.onsite.browser import logging_browser as logging_browser
from cscart_pipelines_tests.support.onsite.browser import (
    logging_module_browser as logging_module_browser,
)
from cscart_pipelines_tests.support.onsite.browser import module_browser as module_browser
from cscart_pipelines_tests.support.onsite.tag_pages import BROKEN, STEM, Recorder, bare_page
from cscart_pipelines_tests.support.onsite.tag_pages import recorder as recorder

pytestmark = pytest.mark.begun_first

GRANT = "gtag('consent', 'update', {analytics_storage: 'granted'});"
DENY = "gtag('consent', 'update', {analytics_storage: 'denied'});"


def show(
    browser: Browser, recorder: Recorder, body: str = "", *, path: str = "/page", **more: Any
) -> None:
    recorder.pages[path] = bare_page(recorder, body, **more)
    browser.open(recorder.url + path)


def leave(browser: Browser) -> None:
    browser.open("about:blank")


def told(recorder: Recorder, *names: str) -> list[dict[str, Any]]:
    recorder.wait(lambda: recorder.named("page_view"))
    return [event for event in recorder.events if event["name"] != "page_view"]


# --- markup of shops with search-friendly addresses -----------------------------------------------

PRODUCT_FORM = (
    '<form name="product_form_7" method="post" action="/" class="cm-ajax">'
    '<input type="hidden" name="product_data[7][product_id]" value="7">'
    '<span id="product_code_7">TEA-7</span>'
    '<input name="product_data[7][amount]" value="1">'
    '<button id="button_cart_7" name="dispatch[checkout.add..7]">Add</button></form>'
)
STOPPED = (
    "<script>document.addEventListener('submit', function (e) { e.preventDefault(); %s });</script>"
)
TEA = {"sku": "TEA-7", "quantity": 1, "product_id": "7"}


@pytest.mark.parametrize(
    ("body", "name", "more"),
    [
        (f'<div class="ty-product-block">{PRODUCT_FORM}</div>', "view_item", {"items": [TEA]}),
        (f'<div id="category_products_12">{PRODUCT_FORM}</div>', "view_item_list",
         {"items": [TEA]}),
        (f'<div id="pagination_contents">{PRODUCT_FORM}</div>', "view_item_list", {"items": [TEA]}),
        (f'<div id="products_search_11">{PRODUCT_FORM}</div>', "search", {"items": [TEA]}),
        ('<form><button name="dispatch[checkout.place_order]">Buy</button></form>',
         "begin_checkout", {}),
        ('<div class="ty-checkout-complete__order-success">'
         '<a href="/index.php?dispatch=orders.details&order_id=1001">Order</a></div>',
         "purchase", {"order_id": "1001"}),
    ],
)  # fmt: skip
def test_a_page_without_dispatch_is_known_by_its_markup(
    browser: Browser, recorder: Recorder, body: str, name: str, more: dict[str, Any]
) -> None:
    show(browser, recorder, body, path="/tea/green.html")
    leave(browser)
    [event] = told(recorder)
    assert {key: event.get(key) for key in ("name", "page", *more)} == {
        "name": name, "page": "/tea/green.html", **more
    }  # fmt: skip


def test_a_page_like_any_other_tells_only_the_view(browser: Browser, recorder: Recorder) -> None:
    show(browser, recorder, PRODUCT_FORM)  # a product on the home page
    leave(browser)
    assert told(recorder) == []


def test_a_plain_form_counts_when_the_page_goes(browser: Browser, recorder: Recorder) -> None:
    plain = PRODUCT_FORM.replace('class="cm-ajax"', 'target="_self"')
    show(browser, recorder, plain)
    browser.click("#button_cart_7")
    [event] = recorder.wait(lambda: recorder.named("add_to_cart"))
    assert event["items"] == [TEA]


def test_a_form_that_a_check_has_stopped_did_nothing(browser: Browser, recorder: Recorder) -> None:
    mark = "e.target.firstChild.className = 'cm-failed-field';"
    for form, marked in ((PRODUCT_FORM, mark), (PRODUCT_FORM.replace("cm-ajax", ""), "")):
        show(browser, recorder, form + STOPPED % marked)
        browser.click("#button_cart_7")
        browser.js("return new Promise(function (done) { setTimeout(done, 0); })")
        leave(browser)
    recorder.wait(lambda: len(recorder.named("page_view")) == 2)
    assert recorder.named("add_to_cart") == []


def test_an_answer_that_is_heard_only_through_the_data_layer(
    browser: Browser, recorder: Recorder
) -> None:
    show(browser, recorder, PRODUCT_FORM + STOPPED % "")
    browser.click("#button_cart_7")
    browser.js("dataLayer.push({event: 'add_to_cart', ecommerce: {items: [{item_id: 'TEA-7'}]}})")
    leave(browser)
    [event] = recorder.wait(lambda: recorder.named("add_to_cart"))
    assert event["items"] == [TEA]


# --- what needs to have gone well ----------------------------------------------------------------

CONFIRMED = '<div class="cm-notification-content alert alert-success">Done</div>'
WARNED = '<div class="cm-notification-content alert alert-warning">Already done</div>'
FAILED = '<div class="cm-notification-content alert alert-error">No</div>'
LOGGED_IN = '<a href="/index.php?dispatch=auth.logout">Sign out</a>'
REGISTERED = '<div class="ty-success-registration">Welcome</div>'
FORMS = {
    "subscribe": ("subscribe_form", "newsletters.add_subscriber", "subscribe_email"),
    "unsubscribe": ("unsubscribe_form", "newsletters.unsubscribe", "subscribe_email"),
    "profile_update": ("profile_form", "profiles.update", "user_data[email]"),
    "login": ("main_login_form", "auth.login", "user_login"),
    "sign_up": ("profiles_register_form", "profiles.update", "user_data[email]"),
}


def form_of(name: str, action: str, email: str = "ann@example.com") -> str:
    form, dispatch, field = FORMS[name]
    return (
        f'<form name="{form}" action="{action}"><input name="{field}" value="{email}">'
        f'<button name="dispatch[{dispatch}]">Go</button></form>'
    )


@pytest.mark.parametrize(
    ("name", "confirms"),
    [
        ("subscribe", {CONFIRMED}),
        ("unsubscribe", {CONFIRMED}),
        ("profile_update", {CONFIRMED}),
        ("login", {CONFIRMED, LOGGED_IN, WARNED + LOGGED_IN}),
        ("sign_up", {CONFIRMED, LOGGED_IN, WARNED + LOGGED_IN, REGISTERED}),
    ],
)
def test_only_a_page_that_confirms_it_makes_it_true(
    browser: Browser, recorder: Recorder, name: str, confirms: set[str]
) -> None:
    answers = [
        "", CONFIRMED, WARNED, FAILED + LOGGED_IN, LOGGED_IN, WARNED + LOGGED_IN, REGISTERED
    ]  # fmt: skip
    for number, answer in enumerate(answers):
        recorder.pages[f"/answer{number}"] = bare_page(recorder, answer)
        # Everybody once: the same again at once would be taken for the same deed.
        form = form_of(name, f"/answer{number}", f"ann{number}@example.com")
        show(browser, recorder, form, path=f"/form{number}")
        browser.click("button")
        browser.wait_for(f"location.pathname === '/answer{number}'")
    leave(browser)
    # Each page sends on its own: nothing says that what left first arrives first.
    recorder.wait(
        lambda: (
            len(recorder.named("page_view")) == 2 * len(answers)
            and len(recorder.named(name)) >= len(confirms)
        )
    )
    deeds = [event for event in recorder.events if event["name"] != "page_view"]
    assert {event["name"] for event in deeds} == {name}
    assert {answers[int(event["page"][-1])] for event in deeds} == confirms
    assert len(deeds) == len(confirms)


@pytest.mark.parametrize("name", FORMS)
def test_a_shop_that_fails_confirms_nothing_whatever_page_comes_next(
    browser: Browser, recorder: Recorder, name: str
) -> None:
    show(browser, recorder, form_of(name, BROKEN), path="/form")
    browser.click("button")
    browser.wait_for(f"location.pathname === '{BROKEN}'")
    show(browser, recorder, path="/next")
    leave(browser)
    recorder.wait(lambda: len(recorder.named("page_view")) == 2)
    assert {event["name"] for event in recorder.events} == {"page_view"}


def test_an_old_notice_on_the_page_one_goes_back_to_confirms_nothing(
    browser: Browser, recorder: Recorder
) -> None:
    show(browser, recorder, CONFIRMED + form_of("subscribe", BROKEN), path="/form")
    browser.click("button")
    browser.wait_for(f"location.pathname === '{BROKEN}'")
    browser.back()
    browser.wait_for("location.pathname === '/form'")
    leave(browser)
    recorder.wait(lambda: len(recorder.named("page_view")) == 2)
    assert recorder.named("subscribe") == []


# --- the data layer ------------------------------------------------------------------------------


def ga4(event: str, *items: str, **more: Any) -> str:
    listed = [{"item_id": item, "quantity": 2, "price": 9.5} for item in items]
    return json.dumps({"event": event, "ecommerce": {"items": listed, "value": 9.5, **more}})


def test_push_answers_as_before_and_entries_from_before_are_heard(
    browser: Browser, recorder: Recorder
) -> None:
    show(
        browser, recorder,
        before=f"dataLayer.push({ga4('view_item', 'A1')}); gtag('event', 'login');",
    )  # fmt: skip
    assert browser.js("return dataLayer.push({event: 'x'}, {event: 'y'}) === dataLayer.length")
    assert browser.js("return dataLayer[dataLayer.length - 1].event") == "y"
    leave(browser)
    assert [(event["name"], event["source"]) for event in told(recorder)] == [
        ("view_item", "ga4"), ("login", "ga4")
    ]  # fmt: skip
    assert recorder.named("view_item")[0]["items"] == [{"sku": "A1", "quantity": 2}]


def test_what_was_done_before_the_consent_is_not_told_afterwards(
    browser: Browser, recorder: Recorder
) -> None:
    purchase = ga4("purchase", "A1", transaction_id="77")
    show(
        browser, recorder, consent="denied",
        before=f"dataLayer.push({ga4('view_item', 'A1')}, {ga4('add_to_cart', 'A1')}, {purchase});",
    )  # fmt: skip
    browser.js(f"dataLayer.push({ga4('add_to_wishlist', 'A1')}, {purchase})")
    # A quick view, a search and a list that came long after the page.
    browser.js(f"dataLayer.push({ga4('view_item', 'A2')}, {ga4('view_item_list', 'A3')})")
    browser.js(f"gtag('event', 'search', {{search_term: 'tea'}}); {GRANT}")
    browser.js(f"dataLayer.push({ga4('remove_from_cart', 'A1')})")
    leave(browser)
    assert [event["name"] for event in told(recorder)] == ["view_item", "remove_from_cart"]
    assert recorder.named("view_item")[0]["items"] == [{"sku": "A1", "quantity": 2}]


def test_the_same_before_the_script_came_with_the_consent(
    browser: Browser, recorder: Recorder
) -> None:
    """As with Tag Manager, which puts the script into the page when the visitor agrees."""
    pushed = ",".join(
        [ga4("view_item", "A1"), '{event: "gtm.load"}', ga4("view_item", "A2"),
         ga4("view_item_list", "A3"), ga4("purchase", "A1", transaction_id="77")]
    )  # fmt: skip
    show(browser, recorder, consent="denied", before=f"dataLayer.push({pushed}); {GRANT}")
    leave(browser)
    assert [event["name"] for event in told(recorder)] == ["view_item"]
    assert recorder.named("view_item")[0]["items"] == [{"sku": "A1", "quantity": 2}]


def test_of_what_the_page_has_said_before_the_consent_each_is_told_once(
    browser: Browser, recorder: Recorder
) -> None:
    terms = "".join(f"gtag('event', 'search', {{search_term: 'tea {n}'}});" for n in range(60))
    show(browser, recorder, consent="denied", before=terms)
    browser.js(GRANT)
    leave(browser)
    assert [event["term"] for event in told(recorder)] == ["tea 59"]


def test_between_a_withdrawal_and_a_new_consent_nothing_is_collected(
    browser: Browser, recorder: Recorder
) -> None:
    show(browser, recorder, f'<div class="ty-product-block">{PRODUCT_FORM}</div>' + STOPPED % "")
    recorder.wait(lambda: recorder.named("view_item"))
    pushed = ",".join(
        ga4(name, "A1", transaction_id="77")
        for name in ("view_item_list", "search", "begin_checkout", "purchase", "add_to_cart")
    )
    browser.js(DENY)
    browser.click("#button_cart_7")
    browser.js(f"dataLayer.push({pushed})")
    assert browser.js("return localStorage.length + sessionStorage.length") == 0
    recorder.forget()
    browser.js(GRANT)
    leave(browser)
    recorder.wait(lambda: recorder.named("view_item"))
    assert recorder.names == ["page_view", "view_item"]  # the page itself, to somebody new


COMPLETE = (
    '<div class="ty-checkout-complete__order-success">'
    '<a href="/index.php?dispatch=orders.details&order_id=1001">Order</a></div>'
)
PAY = '<form action="/done"><button name="dispatch[checkout.place_order]">Buy</button></form>'


@pytest.mark.parametrize("agreed", ["denied", "granted"])
def test_an_order_is_told_by_a_page_that_learns_of_the_consent_late_if_it_was_placed_under_it(
    browser: Browser, recorder: Recorder, agreed: str
) -> None:
    """Banners say on each page anew, and a moment after its begin, what the visitor once chose."""
    bought = f"dataLayer.push({ga4('purchase', 'A1', transaction_id='1001')});"
    recorder.pages["/done"] = bare_page(recorder, COMPLETE, before=bought, consent="denied")
    show(browser, recorder, PAY, path="/pay", consent=agreed)
    browser.click("button")
    browser.wait_for("location.pathname === '/done'")
    browser.js(GRANT)
    browser.js(bought)
    leave(browser)
    recorder.wait(lambda: len(recorder.named("page_view")) == (2 if agreed == "granted" else 1))
    assert [event["order_id"] for event in recorder.named("purchase")] == (
        ["1001"] if agreed == "granted" else []
    )


def test_objects_and_commands_about_the_same_are_one(browser: Browser, recorder: Recorder) -> None:
    show(browser, recorder)
    for event in ("view_item", "view_item_list", "add_to_cart", "remove_from_cart",
                  "add_to_wishlist", "begin_checkout", "search", "login", "sign_up"):  # fmt: skip
        browser.js(f"dataLayer.push({ga4(event, 'A1')})")
        browser.js(f"gtag('event', '{event}', {{items: [{{id: 'a1', quantity: 2}}]}})")
    for _ in range(2):
        browser.js(f"dataLayer.push({ga4('purchase', 'A1', transaction_id='77')})")
        browser.js("gtag('event', 'purchase', {transaction_id: '77'})")
    leave(browser)
    recorder.wait(lambda: recorder.named("purchase"))
    assert len(recorder.names) == len(set(recorder.names)) == 11


def test_different_products_are_different_happenings(browser: Browser, recorder: Recorder) -> None:
    show(browser, recorder)
    for item in ("A1", "A2"):
        browser.js(f"dataLayer.push({ga4('add_to_cart', item)})")
        browser.js(f"gtag('event', 'add_to_cart', {{items: [{{item_id: '{item}'}}]}})")
    leave(browser)
    recorder.wait(lambda: len(recorder.named("add_to_cart")) == 2)


def test_odd_entries_harm_nobody(browser: Browser, recorder: Recorder) -> None:
    show(browser, recorder)
    browser.js(
        "dataLayer.push(null, undefined, 5, 'x', function () {}, [], {event: 5},"
        "{event: 'toString'}, {event: 'add_to_cart', ecommerce: {items: 'many'}}, "
        "{event: 'purchase'}, {event: 'view_item', ecommerce:"
        " {items: [null, 5, {item_id: {}}, {item_id: 'A', quantity: -3}]}});"
        "gtag(); gtag('event'); gtag('event', 'purchase', null);"
        "gtag('consent'); gtag('consent', 'update');"
    )
    leave(browser)
    names = [event["name"] for event in told(recorder)]
    assert names[0] == "add_to_cart" and "purchase" not in names
    assert browser.console() == []


def test_large_heaps_go_in_several_batches_that_a_leaving_page_may_send(
    browser: Browser, recorder: Recorder
) -> None:
    show(browser, recorder)
    browser.js(
        "for (var i = 0; i < 120; i++) { var items = []; for (var j = 0; j < 50; j++)"
        " items.push({item_id: 'ä'.repeat(25) + i + '-' + j});"
        " dataLayer.push({event: 'add_to_cart', ecommerce: {items: items}}); }"
    )
    recorder.wait(lambda: len(recorder.named("add_to_cart")) == 120, seconds=60)
    assert max(batch["size"] for batch in recorder.attempts) <= 60_000
    assert max(len(batch["events"]) for batch in recorder.attempts) <= 50
    assert len({event["id"] for event in recorder.events}) == 121


# --- consent, beside what Tag Manager has checked -------------------------------------------------


@pytest.mark.parametrize(
    ("before", "sends"),
    [
        ("", False),
        ("gtag('consent','default',{analytics_storage:'granted'});", True),
        ("gtag('consent','default',{analytics_storage:'denied'});" + GRANT, True),
        ("gtag('consent','default',{analytics_storage:'granted'});" + DENY, False),
        ("gtag('consent','default',{ad_storage:'granted'});", False),
        ("gtag('consent','default',{analytics_storage:'granted',region:['US']});", False),
        ("gtag('consent','default',{analytics_storage:'denied',region:['GR']});"
         "gtag('consent','default',{analytics_storage:'granted'});", False),
        ("google_tag_data={ics:{entries:{analytics_storage:{default:false,update:true}}}};", True),
        ("google_tag_data={ics:{entries:{analytics_storage:{default:true}}}};", True),
        ("gtag('consent','default',{analytics_storage:'granted'});"
         "google_tag_data={ics:{entries:{analytics_storage:{default:false}}}};", False),
        ("google_tag_data={ics:{entries:{}}};", False),
    ],
)  # fmt: skip
def test_only_a_clear_yes_is_a_consent(
    logging_browser: Browser, recorder: Recorder, before: str, sends: bool
) -> None:
    show(logging_browser, recorder, consent="", before=before)
    stored = "JSON.stringify([localStorage, sessionStorage, document.cookie])"
    if sends:
        recorder.wait(lambda: recorder.named("page_view"))
        assert STEM in logging_browser.js(f"return {stored}")
        return
    assert STEM not in logging_browser.js(f"return {stored}")
    leave(logging_browser)
    assert not [asked for asked in logging_browser.requests() if "/v1/events/" in asked["url"]]
    assert recorder.attempts == []


def test_a_consent_withdrawn_without_the_data_layer_is_seen(
    browser: Browser, recorder: Recorder
) -> None:
    show(
        browser, recorder, consent="",
        before="google_tag_data = {ics: {entries: {analytics_storage: {default: true}}}};",
    )  # fmt: skip
    recorder.wait(lambda: recorder.named("page_view"))
    browser.js("google_tag_data.ics.entries.analytics_storage.update = false")
    browser.js(f"dataLayer.push({ga4('add_to_cart', 'A1')})")
    assert browser.js("return localStorage.length + sessionStorage.length") == 0
    leave(browser)
    assert len(recorder.attempts) == 1


# --- browsers ------------------------------------------------------------------------------------

BLOCKED = (
    "['localStorage', 'sessionStorage'].forEach(function (name) {"
    " Object.defineProperty(window, name, {get: function () { throw new Error('blocked'); }}); });"
)


def test_where_storage_is_blocked_the_id_is_in_a_cookie(
    browser: Browser, recorder: Recorder
) -> None:
    for _ in range(2):
        show(browser, recorder, before=BLOCKED)
        leave(browser)
    recorder.wait(lambda: len(recorder.events) == 2)
    assert len({event["visitor"] for event in recorder.events}) == 1
    show(browser, recorder, before=BLOCKED)
    assert list(browser.cookies()) == [f"{STEM}visitor"]
    browser.js(DENY)
    assert browser.cookies() == {}


def test_an_id_lasts_thirteen_months(browser: Browser, recorder: Recorder) -> None:
    show(browser, recorder)
    kept = "JSON.parse(localStorage.getItem('cscart_pipelines_shop_visitor'))"
    recorder.wait(lambda: recorder.events)
    days = browser.js(f"return ({kept}.until - Date.now()) / 86400000")
    assert 394 < days <= 395
    browser.js(
        f"var v = {kept}; v.until = 1; localStorage.setItem('{STEM}visitor', JSON.stringify(v))"
    )
    leave(browser)
    show(browser, recorder)
    leave(browser)
    recorder.wait(lambda: len({event["visitor"] for event in recorder.events}) == 2)


def test_without_beacon_the_page_still_leaves_with_its_events(
    browser: Browser, recorder: Recorder
) -> None:
    show(browser, recorder, before="Navigator.prototype.sendBeacon = undefined;")
    leave(browser)
    recorder.wait(lambda: recorder.named("page_view"))


def test_without_fetch_the_beacon_does_it_all(browser: Browser, recorder: Recorder) -> None:
    show(browser, recorder, before="window.fetch = undefined;")
    recorder.wait(lambda: recorder.named("page_view"))


def test_the_script_runs_once_on_a_page(browser: Browser, recorder: Recorder) -> None:
    page = bare_page(recorder, "")
    head, script, rest = page.partition("<script>(function () {")
    recorder.pages["/twice"] = head + script + rest.replace(
        "</head>", script + rest.partition("</script>")[0] + "</script></head>"
    )  # fmt: skip
    browser.open(f"{recorder.url}/twice")
    leave(browser)
    recorder.wait(lambda: recorder.events)
    assert recorder.names == ["page_view"]


def test_a_page_that_comes_back_is_seen_again(browser: Browser, recorder: Recorder) -> None:
    show(browser, recorder, path="/one")
    show(browser, recorder, path="/two")
    browser.back()
    leave(browser)
    recorder.wait(lambda: len(recorder.events) == 3)
    assert [event["page"] for event in recorder.events] == ["/one", "/two", "/one"]


def test_the_hash_is_that_of_the_standard(browser: Browser, recorder: Recorder) -> None:
    show(browser, recorder)
    texts = ["a@b", "ann@example.com", "ü@grüße.example"]
    texts += ["x" * number + "@y" for number in (53, 54, 61, 62, 63, 200)]
    field = CONFIRMED + '<form name="subscribe_form" action="/page"><input name="subscribe_email">'
    button = '<button name="dispatch[newsletters.add_subscriber]">Go</button></form>'
    for text in texts:
        show(browser, recorder, field + button)
        browser.js("document.querySelector('[name=subscribe_email]').value = arguments[0]", text)
        browser.click("button")
        browser.wait_for("location.search.includes('subscribe_email')")
    leave(browser)
    recorder.wait(lambda: len(recorder.named("subscribe")) == len(texts))
    assert [event["identity"]["email_sha256"] for event in recorder.named("subscribe")] == [
        hashlib.sha256(text.encode()).hexdigest() for text in texts
    ]

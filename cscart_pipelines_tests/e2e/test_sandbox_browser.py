"""The storefront's scripts and the tag runner in a real browser.

Containers here are small and the test's own: what the runner makes of our tracking file is shown
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines_tests.support.onsite import browser as onsite_browser
from cscart_pipelines_tests.support.onsite.browser import Browser
from cscart_pipelines_tests.support.onsite.browser import browser as browser
from cscart_pipelines_tests.support.onsite.browser import logging_browser as logging_browser
from cscart_pipelines_tests.support.onsite.browser import (
    logging_module_browser as logging_module_browser,
)
from cscart_pipelines_tests.support.onsite.browser import module_browser as module_browser
from cscart_pipelines_tests.support.shop.sandboxes import small_shop

READY = "window.tagRunner && tagRunner.ready"
LAYER = """dataLayer.map(
  (each) => Object.prototype.toString.call(each) === '[object Arguments]' ? [...each] : each)"""


@pytest.fixture
def shop() -> Iterator[SandboxShop]:
    with small_shop(orders=0) as made:
        yield made


def parameters(**values: object) -> list[dict[str, str]]:
    kinds: dict[type, str] = {bool: "BOOLEAN", int: "INTEGER"}
    return [
        {
            "type": kinds.get(type(value), "TEMPLATE"),
            "key": key,
            "value": str(value).lower() if isinstance(value, bool) else str(value),
        }
        for key, value in values.items()
    ]


def condition(kind: str, left: str, right: str, **more: object) -> dict[str, Any]:
    return {"type": kind, "parameter": parameters(arg0=left, arg1=right, **more)}


def on_event(key: str, name: str, kind: str = "EQUALS", *more: dict[str, Any]) -> dict[str, Any]:
    return {
        "triggerId": key,
        "name": f"on {name}",
        "type": "CUSTOM_EVENT",
        "customEventFilter": [condition(kind, "{{_event}}", name)],
        "filter": list(more),
    }


def variable(name: str, kind: str, /, **values: object) -> dict[str, Any]:
    return {"variableId": name, "name": name, "type": kind, "parameter": parameters(**values)}


def tag(name: str, html: str, *triggers: str, **more: object) -> dict[str, Any]:
    return {
        "tagId": name,
        "name": name,
        "type": "html",
        "parameter": parameters(html=html, supportDocumentWrite=False),
        "firingTriggerId": list(triggers),
        "tagFiringOption": "ONCE_PER_EVENT",
        **more,
    }


NEEDS_CONSENT = {
    "consentStatus": "NEEDED",
    "consentType": {
        "type": "LIST",
        "list": [{"type": "TEMPLATE", "value": "analytics_storage"}],
    },
}
ALL_PAGES = "2147479553"
BUILT_INS = {
    "PAGE_URL": "Page URL",
    "PAGE_PATH": "Page Path",
    "PAGE_HOSTNAME": "Page Hostname",
    "REFERRER": "Referrer",
    "EVENT": "Event",
}


def container(*tags: dict[str, Any], triggers: Any = (), variables: Any = ()) -> dict[str, Any]:
    return {
        "exportFormatVersion": 2,
        "containerVersion": {
            "container": {"publicId": "GTM-TEST"},
            "folder": [{"folderId": "1", "name": "Ours"}],
            "tag": list(tags),
            "trigger": list(triggers),
            "variable": list(variables),
            "builtInVariable": [{"type": kind, "name": name} for kind, name in BUILT_INS.items()],
        },
    }


def run(browser: Browser, shop: SandboxShop, what: dict[str, Any], **options: object) -> None:
    """Shows the home page with that container and waits until it has run."""
    shop.storefront.settings.change(container=what, **options)
    browser.open(f"{shop.url}/")
    browser.wait_for(READY)


def fired(browser: Browser) -> list[tuple[str, str]]:
    return [(each["event"], each["tag"]) for each in browser.js("return tagRunner.fired")]


def errors(browser: Browser) -> str:
    return "; ".join(each["message"] for each in browser.js("return tagRunner.errors"))


# --- the browser itself --------------------------------------------------------------------------


@pytest.mark.parametrize(("required", "outcome"), [(False, "Skipped"), (True, "Failed")])
def test_without_a_browser_tests_skip_unless_one_is_required(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, required: bool, outcome: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(onsite_browser, "REQUIRED", required)
    with pytest.raises(BaseException, match="chromium is not on the PATH") as raised:
        onsite_browser.find_programs()
    assert type(raised.value).__name__ == outcome


def test_a_test_finds_nothing_of_the_one_before(browser: Browser, shop: SandboxShop) -> None:
    browser.open(f"{shop.url}/")
    browser.click("#consent_grant")
    browser.js("localStorage.setItem('kept', '1');")
    assert "shop_consent" in browser.cookies()
    browser.fresh().open(f"{shop.url}/")
    assert "shop_consent" not in browser.cookies()
    assert browser.js("return localStorage.getItem('kept')") is None


# --- the shop's own scripts ----------------------------------------------------------------------


def test_a_script_can_listen_to_the_shop_as_to_a_real_one(
    browser: Browser, shop: SandboxShop
) -> None:
    browser.open(f"{shop.url}/index.php?dispatch=products.view&product_id=2")
    browser.js("""
        window.seen = [];
        Tygh.$.ceEvent('on', 'ce.formajaxpost_product_form_2', (response, params) => {
            seen.push(['post', params.form.prop('name'), params.obj.attr('name'),
                       Object.keys(response.html), Object.values(response.notifications)[0].type]);
        });
        Tygh.$.ceEvent('one', 'ce.ajaxdone', () => seen.push(['once']));
        Tygh.$.ceEvent('on', 'ce.commoninit', function (part) {
            seen.push(['part', part[0].id, this.name]);
        }, {name: 'context'});
    """)
    browser.fill("#qty_count_2", "3")
    browser.click("#button_cart_2")
    browser.wait_for("seen.length >= 4")
    browser.click("#button_wishlist_2")
    browser.wait_for("seen.filter((each) => each[0] === 'post').length === 2")
    seen = browser.js("return seen")
    parts = ["cart_status_1", "account_info_1"]
    assert ["post", "product_form_2", "dispatch[checkout.add..2]", parts, "N"] in seen
    assert seen.count(["once"]) == 1
    assert ["part", "cart_status_1", "context"] in seen
    assert browser.text(".ty-minicart-count") == "3"
    assert browser.text(".cm-notification-content").startswith("Wish list")


def test_lists_submit_the_wish_list_by_a_link_and_rows_are_deleted_in_place(
    browser: Browser, shop: SandboxShop
) -> None:
    browser.open(f"{shop.url}/index.php?dispatch=categories.view&category_id=2")
    browser.click("#button_wishlist_5")
    browser.wait_for("document.querySelector('.alert')")
    assert "Boots" in browser.text(".cm-notification-content")
    browser.click("#button_cart_5")
    browser.wait_for("document.querySelector('.ty-minicart-count').textContent === '1'")
    browser.open(f"{shop.url}/index.php?dispatch=checkout.cart")
    browser.js("""window.done = 0; Tygh.$.ceEvent('on', 'ce.ajaxdone', () => { done += 1; });""")
    browser.click("#checkout_form .cm-ajax[href*='checkout.delete']")
    browser.wait_for("done === 1")
    assert "Your cart is empty" in browser.text("#checkout_cart_items")
    browser.open(f"{shop.url}/index.php?dispatch=wishlist.view")
    assert "Boots" in browser.text("main") and browser.console() == []


def test_a_guest_buys_by_clicking(browser: Browser, shop: SandboxShop) -> None:
    browser.open(f"{shop.url}/index.php?dispatch=products.view&product_id=1")
    browser.click("#button_cart_1")
    browser.wait_for("document.querySelector('.alert')")
    browser.click(".ty-dropdown-box summary")
    browser.follow(".cm-cart-buttons a:last-child")
    browser.fill("[name='user_data[email]']", "gus@example.com")
    browser.follow("#litecheckout_place_order")
    assert browser.url.endswith("dispatch=checkout.complete&order_id=1001")
    assert "#1001" in browser.text("main")
    assert shop.store.orders[1001].email == "gus@example.com"


@pytest.mark.parametrize("style", ["objects", "gtag"])
def test_a_theme_and_the_google_add_on_fill_the_data_layer(
    browser: Browser, shop: SandboxShop, style: str
) -> None:
    shop.storefront.settings.change(theme_events=style, ga4_addon=True, consent="none")

    def sent() -> list[tuple[str, Any]]:
        found = []
        for each in browser.js(f"return {LAYER}"):
            if isinstance(each, list) and each[0] == "event":
                found.append((each[1], each[2]))
            elif isinstance(each, dict) and each.get("event"):
                found.append((each["event"], each.get("ecommerce")))
        return found

    browser.open(f"{shop.url}/index.php?dispatch=products.view&product_id=2")
    browser.fill("#qty_count_2", "3")
    browser.click("#button_cart_2")
    browser.wait_for("document.querySelector('.alert')")
    names = [name for name, _ in sent()]
    assert names == ["page_view", "view_item", "add_to_cart"]
    bag = {"item_id": "SKU-0002", "item_name": "Backpack", "quantity": 3, "price": 19.95}
    assert sent()[2][1] == {"currency": "EUR", "value": 59.85, "items": [bag]}
    browser.open(f"{shop.url}/index.php?dispatch=checkout.checkout")
    assert [name for name, _ in sent()] == ["page_view", "begin_checkout"]
    browser.fill("[name='user_data[email]']", "gus@example.com")
    browser.follow("#litecheckout_place_order")
    sales = [more for name, more in sent() if name == "purchase"]
    assert len(sales) == 2, "the add-on's and the theme's"
    assert all(each["transaction_id"] == "1001" and each["items"] == [bag] for each in sales)


# --- the tag runner ------------------------------------------------------------------------------


def test_each_trigger_fires_at_its_moment(browser: Browser, shop: SandboxShop) -> None:
    life = {"3": "PAGEVIEW", "4": "DOM_READY", "5": "WINDOW_LOADED"}
    triggers = [{"triggerId": k, "name": t, "type": t} for k, t in life.items()]
    triggers += [
        on_event("6", "^add_|^remove_", "MATCH_REGEX"),
        on_event("7", "cart", "CONTAINS", condition("EQUALS", "{{Page Path}}", "/")),
        on_event("8", "cart", "CONTAINS", condition("EQUALS", "{{Page Path}}", "/", negate=True)),
        on_event("9", "ADD_TO", "MATCH_REGEX"),
    ]
    script = "<script>(window.ran = window.ran || []).push({{Event}})</script>"
    tags = [tag(f"tag {each['triggerId']}", script, each["triggerId"]) for each in triggers]
    tags.append(tag("all pages", script, ALL_PAGES, priority={"type": "INTEGER", "value": "9"}))
    tags.append(tag("paused", script, ALL_PAGES, paused=True))
    tags.append(tag("blocked", script, ALL_PAGES, blockingTriggerId=["3"]))
    run(browser, shop, container(*tags, triggers=triggers))
    assert fired(browser) == [
        ("gtm.js", "all pages"),
        ("gtm.js", "tag 3"),
        ("gtm.dom", "tag 4"),
        ("gtm.load", "tag 5"),
    ]
    browser.js("""
        dataLayer.push({event: 'add_to_cart'}); gtag('event', 'remove_from_cart', {items: []});
    """)
    assert fired(browser)[4:] == [
        ("add_to_cart", "tag 6"),
        ("add_to_cart", "tag 7"),
        ("remove_from_cart", "tag 6"),
        ("remove_from_cart", "tag 7"),
    ]
    assert browser.js("return ran.at(-1)") == "remove_from_cart"
    assert errors(browser) == "" and browser.shows("#tag_runner .fired")


def test_variables_have_their_values_and_are_escaped_into_scripts(
    browser: Browser, shop: SandboxShop
) -> None:
    awkward = """it's "</script>" \\ `${x}` & 1/2\u2028"""
    variables = [
        variable("text", "c", value=awkward),
        variable("email", "v", dataLayerVersion=2, name="user.email"),
        variable("items", "v", dataLayerVersion=2, name="ecommerce.items"),
        variable(
            "late", "v", dataLayerVersion=2, name="no", setDefaultValue=True, defaultValue="d"
        ),
        variable("nothing", "v", dataLayerVersion=2, name="not.there"),
        variable("biscuit", "k", name="biscuit", decodeCookie=True),
        variable("language", "j", name="document.documentElement.lang"),
        variable("double", "jsm", javascript="function(){ return [{{email}}, '{{email}}!']; }"),
        variable("adder", "jsm", javascript="function(){ return function(a){ return a + 1; }; }"),
    ]
    script = """<p title="{{text}}">{{text}}</p><script>
        // a comment with an apostrophe isn't a string: {{nothing}}
        var quote = /['"{}]/.test("'"), half = 4 / 2; /* it's fine */
        window.got = {
            bare: {{text}}, quoted: "{{text}}", within: `<{{language}}>`, items: {{items}},
            email: {{email}}, late: {{late}}, nothing: {{nothing}}, biscuit: {{biscuit}},
            double: {{double}}, added: {{adder}}(1), url: {{Page URL}}, host: {{Page Hostname}},
            referrer: {{Referrer}}, quote: quote, half: half
        };
    </script>"""
    what = container(
        tag("values", script, "5"), triggers=[on_event("5", "go")], variables=variables
    )
    run(browser, shop, what)
    browser.js("""
        document.cookie = 'biscuit=a%20b';
        dataLayer.push({user: {email: 'a@b.example', name: 'A'}});
        dataLayer.push({user: {name: 'B'}, ecommerce: {items: [{item_id: 'X'}]}});
        dataLayer.push({event: 'go'});
    """)
    assert errors(browser) == ""
    got = browser.js("return got")
    assert got.pop("url") == f"{shop.url}/"
    assert got == {
        "bare": awkward,
        "quoted": awkward,
        "within": "<en>",
        "items": [{"item_id": "X"}],
        "email": "a@b.example",
        "late": "d",
        "nothing": None,
        "biscuit": "a b",
        "double": ["a@b.example", "a@b.example!"],
        "added": 2,
        "host": "127.0.0.1",
        "referrer": "",
        "quote": True,
        "half": 2,
    }
    shown = "const p = document.querySelector('[data-tag=values] p');"
    assert browser.js(f"{shown} return [p.textContent, p.title]") == [awkward, awkward]
    assert browser.js("return tagRunner.variable('email')") == "a@b.example"


def test_a_tag_waits_for_consent_and_stops_when_it_is_withdrawn(
    browser: Browser, shop: SandboxShop
) -> None:
    what = container(
        tag("ours", "<script>window.ran = 1</script>", ALL_PAGES, consentSettings=NEEDS_CONSENT),
        tag("after", "", "5", consentSettings=NEEDS_CONSENT),
        tag("free", "", ALL_PAGES, consentSettings={"consentStatus": "NOT_SET"}),
        triggers=[on_event("5", "consent_update")],
    )
    run(browser, shop, what)
    assert fired(browser) == [("gtm.js", "free")]
    (held,) = browser.js("return tagRunner.held")
    assert (held["tag"], held["missing"]) == ("ours", ["analytics_storage"])
    state = "return google_tag_data.ics.getConsentState('analytics_storage')"
    assert browser.js(state) == 2 and browser.js("return window.ran") is None
    browser.js("""window.told = [];
        google_tag_data.ics.addListener(['analytics_storage'], (t, s) => told.push([t, s]));""")
    browser.click("#consent_grant")
    assert browser.js("return told") == [["analytics_storage", True]]
    assert fired(browser)[1:] == [("consent_update", "after")], "what was held does not come back"
    assert browser.js(state) == 1 and not browser.shows("#consent_banner")
    browser.reload()
    browser.wait_for(READY)
    assert ("gtm.js", "ours") in fired(browser) and not browser.shows("#consent_banner")
    browser.click("#consent_settings")
    browser.click("#consent_deny")
    assert browser.js(state) == 2
    browser.reload()
    browser.wait_for(READY)
    assert fired(browser) == [("gtm.js", "free")]
    shop.storefront.settings.change(consent="none")
    browser.fresh().open(f"{shop.url}/")
    browser.wait_for(READY)
    assert browser.js(state) == 0 and ("gtm.js", "ours") in fired(browser)


def test_once_per_load_fires_once_and_pushes_from_tags_keep_their_order(
    browser: Browser, shop: SandboxShop
) -> None:
    chain = "<script>dataLayer.push({event: 'second'}); window.order = ['first'];</script>"
    what = container(
        tag("chain", chain, "5"),
        tag("link", "<script>order.push('second')</script>", "6"),
        tag("once", "", "5", tagFiringOption="ONCE_PER_LOAD"),
        triggers=[on_event("5", "first"), on_event("6", "second")],
    )
    run(browser, shop, what)
    browser.js("dataLayer.push({event: 'first'}, {event: 'first'})")
    names = [name for _, name in fired(browser)]
    assert names == ["chain", "once", "chain", "link", "link"]
    assert browser.js("return order") == ["first", "second", "second"]
    assert errors(browser) == ""


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (container(tag("t", "", "77")), "there is no trigger 77"),
        (container(tag("t", "{{Gone}}", ALL_PAGES)), "there is no variable {{Gone}}"),
        (container(tag("t", "", ALL_PAGES, type="gaawe")), "unknown type of tag gaawe"),
        (
            container(tag("t", "", "5"), triggers=[{"triggerId": "5", "type": "CLICK"}]),
            "unknown type of trigger CLICK",
        ),
        (
            container(tag("t", "{{x}}", ALL_PAGES), variables=[variable("x", "aev")]),
            "unknown type of variable aev",
        ),
        (
            container(
                tag("t", "{{x}}", ALL_PAGES),
                variables=[variable("x", "jsm", javascript="function(){ return {{x}}; }")],
            ),
            "variable x needs itself",
        ),
        (
            container(tag("t", "", "5"), triggers=[on_event("5", "gtm.js", "CSS_SELECTOR")]),
            "unknown condition CSS_SELECTOR",
        ),
        (container(tag("t", "<script>oops(</script>", ALL_PAGES)), "SyntaxError"),
        (
            container(tag("t", "<script src='https://x.example/a.js'></script>", ALL_PAGES)),
            "no network",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_runner_does_not_know_is_an_error_on_the_page(
    browser: Browser, shop: SandboxShop, what: dict[str, Any], message: str
) -> None:
    run(browser, shop, what)
    assert message in errors(browser)
    started = message in ("SyntaxError", "no network")  # found out only as the tag is put in
    assert fired(browser) == ([("gtm.js", "t")] if started else [])
    assert browser.shows("#tag_runner .error")


def test_the_pages_ask_nobody_but_the_shop(logging_browser: Browser, shop: SandboxShop) -> None:
    logging_browser.requests()
    run(logging_browser, shop, container(tag("t", "<p>x</p>", ALL_PAGES)), ga4_addon=True)
    asked = [
        each["url"] for each in logging_browser.requests() if not each["url"].startswith("data:")
    ]
    assert asked and all(each.startswith(shop.url) for each in asked)

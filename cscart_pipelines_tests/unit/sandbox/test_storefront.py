"""The storefront over HTTP: what visitors without scripts and AJAX calls get and do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
import requests

from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.sandbox.storefront.settings import StorefrontSettings
from cscart_pipelines_tests.support.shop.sandboxes import Api, small_shop

AJAX = {"X-Requested-With": "XMLHttpRequest"}


class Visitor:
    """A browser without scripts: keeps cookies, follows redirects."""

    def __init__(self, shop: SandboxShop) -> None:
        self.shop = shop
        self.session = requests.Session()
        self.session.trust_env = False

    def see(self, dispatch: str, **params: Any) -> str:
        return self.ask(dispatch, **params).text

    def ask(self, dispatch: str, **params: Any) -> requests.Response:
        return self.session.get(
            f"{self.shop.url}/index.php", params={"dispatch": dispatch, **params}, timeout=20
        )

    def post(self, dispatch: str, headers: Any = None, **fields: Any) -> requests.Response:
        data = {f"dispatch[{dispatch}]": "", **fields}
        return self.session.post(f"{self.shop.url}/", data=data, headers=headers, timeout=20)

    def add(self, product_id: int, amount: int = 1, **more: Any) -> requests.Response:
        fields = {
            f"product_data[{product_id}][product_id]": product_id,
            f"product_data[{product_id}][amount]": amount,
            "result_ids": "cart_status*,wish_list*,account_info*",
            "redirect_url": f"index.php?dispatch=products.view&product_id={product_id}",
        }
        return self.post(f"checkout.add..{product_id}", **fields, **more)

    def register(self, email: str = "ann@example.com") -> requests.Response:
        user = {"email": email, "password1": "secret1", "password2": "secret1", "firstname": "Ann"}
        return self.post("profiles.update", **_user(user))


def _user(fields: dict[str, str]) -> dict[str, str]:
    return {f"user_data[{name}]": value for name, value in fields.items()}


@pytest.fixture
def shop() -> Iterator[SandboxShop]:
    with small_shop(orders=0) as made:
        yield made


@pytest.fixture
def visitor(shop: SandboxShop) -> Visitor:
    return Visitor(shop)


def test_every_page_of_the_shop_can_be_looked_at(visitor: Visitor) -> None:
    home = visitor.session.get(f"{visitor.shop.url}/", timeout=9)
    assert home.status_code == 200 and 'name="product_form_1"' in home.text
    assert "Backpack" in visitor.see("categories.view", category_id=1)
    assert "Boots" not in visitor.see("categories.view", category_id=1)
    assert "Boots" in visitor.see("products.search", q="boo")
    assert "No products found" in visitor.see("products.search", q="piano")
    page = visitor.see("products.view", product_id=2)
    assert 'id="product_code_2">SKU-0002<' in page
    assert re.search(r'<button[^>]*name="dispatch\[checkout\.add\.\.2\]"', page)
    assert re.search(r'<button[^>]*name="dispatch\[wishlist\.add\.\.2\]"', page)
    assert 'class="cm-disable-empty-files cm-ajax cm-ajax-full-render' in page
    for dispatch in ("checkout.cart", "auth.login_form", "profiles.add", "wishlist.view"):
        assert visitor.ask(dispatch).status_code == 200, dispatch


@pytest.mark.parametrize(
    ("dispatch", "params"),
    [
        ("products.view", {"product_id": 99}),
        ("categories.view", {"category_id": "x"}),
        ("checkout.complete", {"order_id": 1001}),
        ("no.such", {}),
    ],
)
def test_what_is_not_there_is_a_404_page(
    visitor: Visitor, dispatch: str, params: dict[str, Any]
) -> None:
    assert visitor.ask(dispatch, **params).status_code == 404


def test_a_product_off_sale_is_neither_shown_nor_sold(visitor: Visitor) -> None:
    visitor.add(2)
    visitor.shop.store.edit_product(2, status="D")
    assert visitor.ask("products.view", product_id=2).status_code == 404
    assert "Backpack" not in visitor.see("categories.view", category_id=1)
    assert "Your cart is empty" in visitor.see("checkout.cart")
    assert "not on sale" in visitor.add(2).text or "not on sale" in visitor.see("index.index")


def test_an_ajax_answer_carries_the_parts_on_screen_and_a_notice(visitor: Visitor) -> None:
    visitor.see("products.view", product_id=2)
    answer = visitor.add(2, 3, headers=AJAX, is_ajax=1)
    body = answer.json()
    assert answer.headers["Content-Type"].startswith("application/json")
    assert set(body["html"]) == {"cart_status_1", "account_info_1"}
    assert "Backpack" in body["html"]["cart_status_1"]
    (notice,) = body["notifications"].values()
    assert notice["type"] == "N" and "Backpack" in notice["message"]
    assert "was added" not in visitor.see("index.index"), "a notice is shown once"


def test_a_form_without_scripts_leads_back_to_where_it_stood(visitor: Visitor) -> None:
    back = visitor.add(2)
    assert back.url.endswith("index.php?dispatch=products.view&product_id=2")
    assert "Backpack was added to your cart" in back.text


def test_the_button_says_which_of_several_products_is_meant(visitor: Visitor) -> None:
    both = {"product_data[1][amount]": 1, "product_data[2][amount]": 4}
    visitor.post("checkout.add..2", **both)
    (line,) = _session(visitor).cart.values()
    assert line == (2, 4)


def test_nobody_is_sent_to_another_site(visitor: Visitor) -> None:
    for where in ("https://evil.example/", "//evil.example", "index.php\r\nSet-Cookie: x=1"):
        answer = visitor.session.post(
            f"{visitor.shop.url}/",
            data={"dispatch[checkout.add..1]": "", "redirect_url": where},
            allow_redirects=False,
            timeout=9,
        )
        assert answer.headers["Location"].startswith("/index.php")
        assert "x" not in answer.cookies


def test_the_stock_is_the_limit_of_a_cart(visitor: Visitor) -> None:
    visitor.shop.store.set_stock(2, 2)
    assert "Only 2 of it are in stock" in visitor.add(2, 3).text
    visitor.add(2, 2)
    assert "Only 2" in visitor.add(2).text
    (key,) = _session(visitor).cart
    visitor.post("checkout.update", **{f"cart_products[{key}][amount]": 9})
    assert _session(visitor).cart[key] == (2, 2)
    visitor.shop.store.set_stock(2, 0)
    assert "Out of stock" in visitor.see("products.view", product_id=2)


def test_rows_of_the_cart_are_changed_and_deleted(visitor: Visitor) -> None:
    visitor.add(2, 3)
    visitor.add(5)
    page = visitor.see("checkout.cart")
    links = re.findall(r'href="([^"]*checkout\.delete&amp;cart_id=\d+[^"]*)"', page)
    assert len(links) == 2
    rows = list(_session(visitor).cart)
    visitor.post("checkout.update", **{f"cart_products[{rows[0]}][amount]": 1})
    assert _session(visitor).cart[rows[0]] == (2, 1)
    query = f"{visitor.shop.url}/{unescape(links[1])}&is_ajax=1&result_ids=checkout*,cart_status*"
    body = visitor.session.get(query, headers=AJAX, timeout=9).json()
    assert set(body["html"]) == {"cart_status_1", "checkout_cart_items"}
    assert list(_session(visitor).cart) == [rows[0]]
    visitor.see("checkout.clear")
    assert not _session(visitor).cart


def test_a_guest_buys_and_the_shop_has_the_order(visitor: Visitor) -> None:
    store = visitor.shop.store
    visitor.add(2, 3)
    page = visitor.see("checkout.checkout")
    assert 'name="user_data[email]"' in page and "dispatch[checkout.place_order]" in page
    where = {
        "email": "Guest@Example.com",
        "s_firstname": "Gus",
        "s_country": "IE",
        "s_city": "Cork",
    }
    done = visitor.post("checkout.place_order", **_user(where))
    assert "dispatch=checkout.complete&order_id=1001" in done.url and "#1001" in done.text
    order = store.orders[1001]
    assert (order.email, order.user_id, str(order.total)) == ("Guest@Example.com", 0, "59.85")
    assert (order.ship_to.country, order.ship_to.city, order.firstname) == ("IE", "Cork", "Gus")
    assert store.products[2].amount == 97
    seen = Api(visitor.shop).get("orders/1001")
    assert seen["email"] == "Guest@Example.com"
    assert "Your cart is empty" in visitor.see("checkout.cart")
    assert Visitor(visitor.shop).ask("checkout.complete", order_id=1001).status_code == 404


def test_an_order_needs_a_cart_an_address_and_a_country(visitor: Visitor) -> None:
    place = "checkout.place_order"
    assert "cart is empty" in visitor.post(place, **_user({"email": "a@example.com"})).text
    assert "checkout.cart" in visitor.ask("checkout.checkout").url
    visitor.add(1)
    assert "needs an e-mail" in visitor.post(place, **_user({"s_country": "GR"})).text
    bad = visitor.post(place, **_user({"email": "a@example.com", "s_country": "XX"}))
    assert "do not deliver" in bad.text
    assert not visitor.shop.store.orders


def test_a_visitor_registers_changes_the_profile_and_buys_as_a_customer(visitor: Visitor) -> None:
    store = visitor.shop.store
    visitor.add(1)
    before = visitor.session.cookies.get_dict()
    done = visitor.register()
    assert "profiles.success_add" in done.url and "Sign out" in done.text
    assert visitor.session.cookies.get_dict() != before, "a new session id at sign-in"
    (user_id,) = [key for key, each in store.customers.items() if each.user_type == "C"]
    assert store.customers[user_id].firstname == "Ann"
    changed = {"email": "ann2@example.com", "lastname": "Lee", "s_city": "Athens"}
    visitor.post("profiles.update", **_user(changed))
    customer = store.customers[user_id]
    assert (customer.email, customer.firstname, customer.lastname) == (
        "ann2@example.com",
        "Ann",
        "Lee",
    )
    assert 'value="Athens"' in visitor.see("profiles.update")
    visitor.post("checkout.place_order", **_user({"s_country": "GR"}))
    assert (store.orders[1001].user_id, store.orders[1001].email) == (user_id, "ann2@example.com")
    assert Api(visitor.shop).get(f"users/{user_id}")["email"] == "ann2@example.com"


def test_what_a_registration_must_fulfil(visitor: Visitor) -> None:
    def says(**fields: str) -> str:
        full = {"email": "b@example.com", "password1": "secret1", "password2": "secret1", **fields}
        return visitor.post("profiles.update", **_user(full)).text

    visitor.shop.store.add_customer("taken@example.com")
    assert "an account with this e-mail" in says(email="TAKEN@example.com")
    assert "not an e-mail address" in says(email="nothing")
    assert "passwords differ" in says(password2="other")
    assert "at least 6" in says(password1="x", password2="x")
    assert len(visitor.shop.store.customers) == 2, "the owner and the one who was there"


def test_signing_in_and_out(visitor: Visitor) -> None:
    store = visitor.shop.store
    user = store.add_customer("c@example.com")
    store.set_password(user.user_id, "right-one")
    assert "profiles.update" in visitor.ask("profiles.update").url
    where = "index.php?dispatch=profiles.update"
    fields = {"user_login": "C@example.com", "return_url": where}
    refused = visitor.post("auth.login", password="wrong", **fields)
    assert "do not fit" in refused.text and "auth.login_form" in refused.url
    welcome = visitor.post("auth.login", password="right-one", **fields)
    assert welcome.url.endswith(where) and 'value="c@example.com"' in welcome.text
    assert store.customers[user.user_id].last_login
    assert "Sign in" in visitor.see("auth.logout")
    assert "auth.login_form" in visitor.ask("profiles.update").url
    store.edit_customer(user.user_id, status="D")
    assert "do not fit" in visitor.post("auth.login", password="right-one", **fields).text


def test_the_newsletter_and_the_wish_list(visitor: Visitor) -> None:
    thanks = visitor.post("newsletters.add_subscriber", subscribe_email="N@example.com")
    assert "Thank you" in thanks.text
    again = visitor.post("newsletters.add_subscriber", subscribe_email="n@example.com")
    assert "subscribed already" in again.text
    assert "not an e-mail" in visitor.post("newsletters.add_subscriber", subscribe_email="n").text
    listed = Api(visitor.shop).call("GET", "_sandbox/subscribers").json()["subscribers"]
    assert list(listed) == ["n@example.com"]
    visitor.post("wishlist.add..3", **{"product_data[3][product_id]": 3})
    page = visitor.see("wishlist.view")
    link = re.search(r'href="([^"]*wishlist\.delete[^"]*)"', page)
    assert "Purse" in page and link is not None
    visitor.session.get(f"{visitor.shop.url}/{unescape(link[1])}", timeout=9)
    assert "Nothing on your wish list" in visitor.see("wishlist.view")


def test_a_shop_in_a_sub_directory_has_its_storefront_there() -> None:
    with small_shop(path="/shop", orders=0) as shop:
        visitor = Visitor(shop)
        page = visitor.add(2)
        assert "/shop/index.php" in page.url and 'href="/shop/static/storefront.css"' in page.text
        assert visitor.session.get(f"{shop.url}/static/tygh.js", timeout=9).status_code == 200
        assert (
            visitor.session.get(shop.url.removesuffix("/shop") + "/", timeout=9).status_code == 404
        )


def test_only_the_storefronts_own_files_are_served(visitor: Visitor) -> None:
    for name in ("nothing.js", "../server.py", "..%2fserver.py", "%2e%2e/store.py", ""):
        got = requests.Request("GET", visitor.shop.url).prepare()
        got.url = f"{visitor.shop.url}/static/{name}"
        assert visitor.session.send(got, timeout=9).status_code == 404, name


def test_words_of_visitors_and_products_cannot_become_markup(visitor: Visitor) -> None:
    bad = "</script><script>alert(1)</script>\"'"
    visitor.shop.store.edit_product(1, product=bad)
    visitor.shop.storefront.settings.change(
        theme_events="objects", ga4_addon=True, container={"containerVersion": {"note": bad}}
    )
    visitor.add(1)
    for dispatch, params in (
        ("products.view", {"product_id": 1}),
        ("products.search", {"q": bad}),
        ("checkout.cart", {}),
        ("checkout.checkout", {}),
    ):
        assert "<script>alert(1)" not in visitor.see(dispatch, **params), dispatch


def test_the_owner_decides_over_the_control_api_what_pages_carry(visitor: Visitor) -> None:
    api = Api(visitor.shop)
    assert "tag-runner.js" not in visitor.see("index.index")
    assert "'analytics_storage': 'denied'" in visitor.see("index.index").replace('"', "'").replace(
        "':'", "': '"
    )
    container = {"exportFormatVersion": 2, "containerVersion": {"tag": []}}
    body = {"container": container, "consent": "none", "ga4_addon": True}
    assert api.call("PUT", "_sandbox/storefront", json=body).json()["consent"] == "none"
    page = visitor.see("index.index")
    assert "tag-runner.js" in page and "page_view" in page and "'consent'" not in page
    wrong = api.call("PUT", "_sandbox/storefront", json={"consent": "perhaps", "title": "X"})
    assert wrong.status_code == 400 and "ask, granted, none" in wrong.json()["error"]
    assert visitor.shop.storefront.settings.title == "Sandbox shop", "all or nothing"
    assert "colour" in api.call("PUT", "_sandbox/storefront", json={"colour": 1}).json()["error"]
    with pytest.raises(ValueError, match="containerVersion"):
        StorefrontSettings(container={})


def test_visitors_are_no_api_requests(visitor: Visitor) -> None:
    visitor.shop.faults.add("server_error")
    assert visitor.ask("index.index").status_code == 200
    assert len(visitor.shop.requests) == 0


def _session(visitor: Visitor) -> Any:
    return visitor.shop.storefront.sessions.find(visitor.session.cookies.get_dict())

"""The storefront's pages: home, category, product, search, wish list, accounts.

Each page function returns a `Page`; cart and checkout are in storefront_checkout.py, the frame
around every page in storefront_frame.py. Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cscart_pipelines.sandbox.shop.model import Order, PostalAddress, Product
from cscart_pipelines.sandbox.storefront.markup import (
    block,
    button,
    category_link,
    country_field,
    esc,
    hidden,
    href,
    money,
    picture,
    product_form,
    product_grid,
    product_link,
)
from cscart_pipelines.sandbox.storefront.markup import field as form_field
from cscart_pipelines.sandbox.storefront.theme import item, moment
from cscart_pipelines.sandbox.storefront.visit import Visit

PER_PAGE = 12


@dataclass
class StorefrontPage:
    """A page's title and content. `moments` are what a GA4 theme pushes when it is shown."""

    title: str
    content: str
    status: int = 200
    blocks: dict[str, str] = field(default_factory=dict)
    """Parts that AJAX answers may replace, by id; they are in `content` already."""
    moments: list[dict[str, Any]] = field(default_factory=list)
    shown: Sequence[Product] = ()
    order: Order | None = None  # the order that this page completes


PageMaker = Callable[[Visit], "StorefrontPage | str"]
"""Makes a page, or says where the visitor is sent instead."""


def home(visit: Visit) -> StorefrontPage:
    on_sale = _on_sale(visit)[:8]
    tiles = "".join(
        f'<a class="ty-category-tile" href="{category_link(each)}">{esc(each.category)}</a>'
        for each in visit.store.categories.values()
        if each.status == "A"
    )
    content = (
        '<h1 class="ty-mainbox-title">Welcome</h1>'
        f'<div class="ty-category-tiles">{tiles}</div><h2>New in the shop</h2>'
        + product_grid(on_sale, "index.php")
    )
    return StorefrontPage(visit.settings.title, content, shown=on_sale)


def category(visit: Visit) -> StorefrontPage:
    key = visit.number("category_id")
    found = visit.store.categories.get(key)
    if found is None or found.status != "A":
        return missing(visit)
    products = [each for each in _on_sale(visit) if each.main_category == key]
    return _list_page(visit, found.category, products, f"categories.view&category_id={key}")


def search(visit: Visit) -> StorefrontPage:
    words = visit.text("q").lower().split()
    products = [
        each
        for each in _on_sale(visit)
        if all(word in f"{each.product} {each.product_code}".lower() for word in words)
    ]
    return _list_page(visit, "Search results", products, "products.search", q=visit.text("q"))


def product(visit: Visit) -> StorefrontPage:
    found = visit.product(visit.number("product_id"))
    if found is None:
        return missing(visit)
    key = found.product_id
    form = product_form(found, f"index.php?dispatch=products.view&product_id={key}", in_list=False)
    group = visit.store.categories.get(found.main_category)
    crumb = ""
    if group is not None:
        link = category_link(group)
        crumb = f'<a class="ty-breadcrumbs__a" href="{link}">{esc(group.category)}</a> / '
    content = (
        f'<div class="ty-breadcrumbs"><a href="{href("index.index")}">Home</a> / {crumb}'
        f"<span>{esc(found.product)}</span></div>"
        f'<div class="ty-product-block ty-product-detail"><div class="ty-product-block__img">'
        f'{picture(found, "ty-pict--big")}</div><div class="ty-product-block__left">'
        f'<h1 class="ty-product-block-title"><bdi>{esc(found.product)}</bdi></h1>'
        f'<div class="ty-control-group ty-sku-item" id="sku_update_{key}">'
        f'<label id="sku_{key}">CODE:</label> '
        f'<span class="ty-control-group__item" id="product_code_{key}">{esc(found.product_code)}'
        "</span></div>"
        f'<div class="ty-product-block__price-actual"><span class="ty-price-num"'
        f' id="sec_discounted_price_{key}">{money(found.price)}</span></div>'
        f"{form}</div></div>"
    )
    return StorefrontPage(
        found.product, content, moments=[moment("view_item", [item(found)])], shown=[found]
    )


def wishlist(visit: Visit) -> StorefrontPage:
    rows = ""
    products = []
    for key, product_id in visit.session.wishlist.items():
        if (each := visit.product(product_id)) is not None:
            products.append(each)
            rows += (
                f'<div class="ty-wish-row">{product_link(each)}'
                f' <span class="ty-price-num">{money(each.price)}</span> <a class="ty-remove"'
                f' href="{href("wishlist.delete", cart_id=key)}">Remove</a></div>'
            )
    empty = '<p class="ty-no-items">Nothing on your wish list yet.</p>'
    content = f'<h1 class="ty-mainbox-title">Wish list</h1>{rows or empty}'
    return StorefrontPage("Wish list", content, shown=products)


def login_form(visit: Visit) -> StorefrontPage:
    content = (
        '<h1 class="ty-mainbox-title">Sign in</h1><div class="ty-login">'
        '<form name="main_login_form" action="index.php" method="post">'
        + hidden(return_url=visit.text("return_url"), redirect_url=visit.text("return_url"))
        + form_field("E-mail", "user_login", kind="email", required=True)
        + form_field("Password", "password", kind="password", required=True)
        + button("Sign in", "auth.login", classes="ty-btn__login ty-btn__primary")
        + f'</form><p>New here? <a href="{href("profiles.add")}">Register</a></p></div>'
    )
    return StorefrontPage("Sign in", content)


def register(visit: Visit) -> StorefrontPage | str:
    if visit.customer is not None:
        return "profiles.update"
    form = _profile_form("profiles_register_form", "", "", "", "", PostalAddress(), required=True)
    return StorefrontPage("Register", f'<h1 class="ty-mainbox-title">Register</h1>{form}')


def profile(visit: Visit) -> StorefrontPage | str:
    if (who := visit.customer) is None:
        return "auth.login_form&return_url=index.php%3Fdispatch%3Dprofiles.update"
    form = _profile_form(
        "profile_form", who.email, who.firstname, who.lastname, who.phone, who.address
    )
    content = f'<h1 class="ty-mainbox-title">Profile details</h1>{form}'
    if who.email.lower() in visit.store.subscribers:
        leave = button("Unsubscribe", "newsletters.unsubscribe", key="unsubscribe_but", classes="")
        content += (
            '<form name="unsubscribe_form" action="index.php" method="post">'
            f"<p>You get our newsletter. {hidden(subscribe_email=who.email)}{leave}</p></form>"
        )
    return StorefrontPage("Profile details", content)


def registered(visit: Visit) -> StorefrontPage:
    content = (
        '<h1 class="ty-mainbox-title">Welcome</h1><div class="ty-success-registration">'
        f'<p>Your account has been created.</p><a class="ty-btn ty-btn__primary"'
        f' href="{href("profiles.update")}">Profile details</a></div>'
    )
    return StorefrontPage("Successfully registered", content)


def missing(visit: Visit) -> StorefrontPage:
    content = '<h1 class="ty-mainbox-title">404</h1><p>This page does not exist.</p>'
    return StorefrontPage("Page not found", content, status=404)


def _on_sale(visit: Visit) -> list[Product]:
    return [each for each in visit.store.products.values() if each.status == "A"]


def _list_page(
    visit: Visit, title: str, products: Sequence[Product], dispatch: str, **params: str
) -> StorefrontPage:
    number = max(1, visit.number("page"))
    shown = products[(number - 1) * PER_PAGE : number * PER_PAGE]
    back = href(dispatch, **params, page=number).replace("&amp;", "&")
    grid = product_grid(shown, back) if shown else '<p class="ty-no-items">No products found.</p>'
    pages = range(1, -(-len(products) // PER_PAGE) + 1)
    links = "".join(
        f'<a class="ty-pagination__item{" ty-pagination__selected" if each == number else ""}"'
        f' href="{href(dispatch, **params, page=each)}">{each}</a>'
        for each in pages
    )
    inner = grid + (f'<div class="ty-pagination">{links}</div>' if len(pages) > 1 else "")
    content = f'<h1 class="ty-mainbox-title">{esc(title)}</h1>{block("pagination_contents", inner)}'
    found = [item(each) for each in shown]
    moments = [moment("view_item_list", found, item_list_name=title)] if found else []
    return StorefrontPage(title, content, moments=moments, shown=shown)


def _profile_form(
    name: str,
    email: str,
    firstname: str,
    lastname: str,
    phone: str,
    address: PostalAddress,
    *,
    required: bool = False,
) -> str:
    fields = [
        form_field("E-mail", "user_data[email]", email, kind="email", required=True),
        form_field("Password", "user_data[password1]", kind="password", required=required),
        form_field("Password again", "user_data[password2]", kind="password", required=required),
        form_field("First name", "user_data[firstname]", firstname),
        form_field("Last name", "user_data[lastname]", lastname),
        form_field("Phone", "user_data[phone]", phone),
        form_field("PostalAddress", "user_data[s_address]", address.address),
        form_field("City", "user_data[s_city]", address.city),
        form_field("Zip", "user_data[s_zipcode]", address.zipcode),
        country_field("user_data[s_country]", address.country or "GR"),
    ]
    text = "Register" if required else "Save"
    return (
        f'<form class="ty-profile" name="{name}" action="index.php" method="post">{"".join(fields)}'
        f"{button(text, 'profiles.update', key='save_profile_but')}</form>"
    )


PAGES: dict[tuple[str, str], PageMaker] = {
    ("index", "index"): home,
    ("categories", "view"): category,
    ("products", "view"): product,
    ("products", "search"): search,
    ("wishlist", "view"): wishlist,
    ("auth", "login_form"): login_form,
    ("profiles", "add"): register,
    ("profiles", "update"): profile,
    ("profiles", "success_add"): registered,
}

"""The storefront's pages and what each shows; their HTML is in `templates/`.

The frame around every page is in `frame`. Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson
from markupsafe import Markup

from cscart_pipelines.sandbox.shop.model import Category, Product
from cscart_pipelines.sandbox.storefront.templating import render
from cscart_pipelines.sandbox.storefront.theme import item, moment, order_items
from cscart_pipelines.sandbox.storefront.visit import Visit

PER_PAGE = 12


@dataclass
class StorefrontPage:
    """A page's title and content. `moments` are what a GA4 theme pushes when it is shown."""

    title: str
    content: Markup
    status: int = 200
    blocks: dict[str, str] = field(default_factory=dict)
    """Parts that AJAX answers may replace, by id; they are in `content` already."""
    moments: list[dict[str, Any]] = field(default_factory=list)
    shown: Sequence[Product] = ()
    sale: dict[str, Any] | None = None
    """The purchase that this page completes, for the Google add-on."""


@dataclass
class CartLine:
    """A line of the cart, for templates."""

    key: str
    product: Product
    amount: int
    theme_item: str
    """The GA4 item in the markup of shops whose theme pushes events."""

    @property
    def value(self) -> Decimal:
        """Price times quantity."""
        return self.product.price * self.amount


PageMaker = Callable[[Visit], "StorefrontPage | str"]
"""Makes a page, or says where the visitor is sent instead."""


def cart_lines(visit: Visit) -> list[CartLine]:
    """The lines of the cart."""
    themed = visit.settings.theme_events != "off"
    return [
        CartLine(
            key, product, amount, orjson.dumps(item(product, amount)).decode() if themed else ""
        )
        for key, product, amount in visit.lines()
    ]


def active_categories(visit: Visit) -> list[Category]:
    """Categories that the menu shows."""
    return [each for each in visit.store.categories.values() if each.status == "A"]


def home(visit: Visit) -> StorefrontPage:
    """The home page."""
    products = _on_sale(visit)[:8]
    content = render("home.html", categories=active_categories(visit), products=products)
    return StorefrontPage(visit.settings.title, content, shown=products)


def category(visit: Visit) -> StorefrontPage:
    """A category with its products."""
    key = visit.number("category_id")
    found = visit.store.categories.get(key)
    if found is None or found.status != "A":
        return missing(visit)
    products = [each for each in _on_sale(visit) if each.main_category == key]
    return _list_page(visit, found.category, products, f"categories.view&category_id={key}")


def search(visit: Visit) -> StorefrontPage:
    """Search results."""
    words = visit.text("q").lower().split()
    products = [
        each
        for each in _on_sale(visit)
        if all(word in f"{each.product} {each.product_code}".lower() for word in words)
    ]
    return _list_page(visit, "Search results", products, "products.search", q=visit.text("q"))


def product(visit: Visit) -> StorefrontPage:
    """A product."""
    found = visit.product(visit.number("product_id"))
    if found is None:
        return missing(visit)
    group = visit.store.categories.get(found.main_category)
    content = render("product.html", product=found, category=group)
    return StorefrontPage(
        found.product, content, moments=[moment("view_item", [item(found)])], shown=[found]
    )


def wishlist(visit: Visit) -> StorefrontPage:
    """The wish list."""
    found = [(key, visit.product(number)) for key, number in visit.session.wishlist.items()]
    rows = [(key, each) for key, each in found if each is not None]
    content = render("wishlist.html", rows=rows)
    return StorefrontPage("Wish list", content, shown=[each for _, each in rows])


def login_form(visit: Visit) -> StorefrontPage:
    """The login form."""
    return StorefrontPage("Sign in", render("login.html", return_url=visit.text("return_url")))


def register(visit: Visit) -> StorefrontPage | str:
    """The registration form, or the profile of a visitor with an account."""
    if visit.customer is not None:
        return "profiles.update"
    return StorefrontPage("Register", render("register.html"))


def profile(visit: Visit) -> StorefrontPage | str:
    """The profile form, or the login of a visitor without an account."""
    if (customer := visit.customer) is None:
        return "auth.login_form&return_url=index.php%3Fdispatch%3Dprofiles.update"
    subscribed = customer.email.lower() in visit.store.subscribers
    content = render("profile.html", customer=customer, subscribed=subscribed)
    return StorefrontPage("Profile details", content)


def registered(visit: Visit) -> StorefrontPage:
    """The page after registration."""
    return StorefrontPage("Successfully registered", render("registered.html"))


def missing(visit: Visit) -> StorefrontPage:
    """The page for an address that does not exist."""
    return StorefrontPage("Page not found", render("missing.html"), status=404)


def cart(visit: Visit) -> StorefrontPage:
    """The cart."""
    lines = cart_lines(visit)
    return StorefrontPage(
        "Cart contents",
        render("cart.html", lines=lines),
        blocks={"checkout_cart_items": render("cart_items.html", lines=lines)},
        shown=[line.product for line in lines],
    )


def checkout(visit: Visit) -> StorefrontPage | str:
    """The checkout form, or where an empty cart leads."""
    lines = cart_lines(visit)
    if not lines:
        return "checkout.cart"
    content = render("checkout.html", customer=visit.customer, lines=lines)
    items = [item(line.product, line.amount) for line in lines]
    return StorefrontPage("Checkout", content, moments=[moment("begin_checkout", items)])


def complete(visit: Visit) -> StorefrontPage:
    """Shown to the session or account that placed the order."""
    order = visit.store.orders.get(visit.number("order_id"))
    own = visit.customer.user_id if visit.customer else -1
    if order is None or (order.order_id not in visit.session.orders and order.user_id != own):
        return missing(visit)
    sale = moment("purchase", order_items(order), transaction_id=str(order.order_id))
    sale["ecommerce"]["value"] = float(order.total)
    content = render("complete.html", order=order)
    return StorefrontPage("Thank you", content, moments=[sale], sale=sale)


def _on_sale(visit: Visit) -> list[Product]:
    return [each for each in visit.store.products.values() if each.status == "A"]


def _list_page(
    visit: Visit, title: str, products: Sequence[Product], dispatch: str, **params: str
) -> StorefrontPage:
    number = max(1, visit.number("page"))
    shown = products[(number - 1) * PER_PAGE : number * PER_PAGE]
    content = render(
        "list.html",
        title=title,
        products=shown,
        number=number,
        pages=-(-len(products) // PER_PAGE),
        dispatch=dispatch,
        params=params,
    )
    items = [item(each) for each in shown]
    moments = [moment("view_item_list", items, item_list_name=title)] if items else []
    return StorefrontPage(title, content, moments=moments, shown=shown)


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
    ("checkout", "cart"): cart,
    ("checkout", "checkout"): checkout,
    ("checkout", "complete"): complete,
}

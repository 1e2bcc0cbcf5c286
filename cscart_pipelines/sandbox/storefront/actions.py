"""What a visitor can do at the storefront: fill the cart, order, sign in, register, subscribe.

Each action changes the session or the shop, leaves notices, and says where the visitor goes next.
No HTML here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cscart_pipelines.sandbox.http.php import intval
from cscart_pipelines.sandbox.shop.model import COUNTRIES, Customer, PostalAddress
from cscart_pipelines.sandbox.storefront.visit import Visit, cart_id

Action = Callable[[Visit], str | None]
"""Returns the next address below the shop, None for the page that the visitor came from."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_SHORTEST_PASSWORD = 6


def add_to_cart(visit: Visit) -> str | None:
    """Puts products into the cart."""
    for product_id, amount in _wanted(visit):
        product = visit.product(product_id)
        if product is None:
            visit.notify("E", "Error", "This product is not on sale.")
            continue
        key = cart_id(product)
        total = visit.session.cart.get(key, (0, 0))[1] + amount
        if product.tracking != "D" and total > product.amount:
            visit.notify("W", "Notice", f"Only {max(0, product.amount)} of it are in stock.")
            continue
        visit.session.cart[key] = (product_id, total)
        visit.notify("N", "In your cart", f"{product.product} was added to your cart.")
    return None


def add_to_wishlist(visit: Visit) -> str | None:
    """Puts products on the wish list."""
    for product_id, _ in _wanted(visit):
        product = visit.product(product_id)
        if product is not None:
            visit.session.wishlist[cart_id(product)] = product_id
            visit.notify("N", "Wish list", f"{product.product} was added to your wish list.")
    return None


def delete_from_wishlist(visit: Visit) -> str | None:
    """Takes a product off the wish list."""
    visit.session.wishlist.pop(visit.text("cart_id"), None)
    return "wishlist.view"


def delete_from_cart(visit: Visit) -> str | None:
    """Takes a line out of the cart."""
    visit.session.cart.pop(visit.text("cart_id"), None)
    return "checkout.cart"


def clear_cart(visit: Visit) -> str | None:
    """Empties the cart."""
    visit.session.cart.clear()
    return "checkout.cart"


def update_cart(visit: Visit) -> str | None:
    """Changes quantities of the cart."""
    for key, fields in visit.group("cart_products").items():
        if key not in visit.session.cart or not isinstance(fields, dict):
            continue
        product_id, _ = visit.session.cart[key]
        product = visit.product(product_id)
        amount = intval(fields.get("amount"))
        if amount <= 0 or product is None:
            del visit.session.cart[key]
            continue
        if product.tracking != "D" and amount > product.amount:
            visit.notify("W", "Notice", f"Only {max(0, product.amount)} of it are in stock.")
            amount = int(product.amount)
        visit.session.cart[key] = (product_id, amount)
    return "checkout.cart"


def place_order(visit: Visit) -> str | None:
    """The cart becomes an order of the store: of the signed-in customer, else of a guest."""
    lines = visit.lines()
    if not lines:
        visit.notify("E", "Error", "Your cart is empty.")
        return "checkout.cart"
    user, customer = visit.group("user_data"), visit.customer
    email = _field(user, "email") or (customer.email if customer else "")
    if not _EMAIL.fullmatch(email):
        visit.notify("E", "Error", "An order needs an e-mail address.")
        return "checkout.checkout"
    where = _address(user)
    if where.country not in COUNTRIES:
        visit.notify("E", "Error", "We do not deliver to this country.")
        return "checkout.checkout"
    order = visit.store.place_order(
        user_id=customer.user_id if customer else 0,
        lines=[(product.product_id, amount) for _, product, amount in lines],
        country=where.country,
        email=email,
        firstname=where.firstname,
        lastname=where.lastname,
        phone=where.phone,
        ship_to=where,
        notes=_field(visit.params, "customer_notes"),
    )
    visit.session.cart.clear()
    visit.session.orders.add(order.order_id)
    return f"checkout.complete&order_id={order.order_id}"


def sign_in(visit: Visit) -> str | None:
    """Signs a visitor in."""
    customer = visit.store.customer_with(
        visit.text("user_login"), str(visit.params.get("password"))
    )
    if customer is None:
        visit.notify("E", "Error", "This e-mail address and password do not fit together.")
        return "auth.login_form"
    visit.session.user_id = customer.user_id
    visit.store.edit_customer(customer.user_id, last_login=visit.store.now())
    visit.notify("N", "Welcome", "You are signed in.")
    return None if visit.text("return_url") else "index.index"


def update_profile(visit: Visit) -> str | None:
    """Registers a visitor, or changes the account of the visitor who is signed in."""
    user, customer = visit.group("user_data"), visit.customer
    page = "profiles.update" if customer else "profiles.add"
    email, password = _field(user, "email"), str(user.get("password1", ""))
    if reason := _objection(visit, customer, email, password, str(user.get("password2", ""))):
        visit.notify("E", "Error", reason)
        return page
    known = {name: _field(user, name) for name in ("firstname", "lastname", "phone")}
    changes: dict[str, Any] = {name: value for name, value in known.items() if name in user}
    if any(name.startswith("s_") for name in user):
        changes["address"] = _address(user)
    if customer is None:
        made = visit.store.add_customer(email, **changes)
        visit.session.user_id = made.user_id
        visit.notify("N", "Welcome", "Your account is there, and you are signed in.")
        page = "profiles.success_add"
    else:
        made = visit.store.edit_customer(customer.user_id, email=email, **changes)
        visit.notify("N", "Saved", "Your profile is up to date.")
    if password:
        visit.store.set_password(made.user_id, password)
    return page


def subscribe(visit: Visit) -> str | None:
    """Subscribes an address to the newsletter."""
    email = visit.text("subscribe_email")
    if not _EMAIL.fullmatch(email):
        visit.notify("E", "Error", "This is not an e-mail address.")
        return None
    fresh = visit.store.subscribe(email)
    message = "Thank you, you will hear from us." if fresh else "You are subscribed already."
    visit.notify("N" if fresh else "W", "Newsletter", message)
    return None


def unsubscribe(visit: Visit) -> str | None:
    """CS-Cart itself does this for links in its mails, which no page of the shop sees."""
    gone = visit.store.unsubscribe(visit.text("subscribe_email"))
    message = "You will not hear from us again." if gone else "This address is not subscribed."
    visit.notify("N" if gone else "W", "Newsletter", message)
    return "profiles.update"


POSTED: dict[tuple[str, str], Action] = {
    ("checkout", "add"): add_to_cart,
    ("checkout", "update"): update_cart,
    ("checkout", "place_order"): place_order,
    ("wishlist", "add"): add_to_wishlist,
    ("auth", "login"): sign_in,
    ("profiles", "update"): update_profile,
    ("newsletters", "add_subscriber"): subscribe,
    ("newsletters", "unsubscribe"): unsubscribe,
}
FOLLOWED: dict[tuple[str, str], Action] = {
    ("checkout", "delete"): delete_from_cart,
    ("checkout", "clear"): clear_cart,
    ("wishlist", "delete"): delete_from_wishlist,
}
"""Changes that CS-Cart makes for a plain link."""


def _wanted(visit: Visit) -> list[tuple[int, int]]:
    """(product id, pieces) of the form; the number in the button's name picks one of them."""
    extra = visit.dispatch[3]
    found = []
    for key, fields in visit.group("product_data").items():
        if isinstance(fields, dict) and extra in ("", key):
            product_id = intval(fields.get("product_id", key))
            found.append((product_id, max(1, intval(fields.get("amount", "1")))))
    return found


def _objection(
    visit: Visit, customer: Customer | None, email: str, password: str, again: str
) -> str:
    """Why the profile cannot be saved; "" if it can."""
    own = customer.user_id if customer else 0
    taken = visit.store.customer_by_email(email)
    if not _EMAIL.fullmatch(email):
        return "This is not an e-mail address."
    if taken is not None and taken.user_id != own:
        return "There is an account with this e-mail address already."
    if password != again:
        return "The two passwords differ."
    if (customer is None or password) and len(password) < _SHORTEST_PASSWORD:
        return f"A password has at least {_SHORTEST_PASSWORD} characters."
    return ""


def _field(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _address(user: dict[str, Any]) -> PostalAddress:
    """The shipping address of a form: fields `s_…`, names and phone without the prefix too."""
    names = ("firstname", "lastname", "address", "city", "state", "country", "zipcode", "phone")
    return PostalAddress(
        **{name: _field(user, f"s_{name}") or _field(user, name) for name in names}
    )

"""The pages between wanting and having: cart, checkout, the completion page with the order number.

As storefront_pages.py: pages only, nothing is changed.
"""

from __future__ import annotations

from decimal import Decimal

import orjson

from cscart_pipelines.sandbox.shop.model import ZERO, PostalAddress, Product
from cscart_pipelines.sandbox.storefront.markup import (
    block,
    button,
    country_field,
    esc,
    hidden,
    href,
    money,
    picture,
    product_link,
)
from cscart_pipelines.sandbox.storefront.markup import field as form_field
from cscart_pipelines.sandbox.storefront.pages import PageMaker, StorefrontPage, missing
from cscart_pipelines.sandbox.storefront.theme import item, moment, order_items
from cscart_pipelines.sandbox.storefront.visit import Visit


def cart(visit: Visit) -> StorefrontPage:
    inner = _cart_form(visit) if visit.lines() else '<p class="ty-no-items">Your cart is empty.</p>'
    made = block("checkout_cart_items", inner)
    content = f'<h1 class="ty-mainbox-title">Cart contents</h1>{made}'
    products = [product for _, product, _ in visit.lines()]
    return StorefrontPage(
        "Cart contents", content, blocks={"checkout_cart_items": inner}, shown=products
    )


def checkout(visit: Visit) -> StorefrontPage | str:
    lines = visit.lines()
    if not lines:
        return "checkout.cart"
    who = visit.customer
    where = who.address if who else PostalAddress()
    fields = [
        form_field("E-mail", "user_data[email]", who.email if who else "", kind="email"),
        form_field("First name", "user_data[s_firstname]", who.firstname if who else ""),
        form_field("Last name", "user_data[s_lastname]", who.lastname if who else ""),
        form_field("Phone", "user_data[s_phone]", who.phone if who else ""),
        form_field("PostalAddress", "user_data[s_address]", where.address),
        form_field("City", "user_data[s_city]", where.city),
        form_field("Zip", "user_data[s_zipcode]", where.zipcode),
        country_field("user_data[s_country]", where.country or "GR"),
        form_field("Comments", "customer_notes"),
    ]
    rows = "".join(
        f"<li>{esc(product.product)} × {amount}: {money(product.price * amount)}</li>"
        for _, product, amount in lines
    )
    sign_in = href("auth.login_form", return_url="index.php?dispatch=checkout.checkout")
    signed = "" if who else f'<p>Have an account? <a href="{sign_in}">Sign in</a></p>'
    place = button(
        "Place order",
        "checkout.place_order",
        key="litecheckout_place_order",
        classes="ty-btn__primary litecheckout__submit-btn cm-checkout-place-order",
    )
    content = (
        '<h1 class="ty-mainbox-title">Checkout</h1><div class="litecheckout litecheckout__form">'
        '<form name="litecheckout_payments_form" id="litecheckout_payments_form" action="index.php"'
        f' method="post">{signed}{"".join(fields)}{hidden(payment_id=2, update_steps=1)}'
        f'<div class="ty-summary"><ul>{rows}</ul><p>Total <b>{money(_total(visit))}</b></p></div>'
        f"{place}</form></div>"
    )
    items = [item(product, amount) for _, product, amount in lines]
    return StorefrontPage("Checkout", content, moments=[moment("begin_checkout", items)])


def complete(visit: Visit) -> StorefrontPage:
    """Shown to whoever placed the order: its session or its account."""
    order = visit.store.orders.get(visit.number("order_id"))
    own = visit.customer.user_id if visit.customer else -1
    if order is None or (order.order_id not in visit.session.orders and order.user_id != own):
        return missing(visit)
    content = (
        '<div class="ty-checkout-complete__order-success"><h1 class="ty-mainbox-title">Order</h1>'
        f"<p>Thank you. Your order number is <b>#{order.order_id}</b>, the total is"
        f" {money(order.total)}.</p></div>"
        f'<a class="ty-btn ty-btn__primary" href="{href("index.index")}">Continue shopping</a>'
    )
    sale = moment("purchase", order_items(order), transaction_id=str(order.order_id))
    sale["ecommerce"]["value"] = float(order.total)
    return StorefrontPage("Thank you", content, moments=[sale], order=order)


def mini_cart(visit: Visit) -> str:
    """The cart in the page's head: what `cart_status_1` holds."""
    rows = "".join(
        f'<li class="ty-cart-items__list-item">{product_link(product)} × {amount} '
        f"{_remove(visit, key, product, amount, 'from_status')}</li>"
        for key, product, amount in visit.lines()
    )
    pieces = sum(amount for _, _, amount in visit.lines())
    filled = (
        f'<ul class="ty-cart-items__list">{rows}</ul><div class="cm-cart-buttons">'
        f'<a class="ty-btn" href="{href("checkout.cart")}" rel="nofollow">View cart</a>'
        f'<a class="ty-btn ty-btn__primary" href="{href("checkout.checkout")}">Checkout</a></div>'
    )
    return (
        f'<details class="ty-dropdown-box"><summary>Cart <b class="ty-minicart-count">{pieces}</b>'
        f' <span>{money(_total(visit))}</span></summary><div class="ty-cart-items">'
        f"{filled if rows else '<p>Your cart is empty.</p>'}</div></details>"
    )


def _cart_form(visit: Visit) -> str:
    rows = ""
    for key, product, amount in visit.lines():
        inputs = hidden(**{f"cart_products[{key}][product_id]": product.product_id})
        rows += (
            f'<tr><td class="ty-cart-content__image">{picture(product)}</td>'
            f"<td>{product_link(product, classes='ty-cart-content__product-title')}"
            f'<div class="ty-cart-content__sku">CODE: '
            f"<span>{esc(product.product_code)}</span></div>"
            f"{_remove(visit, key, product, amount, 'cart')}</td>"
            f'<td class="ty-price-num">{money(product.price)}</td><td>{inputs}'
            f'<input class="ty-input-text cm-amount" type="number" min="0" id="amount_{key}"'
            f' name="cart_products[{key}][amount]" value="{amount}"></td>'
            f'<td class="ty-price-num">{money(product.price * amount)}</td></tr>'
        )
    empty = href("checkout.clear")
    return (
        '<form name="checkout_form" id="checkout_form" action="index.php" method="post"'
        ' class="cm-check-changes cm-ajax cm-ajax-full-render">'
        + hidden(redirect_mode="cart", result_ids="checkout*,cart_status*")
        + '<table class="ty-cart-content ty-table"><thead><tr><th></th><th>Product</th>'
        f"<th>Unit price</th><th>Quantity</th><th>Total price</th></tr></thead>{rows}</table>"
        f'<p class="ty-cart-total">Total <b>{money(_total(visit))}</b></p>'
        '<div class="buttons-container">'
        f'<a class="ty-btn ty-btn__text" href="{empty}">Clear cart</a>'
        + button("Recalculate", "checkout.update", key="button_cart", classes="")
        + f'<a class="ty-btn ty-btn__primary" href="{href("checkout.checkout")}">'
        "Proceed to checkout</a></div></form>"
    )


def _remove(visit: Visit, key: str, product: Product, amount: int, mode: str) -> str:
    """The link that takes a row out of the cart, without a reload; `mode`: where it stands."""
    extra = ".from_status" if mode == "from_status" else ""
    where = href(f"checkout.delete{extra}", cart_id=key, redirect_mode="cart")
    theme = ""
    if visit.settings.theme_events != "off":
        theme = f' data-theme-item="{esc(orjson.dumps(item(product, amount)).decode())}"'
    return (
        '<a class="ty-cart-content__product-delete ty-delete-big cm-ajax cm-ajax-full-render"'
        f' href="{where}" data-ca-target-id="checkout*,cart_status*"'
        ' data-ca-dispatch="delete_cart_item" title="Remove" rel="nofollow"'
        f' id="delete_{mode}_{key}"{theme}>✕</a>'
    )


def _total(visit: Visit) -> Decimal:
    return sum((product.price * amount for _, product, amount in visit.lines()), ZERO)


CHECKOUT_PAGES: dict[tuple[str, str], PageMaker] = {
    ("checkout", "cart"): cart,
    ("checkout", "checkout"): checkout,
    ("checkout", "complete"): complete,
}

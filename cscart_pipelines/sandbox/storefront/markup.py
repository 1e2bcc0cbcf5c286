"""Pieces of HTML that several storefront pages share, with the names that CS-Cart's theme uses.

Everything that comes from data is escaped here. No session is changed and no page put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from typing import Any
from urllib.parse import urlencode

import orjson

from cscart_pipelines.sandbox.shop.model import COUNTRIES, Category, Product

CURRENCY = "EUR"


def esc(value: object) -> str:
    return escape(str(value), quote=True)


def href(dispatch: str, **params: object) -> str:
    """A link below the shop, ready for an attribute. `dispatch` may carry parameters already."""
    rest = urlencode({key: str(value) for key, value in params.items()})
    return esc(f"index.php?dispatch={dispatch}{'&' if rest else ''}{rest}")


def category_link(category: Category) -> str:
    return href("categories.view", category_id=category.category_id)


def money(value: Decimal) -> str:
    return f"€{value:,.2f}"


def json_for_script(value: Any) -> str:
    """JSON that may stand inside a script element whatever the data says."""
    text = orjson.dumps(value, default=str).decode()
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def block(block_id: str, inner: str, classes: str = "") -> str:
    """A part of the page that AJAX answers replace by its id."""
    named = f' class="{classes}"' if classes else ""
    return f'<div{named} id="{block_id}">{inner}<!--{block_id}--></div>'


def hidden(**values: object) -> str:
    return "".join(
        f'<input type="hidden" name="{esc(name)}" value="{esc(value)}">'
        for name, value in values.items()
    )


def field(
    label: str,
    name: str,
    value: str = "",
    *,
    kind: str = "text",
    required: bool = False,
    autocomplete: str = "on",
) -> str:
    key = "elm_" + "".join(c if c.isalnum() else "_" for c in name).strip("_")
    must = " required" if required else ""
    return (
        f'<div class="ty-control-group"><label class="ty-control-group__title'
        f'{" cm-required" if required else ""}" for="{key}">{esc(label)}</label>'
        f'<input class="ty-input-text" id="{key}" type="{kind}" name="{esc(name)}"'
        f' value="{esc(value)}" autocomplete="{autocomplete}"{must}></div>'
    )


def country_field(name: str, chosen: str) -> str:
    options = "".join(
        f'<option value="{code}"{" selected" if code == chosen else ""}>{esc(text)}</option>'
        for code, text in COUNTRIES.items()
    )
    key = "elm_" + name.replace("[", "_").replace("]", "")
    return (
        f'<div class="ty-control-group"><label class="ty-control-group__title" for="{key}">Country'
        f'</label><select class="ty-input-text" id="{key}" name="{name}">{options}</select></div>'
    )


def button(text: str, dispatch: str, *, key: str = "", classes: str = "ty-btn__primary") -> str:
    named = f' id="{key}"' if key else ""
    return (
        f'<button{named} class="ty-btn {classes}" type="submit" name="dispatch[{dispatch}]">'
        f"{esc(text)}</button>"
    )


def picture(product: Product, classes: str = "") -> str:
    """A drawn stand-in for the product's picture: its initials on a colour of its own."""
    words = [word for word in product.product.split() if word[0].isalnum()]
    initials = "".join(word[0] for word in words[:2]).upper()
    hue = (product.product_id * 47) % 360
    return (
        f'<svg class="ty-pict {classes}" viewBox="0 0 100 70" role="img"'
        f' aria-label="{esc(product.product)}">'
        f'<rect width="100" height="70" fill="hsl({hue} 38% 88%)"/>'
        f'<circle cx="50" cy="35" r="21" fill="hsl({hue} 36% 74%)"/>'
        f'<text x="50" y="41" text-anchor="middle" font-size="17" fill="hsl({hue} 45% 25%)">'
        f"{esc(initials)}</text></svg>"
    )


def product_link(product: Product, inner: str | None = None, classes: str = "product-title") -> str:
    where = href("products.view", product_id=product.product_id)
    return f'<a class="{classes}" href="{where}">{inner or esc(product.product)}</a>'


def product_form(product: Product, back: str, *, in_list: bool) -> str:
    """The form that puts a product into the cart or on the wish list.

    On the product's own page the wish list has a button, in lists a link that submits the form:
    themes have either.
    """
    key = product.product_id
    if product.amount <= 0 and product.tracking != "D":
        cart = f'<span class="ty-qty-out-of-stock" id="out_of_stock_info_{key}">Out of stock</span>'
    else:
        cart = button(
            "Add to cart",
            f"checkout.add..{key}",
            key=f"button_cart_{key}",
            classes="ty-btn__primary ty-btn__add-to-cart cm-form-dialog-closer",
        )
    wish = f"wishlist.add..{key}"
    if in_list:
        wishlist = (
            f'<a class="ty-btn ty-btn__text ty-add-to-wish cm-submit" id="button_wishlist_{key}"'
            f' href="#" data-ca-dispatch="dispatch[{wish}]">♡ Wish list</a>'
        )
        amount = hidden(**{f"product_data[{key}][amount]": 1})
    else:
        classes = "ty-btn__text ty-add-to-wish"
        wishlist = button("♡ Wish list", wish, key=f"button_wishlist_{key}", classes=classes)
        amount = (
            '<div class="ty-qty ty-value-changer cm-value-changer">'
            f'<label for="qty_count_{key}">Quantity</label>'
            f'<input class="ty-input-text ty-value-changer__input cm-amount" id="qty_count_{key}"'
            f' type="number" min="1" name="product_data[{key}][amount]" value="1"></div>'
        )
    values = {
        "result_ids": "cart_status*,wish_list*,checkout*,account_info*",
        "redirect_url": back,
        f"product_data[{key}][product_id]": key,
    }
    return (
        f'<form action="index.php" method="post" name="product_form_{key}"'
        ' class="cm-disable-empty-files cm-ajax cm-ajax-full-render cm-ajax-status-middle">'
        f'{hidden(**values)}{amount}<div class="ty-product-buttons">{cart}{wishlist}</div></form>'
    )


def product_grid(products: Sequence[Product], back: str) -> str:
    cells = "".join(
        f'<div class="ty-grid-list__item">{product_link(p, picture(p), "ty-grid-list__image")}'
        f'<div class="ty-grid-list__item-name">{product_link(p)}</div>'
        f'<div class="ty-grid-list__price"><span class="ty-price-num">{money(p.price)}</span></div>'
        f'<div class="ty-grid-list__control">{product_form(p, back, in_list=True)}</div></div>'
        for p in products
    )
    return f'<div class="grid-list">{cells}</div>'

"""The frame around every storefront page: head, header, notices, footer, scripts.

Also the parts of the frame that AJAX answers replace. Pages are made elsewhere.
"""

from __future__ import annotations

from cscart_pipelines.sandbox.storefront.checkout import mini_cart
from cscart_pipelines.sandbox.storefront.markup import (
    block,
    button,
    category_link,
    esc,
    hidden,
    href,
    json_for_script,
)
from cscart_pipelines.sandbox.storefront.pages import StorefrontPage
from cscart_pipelines.sandbox.storefront.theme import head, page_moments
from cscart_pipelines.sandbox.storefront.visit import CONSENT_COOKIE, Visit

NOTICE_CLASSES = {"N": "notice", "W": "warning", "E": "error"}
_SCRIPTS = ("tygh.js", "shop.js", "theme-events.js", "consent.js")


def frame_blocks(visit: Visit) -> dict[str, str]:
    """The header's replaceable parts by id."""
    return {"cart_status_1": mini_cart(visit), "account_info_1": _account(visit)}


def whole_page(visit: Visit, page: StorefrontPage) -> str:
    blocks = frame_blocks(visit)
    static = f"{visit.base}/static"
    scripts = "".join(f'<script src="{static}/{name}"></script>' for name in _SCRIPTS)
    return f"""<!DOCTYPE html>
<html lang="en" dir="ltr">
<head>
<title>{esc(page.title)}</title>
<base href="{esc(visit.base)}/">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{static}/storefront.css">
{head(visit, page.title, page.order)}
</head>
<body>
{_banner(visit)}
<div class="ty-tygh" id="tygh_container">
<div class="ty-helper-container" id="tygh_main_container">
<header class="tygh-header">
<a class="ty-logo" href="{href("index.index")}">{esc(visit.settings.title)}</a>
{_search(visit)}
<nav>{block("account_info_1", blocks["account_info_1"], "ty-account-info")}
<a href="{href("wishlist.view")}">Wish list</a>
{block("cart_status_1", blocks["cart_status_1"], "ty-cart-status")}</nav>
</header>
<nav class="ty-menu">{_menu(visit)}</nav>
<div class="cm-notification-container notification-container">{_notices(visit)}</div>
<main class="tygh-content">{page.content}</main>
<footer class="tygh-footer">{_newsletter()}
<p><a href="#" id="consent_settings">Cookie settings</a></p></footer>
</div></div>
{page_moments(visit, page.moments, page.shown)}
<script>window.Tygh = {json_for_script(_tygh(visit))};</script>
{scripts}
</body>
</html>
"""


def take_notices(visit: Visit) -> dict[str, dict[str, str]]:
    """The waiting notices as an AJAX answer carries them; they are shown once."""
    found = {
        f"{number:032x}": {"type": kind, "title": title, "message": text, "message_state": "I"}
        for number, (kind, title, text) in enumerate(visit.session.notices, 1)
    }
    visit.session.notices.clear()
    return found


def _tygh(visit: Visit) -> dict[str, str]:
    dispatch = ".".join(visit.dispatch[:2])
    return {"current_location": visit.base, "area": "C", "current_dispatch": dispatch}


def _notices(visit: Visit) -> str:
    return "".join(
        f'<div class="cm-notification-content alert alert-{NOTICE_CLASSES[each["type"]]}">'
        f"<strong>{esc(each['title'])}</strong> {esc(each['message'])}</div>"
        for each in take_notices(visit).values()
    )


def _account(visit: Visit) -> str:
    if visit.customer is None:
        return (
            f'<a class="ty-account-info__sign-in" href="{href("auth.login_form")}">Sign in</a>'
            f'<a href="{href("profiles.add")}">Register</a>'
        )
    return (
        f'<a class="ty-account-info__name" href="{href("profiles.update")}">Profile details</a>'
        f'<a class="ty-account-info__sign-out" href="{href("auth.logout")}">Sign out</a>'
    )


def _search(visit: Visit) -> str:
    words = esc(visit.text("q"))
    return (
        '<form class="ty-search-block" name="search_form" action="index.php" method="get">'
        + hidden(match="all", subcats="Y", search_performed="Y")
        + f'<input class="ty-search-block__input" id="search_input" name="q" value="{words}"'
        ' placeholder="Search products" aria-label="Search products">'
        '<button class="ty-search-magnifier" title="Search" type="submit">Search</button>'
        '<input type="hidden" name="dispatch" value="products.search"></form>'
    )


def _menu(visit: Visit) -> str:
    return "".join(
        f'<a class="ty-menu__item-link" href="{category_link(each)}">{esc(each.category)}</a>'
        for each in visit.store.categories.values()
        if each.status == "A"
    )


def _newsletter() -> str:
    return (
        '<form class="ty-footer-form" name="subscribe_form" action="index.php" method="post">'
        + hidden(redirect_url="index.php", newsletter_format=2)
        + '<label for="subscr_email1">Newsletter</label><input class="ty-input-text cm-email"'
        ' id="subscr_email1" type="email" name="subscribe_email" placeholder="E-mail">'
        + button("Subscribe", "newsletters.add_subscriber", classes="ty-btn-go")
        + "</form>"
    )


def _banner(visit: Visit) -> str:
    if visit.settings.consent != "ask":
        return ""
    chosen = visit.cookies.get(CONSENT_COOKIE) in ("granted", "denied")
    return (
        f'<div class="shop-consent" id="consent_banner"{" hidden" if chosen else ""}>'
        "<span>May this shop count visits? Nothing is counted before you agree.</span>"
        '<button class="ty-btn ty-btn__primary" id="consent_grant" type="button">Agree</button>'
        '<button class="ty-btn" id="consent_deny" type="button">Decline</button></div>'
    )

"""The frame around every storefront page: head, header, notices, footer, scripts.

Also the parts of the frame that AJAX answers replace. Not here: the pages (`pages`).
"""

from __future__ import annotations

from cscart_pipelines.sandbox.storefront.pages import StorefrontPage, active_categories, cart_lines
from cscart_pipelines.sandbox.storefront.templating import render
from cscart_pipelines.sandbox.storefront.theme import theme_data
from cscart_pipelines.sandbox.storefront.visit import CONSENT_COOKIE, Visit


def frame_blocks(visit: Visit) -> dict[str, str]:
    """The header's replaceable parts by id."""
    return {
        "cart_status_1": render("cart_status.html", lines=cart_lines(visit)),
        "account_info_1": render("account_info.html", customer=visit.customer),
    }


def whole_page(visit: Visit, page: StorefrontPage) -> str:
    """A page with everything around its content."""
    consent = visit.cookies.get(CONSENT_COOKIE)
    notices = visit.session.notices[:]
    visit.session.notices.clear()
    return render(
        "frame.html",
        page=page,
        base=visit.base,
        settings=visit.settings,
        consent=consent if consent in ("granted", "denied") else None,
        customer=visit.customer,
        lines=cart_lines(visit),
        categories=active_categories(visit),
        words=visit.text("q"),
        notices=notices,
        dispatch=".".join(visit.dispatch[:2]),
        theme_data=theme_data(visit, page.moments, page.shown),
    )


def take_notices(visit: Visit) -> dict[str, dict[str, str]]:
    """The waiting notices as an AJAX answer carries them; they are shown once."""
    found = {
        f"{number:032x}": {"type": kind, "title": title, "message": text, "message_state": "I"}
        for number, (kind, title, text) in enumerate(visit.session.notices, 1)
    }
    visit.session.notices.clear()
    return found

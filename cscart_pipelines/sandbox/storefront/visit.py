"""One visitor at the storefront: the session with cart and wish list, and the request being served.

Cookies, form bodies and the `dispatch` parameter are read here. No HTML and no changes of the shop.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from cscart_pipelines.sandbox.http.php import intval
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines.sandbox.shop.model import Customer, Product
from cscart_pipelines.sandbox.shop.orders import item_id
from cscart_pipelines.sandbox.shop.store import Store
from cscart_pipelines.sandbox.storefront.settings import StorefrontSettings

COOKIE = "sid_customer_sandbox"
CONSENT_COOKIE = "shop_consent"
MOST_SESSIONS = 10_000
_KEY = re.compile(r"^([^\[]+)((?:\[[^\]]*\])*)$")


@dataclass
class Session:
    """What the shop remembers of a visitor. `cart` and `wishlist`: cart id -> product, pieces."""

    sid: str
    user_id: int = 0
    cart: dict[str, tuple[int, int]] = field(default_factory=dict)
    wishlist: dict[str, int] = field(default_factory=dict)
    orders: set[int] = field(default_factory=set)
    notices: list[tuple[str, str, str]] = field(default_factory=list)
    """(type, title, message) of what the next page or answer shows; types as in CS-Cart: N, W, E"""


class Sessions:
    """The sessions of one shop; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._held: dict[str, Session] = {}

    def find(self, cookies: dict[str, str]) -> Session:
        """The visitor's session; an unknown or missing id gets a new one."""
        found = self._held.get(cookies.get(COOKIE, ""))
        return found or self.begin()

    def begin(self) -> Session:
        """A new session."""
        made = Session(secrets.token_hex(16))
        self._held[made.sid] = made
        while len(self._held) > MOST_SESSIONS:
            del self._held[next(iter(self._held))]
        return made

    def rename(self, session: Session) -> None:
        """A new id for the same session, as at every login."""
        self._held.pop(session.sid, None)
        session.sid = secrets.token_hex(16)
        self._held[session.sid] = session

    def end(self, session: Session) -> Session:
        """Ends a session; the visitor gets a new one."""
        self._held.pop(session.sid, None)
        return self.begin()


@dataclass
class Visit:
    """One request at the storefront, under the store's lock."""

    store: Store
    settings: StorefrontSettings
    session: Session
    base: str
    method: str
    params: dict[str, Any]
    cookies: dict[str, str]
    ajax: bool

    @property
    def customer(self) -> Customer | None:
        """Who is signed in. An account deleted meanwhile is signed out."""
        found = self.store.customers.get(self.session.user_id)
        return found if found is not None and found.status == "A" else None

    @property
    def dispatch(self) -> list[str]:
        """controller, mode, action, extra: of `dispatch=…` or of a button `dispatch[…]`."""
        given = self.params.get("dispatch", "index.index")
        name = next(iter(given), "") if isinstance(given, dict) else str(given)
        return [*name.split("."), "", "", ""][:4]

    def number(self, name: str) -> int:
        """A parameter as a number; 0 when it is none."""
        return intval(self.params.get(name))

    def text(self, name: str) -> str:
        """A parameter as text; empty when it is missing."""
        value = self.params.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def group(self, name: str) -> dict[str, Any]:
        """The fields `name[…]` of a form."""
        value = self.params.get(name)
        return value if isinstance(value, dict) else {}

    def notify(self, kind: str, title: str, message: str) -> None:
        """Adds a notice to the next page or answer."""
        self.session.notices.append((kind, title, message))

    def lines(self) -> list[tuple[str, Product, int]]:
        """The cart: cart id, product, pieces. Products taken off sale meanwhile fall out."""
        on_sale = self.store.products
        return [
            (key, on_sale[product_id], amount)
            for key, (product_id, amount) in self.session.cart.items()
            if product_id in on_sale and on_sale[product_id].status == "A"
        ]

    def product(self, product_id: int) -> Product | None:
        """The product with this id, if it can be bought."""
        found = self.store.products.get(product_id)
        return found if found is not None and found.status == "A" else None


def cart_id(product: Product) -> str:
    """The id of a product's line in the cart."""
    return item_id(product.product_id)


def read_cookies(request: Request) -> dict[str, str]:
    """The cookies of a request."""
    pairs = (each.partition("=") for each in request.headers.get("cookie", "").split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


def read_params(request: Request) -> dict[str, Any]:
    """Query string and form body as PHP nests them; the body wins."""
    pairs = parse_qsl(request.query, keep_blank_values=True)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and kind == "application/x-www-form-urlencoded":
        body = request.body.decode("utf-8", "replace")
        pairs += parse_qsl(body, keep_blank_values=True)
    found: dict[str, Any] = {}
    for key, value in pairs:
        match = _KEY.match(key)
        if match is None:
            continue
        path = [match.group(1), *re.findall(r"\[([^\]]*)\]", match.group(2))]
        level = found
        for name in path[:-1]:
            inner = level.get(name)
            if not isinstance(inner, dict):
                inner = level[name] = {}
            level = inner
        level[path[-1] or str(len(level))] = value
    return found

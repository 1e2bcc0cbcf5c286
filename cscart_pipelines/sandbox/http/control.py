"""The control API below `/_sandbox/`: a running shop edited from another process.

JSON in and out, the API user's Basic auth. Not part of CS-Cart. Paths:

==========================  =======================================================================
``GET state``               counts, revenue, profile, clock
``GET requests``            the record of requests; ``DELETE requests`` empties it
``GET mails``               mails the shop would have sent; ``DELETE mails`` empties it
``GET|POST|DELETE faults``  list, add (fields of `Fault`, or ``{"poison": [ids]}``), clear
``POST orders``             place an order (arguments of `Store.place_order`)
``PUT|DELETE orders/ID``    edit (``status`` as the shop changes it), delete
``POST users``              add (``password`` too); ``PUT|DELETE users/ID`` edit, delete
``POST products``           add; ``PUT|DELETE products/ID`` edit (``amount``: stock), delete
``POST shipments``          create (arguments of `Store.create_shipment`); ``DELETE shipments/ID``
``GET|PUT storefront``      what the pages show (fields of `StorefrontSettings`)
``GET subscribers``         the newsletter's addresses and since when
==========================  =======================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from cscart_pipelines.sandbox.http.faults import Fault
from cscart_pipelines.sandbox.http.php import intval
from cscart_pipelines.sandbox.http.responses import SandboxResponse
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines.sandbox.shop.model import PostalAddress
from cscart_pipelines.sandbox.shop.shipments import ShipmentRefusedError

if TYPE_CHECKING:
    from cscart_pipelines.sandbox.server import SandboxShop

PREFIX = "/_sandbox/"
_MONEY = ("total", "price", "list_price", "shipping_cost", "subtotal_discount")


class Control:
    """Answers control requests for one shop."""

    def __init__(self, shop: SandboxShop) -> None:
        self._shop = shop
        self._routes: dict[str, Callable[[str, int, dict[str, Any]], Any]] = {
            "state": self._state,
            "requests": self._requests,
            "mails": self._mails,
            "faults": self._faults,
            "orders": self._orders,
            "users": self._users,
            "products": self._products,
            "shipments": self._shipments,
            "storefront": self._storefront,
            "subscribers": self._subscribers,
        }

    def owns(self, request: Request) -> bool:
        """Whether the request is for the control interface."""
        return request.path.startswith(f"{self._shop.path}{PREFIX}")

    def answer(self, request: Request) -> SandboxResponse:
        """Answers a request of a test."""
        if not self._shop.router.authorised(request):
            return _json({"error": "wrong credentials"}, 401)
        rest = request.path[len(self._shop.path) + len(PREFIX) :].strip("/").split("/")
        route = self._routes.get(rest[0])
        if route is None:
            return _json({"error": f"unknown path; known: {', '.join(self._routes)}"}, 404)
        try:
            body = orjson.loads(request.body) if request.body else {}
            if not isinstance(body, dict):
                raise ValueError("expected a JSON object")
            with self._shop.store.lock:
                made = route(request.method, intval(rest[1]) if len(rest) > 1 else 0, body)
        except KeyError as missing:
            return _json({"error": f"not found: {missing.args[0]}"}, 404)
        except (TypeError, ValueError, ArithmeticError, ShipmentRefusedError) as wrong:
            return _json({"error": str(wrong)}, 400)
        if made is None:
            return _json({"error": f"{request.method} is not possible here"}, 405)
        return _json(made)

    def _state(self, method: str, key: int, body: dict[str, Any]) -> Any:
        store = self._shop.store
        paid = {s.status for s in store.statuses if s.type == "O" and s.paid}
        settled = [
            o for o in store.orders.values() if o.status in paid and o.is_parent_order == "N"
        ]
        return {
            "profile": store.profile.name,
            "now": store.clock(),
            "orders": len(store.orders),
            "users": len(store.customers),
            "products": len(store.products),
            "shipments": len(store.shipments),
            "purchases": len(settled),
            "revenue": sum((o.total for o in settled), Decimal("0.00")),
            "requests": len(self._shop.requests),
        }

    def _requests(self, method: str, key: int, body: dict[str, Any]) -> Any:
        if method == "DELETE":
            self._shop.requests.clear()
        return {"requests": [asdict(each) for each in self._shop.requests]}

    def _mails(self, method: str, key: int, body: dict[str, Any]) -> Any:
        if method == "DELETE":
            self._shop.mails.clear()
        return {"mails": [asdict(each) for each in self._shop.mails]}

    def _faults(self, method: str, key: int, body: dict[str, Any]) -> Any:
        faults = self._shop.faults
        if method == "DELETE":
            faults.clear()
        elif method == "POST" and "poison" in body:
            faults.poison(*(int(each) for each in body["poison"]))
        elif method == "POST":
            unknown = set(body) - {each.name for each in fields(Fault)}
            if unknown:
                raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
            faults.add(body.pop("kind", ""), **body)
        return {
            "faults": [asdict(rule) for rule in faults.rules],
            "poison": sorted(faults.poison_orders),
        }

    def _orders(self, method: str, key: int, body: dict[str, Any]) -> Any:
        store = self._shop.store
        if method == "POST":
            return asdict(store.place_order(**_typed(body)))
        if method == "PUT":
            status = body.pop("status", None)
            touch = bool(body.pop("touch", True))
            order = store.orders[key]
            if body:
                order = store.edit_order(key, touch=touch, **_typed(body))
            if status is not None:
                store.set_order_status(key, str(status))
            return asdict(order)
        if method == "DELETE":
            store.delete_order(key)
            return {"deleted": key}
        return asdict(store.orders[key]) if method == "GET" else None

    def _users(self, method: str, key: int, body: dict[str, Any]) -> Any:
        store = self._shop.store
        if method == "POST":
            password = body.pop("password", None)
            made = store.add_customer(body.pop("email"), **_typed(body))
            if password is not None:
                store.set_password(made.user_id, str(password))
            return asdict(made)
        if method == "PUT":
            return asdict(store.edit_customer(key, **_typed(body)))
        if method == "DELETE":
            store.delete_customer(key)
            return {"deleted": key}
        return asdict(store.customers[key]) if method == "GET" else None

    def _products(self, method: str, key: int, body: dict[str, Any]) -> Any:
        store = self._shop.store
        if method == "POST":
            return asdict(store.add_product(body.pop("product"), body.pop("price"), **_typed(body)))
        if method == "PUT":
            touch = bool(body.pop("touch", True))
            return asdict(store.edit_product(key, touch=touch, **_typed(body)))
        if method == "DELETE":
            store.delete_product(key)
            return {"deleted": key}
        return asdict(store.products[key]) if method == "GET" else None

    def _shipments(self, method: str, key: int, body: dict[str, Any]) -> Any:
        store = self._shop.store
        if method == "POST":
            return asdict(store.create_shipment(int(body.pop("order_id")), **body))
        if method == "DELETE":
            store.delete_shipment(key)
            return {"deleted": key}
        return asdict(store.shipments[key]) if method == "GET" else None

    def _storefront(self, method: str, key: int, body: dict[str, Any]) -> Any:
        settings = self._shop.storefront.settings
        return asdict(settings.change(**body) if method == "PUT" else settings)

    def _subscribers(self, method: str, key: int, body: dict[str, Any]) -> Any:
        return {"subscribers": self._shop.store.subscribers} if method == "GET" else None


def _typed(body: dict[str, Any]) -> dict[str, Any]:
    """Money as Decimal, addresses as records, pairs of lines as tuples."""
    made = dict(body)
    for name in _MONEY:
        if name in made and made[name] is not None:
            made[name] = Decimal(str(made[name]))
    for name in ("ship_to", "bill_to", "address"):
        if isinstance(made.get(name), dict):
            made[name] = PostalAddress(**made[name])
    if "lines" in made:
        made["lines"] = [tuple(each) if isinstance(each, list) else each for each in made["lines"]]
    return made


def _json(body: Any, status: int = 200) -> SandboxResponse:
    return SandboxResponse(status, orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS))

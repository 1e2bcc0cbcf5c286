"""The `orders` entity: list, detail and the writes of reference 8.7 to 8.10."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import orjson

from cscart_pipelines.sandbox.api.base import Context, Entity, required
from cscart_pipelines.sandbox.api.order_filters import matching, shows_incomplete
from cscart_pipelines.sandbox.api.paging import Listing
from cscart_pipelines.sandbox.http.php import decimal, intval, truthy
from cscart_pipelines.sandbox.http.responses import ApiError, CrashError, SandboxResponse, ok
from cscart_pipelines.sandbox.shop.model import ZERO, Order, PostalAddress

QUICK_KEYS = {"status", "notify_user", "notify_department", "notify_vendor"}


class Orders(Entity):
    """`orders`."""

    privileges: ClassVar = {
        "index": "view_orders",
        "create": "create_order",
        "update": "edit_order",
        "delete": "delete_orders",
    }

    def index(self, context: Context) -> SandboxResponse:
        """Answers GET of the list."""
        keys, sort = matching(context)
        extras: dict[str, Any] = {"extra": ["issuers", "invoice_docs", "memo_docs"]}
        extras |= {"include_incompleted": shows_incomplete(context.params), **sort}
        listing = Listing(
            "orders", keys, extras, repeat_last=context.profile.orders_repeat_last_page
        )
        store, renderer = context.store, context.state.renderer
        detailed = context.profile.orders_data and truthy(context.params.get("get_orders_data"))

        def render(page: Sequence[int]) -> list[orjson.Fragment]:
            if not detailed:
                return [renderer.row(store.orders[key]) for key in page]
            if not context.state.poison_orders.isdisjoint(page):
                raise CrashError
            return [renderer.detail(store.orders[key]) for key in page]

        return context.page(listing, render)

    def view(self, context: Context, key: int) -> SandboxResponse:
        """Answers GET of one row."""
        order = _find(context, key)
        if key in context.state.poison_orders:
            raise CrashError
        return SandboxResponse(200, context.state.renderer.detail_body(order))

    def create(self, context: Context, body: dict[str, Any]) -> SandboxResponse:
        """Answers POST."""
        store = context.store
        company = context.company_id or intval(body.get("company_id", 0))
        if not store.multivendor and not company:
            raise ApiError(400, "Company by passed ID not found")
        required(body, "payment_id")
        if not context.profile.storefront_in_list:
            required(body, "shipping_id")
        buyer = body.get("user_data")
        user_id = intval(body.get("user_id", 0))
        if not user_id and not isinstance(buyer, dict):
            raise ApiError(400, "The user_data field is required")
        if user_id and user_id not in store.customers:
            raise ApiError(400, "Order couldn't be created")
        lines = [
            (intval(each.get("product_id", key)), intval(each.get("amount", 1)))
            for key, each in _map(required(body, "products")).items()
        ]
        if not lines or any(key not in store.products for key, _ in lines):
            raise ApiError(400, "Order couldn't be created")
        fields: dict[str, Any] = {"company_id": company or 1, "notes": str(body.get("notes", ""))}
        if not user_id:
            fields |= _buyer(buyer if isinstance(buyer, dict) else {})
        if truthy(body.get("timestamp")):
            fields["timestamp"] = intval(body["timestamp"])
        order = store.place_order(user_id=user_id, lines=lines, **fields)
        if not context.profile.quick_status:
            return ok({"order_id": str(order.order_id)}, 201)
        renderer = context.state.renderer
        answer: dict[str, Any] = {"order_id": order.order_id, "order_data": renderer.detail(order)}
        if store.multivendor:
            children = [o for o in store.orders.values() if o.parent_order_id == order.order_id]
            answer["suborder_ids"] = [child.order_id for child in children]
            answer["suborders_data"] = [renderer.detail(child) for child in children]
        return ok(answer, 201)

    def update(self, context: Context, key: int, body: dict[str, Any]) -> SandboxResponse:
        """Answers PUT."""
        store = context.store
        status = body.get("status")
        flags = {name: truthy(body.get(name)) for name in QUICK_KEYS - {"status"}}
        if context.profile.quick_status and "status" in body and QUICK_KEYS.issuperset(body):
            # 200 in every case: unknown order, same status, vetoed (reference 8.8).
            store.set_order_status(key, str(status or ""), **flags)
            return ok({"order_id": str(key)})
        if key not in store.orders:
            raise ApiError(400)
        self._recalculate(context, key, body)
        if truthy(status):
            store.set_order_status(key, str(status), **flags)
        return ok({"order_id": str(key)})

    def delete(self, context: Context, key: int) -> SandboxResponse:
        """Answers DELETE."""
        _find(context, key)
        context.store.delete_order(key)
        return SandboxResponse(204)

    def _recalculate(self, context: Context, key: int, body: dict[str, Any]) -> None:
        """The whole order anew: catalogue prices unless sent, unnamed lines gone (8.9)."""
        store = context.store
        order = store.orders[key]
        changes: dict[str, Any] = {}
        if "products" in body:
            specs = _map(body["products"])
            changes["lines"] = [
                _spec(intval(each.get("product_id", item)), each)
                for item, each in specs.items()
                if intval(each.get("product_id", item)) in store.products
            ]
        else:
            changes["lines"] = [
                {"product_id": line.product_id, "amount": line.amount, "item_id": line.item_id}
                if line.product_id in store.products
                else line
                for line in order.lines
            ]
        for name in ("notes", "details", "firstname", "lastname", "email", "phone"):
            if name in body:
                changes[name] = str(body[name])
        changes["subtotal_discount"] = ZERO
        changes["promotion_ids"] = ""
        store.edit_order(key, **changes)
        total = body.get("total", order.subtotal + order.shipping_cost)
        store.edit_order(key, total=decimal(total))


def _find(context: Context, key: int) -> Order:
    order = context.store.orders.get(key)
    if order is None or context.company_id not in (None, order.company_id):
        raise ApiError(404)
    return order


def _map(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {str(i): each for i, each in enumerate(value) if isinstance(each, dict)}
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if isinstance(each, dict)}
    return {}


def _spec(product_id: int, sent: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "product_id": product_id,
        "amount": max(1, intval(sent.get("amount", 1))),
    }
    if "price" in sent:
        made["price"] = decimal(sent["price"])
    return made


def _buyer(data: dict[str, Any]) -> dict[str, Any]:
    def at(prefix: str) -> PostalAddress:
        names = ("firstname", "lastname", "address", "city", "state", "country", "zipcode", "phone")
        return PostalAddress(**{n: str(data.get(f"{prefix}_{n}", data.get(n, ""))) for n in names})

    plain = ("email", "firstname", "lastname", "phone", "company")
    found: dict[str, Any] = {name: str(data[name]) for name in plain if data.get(name)}
    return found | {"ship_to": at("s"), "bill_to": at("b")}

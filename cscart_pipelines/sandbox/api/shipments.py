"""The `shipments` entity (reference 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from cscart_pipelines.sandbox.api.base import Context, Entity, required
from cscart_pipelines.sandbox.api.paging import Listing, sorting
from cscart_pipelines.sandbox.api.periods import moment
from cscart_pipelines.sandbox.api.render_entities import shipment_row
from cscart_pipelines.sandbox.http.php import as_list, intval, quantity, truthy
from cscart_pipelines.sandbox.http.responses import ApiError, SandboxResponse, ok
from cscart_pipelines.sandbox.shop.model import Shipment
from cscart_pipelines.sandbox.shop.shipments import NOTHING_CHOSEN, ShipmentRefusedError

SORTS: dict[str, Callable[[Shipment], Any]] = {
    "id": lambda s: s.shipment_id,
    "order_id": lambda s: s.order_id,
    "shipment_date": lambda s: s.timestamp,
    "order_date": lambda s: s.order_id,
    "customer": lambda s: s.order_id,
}
BY_STATUS: dict[str, Callable[[Shipment], Any]] = {"status": lambda s: s.status}
WHITELIST = {"tracking_number", "comments", "status", "timestamp"}
ONLY = "Only tracking_number, status, comments and timestamp can be updated"
LETTERS = "Value of status field is not correct. Allowed values: 'A', 'P', 'S'"
ONE_OF = "One of the following fields is required: carrier / tracking_number"


class Shipments(Entity):
    """`shipments`."""

    privileges: ClassVar = {
        "index": "view_orders",
        "create": "edit_order",
        "update": "edit_order",
        "delete": "edit_order",
    }

    def index(self, context: Context) -> SandboxResponse:
        """Answers GET of the list."""
        keys = SORTS | (BY_STATUS if context.profile.shipment_filters_newer else {})
        sort = sorting(context.params, tuple(keys), "id", "desc")
        advanced = context.params.get("advanced_info") != "0"
        found = [s for s in _asked_for(context) if _matches(s, context)]
        found.sort(key=lambda s: s.shipment_id)
        found.sort(key=keys[sort["sort_by"]], reverse=sort["sort_order"] == "desc")
        listing = Listing("shipments", found, {"advanced_info": advanced} | sort, repeat_last=True)

        def render(page: Any) -> list[dict[str, Any]]:
            first = page[0].order_id if page else 0
            return [shipment_row(s, context.store, first, advanced=advanced) for s in page]

        return context.page(listing, render)

    def view(self, context: Context, key: int) -> SandboxResponse:
        """Answers GET of one row."""
        shipment = _find(context, key)
        return ok(shipment_row(shipment, context.store, shipment.order_id))

    def create(self, context: Context, body: dict[str, Any]) -> SandboxResponse:
        """Answers POST."""
        store, profile = context.store, context.profile
        order_id = intval(required(body, "order_id"))
        shipping_id = intval(required(body, "shipping_id"))
        if not (truthy(body.get("carrier")) or truthy(body.get("tracking_number"))):
            raise ApiError(400, ONE_OF, bare=not profile.carrier_message)
        products = body.get("products")
        chosen = (
            {
                str(item): quantity(amount, weighed="shipments" in store.weighed)
                for item, amount in products.items()
            }
            if isinstance(products, dict) and products
            else None
        )
        fields: dict[str, Any] = {
            "shipping_id": shipping_id,
            "carrier": str(body.get("carrier") or ""),
            "tracking_number": str(body.get("tracking_number") or ""),
            "comments": str(body.get("comments") or ""),
            "status": str(body.get("status") or "P")[:1],
        }
        if truthy(body.get("timestamp")):
            fields["timestamp"] = _moment(context, body["timestamp"])
        if order_id not in store.orders and chosen is None:
            raise ApiError(400)
        try:
            made = store.create_shipment(
                order_id, products=chosen, notify_user=truthy(body.get("notify_user")), **fields
            )
        except ShipmentRefusedError as refusal:
            chosen_none = str(refusal) == NOTHING_CHOSEN
            raise ApiError(400, str(refusal), bare=not chosen_none) from None
        if truthy(body.get("order_status")):
            # With that status' normal e-mails (reference 9.2).
            store.set_order_status(order_id, str(body["order_status"]), notify_user=True)
        return ok({"shipment_id": made.shipment_id}, 201)

    def update(self, context: Context, key: int, body: dict[str, Any]) -> SandboxResponse:
        """Answers PUT."""
        if context.profile.shipment_update == "never":
            raise ApiError(400)
        if not WHITELIST.issuperset(body):
            raise ApiError(400, ONLY)
        if "status" in body and body["status"] not in ("A", "P", "S"):
            raise ApiError(400, LETTERS)
        changes: dict[str, Any] = {n: str(body[n]) for n in WHITELIST & set(body)}
        if "timestamp" in body:
            changes["timestamp"] = _moment(context, body["timestamp"])
        if key in context.store.shipments:
            context.store.edit_shipment(key, **changes)
        return ok({"shipment_id": str(key)})  # also for an id that does not exist

    def delete(self, context: Context, key: int) -> SandboxResponse:
        """Answers DELETE."""
        _find(context, key)
        context.store.delete_shipment(key)
        return SandboxResponse(204)


def _find(context: Context, key: int) -> Shipment:
    if key not in context.store.shipments:
        raise ApiError(404)
    return context.store.shipments[key]


def _moment(context: Context, value: Any) -> int:
    state = context.state
    return moment(value, now=context.store.now(), zone=state.zone, day_first=state.day_first)


def _asked_for(context: Context) -> Iterable[Shipment]:
    """The shipments of `order_id` and `shipment_id`, which are read once and not per shipment."""
    found: Iterable[Shipment] = context.store.shipments.values()
    for name in ("order_id", "shipment_id"):
        if truthy(context.params.get(name)):
            wanted = {intval(each) for each in as_list(context.params[name], split=True)}
            found = [one for one in found if getattr(one, name) in wanted]
    return found


def _matches(shipment: Shipment, context: Context) -> bool:
    params = context.params
    if context.profile.shipment_filters_newer and truthy(params.get("status")):
        letters = as_list(params["status"])
        if shipment.status not in letters:
            return False
    order = context.store.orders.get(shipment.order_id)
    if context.company_id is not None and (order is None or order.company_id != context.company_id):
        return False
    sent = context.period("shipment_")
    if sent is not None and not sent[0] <= shipment.timestamp <= sent[1]:
        return False
    placed = context.period("order_")
    if placed is not None:
        return order is not None and placed[0] <= order.timestamp <= placed[1]
    return True

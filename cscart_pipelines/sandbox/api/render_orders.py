"""Orders as JSON: the summary row and the detail object (reference 8.1, 8.3, 8.4).

The detail carries what real shops leak: payment data, carrier credentials, server paths. Each such
value holds `LEAK`, so that a test can search every table and log for it. Both forms are cached as
bytes until the order (its `revision`) or the catalogue changes.
"""

from __future__ import annotations

from typing import Any

import orjson

from cscart_pipelines.sandbox.api.render_leaks import (
    LEAK,
    payment_info,
    payment_method,
    product_groups,
    shipping,
)
from cscart_pipelines.sandbox.api.render_lines import line_object
from cscart_pipelines.sandbox.http.php import either, encode, money, number
from cscart_pipelines.sandbox.shop.model import COUNTRIES, Order, PostalAddress
from cscart_pipelines.sandbox.shop.store import Store

_PADDING = dict.fromkeys(
    (
        "is_root",
        "last_activity",
        "birthday",
        "purchase_timestamp_from",
        "purchase_timestamp_to",
        "responsible_email",
        "last_passwords",
        "password_change_timestamp",
        "api_key",
        "helpdesk_user_id",
    ),
    "",
)
_OLD_ONLY = {"last_passwords"}
_NEW_ONLY = {"last_activity", "helpdesk_user_id"}


class OrderRenderer:
    """Renders and caches the orders of one store; use under the store's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: dict[int, tuple[Order, int, orjson.Fragment]] = {}
        self._details: dict[int, tuple[Order, int, int, orjson.Fragment]] = {}

    def row(self, order: Order) -> orjson.Fragment:
        """An order in a list."""
        held = self._rows.get(order.order_id)
        # The order itself is compared too: a deleted number may be given again.
        if held is not None and held[0] is order and held[1] == order.revision:
            return held[2]
        made = orjson.Fragment(orjson.dumps(self.row_object(order)))
        self._rows[order.order_id] = (order, order.revision, made)
        return made

    def detail(self, order: Order) -> orjson.Fragment:
        """An order with its details, for a list."""
        held = self._details.get(order.order_id)
        catalogue = self._store.catalogue_revision
        if held is not None and held[0] is order and held[1:3] == (order.revision, catalogue):
            return held[3]
        made = orjson.Fragment(orjson.dumps(self.detail_object(order)))
        self._details[order.order_id] = (order, order.revision, catalogue, made)
        return made

    def detail_body(self, order: Order) -> bytes:
        """The body of an order's details."""
        return encode(self.detail(order))

    def row_object(self, order: Order) -> dict[str, Any]:
        """An order in a list, before it is written as JSON."""
        profile = self._store.profile
        row: dict[str, Any] = {
            "order_id": str(order.order_id),
            "issuer_id": _text(order.issuer_id),
            "user_id": str(order.user_id),
            "is_parent_order": order.is_parent_order,
            "parent_order_id": str(order.parent_order_id),
            "company_id": str(order.company_id),
            "company": order.company,
            "timestamp": str(order.timestamp),
            "firstname": order.firstname,
            "lastname": order.lastname,
            "email": order.email,
            "phone": order.phone,
            "status": order.status,
            "total": money(order.total),
        }
        if profile.storefront_in_list:
            row["storefront_id"] = str(order.storefront_id)
        issuer = self._store.customers.get(order.issuer_id or 0)
        row["issuer_name"] = f"{issuer.firstname} {issuer.lastname}" if issuer else None
        if profile.issuer_email:
            row["issuer_email"] = issuer.email if issuer else None
        row["invoice_id"] = _text(order.invoice_id)
        row["credit_memo_id"] = _text(order.credit_memo_id)
        if profile.reward_points:
            row["points"] = None
        return row

    def detail_object(self, order: Order) -> dict[str, Any]:
        """An order with its details, before it is written as JSON."""
        store, profile = self._store, self._store.profile
        shipped = store.shipped(order.order_id)
        lines = {
            line.item_id: line_object(store, order, line, shipped.get(line.item_id, 0))
            for line in sorted(order.lines, key=lambda line: line.product)
        }
        left = any(line.amount > shipped.get(line.item_id, 0) for line in order.lines)
        documents = {
            kind: str(key)
            for kind, key in (("I", order.invoice_id), ("C", order.credit_memo_id))
            if key is not None
        }
        body: dict[str, Any] = {
            "order_id": str(order.order_id),
            "is_parent_order": order.is_parent_order,
            "parent_order_id": str(order.parent_order_id),
            "company_id": str(order.company_id),
            "issuer_id": _text(order.issuer_id),
            "user_id": str(order.user_id),
            "total": money(order.total),
            "subtotal": number(order.subtotal),
            "discount": number(order.discount),
            "subtotal_discount": number(order.subtotal_discount)
            if order.subtotal_discount
            else "0.00",
            "payment_surcharge": "0.00",
            "shipping_ids": ",".join(map(str, order.methods)),
            "shipping_cost": money(order.shipping_cost),
            "timestamp": str(order.timestamp),
            "status": order.status,
            "notes": order.notes,
            "details": order.details,
            "promotions": self._promotions(order),
            "promotion_ids": order.promotion_ids,
            "firstname": order.firstname,
            "lastname": order.lastname,
            "company": order.company,
            **_address("b", order.bill_to),
            **_address("s", order.ship_to),
            "s_address_type": "",
            "phone": order.phone,
            "fax": "",
            "url": "",
            "email": order.email,
            "payment_id": str(order.payment_id),
            "tax_exempt": order.tax_exempt,
            "lang_code": order.lang_code,
            "ip_address": f"192.0.2.10 {LEAK}" if order.status == "F" else "192.0.2.10",
            "repaid": "0",
            "validation_code": "",
            "localization_id": "0",
            "profile_id": str(order.user_id),
        }
        if profile.storefront_in_detail:
            body["storefront_id"] = str(order.storefront_id)
        if profile.updated_at:
            body["updated_at"] = str(order.updated_at)
        body |= {
            "payment_method": payment_method(order),
            "fields": [],
            "products": either(lines),
            "taxes": [],
            "tax_subtotal": 0,
            "display_shipping_cost": money(order.shipping_cost),
        }
        dropped = _OLD_ONLY if profile.quick_status else _NEW_ONLY
        body |= {k: v for k, v in _PADDING.items() if k not in dropped}
        body |= {
            "b_country_descr": COUNTRIES.get(order.bill_to.country, ""),
            "s_country_descr": COUNTRIES.get(order.ship_to.country, ""),
            "b_state_descr": order.bill_to.state,
            "s_state_descr": order.ship_to.state,
            "need_shipping": True,
            "shipping": shipping(order, store.shippings, left),
            "shipment_ids": [str(s.shipment_id) for s in store.shipments_of(order.order_id)],
        }
        if order.discount:
            body["use_discount"] = True
        body["secondary_currency"] = order.secondary_currency
        if profile.storefront_in_list:
            body["user_type"] = "C"
        body |= {
            "display_subtotal": number(order.subtotal),
            "payment_info": payment_info(order),
            "product_groups": product_groups(order),
            "doc_ids": either(documents),
        }
        return body

    def _promotions(self, order: Order) -> Any:
        amount = number(order.discount + order.subtotal_discount)
        made: dict[str, Any] = {
            key: {
                "bonuses": [],
                "total_discount": amount,
                "name": "Season offer",
                "short_description": "",
            }
            for key in order.promotion_ids.split(",")
            if key
        }
        return either(made)


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _address(prefix: str, at: PostalAddress) -> dict[str, str]:
    return {
        f"{prefix}_firstname": at.firstname,
        f"{prefix}_lastname": at.lastname,
        f"{prefix}_address": at.address,
        f"{prefix}_address_2": at.address_2,
        f"{prefix}_city": at.city,
        f"{prefix}_county": "",
        f"{prefix}_state": at.state,
        f"{prefix}_country": at.country,
        f"{prefix}_zipcode": at.zipcode,
        f"{prefix}_phone": at.phone,
    }

"""Users, statuses, shipments and companies as JSON rows (reference 9, 10, 12).

One function per entity; nothing cached, these lists are short. Orders are in `render_orders`,
products in `render_products`.
"""

from __future__ import annotations

from typing import Any

from cscart_pipelines.sandbox.shop.model import Customer, Shipment, ShopStatus
from cscart_pipelines.sandbox.shop.profiles import Profile
from cscart_pipelines.sandbox.shop.store import Store

COMPANIES = {1: "Example Store", 2: "Second Vendor", 3: "Third Vendor"}

CARRIERS = {
    "fedex": ("FedEx", "https://www.fedex.com/apps/fedextrack/?action=track&trackingnumber=%s"),
    "ups": ("UPS", "http://wwwapps.ups.com/etracking/tracking.cgi?tracknum=%s"),
    "usps": ("USPS", "https://tools.usps.com/go/TrackConfirmAction_input?qtc_tLabels1=%s"),
    "dhl": ("DHL", "http://www.dhl.com/content/g0/en/express/tracking.shtml?AWB=%s&brand=DHL"),
    "aup": ("Australia Post", "https://auspost.com.au/mypost/track/#/details/%s"),
    "can": (
        "Canada Post",
        "https://www.canadapost.ca/cpotools/apps/track/personal/findByTrackNumber?trackingNumber=%s",
    ),
    "swisspost": ("Swiss Post", "http://www.post.ch/swisspost-tracking?formattedParcelCodes=%s"),
}
"""Code to name and URL pattern (reference 9.5)."""


def user_row(user: Customer, profile: Profile) -> dict[str, Any]:
    """An account as the API shows it."""
    row: dict[str, Any] = {
        "user_id": str(user.user_id),
        "user_login": f"user_{user.user_id}",
        "is_root": user.is_root,
        "timestamp": str(user.timestamp),
        "user_type": user.user_type,
        "status": user.status,
        "firstname": user.firstname,
        "lastname": user.lastname,
        "email": user.email,
        "company": user.company,
        "company_id": str(user.company_id),
        "phone": user.phone,
    }
    if profile.last_login:
        row["last_login"] = str(user.last_login)
    row["company_name"] = COMPANIES.get(user.company_id)
    if profile.reward_points:
        row["points"] = None
    if user.anonymized == "Y":
        row["anonymized"] = "Y"
    return row


def status_row(status: ShopStatus, profile: Profile) -> dict[str, Any]:
    """An order or shipment status as the API shows it."""
    params: dict[str, Any] = {}
    if status.type == "O":
        params = {
            "allow_return": "Y" if status.status == "C" else "N",
            "repay": "Y" if status.status in "FDBI" else "N",
            "inventory": status.inventory,
            "color": status.color,
            "remove_cc_info": "Y",
        }
        if profile.payment_received and status.paid:
            params["payment_received"] = "Y"
        if not profile.quick_status:
            params["notify"] = "Y"
    row: dict[str, Any] = {
        "status_id": str(status.status_id),
        "status": status.status,
        "type": status.type,
        "is_default": status.is_default,
    }
    if profile.quick_status:
        row["position"] = "0"
    return row | {
        "description": status.description,
        "email_subj": "",
        "email_header": "",
        "lang_code": "en",
        "params": params or [],
    }


def shipment_row(
    shipment: Shipment, store: Store, first_order: int, *, advanced: bool = True
) -> dict[str, Any]:
    """`group_key` and `one_full` are computed against the list's first order only (9.1)."""
    order = store.orders.get(shipment.order_id)
    row: dict[str, Any] = {
        "shipment_id": str(shipment.shipment_id),
        "shipment_timestamp": str(shipment.timestamp),
        "comments": shipment.comments,
        "status": shipment.status,
        "order_id": str(order.order_id) if order else None,
        "order_timestamp": str(order.timestamp) if order else None,
        "s_firstname": order.ship_to.firstname if order else None,
        "s_lastname": order.ship_to.lastname if order else None,
        "firstname": order.firstname if order else None,
        "lastname": order.lastname if order else None,
        "company": order.company if order else None,
        "user_id": str(order.user_id) if order else None,
        "shipping_id": str(shipment.shipping_id),
        "shipping": store.shippings.get(shipment.shipping_id),
    }
    if not advanced:
        return row
    row |= {"tracking_number": shipment.tracking_number, "carrier": shipment.carrier}
    if shipment.products:
        row["products"] = {item: str(amount) for item, amount in shipment.products.items()}
    row["group_key"] = 0
    if shipment.carrier:
        row["carrier_info"] = carrier_info(shipment.carrier, shipment.tracking_number)
    first = store.orders.get(first_order)
    whole = {line.item_id: line.amount for line in first.lines} if first else {}
    row["one_full"] = bool(whole) and shipment.products == whole
    return row


def carrier_info(code: str, number_text: str) -> dict[str, str]:
    """The number goes in without URL-encoding; without a number `%s` stays (reference 9.5)."""
    if code not in CARRIERS:
        return {"name": f"_carrier_{code}", "tracking_url": ""}
    name, pattern = CARRIERS[code]
    url = pattern.replace("%s", number_text) if number_text else pattern
    return {"name": name, "tracking_url": url}


def shipping_row(shipping_id: int, name: str) -> dict[str, Any]:
    """A shipping method as the API shows it."""
    return {
        "shipping_id": str(shipping_id),
        "company_id": "1",
        "min_weight": "0.00",
        "max_weight": "0.00",
        "position": "0",
        "status": "A",
        "shipping": name,
        "delivery_time": "3-5 days",
        "usergroup_ids": "0",
        "tax_ids": [],
    }


def company_row(company_id: int, *, vendor: bool) -> dict[str, Any]:
    """A vendor or storefront as the API shows it."""
    row: dict[str, Any] = {
        "company_id": str(company_id),
        "lang_code": "en",
        "email": f"company{company_id}@example.com",
        "company": COMPANIES[company_id],
        "timestamp": "1269610461",
        "status": "A",
    }
    return row | ({} if vendor else {"storefront": "localhost", "secure_storefront": "localhost"})

"""Users, products, categories, statuses and shipments as JSON rows (reference 9-12).

One function per entity; nothing cached, these lists are short. Orders are in render_orders.py.
"""

from __future__ import annotations

from typing import Any

from cscart_pipelines.sandbox.model import Category, Customer, Product, Shipment, Status
from cscart_pipelines.sandbox.php import money
from cscart_pipelines.sandbox.profiles import Profile
from cscart_pipelines.sandbox.store import Store

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

_RAW_TWINS = (
    "options_type",
    "exceptions_type",
    "tracking",
    "zero_price_action",
    "min_qty",
    "max_qty",
    "qty_step",
    "list_qty_count",
)


def user_row(user: Customer, profile: Profile) -> dict[str, Any]:
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
    return row


def product_row(product: Product, profile: Profile, *, short: bool = False) -> dict[str, Any]:
    price = money(product.price, profile.price_digits)
    row: dict[str, Any] = {
        "product_id": str(product.product_id),
        "product": product.product,
        "product_type": product.product_type,
        "product_code": product.product_code,
        "status": product.status,
        "company_id": str(product.company_id),
        "list_price": money(product.list_price),
        "amount": str(product.amount),
        "weight": money(product.weight, 3),
        "tracking": product.tracking,
        "is_edp": "N",
    }
    if profile.raw_product_fields:
        row["parent_product_id"] = str(product.parent_product_id)
    if not short:
        row |= _columns(product)
    row["price"] = price
    if profile.rich_product_rows:
        row |= {"category_ids": _categories(product), "main_category": product.main_category}
        row |= {"base_price": price, "selected_options": [], "has_options": False}
        row |= {"product_options": [], "discounts": {"A": 0, "P": 0}, "product_features": []}
        row |= {"qty_content": [], "list_discount": 0, "list_discount_prc": "0"}
        if not short:
            row |= {"seo_name": f"product-{product.product_id}", "main_pair": _image(product)}
    if profile.raw_product_fields and not short:
        row |= {f"{name}_raw": None for name in _RAW_TWINS}
        row |= {"details_layout_raw": "default", "variation_features": []}
    return row


def product_detail(product: Product, profile: Profile) -> dict[str, Any]:
    """The detail has a numeric `product_id`, descriptions and taxes (reference 11.2)."""
    row = product_row(product, profile)
    price = money(product.price, profile.price_digits)
    row |= {
        "product_id": product.product_id,
        "lang_code": "en",
        "short_description": "",
        "full_description": f"<p>{product.product}</p>",
        "meta_keywords": "",
        "meta_description": "",
        "search_words": "",
        "page_title": "",
        "category_ids": _categories(product),
        "popularity": None,
        "base_price": price,
        "main_category": product.main_category,
        "main_pair": _image(product),
        "image_pairs": [],
        "taxes": ["6"],
        "shared_product": "N",
        "product_features": [],
        "header_features": [],
        "min_items_in_box": 0,
        "max_items_in_box": 0,
        "box_length": 0,
        "box_width": 0,
        "box_height": 0,
        "detailed_params": {"info_type": "D"},
    }
    return row


def category_row(category: Category, products: int) -> dict[str, Any]:
    parents = f"{category.parent_id}/" if category.parent_id else ""
    return {
        "category_id": str(category.category_id),
        "parent_id": str(category.parent_id),
        "id_path": f"{parents}{category.category_id}",
        "category": category.category,
        "position": str(category.position),
        "status": category.status,
        "product_count": str(products),
        "company_id": str(category.company_id),
        "seo_name": f"category-{category.category_id}",
        "seo_path": "",
    }


def status_row(status: Status, profile: Profile) -> dict[str, Any]:
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
    row: dict[str, Any] = {
        "company_id": str(company_id),
        "lang_code": "en",
        "email": f"company{company_id}@example.com",
        "company": COMPANIES[company_id],
        "timestamp": "1269610461",
        "status": "A",
    }
    return row | ({} if vendor else {"storefront": "localhost", "secure_storefront": "localhost"})


def _categories(product: Product) -> list[int]:
    return [product.main_category] if product.main_category else []


def _image(product: Product) -> dict[str, Any]:
    name = f"detailed/0/product-{product.product_id}.jpg"
    detailed = {
        "image_path": f"https://shop.example/images/{name}",
        "absolute_path": f"/path/to/store/images/{name}",
        "alt": "",
        "image_x": "500",
        "image_y": "500",
    }
    return {"pair_id": str(product.product_id), "image_id": "0", "detailed": detailed}


def _columns(product: Product) -> dict[str, Any]:
    """The rest of the product table's columns, at the values of an untouched product."""
    return {
        "length": "0",
        "width": "0",
        "height": "0",
        "shipping_freight": "0.00",
        "low_avail_limit": "0",
        "timestamp": str(product.timestamp),
        "updated_timestamp": str(product.updated_timestamp),
        "usergroup_ids": "0",
        "edp_shipping": "N",
        "unlimited_download": "N",
        "free_shipping": "N",
        "zero_price_action": "R",
        "is_pbp": "Y",
        "is_op": "N",
        "is_oper": "N",
        "is_returnable": "Y",
        "return_period": "10",
        "avail_since": "0",
        "out_of_stock_actions": "N",
        "localization": "",
        "min_qty": "0",
        "max_qty": "0",
        "qty_step": "0",
        "list_qty_count": "0",
        "tax_ids": "6",
        "age_verification": "N",
        "age_limit": "0",
        "options_type": "P",
        "exceptions_type": "F",
        "details_layout": "default",
        "shipping_params": 'a:1:{s:10:"box_length";i:0;}',
    }

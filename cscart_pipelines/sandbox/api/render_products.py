"""Products and categories as JSON rows (reference 11)."""

from __future__ import annotations

from typing import Any

from cscart_pipelines.sandbox.http.php import money
from cscart_pipelines.sandbox.shop.model import Category, Product
from cscart_pipelines.sandbox.shop.profiles import Profile

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


def product_row(product: Product, profile: Profile, *, short: bool = False) -> dict[str, Any]:
    """A product as the API shows it; `short`: in a list."""
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
    """A category as the API shows it."""
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

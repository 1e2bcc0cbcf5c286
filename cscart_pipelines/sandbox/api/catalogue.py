"""The `products` and `categories` entities (reference 11, 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, ClassVar

from cscart_pipelines.sandbox.api.base import Context, Entity, required, rights
from cscart_pipelines.sandbox.api.paging import Listing, sorting
from cscart_pipelines.sandbox.api.render_products import category_row, product_detail, product_row
from cscart_pipelines.sandbox.http.php import as_list, decimal, intval, quantity, truthy
from cscart_pipelines.sandbox.http.responses import ApiError, SandboxResponse, ok
from cscart_pipelines.sandbox.shop.model import Product

SORTS: dict[str, Callable[[Product], Any]] = {
    "product": lambda p: p.product,
    "code": lambda p: p.product_code,
    "status": lambda p: p.status,
    "price": lambda p: p.price,
    "list_price": lambda p: p.list_price,
    "weight": lambda p: p.weight,
    "amount": lambda p: p.amount,
    "timestamp": lambda p: p.timestamp,
    "updated_timestamp": lambda p: p.updated_timestamp,
    "company": lambda p: p.company_id,
    "position": lambda p: p.product_id,
    "popularity": lambda p: p.product_id,
}
TEXTS = ("product", "product_code", "status", "tracking")
NUMBERS = ("main_category", "company_id")


class Products(Entity):
    """`products` (reference 8)."""

    privileges: ClassVar = rights("view_catalog", "manage_catalog")

    def index(self, context: Context) -> SandboxResponse:
        """Answers GET of the list."""
        sort = sorting(context.params, tuple(SORTS), "product")
        found = [p for p in _named(context) if _matches(p, context)]
        found.sort(key=lambda p: p.product_id)  # the shop's tie-breaker
        found.sort(key=SORTS[sort["sort_by"]], reverse=sort["sort_order"] == "desc")
        short = context.profile.orders_data and truthy(context.params.get("only_short_fields"))
        internals: dict[str, Any] = {"area": "A", "subcats": "", "extend": ["prices", "categories"]}
        listing = Listing("products", found, internals | sort, envelope_in_1_0=True)
        no_images = "0" in (context.params.get("get_icon"), context.params.get("get_detailed"))

        def render(page: Any) -> list[dict[str, Any]]:
            rows = [product_row(p, context.profile, short=short) for p in page]
            if no_images:
                for row in rows:
                    row.pop("main_pair", None)
            return rows

        return context.page(listing, render)

    def view(self, context: Context, key: int) -> SandboxResponse:
        """Answers GET of one row."""
        return ok(product_detail(_find(context, key), context.profile))

    def create(self, context: Context, body: dict[str, Any]) -> SandboxResponse:
        """Answers POST."""
        name = str(required(body, "product"))
        price = decimal(required(body, "price"))
        if not context.store.multivendor and not context.company_id and not body.get("company_id"):
            raise ApiError(400, "Company by passed ID not found")
        categories = as_list(required(body, "category_ids"))
        fields = _fields(body, context) | {"main_category": intval(categories[0])}
        fields.pop("product", None)
        if context.company_id:
            fields["company_id"] = context.company_id
        made = context.store.add_product(name, price, **fields)
        new = context.profile.quick_status
        return ok({"product_id": made.product_id if new else str(made.product_id)}, 201)

    def update(self, context: Context, key: int, body: dict[str, Any]) -> SandboxResponse:
        """Answers PUT."""
        product = _find(context, key)
        fields = _fields(body, context)
        if "price" in body:
            fields["price"] = decimal(body["price"])
        if product.warehouses:  # the amount is their sum, whatever is sent (reference 11.5)
            fields.pop("amount", None)
        context.store.edit_product(key, **fields)
        split = body.get("warehouses")
        if context.profile.warehouses and isinstance(split, dict):
            context.store.split_stock(key, {intval(k): intval(v) for k, v in split.items()})
        return ok({"product_id": str(key)})

    def delete(self, context: Context, key: int) -> SandboxResponse:
        """Answers DELETE."""
        _find(context, key)
        context.store.delete_product(key)
        return SandboxResponse(204)


class Categories(Entity):
    """`categories`."""

    privileges: ClassVar = rights("view_catalog", "manage_catalog")

    def index(self, context: Context) -> SandboxResponse:
        """Answers GET of the list."""
        found = sorted(context.store.categories.values(), key=lambda c: (c.position, c.category_id))
        counts = _counts(context)
        listing = Listing("categories", found, sorting(context.params, ("position",), "position"))
        return context.page(
            listing, lambda page: [category_row(c, counts.get(c.category_id, 0)) for c in page]
        )

    def view(self, context: Context, key: int) -> SandboxResponse:
        """Answers GET of one row."""
        if key not in context.store.categories:
            raise ApiError(404)
        return ok(category_row(context.store.categories[key], _counts(context).get(key, 0)))


def _counts(context: Context) -> dict[int, int]:
    counts: dict[int, int] = {}
    for product in context.store.products.values():
        counts[product.main_category] = counts.get(product.main_category, 0) + 1
    return counts


def _find(context: Context, key: int) -> Product:
    product = context.store.products.get(key)
    if product is None or (
        context.store.multivendor and context.company_id not in (None, product.company_id)
    ):
        raise ApiError(404)
    return product


def _fields(body: dict[str, Any], context: Context) -> dict[str, Any]:
    found: dict[str, Any] = {name: str(body[name]) for name in TEXTS if name in body}
    found |= {name: intval(body[name]) for name in NUMBERS if name in body}
    if "product_code" in found:
        found["product_code"] = found["product_code"][:64]
    if "amount" in body:
        amount = quantity(body["amount"], weighed="stock" in context.store.weighed)
        found["amount"] = max(-8_388_608, min(8_388_607, amount))
    return found


def _named(context: Context) -> Iterable[Product]:
    """The products that `pid` names, or all."""
    products = context.store.products
    if not truthy(context.params.get("pid")):
        return products.values()
    wanted = {intval(each) for each in as_list(context.params["pid"], split=True)}
    return [products[key] for key in wanted if key in products]


def _asked_for(context: Context) -> Iterable[Product]:
    """The products of `pid`, read once and not per product; without it all of them."""
    products = context.store.products
    if not truthy(context.params.get("pid")):
        return products.values()
    wanted = {intval(each) for each in as_list(context.params["pid"], split=True)}
    return [products[key] for key in wanted if key in products]


def _matches(product: Product, context: Context) -> bool:
    params = context.params
    if not product.main_category:
        return False  # an inner join with categories (reference 11.1)
    if (
        context.store.multivendor
        and context.company_id is not None
        and product.company_id != context.company_id
    ):
        return False
    if truthy(params.get("exclude_pid")) and str(product.product_id) in as_list(
        params["exclude_pid"], split=True
    ):
        return False
    if truthy(params.get("updated_in_hours")):
        since = context.store.now() - intval(params["updated_in_hours"]) * 3600
        if product.updated_timestamp < since:
            return False
    span = context.period()
    if span is not None and not span[0] <= product.timestamp <= span[1]:
        return False
    equal = {
        "status": product.status,
        "cid": product.main_category,
        "tracking": product.tracking,
        "company_id": product.company_id,
        "company_ids": product.company_id,
    }
    for name, value in equal.items():
        if truthy(params.get(name)) and str(value) not in as_list(params[name], split=True):
            return False
    for name, text in {"pcode": product.product_code, "q": product.product}.items():
        if truthy(params.get(name)) and str(params[name]).lower() not in text.lower():
            return False
    columns = {"amount": Decimal(product.amount), "price": product.price}
    for name, has in columns.items():
        low, high = params.get(f"{name}_from"), params.get(f"{name}_to")
        if truthy(low) and has < decimal(low):
            return False
        if truthy(high) and has > decimal(high):
            return False
    return True

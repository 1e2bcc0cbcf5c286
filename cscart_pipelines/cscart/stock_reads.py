"""Live reads of products before their stock is written, a page of products in one request.

The warehouse's copy is parsed in `records.products`. Not here: the write (`writes`), decisions
about it (`fulfilment`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import (
    Raw,
    UnreadableRowError,
    quantity,
    reference,
    require_key,
    require_object,
    text,
)
from cscart_pipelines.cscart.errors import NotFoundError
from cscart_pipelines.cscart.http.responses import ApiResponse
from cscart_pipelines.cscart.lists import read_page

PAGE = 50
"""Products per request: their ids are in the address, which servers limit to a few thousand
characters."""
_SLIM = {"get_icon": 0, "get_detailed": 0, "get_additional": 0, "get_features": 0}


@dataclass(frozen=True)
class ProductStock:
    """A product's stock in the shop now. `amount` may be negative; None if it is not sent."""

    product_id: int
    product_code: str
    amount: Decimal | None
    tracking: str | None
    """D: not counted; O: counted by option (up to 4.12); else counted (reference 11.1)."""
    product_type: str | None
    company_id: int | None = None


def read_amounts(client: ShopClient, product_ids: Collection[int]) -> dict[int, ProductStock]:
    """Reads products by id; those that the shop does not have are missing in the result.

    That takes a request per page, a few at a time, and one more for each product without a
    category, which no list shows (reference 11.1).

    Raises:
        ShopError: As the client raises.
    """
    ids = sorted(set(product_ids))
    parts = [ids[start : start + PAGE] for start in range(0, len(ids), PAGE)]
    if len(parts) < 2:
        return _page(client, parts[0]) if parts else {}
    found: dict[int, ProductStock] = {}
    with ThreadPoolExecutor(client.max_parallel, "amounts") as threads:
        futures = [threads.submit(_page, client, part) for part in parts]
        try:
            for future in futures:
                found |= future.result()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
    return found


def _page(client: ShopClient, ids: list[int]) -> dict[int, ProductStock]:
    asked: dict[str, str | int] = {**_SLIM, "pid": ",".join(map(str, ids))}
    wanted = set(ids)
    found: dict[int, ProductStock] = {}
    for row in read_page(client, "products", 1, PAGE, asked).rows:
        # A row that cannot be read is asked for alone, like one that the list does not show.
        with contextlib.suppress(UnreadableRowError):
            product = _parse(row)
            if product.product_id in wanted:
                found[product.product_id] = product
    for product_id in ids:
        if product_id not in found and (alone := _alone(client, product_id)) is not None:
            found[product_id] = alone
    return found


def _alone(client: ShopClient, product_id: int) -> ProductStock | None:
    try:
        answer: ApiResponse = client.get("products", id=product_id)
        product = _parse(require_object(answer.body))
    except (NotFoundError, UnreadableRowError):
        return None
    return product if product.product_id == product_id else None


def _parse(row: Raw) -> ProductStock:
    get = row.get
    return ProductStock(
        require_key(get("product_id"), "product_id"),
        text(get("product_code")) or "",
        quantity(get("amount")),
        text(get("tracking")),
        text(get("product_type")),
        reference(get("company_id")),
    )

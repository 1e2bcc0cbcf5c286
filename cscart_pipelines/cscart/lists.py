"""The lists of a shop: one page as a ListAnswer, and what a walk needs to read them all.

Here belong the envelope (reference 6.1), the stable sort keys (6.4) and short lists that need no
walk. Not here: which lists to read, since when, and with which filters (the sync room).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .address import Params
from .client import ShopClient
from .errors import PermanentShopError, TransientShopError
from .loose import integer, mapping
from .paging import Fetch, ListAnswer

Row = dict[str, Any]

STABLE_SORT: dict[str, Params] = {
    "orders": {"sort_by": "order_id", "sort_order": "asc"},
    "users": {"sort_by": "id", "sort_order": "asc"},
    "shipments": {"sort_by": "id", "sort_order": "asc"},
    "products": {"sort_by": "timestamp", "sort_order": "asc"},
}
"""Per entity an order in which new rows are appended (6.4). Products have no key by id: by creation
time, to which the shop appends the id."""

_SHORT_LIST_PAGE = 250
_SHORT_LIST_PAGES = 400


def read_page(
    client: ShopClient,
    entity: str,
    page: int,
    size: int,
    params: Params | None = None,
    *,
    heavy_retries: int | None = None,
) -> ListAnswer[Row]:
    """One page of a list, sorted by `STABLE_SORT`. Rows that are no objects are left out.

    Raises what the client raises, and TransientShopError for a page that is no list.
    """
    asked: dict[str, Any] = {
        **STABLE_SORT.get(entity, {}),
        **(params or {}),
        "page": page,
        "items_per_page": size,
    }
    answer = client.get(entity, params=asked, heavy_retries=heavy_retries)
    name = entity.rpartition("/")[2]
    body = mapping(answer.body)
    found = body.get(name)
    if isinstance(found, dict):
        found = list(found.values())
    if not isinstance(found, list):
        raise TransientShopError(f"The shop's answer is no list of {name}.", cause="page")
    rows = [row for row in found if isinstance(row, dict)]
    told = mapping(body.get("params"))
    total = integer(told.get("total_items"))
    if total is None or total < 0:
        if len(found) >= size or (not found and page > 1):
            raise PermanentShopError(f"The shop does not tell how many {name} there are.")
        total = (page - 1) * size + len(found)
    return ListAnswer(rows, total, integer(told.get("page")), answer.date)


def fetcher(
    client: ShopClient, entity: str, params: Params | None = None, *, heavy_retries: int = 1
) -> Fetch[Row]:
    """The `fetch` of a Walk through a list.

    A page that fails for its weight is repeated `heavy_retries` times before the walk tries a
    smaller one; a single row is retried as often as the client does.
    """

    def fetch(page: int, size: int) -> ListAnswer[Row]:
        heavy = heavy_retries if size > 1 else None
        return read_page(client, entity, page, size, params, heavy_retries=heavy)

    return fetch


def identifier(
    client: ShopClient, entity: str, key: str, params: Params | None = None
) -> Callable[[int], int | None]:
    """The `identify` of a Walk: the id (`key`) at a position, from the list without details.

    `params` must filter as the walk's list does, less what makes its rows heavy.
    """

    def identify(position: int) -> int | None:
        rows = read_page(client, entity, position + 1, 1, params).rows
        return integer(rows[0].get(key)) if rows else None

    return identify


def read_short_list(client: ShopClient, entity: str, params: Params | None = None) -> list[Row]:
    """All rows of a list that is short and stands still: statuses, categories, shippings.

    Read forward until a page is not full: up to 4.7.1 their `total_items` is the size of the page
    (reference 6.3). A page that brings nothing new ends it, too.
    """
    rows: list[Row] = []
    for page in range(1, _SHORT_LIST_PAGES + 1):
        asked: dict[str, Any] = {**(params or {}), "page": page, "items_per_page": _SHORT_LIST_PAGE}
        found = mapping(client.get(entity, params=asked).body).get(entity)
        if isinstance(found, dict):
            found = list(found.values())
        if not isinstance(found, list):
            raise TransientShopError(f"The shop's answer is no list of {entity}.", cause="page")
        new = [row for row in found if isinstance(row, dict)]
        if rows and new and new[-1] == rows[-1]:
            break
        rows += new
        if len(found) != _SHORT_LIST_PAGE:
            break
    return rows

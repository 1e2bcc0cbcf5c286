"""The lists of a shop: one page as a ListAnswer, and the functions that the paginator takes.

Here belong the envelope (reference 6.1), the stable sort keys (6.4), and short lists that need no
paginator. Not here: which lists to read, since when, and with which filters (`sync`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import Raw, integer, mapping
from cscart_pipelines.cscart.errors import PermanentShopError, ShopTooOldError, TransientShopError
from cscart_pipelines.cscart.http.address import Params
from cscart_pipelines.cscart.http.responses import ApiResponse
from cscart_pipelines.cscart.paginator import PAST_THE_END, Fetch, ListAnswer

Row = dict[str, Any]

STABLE_SORT: dict[str, Params] = {
    "orders": {"sort_by": "order_id", "sort_order": "asc"},
    "users": {"sort_by": "id", "sort_order": "asc"},
    "shipments": {"sort_by": "id", "sort_order": "asc"},
    "products": {"sort_by": "timestamp", "sort_order": "asc"},
}
"""By entity the order in which new rows are appended (6.4). Products cannot be sorted by id: by
creation time, to which the shop appends the id."""

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
    """Reads one page of a list, sorted by `STABLE_SORT`. Rows that are no objects are left out.

    Args:
        client: Of the shop.
        entity: `orders`, `users`, …
        page: From 1.
        size: Rows per page.
        params: Filters.
        heavy_retries: As `ShopClient.get`.

    Raises:
        ShopTooOldError: The shop answers with a bare list.
        TransientShopError: The page is no list.
        ShopError: As the client raises.
    """
    asked: dict[str, Any] = {
        **STABLE_SORT.get(entity, {}),
        **(params or {}),
        "page": page,
        "items_per_page": size,
    }
    answer = client.get(entity, params=asked, heavy_retries=heavy_retries)
    found, told = _envelope(answer, entity.rpartition("/")[2])
    rows = [row for row in found if isinstance(row, dict)]
    used = min(size, integer(told.get("items_per_page")) or size)  # a shop may allow fewer
    total, number = integer(told.get("total_items")), integer(told.get("page"))
    if total is None or total < 0:
        if len(found) >= used or (not found and page > 1):
            raise PermanentShopError(f"The shop does not say how many {entity} there are.")
        total = (page - 1) * size + len(found)
    first = ((number or page) - 1) * size
    expected = min(size, total - first)
    fewer = used < size and len(found) <= used and (first > 0 or len(found) < total)
    cut = size > 1 and expected > 0 and (fewer or 0 != len(found) != expected)
    return ListAnswer(rows, total, number, answer.date, cut)


def read_total(client: ShopClient, entity: str, params: Params | None = None) -> int:
    """Reads how many rows a list has; past its end if its first row breaks the answer.

    Raises:
        ShopError: As `read_page`.
    """
    try:
        return read_page(client, entity, 1, 1, params).total
    except TransientShopError as error:
        if not error.lighter_may_help:
            raise
        return read_page(client, entity, PAST_THE_END, 1, params).total


def _envelope(answer: ApiResponse, name: str) -> tuple[list[Any], Raw]:
    """Returns the rows, and the parameters that the shop used."""
    refuse_bare_list(answer.body, name)
    body = mapping(answer.body)
    found = body.get(name)
    if isinstance(found, dict):
        found = list(found.values())
    if not isinstance(found, list):
        raise TransientShopError(f"The shop's answer is no list of {name}.", cause="page")
    return found, mapping(body.get("params"))


def refuse_bare_list(body: Any, name: str) -> None:
    """Refuses rows without an envelope, as API 1.0 answers (reference 2.2).

    Raises:
        ShopTooOldError: The body is a bare list.
    """
    if isinstance(body, list):
        raise ShopTooOldError(
            f"The shop answers with a bare list of {name}, as API 1.0 does; API 2.0 is needed "
            "(CS-Cart 4.7 or newer). Upgrade the shop, or remove the rule of its web server or "
            "proxy that leads from /api/2.0/ to /api/1.0/."
        )


def fetcher(
    client: ShopClient, entity: str, params: Params | None = None, *, heavy_retries: int = 1
) -> Fetch[Row]:
    """Returns the `fetch` of a paginator for a list.

    A page that may be too heavy is repeated `heavy_retries` times before the paginator tries a
    smaller one; a single row as often as the client does.
    """

    def fetch(page: int, size: int) -> ListAnswer[Row]:
        heavy = heavy_retries if size > 1 else None
        return read_page(client, entity, page, size, params, heavy_retries=heavy)

    return fetch


def identifier(
    client: ShopClient, entity: str, key: str, params: Params | None = None
) -> Callable[[int], int | None]:
    """Returns the `identify` of a paginator: reads the id (`key`) at a position of a list.

    `params` are those of the list without the ones that make its rows heavy.
    """

    def identify(position: int) -> int | None:
        rows = read_page(client, entity, position + 1, 1, params).rows
        return integer(rows[0].get(key)) if rows else None

    return identify


def read_short_list(client: ShopClient, entity: str, params: Params | None = None) -> list[Row]:
    """Reads all rows of a short list that rarely changes: statuses, categories, shippings.

    The pages are read forward until one is not full and the total is reached: up to 4.7.1
    `total_items` may be the size of the page (reference 6.3), and shops may allow fewer rows per
    page than requested (23). A page without new rows ends the list, too.

    Raises:
        ShopError: As `read_page`.
    """
    rows: list[Row] = []
    for page in range(1, _SHORT_LIST_PAGES + 1):
        asked: dict[str, Any] = {**(params or {}), "page": page, "items_per_page": _SHORT_LIST_PAGE}
        found, told = _envelope(client.get(entity, params=asked), entity)
        new = [row for row in found if isinstance(row, dict)]
        if rows and new and new[-1] == rows[-1]:
            break
        rows += new
        total = integer(told.get("total_items")) or 0
        if not found or (len(found) != _SHORT_LIST_PAGE and len(rows) >= total):
            break
    return rows

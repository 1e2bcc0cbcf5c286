"""The capabilities of a shop, found by requests, not by its version number (reference 20.2).

Here belong the connection test and its few requests. Not here: the use of the result (`sync`,
`integrations.registry`).

A shop without orders does not show how it lists them. Then other facts decide: API version 2.1
means 4.11 or newer, which has details in the list (2.2, 18); 4.13 brought `updated_at` together
with `_raw` fields of products (18), and removed the combinations entity (11.4). `orders_seen` is
false if it was concluded so: then the shop is probed again once it has orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, SecretStr

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import entries, integer, mapping
from cscart_pipelines.cscart.errors import (
    AccessDeniedError,
    ApiNotFoundError,
    CredentialsRefusedError,
    NotFoundError,
    PermanentShopError,
    ShopError,
    ShopTooOldError,
    TransientShopError,
)
from cscart_pipelines.cscart.http.address import Params, Style, normalise_base_url
from cscart_pipelines.cscart.http.responses import ApiResponse
from cscart_pipelines.cscart.http.scheme import wrong_scheme
from cscart_pipelines.cscart.lists import refuse_bare_list

FAR_FUTURE = 4102444800
"""2100-01-01: no order was updated after it."""
_STYLES: tuple[Style, ...] = ("rewrite", "api.php")


class Readable(BaseModel):
    """The entities that the user may read, by the privileges of its group (reference 3.2)."""

    model_config = ConfigDict(frozen=True)

    orders: bool
    users: bool
    products: bool
    statuses: bool
    shipments: bool
    categories: bool


class Capabilities(BaseModel):
    """The result of a connection test, stored as JSON.

    `orders_with_details`: the order list takes get_orders_data=1. `updated_at_filter`: it takes
    updated_at_from and _to. `user_type_required`: the user list answers 400 without user_type.
    `updated_in_hours`: the product list takes it (assumed, since 4.7 and later do). `orders_total`:
    the shop's count, None if unreadable. `clock_skew`: seconds by which the shop's clock is ahead
    of ours, None if it sends no Date. `family`: the likely version, for people.
    """

    model_config = ConfigDict(frozen=True)

    style: Style
    api_version: str
    orders_with_details: bool
    updated_at_filter: bool
    user_type_required: bool
    updated_in_hours: bool
    readable: Readable
    orders_seen: bool
    orders_total: int | None
    clock_skew: float | None
    family: str
    probed_at: datetime


class Connect(Protocol):
    """Opens a client: ShopClient itself, or a function that sets other time-outs."""

    def __call__(
        self, base_url: str, email: str, api_key: SecretStr | str, *, style: Style
    ) -> ShopClient:
        """Opens the client of a shop whose API has addresses of this style."""
        ...


def probe(
    base_url: str, email: str, api_key: SecretStr | str, *, connect: Connect = ShopClient
) -> Capabilities:
    """Tests the connection and finds the shop's capabilities, in about ten requests.

    Raises:
        ShopError: The subclass names the fault (UnreachableError, TlsError, …).
        InvalidAddressError: The address is not that of a shop.
    """
    try:
        return _probe(base_url, email, api_key, connect)
    except ShopError as error:
        told = wrong_scheme(normalise_base_url(base_url), error)
        if told is None:
            raise
        raise told from None


def _probe(base_url: str, email: str, api_key: SecretStr | str, connect: Connect) -> Capabilities:
    failure: ShopError | None = None
    for style in _STYLES:
        with connect(base_url, email, api_key, style=style) as client:
            found = _find_api(client)
            if isinstance(found, ApiResponse):
                return _find_capabilities(client, style, found)
            failure = failure or found
    if isinstance(failure, NotFoundError):
        raise ShopTooOldError(
            "The shop answers, but has no API 2.0: CS-Cart 4.7 or newer is needed.", status=404
        )
    host = client.address.base
    raise ApiNotFoundError(
        f"No CS-Cart API was found at {host}, neither under /api nor under api.php: check the "
        "address and the shop's sub-directory."
    )


def _find_api(client: ShopClient) -> ApiResponse | ShopError:
    """Returns the answer to GET /version, or the error in this style of addresses."""
    try:
        answer = client.get("version", heavy_retries=1)
    except (NotFoundError, ApiNotFoundError) as error:  # the latter: the web server's own 404 page
        return _without_version(client) or error
    except TransientShopError as error:
        if error.cause != "page":
            raise
        return error
    if not isinstance(mapping(answer.body).get("Version"), str | int | float):
        return ApiNotFoundError("The answer is JSON, but not that of a CS-Cart shop.")
    return answer


def _without_version(client: ShopClient) -> ApiResponse | None:
    """Returns an answer for a shop (or proxy) that hides its version, but has API 2.0."""
    try:
        answer = client.get("orders", params={"items_per_page": 1}, heavy_retries=1)
    except CredentialsRefusedError:
        raise
    except PermanentShopError:
        return None
    except TransientShopError as error:
        if error.cause != "page":
            raise
        return None
    refuse_bare_list(answer.body, "orders")
    if "params" not in mapping(answer.body):
        return None
    return replace(answer, body={"Version": "2.0"})


def _find_capabilities(client: ShopClient, style: Style, version: ApiResponse) -> Capabilities:
    api_version = str(version.body["Version"])[:10]
    if api_version.startswith("1"):
        raise ShopTooOldError("The shop has only API 1.0: CS-Cart 4.7 or newer is needed.")
    now = datetime.now(UTC)
    skew = (version.date - now).total_seconds() if version.date else None
    orders = _newest_order(client)
    if orders is not None:
        refuse_bare_list(orders.body, "orders")
    total = None if orders is None else _total(orders)
    row = None if orders is None else _first_row(orders, "orders")
    required, users = _user_type_required(client)
    products = _ask(client, "products", {"items_per_page": 1})
    product = None if products is None else _first_row(products, "products")
    if row is not None:
        details = "products" in row
        future = _ask(client, "orders", {"updated_at_from": FAR_FUTURE, "items_per_page": 1})
        by_change = future is not None and _first_row(future, "orders") is None
    else:
        details = api_version != "2.0" or required is True
        by_change = details and (
            required is True
            or (not _has_combinations(client) if product is None else "tracking_raw" in product)
        )
    readable = Readable(
        orders=orders is not None,
        users=users,
        products=products is not None,
        statuses=_may_read(client, "statuses"),
        shipments=_may_read(client, "shipments"),
        categories=_may_read(client, "categories"),
    )
    return Capabilities(
        style=style,
        api_version=api_version,
        orders_with_details=details,
        updated_at_filter=by_change,
        user_type_required=required is not False,
        updated_in_hours=readable.products,
        readable=readable,
        orders_seen=row is not None,
        orders_total=total,
        clock_skew=None if skew is None else round(skew, 1),
        family=_family(details, by_change, required),
        probed_at=now,
    )


def _ask(client: ShopClient, entity: str, params: Params) -> ApiResponse | None:
    """Returns the answer, or None if the user may not read the entity or the shop lacks it."""
    try:
        answer = client.get(entity, params=params)
    except (AccessDeniedError, NotFoundError):
        return None
    refuse_bare_list(answer.body, entity)
    return answer


def _may_read(client: ShopClient, entity: str) -> bool:
    try:
        return _ask(client, entity, {"items_per_page": 1}) is not None
    except ApiNotFoundError:  # the web server's own page: not there either
        return False


def _newest_order(client: ShopClient) -> ApiResponse | None:
    """Reads a page with one order and its details; the oldest order if the newest is broken."""
    asked: dict[str, str | int] = {"get_orders_data": 1, "items_per_page": 1}
    try:
        return client.get("orders", params=asked, heavy_retries=1)
    except (AccessDeniedError, NotFoundError):
        return None
    except TransientShopError as error:
        if not error.lighter_may_help:
            raise
    oldest = {"sort_by": "order_id", "sort_order": "asc"}
    return client.get("orders", params={**asked, **oldest})


def _user_type_required(client: ShopClient) -> tuple[bool | None, bool]:
    """Tells whether the user list needs user_type (None: unknown), and whether it may be read.

    The privilege is checked before the entity's own rules (reference 4.3), so 400 means yes to
    both.
    """
    try:
        refuse_bare_list(client.get("users", params={"items_per_page": 1}).body, "users")
    except (AccessDeniedError, NotFoundError):
        return None, False
    except PermanentShopError as error:
        if error.status != 400:
            raise
        return True, True
    return False, True


def _has_combinations(client: ShopClient) -> bool:
    """Tells whether the entity exists, which is checked before privileges (reference 4.3)."""
    try:
        client.get("combinations", params={"product_id": 1})
    except (NotFoundError, ApiNotFoundError):
        return False
    except PermanentShopError:
        return True
    return True


def _total(answer: ApiResponse) -> int | None:
    return integer(mapping(mapping(answer.body).get("params")).get("total_items"))


def _first_row(answer: ApiResponse, entity: str) -> Mapping[str, Any] | None:
    rows = [row for _, row in entries(mapping(answer.body).get(entity)) if isinstance(row, dict)]
    return rows[0] if rows else None


def _family(details: bool, by_change: bool, user_type_required: bool | None) -> str:
    """Returns the likely version, by the table of differences (reference 18)."""
    if user_type_required:
        return "4.16 or newer"
    if by_change:
        return "4.13 or newer" if user_type_required is None else "4.13 to 4.15"
    return "4.11 or 4.12" if details else "4.10 or older"

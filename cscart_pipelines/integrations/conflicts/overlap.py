"""Two integrations of one shop with the same orders: refused for fulfilment, a warning for lists.

Each would export the orders and count their revenue. Two that write stock to the same products are
refused too: products have a company and no storefront. Like the order prefixes, it is checked in
the transaction that saves, under the same lock, and again before an export or a write to the shop.
Not here: what one integration takes (`limit`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import dict_row

from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.limit import Limit
from cscart_pipelines.integrations.settings import (
    IntegrationSettings,
    InvalidSettingsError,
    from_row,
    uses_fulfilment,
)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def same_shop(one: str, other: str) -> bool:
    """Tells whether two base addresses are surely one installation.

    Scheme and `www.` make no difference. Another port or sub-directory is usually another
    installation; for `maybe_same_shop` it may be the same.
    """
    return _place(one) == _place(other)


def maybe_same_shop(one: str, other: str) -> bool:
    """Tells whether two base addresses have the same host, whatever the port and path."""
    return _place(one)[0] == _place(other)[0] not in LOOPBACK or same_shop(one, other)


def shared(one: Limit, other: Limit) -> str | None:
    """Returns what two integrations of one shop both take, in words; None if nothing."""
    if not one or not other:
        return "at least one of them takes the whole shop"
    pairs = {
        "companies": (one.companies, other.companies),
        "storefronts": (one.storefronts, other.storefronts),
    }
    both = {
        name: sorted({*mine} & {*theirs})
        for name, (mine, theirs) in pairs.items()
        if mine and theirs
    }
    if not all(both.values()):
        return None
    for name, ids in both.items():
        return f"both take the {name} {', '.join(map(str, ids))}"
    return (
        "one is limited by company and the other by storefront, so that nothing can tell whether"
        " they share orders"
    )


def warnings(one: IntegrationSettings, others: Iterable[IntegrationSettings]) -> list[str]:
    """Returns a sentence for each other integration whose list shares orders with this one."""
    found = []
    for other in others:
        if other.integration == one.integration or not maybe_same_shop(one.url, other.url):
            continue
        if why := shared(one.limit, other.limit):
            sure = "reads" if same_shop(one.url, other.url) else "may read"
            found.append(
                f"{other.integration} {sure} the same shop, and {why}: the lists share customers,"
                " orders and revenue. Limit both with --companies or --storefronts"
            )
    return found


def clashes(settings: Iterable[IntegrationSettings]) -> dict[str, str]:
    """Returns by key why it cannot serve fulfilment, within one file of integrations."""
    found: dict[str, str] = {}
    before: list[IntegrationSettings] = []
    for one in settings:
        for message in _clashing(one, before):
            found.setdefault(one.integration, message)
        before.append(one)
    return found


def refuse_clash(connection: psycopg.Connection[Any], key: str) -> None:
    """Checks the integration as the caller's transaction has written it.

    Raises:
        InvalidSettingsError: On `companies`; names the other integration.
    """
    rows = connection.cursor(row_factory=dict_row).execute(
        "SELECT * FROM registry.integrations WHERE integration = %s", [key]
    )
    for row in rows.fetchall():
        mine = from_row(row)
        for message in _clashing(mine, _others(connection, mine)):
            raise InvalidSettingsError({"companies": message})


def siblings(
    connection: psycopg.Connection[Any], mine: IntegrationSettings, *, stock: bool = False
) -> list[str]:
    """Returns the other integrations of the same shop.

    Args:
        connection: To the warehouse.
        mine: Of the integration.
        stock: Its stock is to be written.

    Raises:
        NotAllowedError: One of them takes the same orders and serves fulfilment too, or has
            exported some although neither has settings of fulfilment; or `stock`, and it writes
            the stock of the same products.
    """
    others = [one for one in _others(connection, mine) if same_shop(one.url, mine.url)]
    keys = [other.integration for other in others]
    if not keys:
        return []
    rows = connection.cursor(row_factory=dict_row).execute(
        "SELECT DISTINCT integration FROM fulfilment.orders WHERE integration = ANY(%s)", [keys]
    )
    handed_out = {row["integration"] for row in rows.fetchall()}
    for other in others:
        why = shared(mine.limit, other.limit)
        by_hand = other.integration in handed_out and not uses_fulfilment(mine)
        if why and (uses_fulfilment(other) or by_hand):
            message = _message(other.integration, why)
            raise NotAllowedError(f"fulfilment is not allowed for {mine.integration}: {message}")
        if stock and _share_stock(mine, other):
            message = _stock_message(other.integration)
            raise NotAllowedError(f"stock is not written for {mine.integration}: {message}")
    return keys


def _others(
    connection: psycopg.Connection[Any], mine: IntegrationSettings
) -> list[IntegrationSettings]:
    rows = connection.cursor(row_factory=dict_row).execute(
        "SELECT * FROM registry.integrations WHERE integration <> %s ORDER BY integration",
        [mine.integration],
    )
    return [from_row(row) for row in rows.fetchall()]


def _clashing(one: IntegrationSettings, others: Iterable[IntegrationSettings]) -> Iterator[str]:
    """Yields why it cannot serve fulfilment beside the others."""
    for other in others:
        if not (uses_fulfilment(one) and uses_fulfilment(other) and same_shop(one.url, other.url)):
            continue
        if other.integration == one.integration:
            continue
        if why := shared(one.limit, other.limit):
            yield _message(other.integration, why)
        elif _share_stock(one, other):
            yield _stock_message(other.integration)


def _share_stock(one: IntegrationSettings, other: IntegrationSettings) -> bool:
    """Tells whether two integrations of one shop write the stock of the same products."""
    apart = one.companies and other.companies and not {*one.companies} & {*other.companies}
    return one.update_stock and other.update_stock and not apart


def _message(other: str, why: str) -> str:
    return (
        f"the integration {other!r} reads the same shop, and {why}: orders would be handed out"
        " twice. Expected --companies or --storefronts in both that share nothing, or fulfilment"
        " settings in one of them only"
    )


def _stock_message(other: str) -> str:
    return (
        f"the integration {other!r} writes the stock of the same shop, whose storefronts share"
        " their products: each would replace the other's amounts. Expected --update-stock yes in"
        " one of them only, or --companies in both that share nothing"
    )


def _place(url: str) -> tuple[str, int | None, str]:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().removeprefix("www.")
    return "localhost" if host in LOOPBACK else host, parts.port, parts.path.rstrip("/")

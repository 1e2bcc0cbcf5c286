"""What was ordered since stock was counted: pieces the shop has sold and the count still holds.

Read live from the shop, since the warehouse's orders are as old as the last synchronisation. Not
here: what is done with the pieces (`rules`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.coerce import UnreadableRowError, integer
from cscart_pipelines.cscart.errors import NotFoundError, TransientShopError
from cscart_pipelines.cscart.lists import fetcher, identifier
from cscart_pipelines.cscart.paginator import ReverseOffsetPaginator
from cscart_pipelines.cscart.quantities import total
from cscart_pipelines.cscart.records.orders import parse_order

DEFAULT_STOCK_HOLDING = frozenset("PCOY")
"""Statuses that take stock as a shop is installed (reference 8.5): for accounts that may not read
the statuses."""
_WITH_DETAILS = (50, 25, 5, 1)
_ROWS = (250, 50, 10, 1)
MAX_UNREADABLE_IN_A_ROW = 5
"""Unreadable details in a row from which on the shop, and not the orders, is the cause."""


@dataclass
class OpenOrders:
    """Pieces sold by product, with the order's time. `notes`: orders that could not be read."""

    sold: dict[int, list[tuple[datetime, Decimal]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def pieces(self, product_id: int, since: datetime) -> Decimal:
        """Returns pieces of a product in orders placed at `since` or later.

        Orders have whole seconds: one in the very second counts as later, because counting a sale
        twice shows a piece too few, and missing it sells one that is not there.
        """
        since = since.replace(microsecond=0)
        return total(pieces for placed, pieces in self.sold.get(product_id, ()) if placed >= since)


def stock_holding_statuses(connection: psycopg.Connection[Any], integration: str) -> frozenset[str]:
    """Returns the letters of order statuses that take stock in this shop."""
    rows = connection.execute(
        "SELECT status, inventory FROM cscart.statuses WHERE integration = %s AND type = 'O'"
        " AND deleted_at IS NULL",
        [integration],
    ).fetchall()
    if not any(inventory for _, inventory in rows):
        return DEFAULT_STOCK_HOLDING
    return frozenset(letter for letter, inventory in rows if inventory == "D")


def read_open_orders(
    client: ShopClient,
    capabilities: Mapping[str, Any],
    letters: Collection[str],
    since: datetime,
) -> OpenOrders:
    """Reads orders placed at `since` or later, in one of the statuses.

    With details in the list one request tells fifty orders, otherwise each is asked for alone. An
    order that the shop cannot show is noted and left out.

    Args:
        client: of the shop.
        capabilities: as probed by the connection test.
        letters: of the statuses.
        since: on the shop's clock.

    Raises:
        ShopError: the list could not be read.
    """
    found = OpenOrders()
    if not letters:
        return found
    params: dict[str, Any] = {
        "period": "C",
        "time_from": int(since.timestamp()),
        "status[]": sorted(letters),
    }
    raw: Iterable[Mapping[str, Any]]
    seen: set[int] = set()
    if capabilities.get("orders_with_details"):
        raw = _rows(client, {**params, "get_orders_data": 1}, params, _WITH_DETAILS, found)
    else:
        raw = _details(client, _rows(client, params, params, _ROWS, found), found)
    for each in raw:
        _add(found, each, letters, seen)
    return found


def _add(
    found: OpenOrders, raw: Mapping[str, Any], letters: Collection[str], seen: set[int]
) -> None:
    try:
        order, lines = parse_order(raw)
    except UnreadableRowError as error:
        found.notes.append(f"an order cannot be read ({error}): its pieces are not taken off")
        return
    # Rows may come twice, and a filter that a shop does not know is ignored by it.
    if order.order_id in seen or order.is_parent_order or order.status not in letters:
        return
    seen.add(order.order_id)
    for line in lines:
        if line.product_id is not None and line.quantity > 0:
            found.sold.setdefault(line.product_id, []).append((order.ordered_at, line.quantity))


def _rows(
    client: ShopClient,
    params: Mapping[str, Any],
    light_params: Mapping[str, Any],
    sizes: tuple[int, ...],
    found: OpenOrders,
) -> Iterator[Mapping[str, Any]]:
    def unreadable(order_id: int | str | None, position: int, reason: str) -> None:
        found.notes.append(
            f"order {order_id or '?'} cannot be read ({reason}): its pieces are not taken off"
        )

    pages = ReverseOffsetPaginator(
        fetcher(client, "orders", params),
        size=sizes[0],
        sizes=sizes,
        growing_tail=True,
        identify=identifier(client, "orders", "order_id", light_params),
        on_unreadable=unreadable,
    )
    for page in pages:
        yield from page.rows


def _details(
    client: ShopClient, rows: Iterable[Mapping[str, Any]], found: OpenOrders
) -> Iterator[Mapping[str, Any]]:
    unreadable_in_a_row = 0
    for order_id in dict.fromkeys(integer(row.get("order_id")) for row in rows):
        if order_id is None:
            continue
        try:
            body = client.get("orders", id=order_id, heavy_retries=1).body
        except NotFoundError:
            continue  # deleted meanwhile
        except TransientShopError as error:
            unreadable_in_a_row += 1
            if not error.lighter_may_help or unreadable_in_a_row >= MAX_UNREADABLE_IN_A_ROW:
                raise
            found.notes.append(
                f"order {order_id} cannot be read ({error}): its pieces are not taken off"
            )
            continue
        unreadable_in_a_row = 0
        if isinstance(body, dict):
            yield body

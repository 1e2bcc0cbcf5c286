"""Which order a number in the inbox means, and whose it seems to be if it is not known.

Not here: what a number looks like (`integrations/order_numbers`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from cscart_pipelines.fulfilment.feeds.fields import clean
from cscart_pipelines.integrations.order_numbers import strip


@dataclass(frozen=True)
class OrderMatch:
    """What the order numbers of the inbox mean."""

    orders: dict[str, int]
    """Number to order id."""
    foreign: dict[str, str]
    """Number to the reason why it is none of this integration's."""


def match_orders(
    connection: psycopg.Connection[Any], key: str, prefix: str, numbers: Sequence[str]
) -> OrderMatch:
    """Finds the orders of these numbers; marks of a spreadsheet around them do not matter.

    Args:
        connection: to the warehouse.
        key: of the integration.
        prefix: the integration's order prefix.
        numbers: as the inbox spells them.
    """
    bare = {number: clean(number, "order_number") for number in numbers}
    known = _pulled(connection, key, list(bare.values()))
    orders = {number: known.get(text) or strip(prefix, text) for number, text in bare.items()}
    unknown = [number for number, order_id in orders.items() if order_id is None]
    other_prefixes = _other_prefixes(connection, key) if unknown else []
    return OrderMatch(
        {number: order_id for number, order_id in orders.items() if order_id is not None},
        {number: _foreign_reason(number, prefix, other_prefixes) for number in unknown},
    )


def _pulled(
    connection: psycopg.Connection[Any], key: str, numbers: Sequence[str]
) -> dict[str, int]:
    """Order ids of numbers that were handed out: they stay good when the prefix is changed."""
    rows = connection.execute(
        "SELECT given.number, pulled.order_id FROM unnest(%s::text[]) AS given (number)"
        " JOIN fulfilment.orders AS pulled ON pulled.integration = %s"
        " AND upper(pulled.order_number) = upper(trim(given.number))",
        [list(set(numbers)), key],
    )
    return dict(rows.fetchall())


def _other_prefixes(connection: psycopg.Connection[Any], key: str) -> list[tuple[str, str]]:
    """The other integrations with their prefixes, longest prefix first."""
    rows = connection.execute(
        "SELECT integration, order_prefix FROM registry.integrations WHERE integration <> %s"
        " AND order_prefix <> '' ORDER BY length(order_prefix) DESC, integration",
        [key],
    )
    return [(row[0], row[1]) for row in rows.fetchall()]


def _foreign_reason(number: str, prefix: str, other_prefixes: Iterable[tuple[str, str]]) -> str:
    """Why a number is none of this integration's, and whose it seems to be."""
    expected = f"{prefix} and the order's id" if prefix else "the order's id alone"
    likely = [key for key, other in other_prefixes if strip(other, number) is not None]
    hint = f"; it looks like an order of {' or '.join(likely)}" if likely else ""
    return f"{number!r} is no order number of this integration: expected {expected}{hint}"

"""How many rows are asked for in one request and stored in one transaction.

Page sizes are those to start with and to shrink to when a shop cannot serve them; each divides the
one before. Not here: when to shrink (`cscart.paginator`).
"""

from __future__ import annotations

from dataclasses import dataclass

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class BatchSizes:
    """Rows per page, by list, and per transaction."""

    customers: Sizes = (500, 250, 50, 10, 1)
    products: Sizes = (200, 50, 10, 1)
    shipments: Sizes = (200, 50, 10, 1)
    orders_with_details: Sizes = (50, 25, 5, 1)
    """Each costs the shop dozens of queries (reference 15)."""
    orders: Sizes = (500, 250, 50, 10, 1)
    orders_one_by_one: Sizes = (100, 50, 10, 1)
    """List rows whose details are asked for one by one: a page of them is a lot of work."""
    newest_shipments: int = 50
    chunk_rows: int = 5000
    chunk_seconds: float = 1.0
    """A chunk is committed at the latest after this: a crash costs no more of a slow shop's pages.
    The commit also writes the heartbeat of the run."""

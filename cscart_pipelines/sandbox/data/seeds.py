"""What a sandbox shop is filled with at its start: nothing, a small catalogue, or the CDNOW sample.

The CDNOW data itself is made in cdnow.py.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from cscart_pipelines.sandbox.shop.store import Store

Seed = str | Callable[[Store], None]


def fill(store: Store, seed: Seed) -> None:
    """Fills the store; `seed` is ``"empty"``, ``"small"``, ``"cdnow"`` or a function."""
    if callable(seed):
        seed(store)
    elif seed == "small":
        small_catalogue(store)
    elif seed == "cdnow":
        # Imported here: the data file is only looked for when it is wanted.
        from cscart_pipelines.sandbox.data.cdnow import fill_store

        fill_store(store)
    elif seed != "empty":
        raise ValueError(f"unknown catalogue {seed!r}; known: empty, small, cdnow")


def small_catalogue(store: Store) -> None:
    """Six products in two categories; on Multi-Vendor shops the last two belong to vendor 2."""
    created = store.now() - 86_400 * 100
    for name in ("Bags", "Shoes"):
        store.add_category(name)
    names = ("Tote bag", "Backpack", "Purse", "Sandals", "Boots", "Trainers")
    for number, name in enumerate(names, 1):
        store.add_product(
            name,
            Decimal(number * 10) - Decimal("0.05"),
            main_category=1 if number <= 3 else 2,
            company_id=2 if store.multivendor and number > 4 else 1,
            timestamp=created,
        )

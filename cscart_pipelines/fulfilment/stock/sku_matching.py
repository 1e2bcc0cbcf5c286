"""Which product of the shop a SKU is: by product code, through the mapping table where it has one.

Against the warehouse's copy of the catalogue; the writer reads the shop again. Product codes are
not unique and may be empty (reference 11.1): nothing is ever guessed. Not here: reading amounts
from the shop, the rules for amounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

from cscart_pipelines.cscart.quantities import is_whole
from cscart_pipelines.fulfilment.feeds.fields import clean

UNKNOWN = "unknown SKU"
"""Reasons that begin so come to an end by themselves: the row is taken when the product appears."""


@dataclass(frozen=True)
class CatalogueProduct:
    """A product as the warehouse has it."""

    product_id: int
    product_code: str
    amount: Decimal | None = None
    tracking: str | None = None
    product_type: str | None = None


class NoMatchError(ValueError):
    """A SKU that no amount can be written for; the text says why."""


class Catalogue:
    """The products of one shop, to be found by SKU."""

    def __init__(
        self, products: list[CatalogueProduct], sku_map: Mapping[str, str] | None = None
    ) -> None:
        self.products = products
        self.fractions = any(
            product.amount is not None and not is_whole(product.amount) for product in products
        )
        """The shop sells by weight: its stock has fractions."""
        self._map = sku_map or {}
        self._folded_map: dict[str, set[str]] = {}
        for sku, code in self._map.items():
            self._folded_map.setdefault(sku.casefold(), set()).add(code)
        self._exact: dict[str, list[CatalogueProduct]] = {}
        self._folded: dict[str, list[CatalogueProduct]] = {}
        for product in products:
            code = product.product_code.strip()
            if code:
                self._exact.setdefault(code, []).append(product)
                self._folded.setdefault(code.casefold(), []).append(product)

    def match(self, sku: str) -> CatalogueProduct:
        """Returns the product: the code as written, else the only one that differs in case alone.

        The mapping goes before the code, and is read alike, as for shipments. Marks of a
        spreadsheet around the SKU do not matter.

        Raises:
            NoMatchError: no product, or several, or one whose amount is not written.
        """
        name = clean(sku, "sku")
        code = self._map.get(sku, self._map.get(name))
        if code is None:
            alike = self._folded_map.get(name.casefold(), set())
            code = next(iter(alike)) if len(alike) == 1 else name
        code = code.strip()
        found = self._exact.get(code) or self._folded.get(code.casefold(), [])
        said = f"product code {code!r}" if code != sku else "this product code"
        if not found:
            raise NoMatchError(f"{UNKNOWN}: no product of the shop has {said}")
        if len(found) > 1:
            ids = ", ".join(str(product.product_id) for product in found[:5])
            more = ", …" if len(found) > 5 else ""
            raise NoMatchError(f"{len(found)} products have {said}: {ids}{more}")
        reason = unwritable_reason(found[0].tracking, found[0].product_type)
        if reason is not None:
            raise NoMatchError(reason)
        return found[0]


def unwritable_reason(tracking: str | None, product_type: str | None) -> str | None:
    """Returns why a product's amount is not written, None if it is (reference 11.1, 11.4)."""
    if tracking == "D":
        return "the shop does not track the stock of this product"
    if tracking == "O":
        return "the shop keeps the stock of this product by options, which have no SKU of their own"
    if product_type == "C":
        return "a configurable product: its stock is that of its parts"
    return None


def read_catalogue(connection: psycopg.Connection[Any], integration: str) -> Catalogue:
    """Reads all products that the last synchronisation saw, and the mapping table."""
    rows = connection.execute(
        "SELECT product_id, coalesce(product_code, ''), amount, tracking, product_type"
        " FROM cscart.products WHERE integration = %s AND deleted_at IS NULL ORDER BY product_id",
        [integration],
    ).fetchall()
    mapped = connection.execute(
        "SELECT sku, product_code FROM fulfilment.sku_map WHERE integration = %s", [integration]
    ).fetchall()
    return Catalogue([CatalogueProduct(*row) for row in rows], dict(mapped))

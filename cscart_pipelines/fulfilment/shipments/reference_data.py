"""What all orders of one push share: carriers, SKUs and statuses of the integration.

Not here: what they are used for (`order`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from cscart_pipelines.fulfilment.carriers import CarrierMap, read_carriers


@dataclass(frozen=True)
class ReferenceData:
    """Read once a push."""

    carriers: CarrierMap
    skus: Mapping[str, str]
    """SKU of the fulfilment system -> product code of the shop."""
    statuses: Mapping[str, tuple[str | None, str | None]]
    """The shop's order statuses: letter -> description, inventory flag."""
    fractions: bool = False
    """One of the shop's newest shipments has a fraction of a piece, so it takes them."""


def read_reference_data(connection: psycopg.Connection[Any], integration: str) -> ReferenceData:
    """Reads it as it is now."""
    skus = connection.execute(
        "SELECT sku, product_code FROM fulfilment.sku_map WHERE integration = %s", [integration]
    ).fetchall()
    statuses = connection.execute(
        "SELECT status, description, inventory FROM cscart.statuses WHERE integration = %s"
        " AND type = 'O' AND deleted_at IS NULL",
        [integration],
    ).fetchall()
    fractions = connection.execute(
        "SELECT EXISTS (SELECT FROM (SELECT products FROM cscart.shipments WHERE integration = %s"
        " ORDER BY shipment_id DESC LIMIT 1000) AS newest"
        " WHERE jsonb_path_exists(products, '$.* ? (@ != @.floor())'))",
        [integration],
    ).fetchone()
    return ReferenceData(
        read_carriers(connection, integration),
        dict(skus),
        {letter: (description, inventory) for letter, description, inventory in statuses},
        bool(fractions and fractions[0]),
    )

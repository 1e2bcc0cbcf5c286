"""The connection of an integration to its shop: the test of it, and a client by its result.

Not here: what the answers of a shop mean (`cscart`), where settings are kept (`registry`).
"""

from __future__ import annotations

import contextlib
from typing import Any

from pydantic import SecretStr

from cscart_pipelines.cscart.capabilities import Capabilities, probe
from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import AccessDeniedError, ShopError
from cscart_pipelines.cscart.http.address import Style
from cscart_pipelines.integrations.registry import Integration, Registry
from cscart_pipelines.integrations.settings import IntegrationSettings
from cscart_pipelines.settings import Settings

NEEDED = {"orders": "view_orders", "users": "view_users"}
"""Entities that every list needs, with the privilege that each takes (reference 3.2)."""
USEFUL = {
    "products": "view_catalog",
    "categories": "view_catalog",
    "statuses": "manage_order_statuses",
    "shipments": "view_orders",
}

BRIEF: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 20, "retries": 1}


def test_connection(settings: IntegrationSettings, api_key: SecretStr) -> Capabilities:
    """Tests whether the shop answers and its user may read what every list needs.

    Time-outs are short, since a person waits for the result.

    Raises:
        ShopError: The subclass names the fault.
    """

    def connect(base_url: str, email: str, api_key: SecretStr | str, *, style: Style) -> ShopClient:
        return ShopClient(
            base_url, email, api_key, style=style, connect_timeout=5, read_timeout=30, retries=2
        )

    found = probe(settings.url, settings.email, api_key, connect=connect)
    missing = [entity for entity in NEEDED if not getattr(found.readable, entity)]
    if missing:
        raise AccessDeniedError(
            f"The credentials are right, but the user may not read {' and '.join(missing)}: give "
            f"its user group the privilege {' and '.join(NEEDED[entity] for entity in missing)}.",
            status=403,
        )
    return found


test_connection.__test__ = False  # type: ignore[attr-defined]  # no test of pytest


def shortcomings(found: Capabilities) -> list[str]:
    """Returns a line for each useful entity that cannot be read, for the person who connects."""
    return [
        f"{entity} cannot be read: the privilege {privilege} is missing, or the shop has none"
        for entity, privilege in USEFUL.items()
        if not getattr(found.readable, entity)
    ]


def open_client(
    integration: Integration, registry: Registry, settings: Settings, *, brief: bool = False
) -> ShopClient:
    """Opens a client for a tested integration. A shop that had no orders then is tested again.

    If that test fails, the client is opened all the same: the synchronisation will meet the fault,
    and tells whether it is permanent.

    Args:
        integration: The shop.
        registry: Has its key, and takes the result of a new test.
        settings: Of the installation: how many requests may be under way at once.
        brief: For a few requests that may also be made later: short time-outs, no test.

    Raises:
        SecretError: The API key cannot be read.
    """
    key = registry.api_key(integration.key)
    capabilities = integration.capabilities or {}
    if not brief and not capabilities.get("orders_seen", True):
        # Without orders its capabilities were concluded from its version, not seen.
        with contextlib.suppress(ShopError):
            capabilities = test_connection(integration.settings, key).model_dump(mode="json")
            registry.record_test(integration.key, capabilities)
    return ShopClient(
        integration.settings.url,
        integration.settings.email,
        key,
        style=capabilities.get("style", "rewrite"),
        max_parallel=settings.api_parallel,
        **(BRIEF if brief else {}),
    )

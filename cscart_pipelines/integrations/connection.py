"""From an integration to its shop: testing the connection, and opening a client with what it found.

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
"""Without these there is no list; the rest only makes it richer (reference 3.2)."""
USEFUL = {
    "products": "view_catalog",
    "categories": "view_catalog",
    "statuses": "manage_order_statuses",
    "shipments": "view_orders",
}

BRIEF: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 20, "retries": 1}


def test_connection(settings: IntegrationSettings, api_key: SecretStr) -> Capabilities:
    """Asks the shop for everything the project needs. Raises the ShopError that names the trouble.

    Impatient: a person is waiting for the answer.
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


test_connection.__test__ = False  # type: ignore[attr-defined]  # its name is no invitation to pytest


def shortcomings(found: Capabilities) -> list[str]:
    """What works without, but not as well; one line each, for whoever set the connection up."""
    return [
        f"{entity} cannot be read: the privilege {privilege} is missing, or the shop has none"
        for entity, privilege in USEFUL.items()
        if not getattr(found.readable, entity)
    ]


def open_client(
    integration: Integration, registry: Registry, settings: Settings, *, brief: bool = False
) -> ShopClient:
    """A client for a tested integration. A shop that was empty when tested is probed again.

    Raises SecretError. A probe that fails is left to the synchronisation, which will meet the same
    trouble and knows whether it lasts. `brief`: for a few requests that may as well be made later;
    it gives up soon, and probes nothing.
    """
    key = registry.api_key(integration.key)
    capabilities = integration.capabilities or {}
    if not brief and not capabilities.get("orders_seen", True):
        # What it does with orders was concluded then, and may show by now.
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

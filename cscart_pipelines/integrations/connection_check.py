"""The connection check: one light request to every enabled shop, between two synchronisations.

A permanent refusal (a replaced key, an API switched off) makes the integration failed at once, so
that an operator can act before the data is old. Not here: the full connection test (`connection`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import PermanentShopError, ShopError
from cscart_pipelines.integrations.lifecycle import Status
from cscart_pipelines.integrations.registry import Integration, Registry
from cscart_pipelines.integrations.secrets import SecretError
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.connect import Warehouse

SHOPS_AT_ONCE = 8


@dataclass(frozen=True)
class ConnectionFinding:
    """The fault of one shop's connection."""

    integration: str
    reason: str
    permanent: bool


def check_connections(warehouse: Warehouse, registry: Registry) -> list[ConnectionFinding]:
    """Requests the version of every enabled shop; marks those that refuse for good as failed."""
    enabled = [one for one in registry.all() if one.status is Status.ENABLED]
    with ThreadPoolExecutor(SHOPS_AT_ONCE, "connection-check") as threads:
        found = list(threads.map(lambda one: _ask(registry, one), enabled))
    findings = [finding for finding in found if finding is not None]
    for finding in findings:
        if finding.permanent:
            _mark_failed(warehouse, finding)
    return findings


def _ask(registry: Registry, integration: Integration) -> ConnectionFinding | None:
    try:
        with ShopClient(
            integration.settings.url,
            integration.settings.email,
            registry.api_key(integration.key),
            style=(integration.capabilities or {}).get("style", "rewrite"),
            connect_timeout=5,
            read_timeout=20,
            retries=2,
        ) as client:
            client.get("version")
    except ShopError as error:
        permanent = isinstance(error, PermanentShopError)
        return ConnectionFinding(integration.key, error.message, permanent)
    except (SecretError, LookupError) as error:
        return ConnectionFinding(integration.key, str(error), permanent=False)
    return None


def _mark_failed(warehouse: Warehouse, finding: ConnectionFinding) -> None:
    """Marks the integration as failed, unless it is syncing: that run will meet the same fault."""
    with warehouse.connect(autocommit=True) as connection, connection.transaction():
        if advisory.try_lock(connection, Lock.SYNC, finding.integration):
            connection.execute(
                "UPDATE registry.integrations SET status = 'failed', status_reason = %s,"
                " status_since = now(), failure_permanent = true, updated_at = now()"
                " WHERE integration = %s AND status = 'enabled'",
                [f"connection check: {finding.reason}", finding.integration],
            )

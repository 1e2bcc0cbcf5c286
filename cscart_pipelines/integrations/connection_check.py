"""The connection check: one light request to every enabled shop, between two synchronisations.

A permanent refusal (a replaced key, an API switched off) makes the integration failed at once, so
that an operator can act before the data is old; so does an API key that cannot be read or is not
the tested one, for no schedule synchronises that shop any more, and none would tell. Not here: the
full connection test (`connection`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import PermanentShopError, ShopError
from cscart_pipelines.integrations.lifecycle import Action, Standing, Status, rejection_reason
from cscart_pipelines.integrations.registry import Integration, Registry
from cscart_pipelines.integrations.secrets import SecretError
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines.warehouse.connect import Warehouse

SHOPS_AT_ONCE = 8


@dataclass(frozen=True)
class ConnectionFinding:
    """The fault of one shop's connection.

    Attributes:
        integration: its key.
        reason: what is wrong.
        lasting: it does not pass by itself.
        permanent: the shop refuses, so that a schedule must not try again.
    """

    integration: str
    reason: str
    lasting: bool
    permanent: bool


def check_connections(warehouse: Warehouse, registry: Registry) -> list[ConnectionFinding]:
    """Requests the version of every enabled shop; marks those with a lasting fault as failed."""
    enabled = [each for each in registry.standings() if each[0].status is Status.ENABLED]
    with ThreadPoolExecutor(SHOPS_AT_ONCE, "connection-check") as threads:
        found = list(threads.map(lambda each: _ask(registry, *each), enabled))
    findings = [finding for finding in found if finding is not None]
    for finding in findings:
        if finding.lasting:
            _mark_failed(warehouse, finding)
    return findings


def _ask(
    registry: Registry, integration: Integration, standing: Standing
) -> ConnectionFinding | None:
    try:
        api_key = registry.api_key(integration.key)
        if not standing.tested:
            reason = rejection_reason(Action.SCHEDULED, standing) or ""
            return ConnectionFinding(integration.key, reason, lasting=True, permanent=False)
        with ShopClient(
            integration.settings.url,
            integration.settings.email,
            api_key,
            style=(integration.capabilities or {}).get("style", "rewrite"),
            connect_timeout=5,
            read_timeout=20,
            retries=2,
        ) as client:
            client.get("version")
    except ShopError as error:
        permanent = isinstance(error, PermanentShopError)
        return ConnectionFinding(integration.key, error.message, permanent, permanent)
    except SecretError as error:
        return ConnectionFinding(integration.key, str(error), lasting=True, permanent=False)
    except LookupError as error:  # removed meanwhile
        return ConnectionFinding(integration.key, str(error), lasting=False, permanent=False)
    return None


def _mark_failed(warehouse: Warehouse, finding: ConnectionFinding) -> None:
    """Marks the integration as failed, unless it is syncing: that run will meet the same fault."""
    with warehouse.connect(autocommit=True) as connection, connection.transaction():
        if advisory.try_lock(connection, Lock.SYNC, finding.integration):
            connection.execute(
                "UPDATE registry.integrations SET status = 'failed', status_reason = %s,"
                " status_since = now(), failure_permanent = %s, updated_at = now()"
                " WHERE integration = %s AND status = 'enabled'",
                [f"connection check: {finding.reason}", finding.permanent, finding.integration],
            )

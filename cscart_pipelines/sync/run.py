"""One synchronisation of one shop: the steps in order, under a lease, with a true ending.

Whoever starts it (command line, schedule, UI) comes through here. Not here: Dagster, and what each
step reads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import psycopg

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import AccessDeniedError, PermanentShopError, ShopError
from cscart_pipelines.integrations.sync_runs.lock import SyncSession
from cscart_pipelines.sync import customers, products, shipments, statuses
from cscart_pipelines.sync.batch_sizes import BatchSizes
from cscart_pipelines.sync.clock import ShopClock
from cscart_pipelines.sync.context import EntityReport, Listener, SyncContext
from cscart_pipelines.sync.erasure_filter import ErasureFilter
from cscart_pipelines.sync.gc_tuning import relaxed_gc
from cscart_pipelines.sync.orders import sync as orders_sync
from cscart_pipelines.sync.state import StateStore
from cscart_pipelines.warehouse.contacts import store_contacts
from cscart_pipelines.warehouse.load import Loader

log = logging.getLogger(__name__)

ENTITIES = ("customers", "products", "orders", "statuses", "shipments")
"""In the order of the steps: statuses after orders, which may show new letters."""

NEEDED = ("customers", "orders")
"""Without these there is no list."""

STEPS: dict[str, Callable[[SyncContext], EntityReport]] = {
    "customers": customers.sync_customers,
    "products": products.sync_products,
    "orders": orders_sync.sync_orders,
    "statuses": statuses.sync_statuses,
    "shipments": shipments.sync_shipments,
}

LIMITED = ("products", "orders", "customers", "statuses", "shipments")
"""With a limit: buyers in orders inside are customers, whichever company they registered with."""


class SyncFailedError(RuntimeError):
    """The synchronisation failed; the integration's status says so, with the same reason."""

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.permanent = permanent
        """It will not go away by itself: credentials, privileges, settings."""


@dataclass
class SyncReport:
    """What one synchronisation did."""

    integration: str
    kind: str
    entities: dict[str, EntityReport] = field(default_factory=dict)
    calls: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def written(self) -> int:
        """Rows that this run changed in the warehouse."""
        return sum(entity.changes.written for entity in self.entities.values())

    def numbers(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "seconds": round(self.seconds, 3),
            "api": self.calls,
            "entities": {name: report.numbers() for name, report in self.entities.items()},
        }


def synchronise(
    lease: SyncSession,
    client: ShopClient,
    *,
    entities: Collection[str] = ENTITIES,
    listener: Listener | None = None,
    sizes: BatchSizes | None = None,
) -> SyncReport:
    """Brings the raw tables of the leased shop up to date and closes the lease.

    Raises SyncFailedError; what was loaded until then stays, and the next run goes on from there.
    """
    started = time.monotonic()
    integration = lease.integration
    report = SyncReport(integration.key, lease.kind)

    def listen(phase: str, done: int, total: int | None) -> None:
        lease.progress(phase, done, total)
        if listener is not None:
            listener(phase, done, total)

    with lease, relaxed_gc():
        context = SyncContext(
            client=client,
            connection=lease.connection,
            loader=Loader(lease.connection, integration.key),
            states=StateStore(lease.connection, integration.key),
            integration=integration.key,
            capabilities=lease.capabilities(),
            kind=lease.kind,
            listener=listen,
            forgotten=ErasureFilter(lease.connection, integration.settings),
            clock=ShopClock(ask=lambda: client.get("version").date),
            sizes=sizes or BatchSizes(),
            limit=integration.settings.limit,
        )
        try:
            for entity in LIMITED if context.limit else ENTITIES:
                if entity not in entities or not _readable(context, entity):
                    continue
                calls = client.stats.calls
                try:
                    step = STEPS[entity](context)
                except AccessDeniedError as error:
                    if entity in NEEDED:
                        raise
                    log.warning("%s: %s are left out: %s", integration.key, entity, error.message)
                    continue
                step.calls = client.stats.calls - calls
                report.entities[entity] = step
            if lease.kind != "resync":
                context.loader.analyse(report.written())
            if report.written():
                store_contacts(lease.connection, integration.key, integration.settings.phone_region)
            report.calls = client.stats.snapshot()
            report.seconds = time.monotonic() - started
            lease.succeed(report.numbers())
        except ShopError as error:
            permanent = isinstance(error, PermanentShopError)
            lease.fail(error.message, permanent=permanent, kind=type(error).__name__)
            raise SyncFailedError(error.message, permanent=permanent) from error
        except psycopg.Error as error:
            # Not the whole text: the server quotes rows in it.
            said = error.diag.message_primary or "the connection was lost"
            reason = f"the warehouse failed: {said} ({type(error).__name__})"
            lease.fail(reason, permanent=False, kind=type(error).__name__)
            raise SyncFailedError(reason, permanent=False) from None
    return report


def _readable(context: SyncContext, entity: str) -> bool:
    """Whether the shop's user may read it.

    What is needed is tried anyway: the shop's refusal says which privilege is missing.
    """
    if entity in NEEDED:
        return True
    readable = context.capabilities.get("readable") or {}
    return bool(readable.get(entity, True))

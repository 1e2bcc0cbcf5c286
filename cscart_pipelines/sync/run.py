"""One synchronisation of one shop: its steps in order, and the status that they lead to.

Command line, schedules and UI all start it here. Not here: Dagster, and what each step reads.
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
from cscart_pipelines.warehouse.rejects import Rejects

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
        """A repetition cannot help: credentials, privileges or settings are wrong."""


@dataclass
class SyncReport:
    """What one synchronisation did."""

    integration: str
    kind: str
    entities: dict[str, EntityReport] = field(default_factory=dict)
    calls: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def written(self) -> int:
        """Counts the rows that this run changed in the warehouse; those marked as deleted too."""
        return sum(entity.written for entity in self.entities.values())

    def numbers(self) -> dict[str, Any]:
        """Returns the report as plain values, for `registry.sync_runs` and for Dagster."""
        return {
            "kind": self.kind,
            "written": self.written(),
            "seconds": round(self.seconds, 3),
            "api": self.calls,
            "entities": {name: report.numbers() for name, report in self.entities.items()},
        }


def synchronise(
    session: SyncSession,
    client: ShopClient,
    *,
    entities: Collection[str] = ENTITIES,
    listener: Listener | None = None,
    sizes: BatchSizes | None = None,
) -> SyncReport:
    """Brings the raw tables of a shop up to date and ends the session.

    Args:
        session: Holds the sync lock of the integration.
        client: Reads the shop; its caller closes it.
        entities: Those to read, of ENTITIES.
        listener: Is called with the progress.
        sizes: Rows per request and per transaction.

    Raises:
        SyncFailedError: What was loaded until then stays, and the next run continues from there.
    """
    started = time.monotonic()
    integration = session.integration
    report = SyncReport(integration.key, session.kind)

    def listen(phase: str, done: int, total: int | None) -> None:
        session.progress(phase, done, total)
        if listener is not None:
            listener(phase, done, total)

    with session, relaxed_gc():
        context = _context(session, client, listen, sizes or BatchSizes())
        try:
            _read_entities(context, entities, report)
            if session.kind != "resync":
                context.loader.analyse(report.written())
            if report.written():
                store_contacts(
                    session.connection, integration.key, integration.settings.phone_region
                )
            report.calls = client.stats.snapshot()
            report.seconds = time.monotonic() - started
            session.succeed(report.numbers())
        except ShopError as error:
            permanent = isinstance(error, PermanentShopError)
            session.fail(error.message, permanent=permanent, kind=type(error).__name__)
            raise SyncFailedError(error.message, permanent=permanent) from error
        except psycopg.Error as error:
            # Not the whole text, in which the server quotes rows.
            said = error.diag.message_primary or "the connection was lost"
            reason = f"the warehouse failed: {said} ({type(error).__name__})"
            session.fail(reason, permanent=False, kind=type(error).__name__)
            raise SyncFailedError(reason, permanent=False) from None
    return report


def _context(
    session: SyncSession, client: ShopClient, listener: Listener, sizes: BatchSizes
) -> SyncContext:
    integration = session.integration
    return SyncContext(
        client=client,
        connection=session.connection,
        loader=Loader(session.connection, integration.key),
        rejects=Rejects(session.connection, integration.key),
        states=StateStore(session.connection, integration.key),
        integration=integration.key,
        capabilities=session.capabilities(),
        kind=session.kind,
        listener=listener,
        erasure_filter=ErasureFilter(session.connection, integration.settings),
        clock=ShopClock(ask=lambda: client.get("version").date),
        sizes=sizes,
        limit=integration.settings.limit,
    )


def _read_entities(context: SyncContext, entities: Collection[str], report: SyncReport) -> None:
    """Takes the steps of the entities that are asked for and may be read; reports each."""
    for entity in LIMITED if context.limit else ENTITIES:
        if entity not in entities or not _readable(context, entity):
            continue
        calls = context.client.stats.calls
        try:
            step = STEPS[entity](context)
        except AccessDeniedError as error:
            if entity in NEEDED:
                raise
            log.warning("%s: %s are left out: %s", report.integration, entity, error.message)
            continue
        step.calls = context.client.stats.calls - calls
        report.entities[entity] = step


def _readable(context: SyncContext, entity: str) -> bool:
    """Tells whether the shop's user may read the entity.

    NEEDED ones are tried anyway: the shop's refusal says which privilege is missing.
    """
    if entity in NEEDED:
        return True
    readable = context.capabilities.get("readable") or {}
    return bool(readable.get(entity, True))

"""One push to one shop: is it allowed, the write lock, the connection, the report of how it ended.

Not here: what is pushed (`shipments/push`, `stock/push`), when the next push may start
(`last_push_runs`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import psycopg

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import (
    AccessDeniedError,
    ApiNotFoundError,
    CredentialsRefusedError,
    RedirectRefusedError,
    ShopError,
    TlsError,
    UnreachableError,
)
from cscart_pipelines.fulfilment import last_push_runs
from cscart_pipelines.fulfilment.cancellation import cancel_when_disabled
from cscart_pipelines.fulfilment.journal import Journal
from cscart_pipelines.fulfilment.last_push_runs import MAX_BACKOFF_SECONDS
from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines.fulfilment.shop_write_lock import acquire
from cscart_pipelines.integrations.conflicts.overlap import siblings
from cscart_pipelines.integrations.connection import open_client
from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError, require
from cscart_pipelines.integrations.registry import Integration, Registry
from cscart_pipelines.integrations.settings import IntegrationSettings
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse.connect import Warehouse

PushKind = Literal["shipments", "stock"]
MAX_ORDER_BACKOFF_SECONDS = 300
"""As `MAX_BACKOFF_SECONDS`, where the shop works and single orders do not: each has a pause of its
own."""
SHOP_WIDE_ERRORS = (
    UnreachableError,
    CredentialsRefusedError,
    AccessDeniedError,
    ApiNotFoundError,
    TlsError,
    RedirectRefusedError,
)
"""With these, the next order would fare no better: the push ends, the rows wait."""
ENDED_EARLY = "ended early: cancelled, or the integration was disabled or removed; the rest waits"


class PushFailedError(RuntimeError):
    """The push ended early or left something undone; the message says what.

    Attributes:
        report: what was done until then.
    """

    def __init__(self, message: str, report: PushReport) -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True)
class PushContext:
    """What a push works with. In a dry run nothing is journalled, marked or written."""

    integration: Integration
    client: ShopClient
    journal: Journal
    settling_seconds: float
    """Seconds; see Settings.write_settle_seconds."""
    limit: int | None = None
    """At most so many orders, or stock levels."""
    dry_run: bool = False
    automatic: bool = False
    """Started by a sensor or schedule: deferred orders are not tried before their time."""
    reports: list[PushReport] = field(default_factory=list)
    """The report of the push, put here as soon as there is one: it goes as far as the push did,
    also when that ends by an error that has no report (`ShopError`)."""

    @property
    def settings(self) -> IntegrationSettings:
        """The settings of the integration."""
        return self.integration.settings

    def limit_reached(self, begun: int) -> bool:
        """True if `begun` orders or levels are as many as the limit allows."""
        return self.limit is not None and begun >= self.limit

    @property
    def reprices_orders(self) -> bool:
        """True if the shop re-prices an order even when only its status is written (reference 8.8).

        Version 2.0 is the API up to CS-Cart 4.7, which has no quick path.
        """
        return str((self.integration.capabilities or {}).get("api_version", "2.1")) < "2.1"


def disabled_reason(kind: PushKind, settings: IntegrationSettings) -> str | None:
    """Returns why nothing of the kind is written to this shop, and how to change that."""
    edit = f"cscart-pipelines integration edit {settings.integration}"
    if kind == "stock":
        if settings.update_stock:
            return None
        return f"stock update is switched off; `{edit} --update-stock yes` switches it on"
    if settings.update_tracking_number or settings.update_tracking_url:
        return None
    return (
        "tracking update is switched off;"
        f" `{edit} --update-tracking-number yes --update-tracking-url yes` switches it on"
    )


@contextlib.contextmanager
def open_push(
    kind: PushKind,
    warehouse: Warehouse,
    registry: Registry,
    settings: Settings,
    key: str,
    *,
    run_id: str | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    wait: float = 0,
    stop: threading.Event | None = None,
    automatic: bool = False,
    client: ShopClient | None = None,
    ignore_disabled: bool = False,
) -> Iterator[PushContext]:
    """Opens a push: checks that it is allowed, takes the write lock, records how the push ended.

    The check runs before the wait for the lock, so that a push that is not allowed does not wait,
    and again after it.

    Args:
        kind: shipments or stock.
        warehouse: for the connection that locks and journals.
        registry: of integrations.
        settings: of the installation.
        key: of the integration.
        run_id: for the journal.
        limit: at most so many orders, or stock levels.
        dry_run: reads only; takes no lock and keeps no record.
        wait: seconds to wait for the write lock.
        stop: ends the wait when it is set.
        automatic: started by a sensor or schedule, see `PushContext`.
        client: instead of one made from the integration's settings.
        ignore_disabled: the kind may be switched off, as for an undo.

    Raises:
        NotAllowedError: by the integration's status, or because the kind is switched off.
        UnknownIntegrationError: there is no such integration.
        SecretError: its API key cannot be decrypted.
        ShopWriteLockedError: another run writes to this shop.
    """
    integration = _allowed(kind, registry, key, ignore_disabled)
    with contextlib.ExitStack() as stack:
        if dry_run:
            connection = stack.enter_context(warehouse.connect(autocommit=True))
        else:
            connection = stack.enter_context(acquire(warehouse, key, wait=wait, stop=stop))
            # Minutes may have passed: disabled, edited or created anew meanwhile.
            integration = _allowed(kind, registry, key, ignore_disabled)
        if not ignore_disabled:
            siblings(connection, integration.settings, stock=kind == "stock")
        if client is None:
            client = stack.enter_context(open_client(integration, registry, settings))
        journal = Journal(connection, key, run_id)
        context = PushContext(
            integration,
            client,
            journal,
            settings.write_settle_seconds,
            limit,
            dry_run=dry_run,
            automatic=automatic,
        )
        if dry_run:
            yield context
            return
        last_push_runs.begin(connection, key, kind)
        stack.enter_context(cancel_when_disabled(warehouse, key, client))
        try:
            yield context
        except BaseException as error:
            with contextlib.suppress(psycopg.Error):
                last_push_runs.end(connection, key, kind, _reason(error), _max_backoff(error))
            raise
        last_push_runs.end(connection, key, kind, None)


def _allowed(kind: PushKind, registry: Registry, key: str, ignore_disabled: bool) -> Integration:
    """The integration as it is now, if it may be pushed to."""
    integration = registry.get(key)
    require(Action.PUSH, registry.standing(integration))
    off = disabled_reason(kind, integration.settings)
    if off is not None and not ignore_disabled:
        raise NotAllowedError(off)
    return integration


def finish(
    report: PushReport, client: ShopClient, started: float, calls_before: int = 0
) -> PushReport:
    """Completes the report of a push.

    Raises:
        PushFailedError: something needs a person: held, failed, ambiguous or unread.
    """
    record_cost(report, client, started, calls_before)
    if report.problems and not report.dry_run:
        shown = "; ".join(report.problems[:5])
        more = len(report.problems) - 5
        raise PushFailedError(shown + (f"; and {more} more" if more > 0 else ""), report)
    return report


def record_cost(
    report: PushReport, client: ShopClient, started: float, calls_before: int = 0
) -> None:
    """Adds requests and seconds to the report, also of a push that an error has ended."""
    report.calls = client.stats.calls - calls_before
    if client.closed:
        report.notes.append(ENDED_EARLY)
    report.seconds = round(time.monotonic() - started, 3)


def _max_backoff(error: BaseException) -> int:
    report = error.report if isinstance(error, PushFailedError) else None
    only_orders = report is not None and report.postponed and report.problems == report.postponed
    return MAX_ORDER_BACKOFF_SECONDS if only_orders else MAX_BACKOFF_SECONDS


def _reason(error: BaseException) -> str:
    """Texts of this project are safe to keep; of others only the name."""
    if isinstance(error, ShopError | PushFailedError):
        return str(error)
    return f"{type(error).__name__}; the log of the run says more"

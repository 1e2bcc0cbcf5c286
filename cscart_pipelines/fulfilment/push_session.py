"""One push to one shop, from the gate to the record: may it, whose turn is it, how did it end.

What the sensors need to know of the last push is kept in `fulfilment.rounds`: after a failure the
next one waits, longer each time. Not here: what is pushed (`tracking`, `stock`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

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
from cscart_pipelines.fulfilment.cancellation import cancel_when_disabled
from cscart_pipelines.fulfilment.journal import Journal
from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines.fulfilment.shop_write_lock import acquire
from cscart_pipelines.integrations.connection import open_client
from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError, require
from cscart_pipelines.integrations.overlap import siblings
from cscart_pipelines.integrations.registry import Integration, Registry
from cscart_pipelines.integrations.settings import IntegrationSettings
from cscart_pipelines.settings import Settings
from cscart_pipelines.warehouse.connect import Warehouse

RoundKind = Literal["shipments", "stock"]
LONGEST_PAUSE = 3600
"""Seconds between pushes to a shop that keeps failing."""
ORDERS_PAUSE = 300
"""The same where the shop works, and single orders do not: each has a pause of its own."""
SHOP_TROUBLE = (
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
    """The push ended early or left something undone; the message says what. `report` as far as it
    went."""

    def __init__(self, message: str, report: PushReport) -> None:
        super().__init__(message)
        self.report = report


@dataclass(frozen=True)
class PushContext:
    """What a push works with. In a dry run nothing is journalled, marked or written."""

    integration: Integration
    client: ShopClient
    journal: Journal
    settle: float
    """Seconds; see Settings.write_settle."""
    limit: int | None = None
    """At most so many orders, or stock levels."""
    dry_run: bool = False
    by_itself: bool = False
    """Nobody asked for this shop by name: orders that are put off are left alone."""
    begun: list[PushReport] = field(default_factory=list)
    """The report of the push, put here as soon as there is one: it goes as far as the push did,
    also when that ends by an error that has no report (`ShopError`)."""

    @property
    def settings(self) -> IntegrationSettings:
        return self.integration.settings

    def full(self, begun: int) -> bool:
        """The limit is reached."""
        return self.limit is not None and begun >= self.limit

    @property
    def recalculates(self) -> bool:
        """The shop re-prices an order even when only its status is written (reference 8.8): 2.0 is
        the API up to 4.7, which has no quick path."""
        return str((self.integration.capabilities or {}).get("api_version", "2.1")) < "2.1"


def disabled_reason(kind: RoundKind, settings: IntegrationSettings) -> str | None:
    """Why nothing of the kind is written to this shop, with the way to change it."""
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
    kind: RoundKind,
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
    by_itself: bool = False,
    client: ShopClient | None = None,
    even_if_off: bool = False,
) -> Iterator[PushContext]:
    """Through the gate, with the turn taken; the record is kept on the way out.

    The gate is passed before the wait for the turn, so that nobody waits in vain, and again after
    it. `wait`: seconds for the turn; `stop` ends the wait. `even_if_off`: to take back what was
    written, which somebody may want after having switched the update off. Raises NotAllowedError,
    UnknownIntegrationError, SecretError, TurnTakenError.
    """
    integration = _allowed(kind, registry, key, even_if_off)
    with contextlib.ExitStack() as stack:
        if dry_run:
            connection = stack.enter_context(contextlib.closing(warehouse.connect(autocommit=True)))
        else:
            connection = stack.enter_context(acquire(warehouse, key, wait=wait, stop=stop))
            # The turn may have come minutes later: disabled, edited or created anew meanwhile.
            integration = _allowed(kind, registry, key, even_if_off)
        if not even_if_off:
            siblings(connection, integration.settings)
        if client is None:
            client = stack.enter_context(open_client(integration, registry, settings))
        journal = Journal(connection, key, run_id)
        context = PushContext(
            integration,
            client,
            journal,
            settings.write_settle,
            limit,
            dry_run=dry_run,
            by_itself=by_itself,
        )
        if dry_run:
            yield context
            return
        _begin(connection, key, kind)
        stack.enter_context(cancel_when_disabled(warehouse, key, client))
        try:
            yield context
        except BaseException as error:
            with contextlib.suppress(psycopg.Error):
                _end(connection, key, kind, _reason(error), _longest_pause(error))
            raise
        _end(connection, key, kind, None)


def _allowed(kind: RoundKind, registry: Registry, key: str, even_if_off: bool) -> Integration:
    """The integration as it is now, if it may be pushed to."""
    integration = registry.get(key)
    require(Action.PUSH, registry.standing(integration))
    off = disabled_reason(kind, integration.settings)
    if off is not None and not even_if_off:
        raise NotAllowedError(off)
    return integration


def finish(
    report: PushReport, client: ShopClient, started: float, calls_before: int = 0
) -> PushReport:
    """Closes the books of a push. Raises PushFailedError if something needs a person."""
    count(report, client, started, calls_before)
    if report.troubles and not report.dry_run:
        shown = "; ".join(report.troubles[:5])
        more = len(report.troubles) - 5
        raise PushFailedError(shown + (f"; and {more} more" if more > 0 else ""), report)
    return report


def count(report: PushReport, client: ShopClient, started: float, calls_before: int = 0) -> None:
    """What the push has cost, also one that an error has ended."""
    report.calls = client.stats.calls - calls_before
    if client.closed:
        report.notes.append(ENDED_EARLY)
    report.seconds = round(time.monotonic() - started, 3)


def due(connection: psycopg.Connection[Any], kind: RoundKind) -> set[str]:
    """Integrations that may be pushed to by themselves now: not waiting after a failure."""
    rows = connection.execute(
        "SELECT shop.integration FROM registry.integrations AS shop"
        " LEFT JOIN fulfilment.rounds AS last ON last.integration = shop.integration"
        " AND last.kind = %s"
        " WHERE last.not_before IS NULL OR last.not_before <= now()",
        [kind],
    ).fetchall()
    return {row[0] for row in rows}


def _begin(connection: psycopg.Connection[Any], key: str, kind: str) -> None:
    connection.execute(
        "INSERT INTO fulfilment.rounds (integration, kind) VALUES (%s, %s)"
        " ON CONFLICT (integration, kind) DO UPDATE SET started_at = now(), finished_at = NULL",
        [key, kind],
    )


def _end(
    connection: psycopg.Connection[Any],
    key: str,
    kind: str,
    error: str | None,
    longest: int = LONGEST_PAUSE,
) -> None:
    connection.execute(
        "UPDATE fulfilment.rounds SET finished_at = now(), error = %(error)s,"
        " failures = CASE WHEN %(error)s::text IS NULL THEN 0 ELSE failures + 1 END,"
        " not_before = CASE WHEN %(error)s::text IS NULL THEN NULL ELSE now() + least("
        " 60 * power(2, least(failures, 10)), %(longest)s) * interval '1 second' END"
        " WHERE integration = %(key)s AND kind = %(kind)s",
        {"key": key, "kind": kind, "error": error, "longest": longest},
    )


def _longest_pause(error: BaseException) -> int:
    report = error.report if isinstance(error, PushFailedError) else None
    only_orders = report is not None and report.postponed and report.troubles == report.postponed
    return ORDERS_PAUSE if only_orders else LONGEST_PAUSE


def _reason(error: BaseException) -> str:
    """Texts of this project are safe to keep; of others only the name."""
    if isinstance(error, ShopError | PushFailedError):
        return str(error)
    return f"{type(error).__name__}; the log of the run says more"

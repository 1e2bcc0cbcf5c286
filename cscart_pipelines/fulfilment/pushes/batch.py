"""The pushes of one run over several shops, each under the write lock of its shop.

A cancelled run finishes the orders and levels it has begun and begins no others; the next run
looks up what is unconfirmed then. Not here: what Dagster is told (`defs.fulfilment.jobs`), what is
written (`shipments.push`, `stock.push`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import ShopError
from cscart_pipelines.fulfilment.feeds.rejection_files import write_late_rejections
from cscart_pipelines.fulfilment.push_session import (
    PushContext,
    PushFailedError,
    PushKind,
    open_push,
)
from cscart_pipelines.fulfilment.report import PushReport
from cscart_pipelines.fulfilment.shop_write_lock import ShopWriteLockedError
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.integrations.secrets import SecretError
from cscart_pipelines.parallel import for_each_shop
from cscart_pipelines.warehouse.driver import unforeseen

LOCK_WAIT_SECONDS = 600
"""A run that names its integration waits so long for the write lock of the shop."""
Push = Callable[[PushContext], PushReport]


@dataclass
class PushOutcome:
    """What became of the shops of a run, by key of the integration.

    Attributes:
        reports: of all pushes that began; of one that failed, as far as it went.
        failures: the reasons of pushes that failed.
        refused: the reasons why a shop was not pushed to, where that is no failure.
        unexpected: errors that this project does not foresee; the reason is in `failures` too.
        kinds: the class of the error of each failure and refusal, for exit codes.
    """

    reports: list[PushReport] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    unexpected: dict[str, BaseException] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> list[dict[str, object]]:
        """Returns an object for each shop: its report, if any, `failure` and `failure_kind`."""
        told: list[dict[str, object]] = []
        reports = {report.integration: report for report in self.reports}
        for key in sorted({*reports, *self.refused, *self.failures}):
            plain: dict[str, object] = reports[key].to_json() if key in reports else {}
            reason = self.failures.get(key, self.refused.get(key))
            kind = self.kinds.get(key)
            told.append({"integration": key, **plain, "failure": reason, "failure_kind": kind})
        return told


class PushBatch:
    """The pushes of one run.

    Args:
        app: the warehouse, the registry and the settings.
        kind: shipments or stock.
        push: what is done in one shop.
        run_id: for the journal.
        limit: at most so many orders, or stock levels, of each shop.
        dry_run: compare only.
        named: the run names its integration: the push waits for the lock, tries deferred orders
            before their time, and a push that is not allowed is a failure.
    """

    def __init__(
        self,
        app: AppContext,
        kind: PushKind,
        push: Push,
        run_id: str,
        *,
        limit: int | None = None,
        dry_run: bool = False,
        named: bool = False,
    ) -> None:
        self._app = app
        self._kind = kind
        self._push = push
        self._run_id = run_id
        self._limit = limit
        self._dry_run = dry_run
        self._named = named
        self._clients: set[ShopClient] = set()
        self._begun: dict[str, PushReport] = {}
        self._stop = threading.Event()

    def run(self, keys: Sequence[str]) -> Iterator[tuple[str, PushOutcome]]:
        """Pushes to the shops and yields each one when it is done, with the outcome so far.

        Errors of single shops are in the outcome; only what cancels the run is raised.
        """
        outcome = PushOutcome()
        for key, future in for_each_shop(keys, self._push_to, self._end):
            self._book(outcome, key, future)
            yield key, outcome

    def _push_to(self, key: str) -> PushReport:
        app = self._app
        with open_push(
            self._kind,
            app.warehouse,
            app.registry,
            app.settings,
            key,
            run_id=self._run_id,
            limit=self._limit,
            dry_run=self._dry_run,
            wait=LOCK_WAIT_SECONDS if self._named else 0,
            stop=self._stop,
            automatic=not self._named,
        ) as context:
            self._clients.add(context.client)
            if self._stop.is_set():  # while it waited for the lock
                context.client.close()
                raise ShopWriteLockedError("the run was cancelled")
            try:
                return self._push(context)
            finally:
                # However the push ended: the next one does not report these refusals again.
                for report in context.reports:
                    self._begun[key] = report
                    write_late_rejections(app.settings, report)
                self._clients.discard(context.client)

    def _end(self) -> None:
        self._stop.set()
        for client in list(self._clients):
            client.close()

    def _book(self, outcome: PushOutcome, key: str, future: Future[PushReport]) -> None:
        error = future.exception()
        if error is None:
            outcome.reports.append(future.result())
            return
        outcome.kinds[key] = type(error).__name__
        if key in self._begun:
            outcome.reports.append(self._begun[key])
        if isinstance(error, PushFailedError):
            outcome.failures[key] = f"{error} ({_what_to_do(error.report)})"
        elif isinstance(error, (NotAllowedError, ShopWriteLockedError, UnknownIntegrationError)):
            (outcome.failures if self._named else outcome.refused)[key] = str(error)
        elif isinstance(error, (ShopError, SecretError)):
            outcome.failures[key] = str(error)
        else:
            outcome.failures[key] = unforeseen(error)
            outcome.unexpected[key] = error


def _what_to_do(report: PushReport) -> str:
    key = report.integration
    if report.held:
        command = f"cscart-pipelines fulfilment stock {key}"
        return f"`{command} --dry-run` shows the difference, `{command} --release` applies it"
    return f"`cscart-pipelines fulfilment journal {key}` shows what was done"

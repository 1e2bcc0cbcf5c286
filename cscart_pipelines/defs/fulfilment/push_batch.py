"""Writing to the shops of one run, each through the gate and in its turn.

A cancelled run finishes the orders and levels it has begun and begins no others; what is in doubt
then is looked at by the next run. Not here: what Dagster is told (`write_back`), what is written
(`fulfilment`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import ShopError
from cscart_pipelines.defs.shared.parallel import for_each_shop
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

PATIENCE = 600
"""Seconds that a run which was asked for by name waits for its turn."""
Push = Callable[[PushContext], PushReport]


@dataclass
class PushOutcome:
    """What became of the shops of a run. A failed push has a report too, as far as it went, once
    it had begun."""

    reports: list[PushReport] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Not pushed to, and why that is nobody's fault."""
    surprises: dict[str, BaseException] = field(default_factory=dict)
    """Mistakes of ours, which must not stop the other shops."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Of failures and refusals: the class of the error, for exit codes."""

    def to_json(self) -> list[dict[str, object]]:
        """The reports as plain data, with the failure of each and its kind; shops without a report
        too."""
        told: list[dict[str, object]] = []
        reports = {report.integration: report for report in self.reports}
        for key in sorted({*reports, *self.refused, *self.failures}):
            plain: dict[str, object] = reports[key].to_json() if key in reports else {}
            reason = self.failures.get(key, self.refused.get(key))
            kind = self.kinds.get(key)
            told.append({"integration": key, **plain, "failure": reason, "failure_kind": kind})
        return told


class PushBatch:
    """The pushes of one run. `named`: somebody asked for these integrations and no others."""

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

    def pay(self, keys: Sequence[str]) -> Iterator[tuple[str, PushOutcome]]:
        """Yields each shop with the outcome so far. Raises nothing but what cancels the run."""
        outcome = PushOutcome()
        for key, future in for_each_shop(keys, self._visit, self._end):
            self._book(outcome, key, future)
            yield key, outcome

    def _visit(self, key: str) -> PushReport:
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
            wait=PATIENCE if self._named else 0,
            stop=self._stop,
            automatic=not self._named,
        ) as context:
            self._clients.add(context.client)
            if self._stop.is_set():  # while it waited for its turn
                context.client.close()
                raise ShopWriteLockedError("the run was cancelled")
            try:
                return self._push(context)
            finally:
                # However it ended: nobody will tell these refusals again.
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
            outcome.failures[key] = f"{type(error).__name__}: {error}"
            outcome.surprises[key] = error


def _what_to_do(report: PushReport) -> str:
    key = report.integration
    if report.held:
        command = f"cscart-pipelines fulfilment stock {key}"
        return f"`{command} --dry-run` shows the difference, `{command} --release` applies it"
    return f"`cscart-pipelines fulfilment journal {key}` shows what was done"

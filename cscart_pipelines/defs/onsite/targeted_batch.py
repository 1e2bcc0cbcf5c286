"""Following visits into the shops of one run: each shop for itself, its queue brought up to date.

Joins the queue (`onsite.change_queue`) with what reads from a shop (`sync.targeted`), which know
nothing of each other. Not here: what Dagster is told (`onsite`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import psycopg

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.cscart.errors import RequestCancelledError, ShopError
from cscart_pipelines.defs.shared.parallel import for_each_shop
from cscart_pipelines.integrations.connection import open_client
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.integrations.secrets import SecretError
from cscart_pipelines.integrations.sync_runs import optimistic_load
from cscart_pipelines.integrations.sync_runs.optimistic_load import ConcurrentSyncError
from cscart_pipelines.onsite import change_queue as touched
from cscart_pipelines.sync.targeted import TargetedReport, sync_targeted

CANCELLED = "the run was cancelled"
LASTING = len(touched.NO_ANSWER)
"""A shop that could not be asked this often in a row (for a quarter of an hour) is worth an alert;
once, for the hourly synchronisation tells what lasts longer."""


@dataclass(frozen=True)
class TargetedResult:
    """What became of the queue of one shop."""

    report: TargetedReport
    touched: int
    """Rows that were due."""
    later: int = 0
    """Looked for again later: the shop does not show them yet."""
    given_up: int = 0
    """Looked for often enough: they stay anonymous."""


class NoAnswerError(RuntimeError):
    """A shop could not be asked; its rows wait."""

    def __init__(self, reason: str, failures: int) -> None:
        super().__init__(reason)
        self.failures = failures
        """In a row, this one included."""


@dataclass
class TargetedOutcome:
    """What became of the shops of a run."""

    followed: dict[str, TargetedResult] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Left for the next time, and why that is nobody's fault."""
    troubles: dict[str, str] = field(default_factory=dict)
    """Could not be asked; tried again after a pause."""
    failures: dict[str, str] = field(default_factory=dict)
    """Those of them worth an alert."""


class TargetedBatch:
    """The shops of one run."""

    def __init__(self, app: AppContext, run_id: str) -> None:
        self._app = app
        self._run_id = run_id
        self._clients: set[ShopClient] = set()
        self._ended = False

    def follow(self, keys: Sequence[str]) -> Iterator[tuple[str, Future[TargetedResult | None]]]:
        """Yields each shop when it is done; None: nothing was due any more."""
        yield from for_each_shop(keys, self._visit, self._end)

    def _end(self) -> None:
        self._ended = True
        for client in list(self._clients):
            client.cancel(CANCELLED)

    def _visit(self, key: str) -> TargetedResult | None:
        if self._ended:
            raise ConcurrentSyncError(CANCELLED)
        app = self._app
        with app.warehouse.connect(autocommit=True) as connection:
            touches = touched.due(connection, key)
            if not touches:
                return None
            look = optimistic_load.begin(connection, app.registry, key)
            try:
                with open_client(
                    look.integration, app.registry, app.settings, brief=True
                ) as client:
                    report = self._read(connection, look, client, touches)
            except ConcurrentSyncError:
                raise
            except RequestCancelledError:
                raise ConcurrentSyncError(CANCELLED) from None
            except (ShopError, SecretError) as error:
                raise NoAnswerError(str(error), touched.leave_alone(connection, key)) from error
            except Exception:
                # A mistake of ours would come again every time.
                with contextlib.suppress(psycopg.Error):
                    touched.leave_alone(connection, key)
                raise
            touched.answered(connection, key)
            return _settle(connection, report, touches)

    def _read(
        self,
        connection: psycopg.Connection[Any],
        look: optimistic_load.SyncSnapshot,
        client: ShopClient,
        touches: Sequence[touched.QueuedChange],
    ) -> TargetedReport:
        people = {one.value for one in touches if one.kind == touched.PERSON}
        earlier = touched.earlier_addresses(connection, look.key, people)
        # Said once: the rows that wait for another try were told with the first.
        new = {one.value for one in touches if one.kind == touched.PERSON and not one.attempts}
        self._clients.add(client)
        try:
            if self._ended:  # while it got ready
                raise ConcurrentSyncError(CANCELLED)
            return sync_targeted(
                connection,
                look,
                client,
                {int(one.value) for one in touches if one.kind == touched.ORDER},
                {person: earlier.get(person, ()) for person in people},
                announce=touched.with_consent(connection, look.key, new),
                run_id=self._run_id,
            )
        finally:
            self._clients.discard(client)


def book(
    outcome: TargetedOutcome, key: str, future: Future[TargetedResult | None]
) -> BaseException | None:
    """Files what became of one shop; returns a mistake of ours, to be told in full."""
    error = future.exception()
    if error is None:
        followed = future.result()
        if followed is not None:
            outcome.followed[key] = followed
    elif isinstance(error, (NotAllowedError, ConcurrentSyncError, UnknownIntegrationError)):
        outcome.refused[key] = str(error)
    elif isinstance(error, NoAnswerError):
        outcome.troubles[key] = str(error)
        if error.failures == LASTING:
            outcome.failures[key] = f"visits could not be followed for a while: {error}"
    else:
        outcome.failures[key] = f"{type(error).__name__}: {error}"
        return error
    return None


def _settle(
    connection: psycopg.Connection[Any],
    report: TargetedReport,
    touches: Sequence[touched.QueuedChange],
) -> TargetedResult:
    def is_open(one: touched.QueuedChange) -> bool:
        if one.kind == touched.ORDER:
            return int(one.value) in report.missing
        return one.value in report.unknown

    still_open = [one for one in touches if is_open(one)]
    touched.done(connection, [one for one in touches if not is_open(one)])
    given_up = touched.again(connection, still_open)
    return TargetedResult(report, len(touches), len(still_open) - given_up, given_up)

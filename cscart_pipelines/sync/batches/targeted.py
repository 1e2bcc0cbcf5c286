"""The targeted syncs of one run over several shops: what visits have changed is read again.

Takes orders and people from the change queue (`onsite.change_queue`) and has them read and loaded
(`sync.targeted`). Not here: the Dagster run (`defs.onsite.jobs`).
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
from cscart_pipelines.integrations.connection import open_client
from cscart_pipelines.integrations.lifecycle import NotAllowedError
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.integrations.secrets import SecretError
from cscart_pipelines.integrations.sync_runs import optimistic_load
from cscart_pipelines.integrations.sync_runs.optimistic_load import ConcurrentSyncError
from cscart_pipelines.onsite import change_queue
from cscart_pipelines.parallel import for_each_shop
from cscart_pipelines.sync.targeted.sync import TargetedReport, sync_targeted
from cscart_pipelines.warehouse.driver import unforeseen

CANCELLED = "the run was cancelled"
ALERT_AFTER = len(change_queue.NO_ANSWER)
"""A shop that does not answer so often in a row (for a quarter of an hour) is one alert; what lasts
longer is reported by the hourly synchronisation."""


@dataclass(frozen=True)
class TargetedResult:
    """What became of the queue of one shop.

    Attributes:
        report: of the records that were read.
        touched: rows of the queue that were due.
        later: of them, rows that are tried again: the shop does not show them yet.
        given_up: of them, rows that were dropped after the last attempt.
    """

    report: TargetedReport
    touched: int
    later: int = 0
    given_up: int = 0


class NoAnswerError(RuntimeError):
    """The shop did not answer; its rows wait.

    Attributes:
        failures: times in a row, this one included.
    """

    def __init__(self, reason: str, failures: int) -> None:
        super().__init__(reason)
        self.failures = failures


@dataclass
class TargetedOutcome:
    """What became of the shops of a run, by key of the integration.

    Attributes:
        followed: shops that were read.
        refused: the reasons why a shop is left for the next run, where that is no failure.
        no_answer: the reasons why a shop could not be asked; it is tried again after a pause.
        failures: the reasons that are worth an alert.
    """

    followed: dict[str, TargetedResult] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    no_answer: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, future: Future[TargetedResult | None]) -> BaseException | None:
        """Adds what became of one shop.

        Returns:
            The error, if this project does not foresee it: it belongs into the log in full.
        """
        error = future.exception()
        if error is None:
            followed = future.result()
            if followed is not None:
                self.followed[key] = followed
        elif isinstance(error, (NotAllowedError, ConcurrentSyncError, UnknownIntegrationError)):
            self.refused[key] = str(error)
        elif isinstance(error, NoAnswerError):
            self.no_answer[key] = str(error)
            if error.failures == ALERT_AFTER:
                self.failures[key] = f"visits could not be followed for a while: {error}"
        else:
            self.failures[key] = unforeseen(error)
            return error
        return None


class TargetedBatch:
    """The shops of one run, each in a thread of its own.

    Args:
        app: the warehouse, the registry and the settings.
        run_id: kept with the record of each sync.
    """

    def __init__(self, app: AppContext, run_id: str) -> None:
        self._app = app
        self._run_id = run_id
        self._clients: set[ShopClient] = set()
        self._ended = False

    def run(self, keys: Sequence[str]) -> Iterator[tuple[str, Future[TargetedResult | None]]]:
        """Reads what is due in the shops and yields each shop as soon as it is done.

        The future holds None if nothing was due any more.
        """
        yield from for_each_shop(keys, self._sync_shop, self._end)

    def _end(self) -> None:
        self._ended = True
        for client in list(self._clients):
            client.cancel(CANCELLED)

    def _sync_shop(self, key: str) -> TargetedResult | None:
        if self._ended:
            raise ConcurrentSyncError(CANCELLED)
        app = self._app
        with app.warehouse.connect(autocommit=True) as connection:
            touches = change_queue.due(connection, key)
            if not touches:
                return None
            snapshot = optimistic_load.begin(connection, app.registry, key)
            try:
                with open_client(
                    snapshot.integration, app.registry, app.settings, brief=True
                ) as client:
                    report = self._read(connection, snapshot, client, touches)
            except ConcurrentSyncError:
                raise
            except RequestCancelledError:
                raise ConcurrentSyncError(CANCELLED) from None
            except (ShopError, SecretError) as error:
                failures = change_queue.leave_alone(connection, key)
                raise NoAnswerError(str(error), failures) from error
            except Exception:
                # An error of this project would come again with every run.
                with contextlib.suppress(psycopg.Error):
                    change_queue.leave_alone(connection, key)
                raise
            change_queue.answered(connection, key)
            return _settle(connection, report, touches)

    def _read(
        self,
        connection: psycopg.Connection[Any],
        snapshot: optimistic_load.SyncSnapshot,
        client: ShopClient,
        touches: Sequence[change_queue.QueuedChange],
    ) -> TargetedReport:
        people = {one.value for one in touches if one.kind == change_queue.PERSON}
        earlier = change_queue.earlier_addresses(connection, snapshot.key, people)
        # Announced once: rows that are tried again were announced with the first attempt.
        new = {one.value for one in touches if one.kind == change_queue.PERSON and not one.attempts}
        self._clients.add(client)
        try:
            if self._ended:  # while it got ready
                raise ConcurrentSyncError(CANCELLED)
            return sync_targeted(
                connection,
                snapshot,
                client,
                {int(one.value) for one in touches if one.kind == change_queue.ORDER},
                {person: earlier.get(person, ()) for person in people},
                announce=change_queue.with_consent(connection, snapshot.key, new),
                run_id=self._run_id,
            )
        finally:
            self._clients.discard(client)


def _settle(
    connection: psycopg.Connection[Any],
    report: TargetedReport,
    touches: Sequence[change_queue.QueuedChange],
) -> TargetedResult:
    def is_open(one: change_queue.QueuedChange) -> bool:
        if one.kind == change_queue.ORDER:
            return int(one.value) in report.missing
        return one.value in report.unknown

    still_open = [one for one in touches if is_open(one)]
    change_queue.done(connection, [one for one in touches if not is_open(one)])
    given_up = change_queue.again(connection, still_open)
    return TargetedResult(report, len(touches), len(still_open) - given_up, given_up)

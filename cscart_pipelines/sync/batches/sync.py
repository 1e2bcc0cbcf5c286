"""The synchronisations of one run over several shops, each under its integration's lock.

A cancelled run ends the syncs under way and begins no others. Not here: what Dagster is told of
them (`defs.ingestion.assets`), what a synchronisation does (`sync.run`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.integrations.connection import open_client
from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError, Status
from cscart_pipelines.integrations.sync_runs.lock import acquire
from cscart_pipelines.parallel import for_each_shop
from cscart_pipelines.sync.run import SyncReport, synchronise
from cscart_pipelines.warehouse.server_facts import server_time

CANCELLED = "the run was cancelled; what was loaded stays"


class Stopped(Exception):  # noqa: N818  (its name is read by people, as the reason of a failure)
    """The run was cancelled while this shop was being read."""


class SyncBatch:
    """The shops of one run, each in a thread of its own.

    Args:
        app: the warehouse, the registry and the settings.
        entities: what is read of each shop.
        run_id: kept with the record of each synchronisation.
        full: read everything again, not only what changed.
        scheduled: the schedule started the run, not a person.
    """

    def __init__(
        self,
        app: AppContext,
        entities: Sequence[str],
        run_id: str,
        *,
        full: bool,
        scheduled: bool,
    ) -> None:
        self._app = app
        self._entities = entities
        self._run_id = run_id
        self._full = full
        self._scheduled = scheduled
        with app.warehouse.connect(autocommit=True) as connection:
            self._began = server_time(connection)  # the clock of `last_synced_at`
        self._stop = threading.Event()
        self._clients: set[ShopClient] = set()

    def run(self, keys: Sequence[str]) -> Iterator[tuple[str, Future[SyncReport]]]:
        """Synchronises the shops and yields each one as soon as it is done.

        The future raises NotAllowedError or UnknownIntegrationError for a shop that is left out,
        SyncFailedError, ShopError, SecretError or Stopped for one that failed.
        """
        yield from for_each_shop(keys, self._sync_shop, self._end)

    def _end(self) -> None:
        self._stop.set()
        for client in list(self._clients):
            client.cancel(CANCELLED)

    def _sync_shop(self, key: str) -> SyncReport:
        app = self._app
        integration = app.registry.get(key)
        act = Action.SCHEDULED if self._scheduled else Action.RESYNC
        if integration.status is Status.READY and not self._scheduled:
            act = Action.START
        last = integration.last_synced_at
        if self._scheduled and last is not None and last > self._began:
            raise NotAllowedError("it has been synchronised since this run began")
        session = acquire(
            app.warehouse,
            app.registry,
            key,
            act,
            full=self._full,
            run_id=self._run_id,
        )
        with (
            session,
            open_client(session.integration, app.registry, app.settings) as client,
        ):
            self._clients.add(client)
            try:
                self._check_for_stop()  # it may have come while the shop was opened
                return synchronise(
                    session, client, entities=self._entities, listener=self._check_for_stop
                )
            finally:
                self._clients.discard(client)

    def _check_for_stop(self, *_progress: object) -> None:
        if self._stop.is_set():
            raise Stopped(CANCELLED)

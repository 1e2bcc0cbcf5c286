"""The write journal: planned before a write is sent, finished when it is read back.

Every method is one committed transaction, or part of the caller's `transaction()`; entries survive
the process. The states are drawn in docs/architecture.md. Not here: what is written, and finding
out what became of an unconfirmed write (`shipments/`, `stock/`).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb


class Kind(StrEnum):
    """What is written."""

    SHIPMENT = "shipment"
    ORDER_STATUS = "order_status"
    STOCK = "stock"


class State(StrEnum):
    """How far a write is (docs/contract.md)."""

    PLANNED = "planned"
    APPLYING = "applying"
    VERIFIED = "verified"
    SKIPPED = "skipped"
    FAILED = "failed"
    AMBIGUOUS = "ambiguous"


OPEN = (State.PLANNED, State.APPLYING, State.AMBIGUOUS)
UNCONFIRMED = (State.APPLYING, State.AMBIGUOUS)
"""Perhaps in the shop: to be read back before anything is written to the same target."""

COLUMNS = (
    "id, integration, kind, target, state, order_id, product_id, tracking, plan, before, after,"
    " reason, attempts, run_id, created_at, sent_at, finished_at,"
    " extract(epoch FROM clock_timestamp() - sent_at)::float AS seconds_since_sent"
)

_READ = f"SELECT {COLUMNS} FROM fulfilment.journal WHERE integration = %s"  # noqa: S608 (constants)

_AMBIGUOUS = (
    "state = 'ambiguous', reason = %s,"
    " sent_at = CASE WHEN state = 'applying' THEN clock_timestamp() ELSE sent_at END"
)

NO_ANSWER = "no answer was recorded: the run that sent it ended before, or lost the database"


@dataclass(frozen=True)
class Entry:
    """One line of the journal.

    Attributes:
        seconds_since_sent: since `sent_at`, by the database's clock, when the entry was read; of an
            ambiguous entry since its answer was given up on.
    """

    id: int
    integration: str
    kind: Kind
    target: str
    state: State
    order_id: int | None
    product_id: int | None
    tracking: str | None
    plan: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    attempts: int
    run_id: str | None
    created_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    seconds_since_sent: float | None

    @property
    def unconfirmed(self) -> bool:
        """True if the write may be in the shop without having been read back."""
        return self.state in UNCONFIRMED


class Journal:
    """The journal of one integration, for one run. Safe to use from several threads.

    Args:
        connection: in autocommit mode, and the one that holds the shop's write lock: when that is
            lost, nothing can be journalled any more, and so nothing new is sent.
        integration: key of the integration.
        run_id: kept with each entry the run works on.
    """

    def __init__(
        self, connection: psycopg.Connection[Any], integration: str, run_id: str | None
    ) -> None:
        self.connection = connection
        self.integration = integration
        self.run_id = run_id
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """Commits what is done inside as one, by one thread at a time; may be nested."""
        with self._lock, self.connection.transaction():
            yield self.connection

    def plan(
        self,
        kind: Kind,
        target: str,
        plan: Mapping[str, Any],
        *,
        before: Mapping[str, Any] | None = None,
        order_id: int | None = None,
        product_id: int | None = None,
        tracking: str | None = None,
    ) -> Entry:
        """Inserts a new entry, `planned`.

        Args:
            kind: what is written.
            target: what it is written to, unique among the open entries of the kind.
            plan: what is to be sent, as JSON.
            before: what the shop has now.
            order_id: of a shipment or status.
            product_id: of a stock level.
            tracking: normalised tracking number.

        Raises:
            psycopg.errors.UniqueViolation: an entry for the target is open.
        """
        return self._one(
            "INSERT INTO fulfilment.journal (integration, kind, target, state, order_id,"
            " product_id, tracking, plan, before, run_id)"
            " VALUES (%s, %s, %s, 'planned', %s, %s, %s, %s, %s, %s)",
            [
                self.integration,
                kind,
                target,
                order_id,
                product_id,
                tracking,
                Jsonb(dict(plan)),
                _json(before),
                self.run_id,
            ],
        )

    def applying(self, entry: Entry) -> Entry:
        """Marks the entry as about to be sent: one more attempt, the time is kept."""
        return self._one(
            "UPDATE fulfilment.journal SET state = 'applying', attempts = attempts + 1,"
            " sent_at = clock_timestamp(), reason = NULL, run_id = %s WHERE id = %s",
            [self.run_id, entry.id],
        )

    def record_resend(self, entry: Entry) -> Entry:
        """Restarts the settling time of an attempt that is sent once more after a wait.

        A run that has lost the write lock meanwhile fails here, before the request.
        """
        return self._one(
            "UPDATE fulfilment.journal SET sent_at = clock_timestamp() WHERE id = %s", [entry.id]
        )

    def answered(self, entry: Entry, after: Mapping[str, Any]) -> Entry:
        """Keeps what the shop answered, until it is read back."""
        return self._one(
            "UPDATE fulfilment.journal SET after = %s WHERE id = %s",
            [Jsonb(dict(after)), entry.id],
        )

    def ambiguous(self, entry: Entry, reason: str) -> Entry:
        """Marks the entry: it is not known whether it was applied.

        The settling time begins now if the entry was applying; one that is ambiguous already keeps
        its own, or it would never be over.
        """
        return self._one(
            f"UPDATE fulfilment.journal SET {_AMBIGUOUS} WHERE id = %s",  # noqa: S608 (constants)
            [reason, entry.id],
        )

    def mark_unanswered(self, *kinds: Kind, order_id: int | None = None) -> None:
        """Marks entries that are applying without an answer as ambiguous: their run ended before.

        When they were sent is not known for sure, so their settling time begins now. To be called
        before the shop is read, by a run that has sent nothing of these kinds itself.
        """
        self._many(
            f"UPDATE fulfilment.journal SET {_AMBIGUOUS}"  # noqa: S608 (constants)
            " WHERE integration = %s AND kind = ANY(%s) AND state = 'applying' AND after IS NULL"
            f" AND (%s::bigint IS NULL OR order_id = %s) RETURNING {COLUMNS}",
            [NO_ANSWER, self.integration, [str(kind) for kind in kinds], order_id, order_id],
        )

    def replan(
        self,
        entry: Entry,
        plan: Mapping[str, Any] | None = None,
        *,
        before: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Sets an entry that was surely not applied back to `planned`, with a new plan if given."""
        return self._one(
            "UPDATE fulfilment.journal SET state = 'planned', plan = coalesce(%s, plan),"
            " before = coalesce(%s, before), sent_at = NULL, after = NULL, run_id = %s"
            " WHERE id = %s",
            [_json(plan), _json(before), self.run_id, entry.id],
        )

    def finish(
        self,
        entry: Entry,
        state: State,
        *,
        after: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> Entry:
        """Ends an entry as verified, skipped or failed."""
        return self._one(
            "UPDATE fulfilment.journal SET state = %s, after = coalesce(%s, after), reason = %s,"
            " finished_at = clock_timestamp(), run_id = %s WHERE id = %s",
            [state, _json(after), reason, self.run_id, entry.id],
        )

    def open_entries(self, *kinds: Kind, order_id: int | None = None) -> list[Entry]:
        """Returns entries that are planned, applying or ambiguous, in the order they were made."""
        return self._many(
            _READ + " AND kind = ANY(%s) AND state IN ('planned', 'applying', 'ambiguous')"
            " AND (%s::bigint IS NULL OR order_id = %s) ORDER BY id",
            [self.integration, [str(kind) for kind in kinds], order_id, order_id],
        )

    def entries_of_order(self, order_id: int) -> list[Entry]:
        """Returns all entries of an order, in the order they were made."""
        return self._many(_READ + " AND order_id = %s ORDER BY id", [self.integration, order_id])

    def _one(self, statement: str, values: list[Any]) -> Entry:
        entries = self._many(f"{statement} RETURNING {COLUMNS}", values)
        if not entries:
            raise LookupError("an entry of the journal was deleted while the run needed it")
        return entries[0]

    def _many(self, statement: str, values: list[Any]) -> list[Entry]:
        with self._lock:
            cursor = self.connection.cursor(row_factory=dict_row)
            # Every statement is a constant of this project.
            rows = cursor.execute(statement.encode(), values).fetchall()
        return [_entry(row) for row in rows]


def open_versions(connection: psycopg.Connection[Any], kinds: Collection[Kind]) -> dict[str, str]:
    """Returns a text by integration with open entries, which changes when those entries do.

    Entries of deferred orders are left out until their time.
    """
    rows = connection.execute(
        """
        SELECT integration, concat_ws(' ', 'entries', count(*), max(id), sum(attempts))
        FROM fulfilment.journal AS open
        WHERE state IN ('planned', 'applying', 'ambiguous') AND kind = ANY(%s) AND NOT EXISTS (
            SELECT FROM fulfilment.deferred_orders AS late
            WHERE late.integration = open.integration AND late.order_id = open.order_id
              AND late.not_before > now())
        GROUP BY integration
        """,
        [[str(kind) for kind in kinds]],
    )
    return dict(rows.fetchall())


def open_count(
    connection: psycopg.Connection[Any], integration: str, kinds: Collection[Kind]
) -> int:
    """Returns how many entries of these kinds are planned, applying or ambiguous."""
    (found,) = connection.execute(
        "SELECT count(*) FROM fulfilment.journal WHERE integration = %s AND kind = ANY(%s)"
        " AND state IN ('planned', 'applying', 'ambiguous')",
        [integration, [str(kind) for kind in kinds]],
    ).fetchall()
    return int(found[0])


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(**{**row, "kind": Kind(row["kind"]), "state": State(row["state"])})


def _json(value: Mapping[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(dict(value))

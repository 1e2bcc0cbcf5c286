"""The journal of writes to a shop: planned before they are sent, finished when read back.

Every method is one committed transaction, or part of the caller's `transaction()`. What the journal
says survives the death of whoever wrote it: an entry that is `applying` was perhaps sent, one that
is `planned` surely was not. Not here: what to write (`parcels`, `stock_rules`), and finding out
what became of an entry in doubt (`tracking`, `stock`).

    planned -> applying -> verified            the shop has it, seen by reading
                        -> ambiguous -> verified, failed or planned anew
                        -> failed              refused by the shop, or surely not applied
    planned -> skipped                         nothing to do, or planned by a run that ended

The settling time of a write is counted from `sent_at`: the sending, and once it is ambiguous, the
moment when that became known. A shop may work on long after it was asked, until a proxy or we give
up on the answer; only what comes later than the settling time after *that* is missed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
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
    """How far a write is (CONTRACT)."""

    PLANNED = "planned"
    APPLYING = "applying"
    VERIFIED = "verified"
    SKIPPED = "skipped"
    FAILED = "failed"
    AMBIGUOUS = "ambiguous"


OPEN = (State.PLANNED, State.APPLYING, State.AMBIGUOUS)
IN_DOUBT = (State.APPLYING, State.AMBIGUOUS)
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
    """One line of the journal. `seconds_since_sent`: since `sent_at`, by the database's clock, when
    it was read; for an ambiguous one since its answer was given up on."""

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
    def in_doubt(self) -> bool:
        return self.state in IN_DOUBT


class Journal:
    """The journal of one integration, for one run. Safe to use from several threads.

    The connection must be in autocommit mode, and be the one that holds the turn (`turn`): when the
    turn is lost, nothing can be journalled any more, and so nothing new is sent.
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
        """What is done inside is committed as one, by one thread at a time; may be nested."""
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
        """A new entry, `planned`. Raises psycopg UniqueViolation if one for the target is open."""
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
        """The next thing that happens is the write: one more attempt, the time is kept."""
        return self._one(
            "UPDATE fulfilment.journal SET state = 'applying', attempts = attempts + 1,"
            " sent_at = clock_timestamp(), reason = NULL, run_id = %s WHERE id = %s",
            [self.run_id, entry.id],
        )

    def sent_again(self, entry: Entry) -> Entry:
        """The same attempt is sent once more after a wait: its settling time begins anew, and
        whoever has lost the turn meanwhile does not get past this."""
        return self._one(
            "UPDATE fulfilment.journal SET sent_at = clock_timestamp() WHERE id = %s", [entry.id]
        )

    def answered(self, entry: Entry, after: Mapping[str, Any]) -> Entry:
        """The shop answered; what it said is kept until it is read back."""
        return self._one(
            "UPDATE fulfilment.journal SET after = %s WHERE id = %s",
            [Jsonb(dict(after)), entry.id],
        )

    def ambiguous(self, entry: Entry, reason: str) -> Entry:
        """It is not known whether it was applied. Its settling time begins now, if it was applying;
        one that is ambiguous already keeps its own, or it would never be over."""
        return self._one(
            f"UPDATE fulfilment.journal SET {_AMBIGUOUS} WHERE id = %s",  # noqa: S608 (constants)
            [reason, entry.id],
        )

    def doubt_unanswered(self, *kinds: Kind, order_id: int | None = None) -> None:
        """Whatever is applying without an answer becomes ambiguous: its sender died, or lost the
        database. When, nobody knows, so its settling time begins now, at first sight.

        To be called before the shop is read, by one who has sent nothing of these himself.
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
        """It was surely not applied: back to `planned`, with a new plan if one is given."""
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
        """Verified, skipped or failed."""
        return self._one(
            "UPDATE fulfilment.journal SET state = %s, after = coalesce(%s, after), reason = %s,"
            " finished_at = clock_timestamp(), run_id = %s WHERE id = %s",
            [state, _json(after), reason, self.run_id, entry.id],
        )

    def open_entries(self, *kinds: Kind, order_id: int | None = None) -> list[Entry]:
        """Entries that are planned, applying or ambiguous, in the order they were made."""
        return self._many(
            _READ + " AND kind = ANY(%s) AND state IN ('planned', 'applying', 'ambiguous')"
            " AND (%s::bigint IS NULL OR order_id = %s) ORDER BY id",
            [self.integration, [str(kind) for kind in kinds], order_id, order_id],
        )

    def of_order(self, order_id: int) -> list[Entry]:
        """All that was ever done to an order."""
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


def _entry(row: Mapping[str, Any]) -> Entry:
    return Entry(**{**row, "kind": Kind(row["kind"]), "state": State(row["state"])})


def _json(value: Mapping[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(dict(value))

"""The journal says what was perhaps sent, whoever died; and one target has one open entry."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from cscart_pipelines.fulfilment.journal import Entry, Journal, Kind, State
from cscart_pipelines_tests.conftest import Database


@pytest.fixture
def journal(warehouse_database: Database) -> Iterator[Journal]:
    with closing(warehouse_database.open_session()) as connection:
        yield Journal(connection, "shop", "run-1")


def parcel(journal: Journal, target: str = "CS7 T1", order_id: int = 7) -> Entry:
    return journal.plan(
        Kind.SHIPMENT, target, {"quantities": {"1": 2}}, order_id=order_id, tracking="T1",
        before={"left": {"1": 2}},
    )  # fmt: skip


def test_an_entry_goes_from_planned_to_verified(journal: Journal) -> None:
    planned = parcel(journal)
    assert (planned.state, planned.attempts, planned.sent_at) == (State.PLANNED, 0, None)
    assert planned.plan == {"quantities": {"1": 2}} and planned.before == {"left": {"1": 2}}
    sent = journal.applying(planned)
    assert sent.unconfirmed and sent.attempts == 1
    assert sent.seconds_since_sent is not None and sent.seconds_since_sent >= 0
    journal.answered(sent, {"shipment_id": 9})
    journal.finish(sent, State.VERIFIED)
    (done,) = journal.entries_of_order(7)
    assert (done.state, done.after, done.run_id) == (State.VERIFIED, {"shipment_id": 9}, "run-1")
    assert done.finished_at is not None
    assert journal.open_entries(Kind.SHIPMENT) == []


def test_what_was_surely_not_applied_is_planned_again_and_its_attempts_count(
    journal: Journal,
) -> None:
    sent = journal.applying(parcel(journal))
    again = journal.replan(journal.ambiguous(sent, "no answer"), {"quantities": {"1": 1}})
    assert (again.state, again.attempts, again.sent_at, again.after) == ("planned", 1, None, None)
    assert again.plan == {"quantities": {"1": 1}} and again.before == {"left": {"1": 2}}
    assert not again.unconfirmed
    assert journal.applying(again).attempts == 2


def test_sending_once_more_is_the_same_attempt_and_young_again(journal: Journal) -> None:
    sent = journal.applying(parcel(journal))
    journal.connection.execute(
        "UPDATE fulfilment.journal SET sent_at = sent_at - interval '1 hour'"
    )
    (old,) = journal.open_entries(Kind.SHIPMENT)
    assert old.seconds_since_sent is not None and old.seconds_since_sent >= 3600
    young = journal.record_resend(sent)
    assert young.seconds_since_sent is not None and young.seconds_since_sent < 3600
    assert young.attempts == 1


def _age(journal: Journal, hours: int = 1) -> None:
    journal.connection.execute(
        f"UPDATE fulfilment.journal SET sent_at = sent_at - interval '{hours} hours'"
    )


def test_what_becomes_ambiguous_is_young_again_but_only_once(journal: Journal) -> None:
    sent = journal.applying(parcel(journal))
    _age(journal)
    first = journal.ambiguous(sent, "504")
    assert first.seconds_since_sent is not None and first.seconds_since_sent < 3600
    _age(journal)
    again = journal.ambiguous(first, "not read back")
    assert again.seconds_since_sent is not None and again.seconds_since_sent >= 3600
    assert (again.state, again.reason, again.attempts) == ("ambiguous", "not read back", 1)


def test_a_sending_without_an_answer_is_doubted_from_the_moment_it_is_found(
    journal: Journal,
) -> None:
    silent, told = journal.applying(parcel(journal)), journal.applying(parcel(journal, "CS7 T2"))
    journal.answered(told, {"shipment_id": 9})
    planned = parcel(journal, "CS7 T3")
    other_order = journal.applying(parcel(journal, "CS8 T1", 8))
    stock = journal.applying(journal.plan(Kind.STOCK, "SKU", {"amount": 1}, product_id=1))
    foreign = Journal(journal.connection, "other", None)
    foreign.applying(parcel(foreign))
    _age(journal)

    journal.mark_unanswered(Kind.SHIPMENT, order_id=7)
    found = {entry.id: entry for entry in journal.open_entries(Kind.SHIPMENT, Kind.STOCK)}
    assert {key: str(entry.state) for key, entry in found.items()} == {
        silent.id: "ambiguous", told.id: "applying", planned.id: "planned",
        other_order.id: "applying", stock.id: "applying",
    }  # fmt: skip
    assert (
        (found[silent.id].seconds_since_sent or 0)
        < 3600
        <= (found[told.id].seconds_since_sent or 0)
    )
    assert [entry.state for entry in foreign.open_entries(Kind.SHIPMENT)] == ["applying"]

    _age(journal)
    journal.mark_unanswered(Kind.SHIPMENT)  # the first sight counts, not the second
    found = {entry.id: entry for entry in journal.open_entries(Kind.SHIPMENT)}
    assert (found[silent.id].seconds_since_sent or 0) >= 3600
    assert (found[other_order.id].seconds_since_sent or 0) < 3600


def test_a_target_has_one_open_entry(journal: Journal) -> None:
    first = parcel(journal)
    with pytest.raises(psycopg.errors.UniqueViolation):
        parcel(journal)
    journal.plan(Kind.ORDER_STATUS, "CS7 T1", {}, order_id=7)  # another kind is another target
    journal.finish(first, State.SKIPPED, reason="nothing to do")
    parcel(journal)
    assert len(journal.entries_of_order(7)) == 3


def test_open_entries_are_those_of_the_kinds_the_order_and_the_integration(
    journal: Journal,
) -> None:
    mine = parcel(journal)
    other_order = parcel(journal, "CS8 T1", 8)
    stock = journal.plan(Kind.STOCK, "SKU", {"amount": 1}, product_id=1)
    parcel(Journal(journal.connection, "other", None))
    assert journal.open_entries(Kind.SHIPMENT) == [mine, other_order]
    assert journal.open_entries(Kind.SHIPMENT, Kind.STOCK, order_id=7) == [mine]
    assert journal.open_entries(Kind.STOCK) == [stock]
    assert journal.open_entries(Kind.ORDER_STATUS) == []


def test_a_transaction_that_fails_leaves_nothing(journal: Journal) -> None:
    with pytest.raises(ZeroDivisionError), journal.transaction():
        parcel(journal)
        with journal.transaction():
            parcel(journal, "CS7 T2")
        raise ZeroDivisionError
    assert journal.entries_of_order(7) == []


def test_threads_take_turns(journal: Journal) -> None:
    """What one thread does in a transaction is not in another one's."""
    inside, tried = threading.Event(), threading.Event()

    def elsewhere() -> None:
        inside.wait()
        tried.set()
        parcel(journal, "CS8 T1", 8)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    with pytest.raises(ZeroDivisionError), journal.transaction():
        parcel(journal)
        inside.set()
        tried.wait()
        raise ZeroDivisionError
    thread.join()
    assert [entry.target for entry in journal.open_entries(Kind.SHIPMENT)] == ["CS8 T1"]


def test_without_its_connection_nothing_is_begun(journal: Journal) -> None:
    planned = parcel(journal)
    journal.connection.close()
    with pytest.raises(psycopg.OperationalError):
        journal.applying(planned)


def test_an_entry_that_somebody_deleted_is_not_written_for(journal: Journal) -> None:
    planned = parcel(journal)
    journal.connection.execute("DELETE FROM fulfilment.journal")
    with pytest.raises(LookupError, match="deleted"):
        journal.applying(planned)

"""Rows into the inbox: once, however often, in whatever order, from however many at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.feeds import ingest_shipments
from cscart_pipelines.fulfilment.feeds.duplicates import drop_duplicates, keep_newest
from cscart_pipelines.fulfilment.feeds.ingest import (
    IngestResult,
    ingest,
    record_unreadable,
)
from cscart_pipelines.fulfilment.feeds.parse import Parsed
from cscart_pipelines.fulfilment.models import ShipmentRow, StockRow
from cscart_pipelines.fulfilment.report import RefusedRow
from cscart_pipelines.warehouse import advisory
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.database.locks import ADVISORY

Connection = psycopg.Connection[Any]
WAITS = f"SELECT FROM {ADVISORY} WHERE NOT granted"
DAY = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def inbox(warehouse_database: Database) -> Iterator[Connection]:
    with closing(warehouse_database.open_session()) as connection:
        yield connection


def parcel(
    number: str, tracking: str, sku: str = "", pieces: int | None = None, **more: Any
) -> Any:
    quantity = None if pieces is None else Decimal(pieces)
    return ShipmentRow(number, tracking, sku, quantity, **more)


def level(sku: str, pieces: int, day: int | None = None, source: str | None = None) -> StockRow:
    as_of = None if day is None else DAY + timedelta(days=day)
    return StockRow(sku, Decimal(pieces), as_of, source)


def feed(
    inbox: Connection, rows: Sequence[Any], source: str = "f.csv", key: str = "one"
) -> IngestResult:
    kind = "stock" if rows and isinstance(rows[0], StockRow) else "shipments"
    return ingest(inbox, key, kind, source, Parsed(list(rows), []))  # type: ignore[arg-type]


def counts(receipt: IngestResult) -> tuple[str, int, int, int]:
    return receipt.state, receipt.taken, receipt.known, len(receipt.refusals)


def said(connection: Connection, query: str, *values: Any) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode(), values).fetchall()


def parcels(inbox: Connection, key: str = "one") -> list[tuple[Any, ...]]:
    return said(
        inbox,
        "SELECT order_number, tracking_number, sku, quantity, carrier, state"
        " FROM fulfilment.shipments WHERE integration = %s ORDER BY 1, 2, 3",
        key,
    )


def levels(inbox: Connection) -> list[tuple[Any, ...]]:
    return said(inbox, "SELECT sku, quantity, as_of, state FROM fulfilment.stock_levels ORDER BY 1")


def put(inbox: Connection, state: str, table: str = "shipments") -> None:
    inbox.execute(
        f"UPDATE fulfilment.{table} SET state = %s, reason = 'x', journal_id = 7,"
        " settled_at = now()",
        [state],
    )


# --- shipments -----------------------------------------------------------------------------------


def test_rows_enter_and_the_feed_is_on_record(inbox: Connection) -> None:
    refusal = RefusedRow("CS9", "quantity 0 is below 1", "f.csv:9")
    rows = [
        parcel("CS1", "T1", "A", 2, carrier="UPS", tracking_url="https://t.example/",
               shipped_at=DAY, source="f.csv:2"),
        parcel("CS2", "T2", source="f.csv:3"),
    ]  # fmt: skip
    receipt = ingest(inbox, "one", "shipments", "f.csv", Parsed(rows, [refusal], ["a note"]))
    assert counts(receipt) == ("taken", 2, 0, 1) and receipt.notes == ["a note"]
    assert said(
        inbox,
        "SELECT order_number, tracking_number, sku, quantity, carrier, tracking_url, shipped_at,"
        " source, state FROM fulfilment.shipments ORDER BY 1",
    ) == [
        ("CS1", "T1", "A", 2, "UPS", "https://t.example/", DAY, "f.csv:2", "waiting"),
        ("CS2", "T2", "", None, None, None, None, "f.csv:3", "waiting"),
    ]
    assert said(
        inbox,
        "SELECT id, integration, kind, source, rows_taken, rows_known, rows_refused, refusals,"
        " newest_as_of, state, reason FROM fulfilment.feeds",
    ) == [
        (receipt.feed_id, "one", "shipments", "f.csv", 2, 0, 1,
         [{"line": "f.csv:9", "target": "CS9", "reason": "quantity 0 is below 1"}],
         None, "taken", None)
    ]  # fmt: skip


@pytest.mark.parametrize("state", ["waiting", "taken", "done"])
def test_what_is_known_changes_nothing_however_it_is_spelled(inbox: Connection, state: str) -> None:
    feed(inbox, [parcel("CS1", "1Z 999", "A", 2)])
    put(inbox, state)
    before = said(inbox, "SELECT * FROM fulfilment.shipments")
    for number, tracking in (("CS1", "1Z 999"), ("CS1", "1z-999"), ("cs1", "1Z999")):
        receipt = feed(inbox, [parcel(number, tracking, "A", 2)])
        assert counts(receipt) == ("taken", 0, 1, 0)
    assert said(inbox, "SELECT * FROM fulfilment.shipments") == before


def test_what_was_refused_is_tried_again_when_it_is_sent_again(inbox: Connection) -> None:
    feed(inbox, [parcel("CS1", "1Z 999", "A", 2)])
    put(inbox, "refused")
    assert counts(feed(inbox, [parcel("CS1", "1z-999", "A", 2)])) == ("taken", 1, 0, 0)
    assert said(inbox, "SELECT state, reason FROM fulfilment.shipments") == [("waiting", None)]


@pytest.mark.parametrize("state", ["waiting", "refused"])
def test_a_correction_replaces_what_nothing_was_done_with(inbox: Connection, state: str) -> None:
    feed(inbox, [parcel("CS1", "1Z 999", "A", 2)])
    put(inbox, state)
    receipt = feed(inbox, [parcel("CS1", "1z-999", "A", 3, carrier="UPS", source="g.csv:2")])
    assert counts(receipt) == ("taken", 1, 0, 0)
    assert parcels(inbox) == [("CS1", "1Z 999", "A", 3, "UPS", "waiting")]
    assert said(
        inbox, "SELECT reason, journal_id, settled_at, source FROM fulfilment.shipments"
    ) == [(None, None, None, "g.csv:2")]


@pytest.mark.parametrize("state", ["taken", "done"])
def test_what_was_pushed_is_not_corrected(inbox: Connection, state: str) -> None:
    feed(inbox, [parcel("CS1", "1Z 999", "A", 2)])
    put(inbox, state)
    receipt = feed(
        inbox,
        [parcel("CS1", "1z-999", "A", 3, carrier="UPS", source="g.csv:2"), parcel("CS2", "T")],
    )
    assert counts(receipt) == ("taken", 1, 0, 1)
    assert receipt.refusals == [
        RefusedRow("CS1 1z-999 A", "already sent with quantity 2, carrier empty", "g.csv:2")
    ]
    assert parcels(inbox)[0] == ("CS1", "1Z 999", "A", 2, None, state)


def test_of_two_spellings_in_the_inbox_the_one_that_was_pushed_counts(inbox: Connection) -> None:
    for tracking, state in (("1-Z", "waiting"), ("1Z", "done"), ("1 Z", "refused")):
        inbox.execute(
            "INSERT INTO fulfilment.shipments (integration, order_number, tracking_number, state)"
            " VALUES ('one', 'CS1', %s, %s)",
            [tracking, state],
        )
    receipt = feed(inbox, [parcel("CS1", "1.Z", carrier="UPS")])
    assert counts(receipt) == ("taken", 0, 0, 1)


def test_integrations_do_not_meet(inbox: Connection) -> None:
    feed(inbox, [parcel("CS1", "T1", carrier="UPS")])
    assert counts(feed(inbox, [parcel("CS1", "T1")], key="two")) == ("taken", 1, 0, 0)
    assert len(parcels(inbox, "two")) == 1


def test_a_row_inserted_at_the_same_moment_is_known(
    inbox: Connection, warehouse_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, done = ingest_shipments._known_rows, []

    def look_then_lose(*args: Any) -> Any:
        found = look(*args)
        if not done:
            done.append(1)
            with closing(warehouse_database.open_session()) as other:
                other.execute(
                    "INSERT INTO fulfilment.shipments (integration, order_number, tracking_number)"
                    " VALUES ('one', 'CS1', 'T1')"
                )
        return found

    monkeypatch.setattr(ingest_shipments, "_known_rows", look_then_lose)
    receipt = feed(inbox, [parcel("CS1", "T1"), parcel("CS2", "T2")])
    assert counts(receipt) == ("taken", 1, 1, 0)
    assert [row[0] for row in parcels(inbox)] == ["CS1", "CS2"]


def test_a_feed_without_a_good_row_is_refused_and_one_without_any_row_is_taken(
    inbox: Connection,
) -> None:
    bad = [RefusedRow("x", "why", f"f.csv:{n}") for n in range(1200, 0, -1)]
    receipt = ingest(inbox, "one", "shipments", "f.csv", Parsed([], bad))
    assert counts(receipt) == ("refused", 0, 0, 1200)
    assert receipt.refusals[0].source == "f.csv:1"
    assert counts(feed(inbox, [])) == ("taken", 0, 0, 0)
    kept = "SELECT state, rows_refused, jsonb_array_length(refusals) FROM fulfilment.feeds"
    assert said(inbox, f"{kept} ORDER BY id") == [("refused", 1200, 1000), ("taken", 0, 0)]


def test_an_unreadable_file_is_on_record(inbox: Connection) -> None:
    receipt = record_unreadable(inbox, "one", "stock", "a\udce4.csv", "the file is a PDF")
    assert counts(receipt) == ("refused", 0, 0, 0) and receipt.reason == "the file is a PDF"
    assert said(inbox, "SELECT id, source, state, reason FROM fulfilment.feeds") == [
        (receipt.feed_id, "a?.csv", "refused", "the file is a PDF")
    ]


def test_a_lost_connection_leaves_nothing_behind(
    inbox: Connection, warehouse_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = ingest_shipments._insert

    def lose(connection: Connection, *args: Any) -> Any:
        found = insert(connection, *args)
        inbox.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.info.backend_pid])
        return found

    monkeypatch.setattr(ingest_shipments, "_insert", lose)
    with closing(warehouse_database.open_session()) as doomed, pytest.raises(psycopg.Error):
        feed(doomed, [parcel("CS1", "T1")])
    assert parcels(inbox) == [] and said(inbox, "SELECT FROM fulfilment.feeds") == []
    monkeypatch.undo()
    assert counts(feed(inbox, [parcel("CS1", "T1")])) == ("taken", 1, 0, 0)


def test_a_deadlock_with_a_push_is_survived(
    inbox: Connection, warehouse_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(inbox, [parcel("CS1", "T1")])
    look, tries = ingest_shipments._known_rows, []

    def deadlock_once(*args: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            inbox.execute("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$")
        return look(*args)

    monkeypatch.setattr(ingest_shipments, "_known_rows", deadlock_once)
    assert counts(feed(inbox, [parcel("CS1", "T1"), parcel("CS2", "T")])) == ("taken", 1, 1, 0)
    assert len(tries) == 2 and len(said(inbox, "SELECT FROM fulfilment.feeds")) == 2


@pytest.mark.parametrize("kind", ["shipments", "stock"])
def test_the_same_feed_from_many_at_once_enters_once(
    inbox: Connection, warehouse_database: Database, kind: str
) -> None:
    rows: list[Any] = [parcel(f"CS{n}", f"T-{n}", "A", 1) for n in range(200)]
    if kind == "stock":
        rows = [level(f"S{n}", n, 1) for n in range(200)]
    receipts: list[IngestResult] = []
    together = threading.Barrier(4)

    def work(mine: list[Any]) -> None:
        with closing(warehouse_database.open_session()) as connection:
            together.wait()
            receipts.append(feed(connection, mine))

    threads = [threading.Thread(target=work, args=[rows[:: 1 - 2 * (n % 2)]]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(receipt.taken for receipt in receipts) == [0, 0, 0, 200]
    assert sorted(receipt.known for receipt in receipts) == [0, 200, 200, 200]


# --- stock ---------------------------------------------------------------------------------------


def test_newer_levels_replace_older_ones_and_wait_again(inbox: Connection) -> None:
    feed(inbox, [level("A", 1, 1), level("B", 1, 3), level("C", 1, 2), level("D", 1, 2)])
    for state in ("held", "done", "refused"):
        put(inbox, state, "stock_levels")
    rows = [level("A", 1, 2, "g.csv:2"), level("B", 9, 2, "g.csv:3"), level("C", 1, 2),
            level("D", 8, 2), level("E", 5, 3)]  # fmt: skip
    receipt = feed(inbox, rows)
    assert counts(receipt) == ("taken", 4, 0, 1)
    assert receipt.refusals[0].source == "g.csv:3" and "older" in receipt.refusals[0].reason
    days = {n: DAY + timedelta(days=n) for n in range(4)}
    assert levels(inbox) == [
        ("A", 1, days[2], "waiting"),
        ("B", 1, days[3], "refused"),
        ("C", 1, days[2], "waiting"),  # refused before: tried again
        ("D", 8, days[2], "waiting"),  # a correction of the same counting
        ("E", 5, days[3], "waiting"),
    ]
    (found,) = said(inbox, "SELECT feed_id, source, reason FROM fulfilment.stock_levels"
                    " WHERE sku = 'A'")  # fmt: skip
    assert found == (receipt.feed_id, "g.csv:2", None)


def test_a_held_level_is_replaced_by_a_newer_one(inbox: Connection) -> None:
    feed(inbox, [level("A", 0, 1)])
    put(inbox, "held", "stock_levels")
    assert counts(feed(inbox, [level("A", 0, 1)])) == ("taken", 0, 1, 0)
    assert levels(inbox)[0][3] == "held"
    feed(inbox, [level("A", 4, 2)])
    assert levels(inbox)[0][1::2] == (4, "waiting")


def test_levels_without_a_time_are_of_now(inbox: Connection) -> None:
    first = feed(inbox, [level("A", 1)])
    second = feed(inbox, [level("A", 2)])
    assert counts(first) == counts(second) == ("taken", 1, 0, 0)
    assert levels(inbox)[0][1] == 2
    assert said(
        inbox, "SELECT newest_as_of FROM fulfilment.feeds ORDER BY id DESC LIMIT 1"
    ) == said(inbox, "SELECT as_of FROM fulfilment.stock_levels")


def test_an_empty_feed_and_one_older_than_the_last_are_held(inbox: Connection) -> None:
    assert counts(feed(inbox, [level("A", 1, 2)])) == ("taken", 1, 0, 0)
    empty = ingest(inbox, "one", "stock", "e.csv", Parsed([], []))
    assert counts(empty) == ("held", 0, 0, 0) and "no row" in (empty.reason or "")
    old = feed(inbox, [level("B", 1, 1), level("C", 1, 0)])
    assert counts(old) == ("held", 0, 0, 0) and "older" in (old.reason or "")
    assert [row[0] for row in levels(inbox)] == ["A"]
    assert said(inbox, "SELECT state FROM fulfilment.feeds ORDER BY id") == [
        ("taken",), ("held",), ("held",),
    ]  # fmt: skip
    assert counts(feed(inbox, [level("B", 1, 1), level("A", 1, 2)])) == ("taken", 1, 1, 0)
    assert counts(feed(inbox, [level("B", 1, 0)], key="two")) == ("taken", 1, 0, 0)
    refused = ingest(inbox, "one", "stock", "e.csv", Parsed([], [RefusedRow("x", "y", "e.csv:2")]))
    assert refused.state == "refused"


def test_of_two_feeds_at_once_the_one_that_waited_is_the_later_one(
    inbox: Connection, warehouse_database: Database
) -> None:
    """A feed whose transaction began first must not be held as older than one that overtook it."""
    receipts: list[IngestResult] = []

    def work() -> None:
        with closing(warehouse_database.open_session()) as connection:
            receipts.append(feed(connection, [level("A", 1)]))

    assert advisory.try_lock_session(inbox, Lock.FEED, "one", "stock")
    thread = threading.Thread(target=work)
    thread.start()
    with closing(warehouse_database.open_session()) as other:
        while not said(other, WAITS):
            pass
    assert feed(inbox, [level("A", 2)]).state == "taken"
    advisory.unlock(inbox, Lock.FEED, "one", "stock")
    thread.join()
    assert counts(receipts[0]) == ("taken", 1, 0, 0)
    assert levels(inbox)[0][1] == 1


# --- any rows, in any pieces, in any order --------------------------------------------------------

some_parcels = st.lists(
    st.builds(
        lambda number, tracking, line: parcel(number, tracking, *line),
        st.sampled_from(["CS1", "cs1", "CS2"]),
        st.sampled_from(["1Z 9", "1z-9", "1Z9", "T"]),
        st.sampled_from([("", None), ("A", 1), ("B", 2)]),
    ),
    max_size=12,
)
some_levels = st.lists(
    st.builds(level, st.sampled_from("ABCDE"), st.integers(0, 3), st.just(1)), max_size=10
)


@given(st.data())
def test_feeding_twice_or_in_pieces_in_any_order_is_feeding_once(
    warehouse_database: Database, data: st.DataObject
) -> None:
    with closing(warehouse_database.open_session()) as inbox:
        rows = data.draw(some_parcels)
        stock = {row.sku: row for row in data.draw(some_levels)}
        for these in (rows, list(stock.values())):
            _empty(inbox)
            _feed_file(inbox, these)
            once = _content(inbox)
            order = data.draw(st.permutations([*these, *these]))
            cut = data.draw(st.integers(0, len(order)))
            _empty(inbox)
            receipts = [_feed_file(inbox, piece) for piece in (order[:cut], order[cut:], these)]
            assert _content(inbox) == once
            assert counts(receipts[-1])[1] == 0 and receipts[-1].state == "taken"
            assert sum(each.taken for each in receipts) == len(once)


def _empty(inbox: Connection) -> None:
    for table in ("shipments", "stock_levels", "feeds"):
        inbox.execute(f"DELETE FROM fulfilment.{table}".encode())


def _feed_file(inbox: Connection, rows: Sequence[Any]) -> IngestResult:
    """As `feeds.parse` leaves the rows of one file."""
    if rows and isinstance(rows[0], StockRow):
        newest, _ = keep_newest(rows)
        kept, _ = drop_duplicates(newest, lambda r: (r.sku,), lambda r: (r.quantity,))
        return feed(inbox, kept)
    unique, _ = drop_duplicates(
        rows, ingest_shipments.shipment_key, ingest_shipments.shipment_content
    )
    return feed(inbox, unique)


def _content(inbox: Connection) -> set[Any]:
    """Without spellings, of which the first one stays."""
    return {
        (ingest_shipments.shipment_key(ShipmentRow(*row[:3])), *row[3:]) for row in parcels(inbox)
    } | set(levels(inbox))


@given(
    st.lists(
        st.dictionaries(st.sampled_from("ABC"), st.tuples(st.integers(0, 3), st.integers(0, 4))),
        max_size=6,
    )
)
def test_stock_feeds_end_as_the_rules_say(
    warehouse_database: Database, feeds: list[dict[str, tuple[int, int]]]
) -> None:
    known: dict[str, tuple[int, int]] = {}
    last = -1
    with closing(warehouse_database.open_session()) as inbox:
        _empty(inbox)
        for each in feeds:
            rows = [level(sku, pieces, day) for sku, (pieces, day) in each.items()]
            receipt = ingest(inbox, "one", "stock", "f", Parsed(rows, []))
            newest = max((day for _, day in each.values()), default=-2)
            if newest < last or not each:
                assert counts(receipt) == ("held", 0, 0, 0)
                continue
            last = newest
            older = {s for s, (_, day) in each.items() if s in known and day < known[s][1]}
            same = {s for s, said in each.items() if known.get(s) == said}
            taken = {s: said for s, said in each.items() if s not in older | same}
            assert counts(receipt) == ("taken", len(taken), len(same), len(older))
            known |= taken
        assert [(sku, pieces, (as_of - DAY).days) for sku, pieces, as_of, _ in levels(inbox)] == [
            (sku, *said) for sku, said in sorted(known.items())
        ]


@pytest.mark.parametrize(
    ("table", "column", "moment"),
    [
        ("shipments (order_number, tracking_number", "shipped_at", "infinity"),
        ("shipments (order_number, tracking_number", "shipped_at", "0044-03-15 BC"),
        ("shipments (order_number, tracking_number", "received_at", "-infinity"),
        ("stock_levels (sku, quantity", "as_of", "infinity"),
        ("stock_levels (sku, quantity", "as_of", "2999-01-01"),
        ("stock_levels (sku, quantity", "received_at", "infinity"),
    ],
)
def test_a_time_that_is_none_is_refused_to_who_inserts_it(
    inbox: Connection, table: str, column: str, moment: str
) -> None:
    """Otherwise one such row stops every push: Python has no such times."""
    row = f"INSERT INTO fulfilment.{table}, integration, {column}) VALUES ('7', '8', 'one', %s)"
    with pytest.raises(psycopg.errors.CheckViolation, match=f"{column}_is_plausible"):
        inbox.execute(row.encode(), [moment])
    inbox.rollback()
    inbox.execute(row.encode(), [datetime.now(UTC)])

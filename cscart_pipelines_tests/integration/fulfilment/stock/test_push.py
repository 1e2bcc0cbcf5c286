"""Stock on hand into the shop: what is written, what is refused, what is held, what it costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from cscart_pipelines.fulfilment.models import StockRow
from cscart_pipelines.fulfilment.stock import inbox as stock_inbox
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines_tests.support.fulfilment.shops import Connect, connect
from cscart_pipelines_tests.support.fulfilment.stock import (
    COUNTED,
    amounts,
    inbox,
    level,
    levels,
    many,
    push,
    requests,
    rules,
    states,
    undo_run,
)
from cscart_pipelines_tests.support.shop.sandboxes import VERSIONS

__all__ = ["connect"]


@pytest.mark.parametrize("version", VERSIONS)
def test_levels_become_amounts_in_every_version(connect: Connect, version: str) -> None:
    shop = connect(version)
    levels(shop, SKU_0001=5, sku_0002=100, SKU_0003=0, SKU_9999=1)
    report = push(shop, run_id="first")
    assert amounts(shop) == [5, 100, 0, 100, 100, 100]
    assert report.counts == {"verified": 2, "refused": 1, "unchanged": 1}
    assert [(c.target, c.before, c.after) for c in report.changes] == [
        ("SKU-0001", {"amount": 100}, {"amount": 5}),
        ("SKU-0003", {"amount": 100}, {"amount": 0}),
    ]
    assert states(shop) == {
        "SKU-0001": "done", "sku-0002": "done", "SKU-0003": "done", "SKU-9999": "refused",
    }  # fmt: skip
    assert shop.rows(
        "SELECT journal.target, journal.state, run_id, attempts, product_id, plan ->> 'amount'"
        " FROM fulfilment.journal JOIN fulfilment.stock_levels ON journal_id = journal.id"
        " ORDER BY 1"
    ) == [
        ("SKU-0001", "verified", "first", 1, 1, "5"),
        ("SKU-0003", "verified", "first", 1, 3, "0"),
    ]
    # Nothing waits: not a single request.
    shop.shop.requests.clear()
    again = push(shop)
    assert again.counts == {"refused": 0, "unchanged": 0}
    assert requests(shop) == {}


def test_a_changed_level_costs_one_write_and_a_few_reads_per_fifty(connect: Connect) -> None:
    shop = connect(catalogue=many(120))
    for number in range(1, 121):
        level(shop, f"SKU-{number:04d}", 10 if number % 4 == 0 else 20)
    report = push(shop)
    assert report.counts == {"verified": 90, "refused": 0, "unchanged": 30}
    assert amounts(shop) == [10 if number % 4 == 0 else 20 for number in range(1, 121)]
    assert requests(shop) == {"PUT products": 90, "GET products": 9}
    assert report.calls == 99


def test_a_small_push_is_read_once_written_and_read_back(connect: Connect) -> None:
    shop = connect()
    levels(shop, SKU_0001=1, SKU_0002=2)
    push(shop)
    assert requests(shop) == {"PUT products": 2, "GET products": 2}


def test_the_limit_takes_those_that_wait_longest(connect: Connect) -> None:
    shop = connect()
    for number in (3, 1, 2):
        levels(shop, **{f"SKU_000{number}": 7})
    report = push(shop, limit=2)
    assert amounts(shop, 1, 2, 3) == [7, 100, 7]
    assert (report.waiting, states(shop)["SKU-0002"]) == (1, "waiting")
    push(shop, limit=2)
    assert amounts(shop, 2) == [7]


def test_a_dry_run_shows_the_difference_and_leaves_everything_as_it_is(connect: Connect) -> None:
    shop = connect()
    levels(shop, SKU_0001=5, SKU_0002=100, SKU_9999=1)
    before = shop.rows("SELECT * FROM fulfilment.stock_levels ORDER BY sku")
    report = push(shop, dry_run=True)
    assert report.counts == {"planned": 1, "refused": 1, "unchanged": 1}
    assert (report.changes[0].before, report.changes[0].after) == ({"amount": 100}, {"amount": 5})
    rows = [StockRow("SKU-0004", Decimal(9), None, "a.csv:2"), StockRow("X", None)]
    given = push(shop, rows, dry_run=True)
    assert [c.target for c in given.changes] == ["SKU-0004"]
    assert [r.target for r in given.refusals] == ["X"]
    assert shop.rows("SELECT * FROM fulfilment.stock_levels ORDER BY sku") == before
    assert shop.rows("SELECT * FROM fulfilment.journal") == []
    assert amounts(shop) == [100] * 6
    with pytest.raises(ValueError, match="dry run"):
        push(shop, rows)


# --- refused -------------------------------------------------------------------------------------


def test_what_cannot_be_is_refused_with_its_reason_and_the_rest_goes_through(
    connect: Connect,
) -> None:
    def fill(store):  # type: ignore[no-untyped-def]
        many(7)(store)
        store.edit_product(2, tracking="D")
        store.edit_product(3, product_type="C")
        store.edit_product(4, product_code="SAME")
        store.edit_product(5, product_code="SAME")

    shop = connect(catalogue=fill)
    levels(shop, SKU_0001=4, SKU_0002=4, SKU_0003=4, SAME=4, SKU_0006="1.5", NIL=None)
    report = push(shop)
    assert amounts(shop) == [4, 10, 10, 10, 10, 10, 10]
    found = inbox(shop)
    assert found.pop("SKU-0001") == ("done", None)
    assert {state for state, _ in found.values()} == {"refused"}
    reasons = {sku: reason or "" for sku, (_, reason) in found.items()}
    for sku, words in {
        "SKU-0002": "does not track", "SKU-0003": "configurable", "SAME": "2 products",
        "SKU-0006": "quantity 1.5 has a fraction",
        "NIL": "unknown SKU",
    }.items():  # fmt: skip
        assert words in reasons[sku]
    assert {r.target: r.reason for r in report.refusals} == reasons


def test_stock_below_zero_is_written_as_none_and_marks_of_spreadsheets_do_not_matter(
    connect: Connect,
) -> None:
    shop = connect(catalogue=many(6))
    levels(shop, SKU_0001=-3)
    for sku, quantity in (('="SKU-0002"', 7), ("'SKU-0003\u00a0", 8), ("nan", 9)):
        shop.execute(
            "INSERT INTO fulfilment.stock_levels (integration, sku, quantity)"
            " VALUES ('shop', %s, %s)",
            sku,
            quantity,
        )
    report = push(shop)
    assert amounts(shop) == [0, 7, 8, 10, 10, 10]
    assert [r.target for r in report.refusals] == ["nan"]
    notes = {change.target: change.note for change in report.changes}
    assert notes["SKU-0001"] == "the feed says -3: sold before it came in, so none"
    ((reason,),) = shop.rows("SELECT reason FROM fulfilment.journal WHERE target = 'SKU-0001'")
    assert reason == notes["SKU-0001"]


def test_stock_by_options_on_old_shops_is_refused(connect: Connect) -> None:
    shop = connect("4.7")
    shop.shop.store.edit_product(1, tracking="O")
    levels(shop, SKU_0001=4)  # the warehouse does not know yet: the shop itself is looked at
    push(shop)
    assert inbox(shop)["SKU-0001"][0] == "refused"
    assert "by options" in (inbox(shop)["SKU-0001"][1] or "")
    shop.sync()
    levels(shop, SKU_0001=5)
    shop.shop.requests.clear()
    push(shop)
    assert "by options" in (inbox(shop)["SKU-0001"][1] or "")
    assert requests(shop) == {} and amounts(shop, 1) == [100]


def test_an_unknown_sku_is_written_when_the_product_has_appeared(connect: Connect) -> None:
    shop = connect()
    levels(shop, NEW=3, MAPPED=4)
    assert len(push(shop).refusals) == 2
    assert push(shop).refusals == []  # said once
    shop.shop.store.add_product("New", "1.00", product_code="NEW", main_category=1)
    shop.sync()
    shop.execute("INSERT INTO fulfilment.sku_map VALUES (%s, 'MAPPED', 'SKU-0002')", shop.key)
    report = push(shop)
    assert report.counts["verified"] == 2
    assert amounts(shop, 2, 7) == [4, 3]
    assert states(shop) == {"NEW": "done", "MAPPED": "done"}


def test_two_skus_of_one_product_are_both_refused(connect: Connect) -> None:
    shop = connect()
    shop.execute("INSERT INTO fulfilment.sku_map VALUES (%s, 'X', 'SKU-0001')", shop.key)
    levels(shop, X=3, SKU_0001=4)
    push(shop)
    assert states(shop) == {"X": "refused", "SKU-0001": "refused"}
    assert "another SKU is the same product: X" in (inbox(shop)["SKU-0001"][1] or "")


def test_an_old_count_under_another_sku_does_not_replace_a_newer_one(connect: Connect) -> None:
    shop = connect()
    level(shop, "OUR-1", 5, as_of=COUNTED - timedelta(days=30))
    push(shop)
    level(shop, "SKU-0001", 3)
    push(shop)
    shop.execute(
        "INSERT INTO fulfilment.sku_map (integration, sku, product_code) VALUES (%s, %s, %s)",
        shop.key, "OUR-1", "SKU-0001",
    )  # fmt: skip
    (refusal,) = push(shop).refusals
    assert refusal.reason.startswith("older than what SKU-0001 says of the same product (counted ")
    assert amounts(shop)[0] == 3
    level(shop, "OUR-1", 4, as_of=COUNTED + timedelta(minutes=1))
    push(shop)
    assert amounts(shop)[0] == 4


def test_the_shop_is_looked_at_again_before_writing(connect: Connect) -> None:
    shop = connect()
    store = shop.shop.store
    store.edit_product(1, product_code="OTHER")
    store.delete_product(2)
    store.edit_product(3, main_category=0)  # in no list, but there (reference 11.1)
    levels(shop, SKU_0001=3, SKU_0002=3, SKU_0003=3)
    push(shop)
    assert amounts(shop, 1, 3) == [100, 3]
    found = inbox(shop)
    assert "another code now: 'OTHER'" in (found["SKU-0001"][1] or "")
    assert "no such product" in (found["SKU-0002"][1] or "")
    assert found["SKU-0003"] == ("done", None)


@pytest.mark.parametrize("version", [v for v in VERSIONS if v != "4.7"])
def test_a_product_split_by_warehouses_is_found_out_once_and_left_alone(
    connect: Connect, version: str
) -> None:
    shop = connect(version)
    shop.shop.store.split_stock(1, {10: 3, 11: 4})
    levels(shop, SKU_0001=20, SKU_0002=20)
    report = push(shop)
    assert report.counts == {"skipped": 1, "verified": 1, "refused": 1, "unchanged": 0}
    assert amounts(shop, 1, 2) == [7, 20]
    assert (inbox(shop)["SKU-0001"][1] or "").startswith("split by warehouses")
    shop.shop.requests.clear()
    levels(shop, SKU_0001=30)
    again = push(shop)
    assert again.refusals[0].reason.startswith("split by warehouses, as was found on ")
    assert requests(shop) == {}
    shop.execute("UPDATE fulfilment.journal SET finished_at = now() - interval '8 days'")
    shop.shop.store.split_stock(1, {})
    levels(shop, SKU_0001=31)
    push(shop)
    assert amounts(shop, 1) == [31]


# --- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_ordered_since_the_count_is_taken_off(connect: Connect, version: str) -> None:
    shop = connect(version)
    now = datetime.now(UTC)
    counted = int(COUNTED.timestamp())
    shop.order((1, 2), timestamp=counted - 60)  # in the count already
    shop.order((1, 3), (2, 1), timestamp=counted + 60)
    shop.order((1, 4), timestamp=counted + 120, status="P")
    cancelled = shop.order((1, 5), timestamp=counted + 180)
    shop.shop.store.set_order_status(cancelled.order_id, "I")
    rules(shop, subtract_open_orders=True, buffer="1")
    levels(shop, SKU_0001=50)
    level(shop, "SKU-0002", 50, as_of=now + timedelta(minutes=1))
    report = push(shop)
    assert amounts(shop, 1, 2) == [50 - 3 - 4 - 1, 50 - 1]
    assert report.changes[0].note == "7 ordered since it was counted; buffer 1"
    expected = 1 if version != "4.7" else 3  # a list, then each order alone
    assert requests(shop)["GET orders"] == expected


def test_an_order_that_the_shop_cannot_show_is_noted(connect: Connect) -> None:
    shop = connect()
    counted = int(COUNTED.timestamp())
    broken = shop.order((1, 3), timestamp=counted + 60)
    shop.order((1, 4), timestamp=counted + 61)
    shop.shop.faults.poison(broken.order_id)
    rules(shop, subtract_open_orders=True)
    levels(shop, SKU_0001=50)
    report = push(shop)
    assert amounts(shop, 1) == [46]
    assert len(report.notes) == 1 and str(broken.order_id) in report.notes[0]


def test_an_order_cancelled_while_orders_are_read_is_not_taken_off(connect: Connect) -> None:
    shop = connect("4.7")
    order = shop.order((1, 3), timestamp=int(COUNTED.timestamp()) + 60)
    rules(shop, subtract_open_orders=True)
    levels(shop, SKU_0001=50)

    @shop.shop.before_request
    def cancel(request: Request) -> None:
        if request.path.endswith(f"/orders/{order.order_id}"):
            shop.shop.store.set_order_status(order.order_id, "I")

    push(shop)
    assert amounts(shop, 1) == [50]


def test_rules_of_the_integration_and_of_single_skus_hold_in_the_shop(connect: Connect) -> None:
    shop = connect()
    rules(shop, cap=30, safety_quantity=2, buffer="10%")
    shop.execute(
        "INSERT INTO fulfilment.sku_stock_rules (integration, sku, buffer, cap) SELECT"
        " %s, * FROM (VALUES ('sku-0004', '5', 'Infinity'::numeric), ('SKU-0005', NULL, 7)) AS one",
        shop.key,
    )
    levels(shop, SKU_0001=500, SKU_0002=2, SKU_0003=-3, SKU_0004=90, SKU_0005=19, SKU_0006=9)
    dry = push(shop, dry_run=True)
    assert [(c.target, c.feed, c.note, (c.after or {})["amount"]) for c in dry.changes] == [
        ("SKU-0001", 500, "buffer 10%; cap 30", 30),
        ("SKU-0002", 2, "buffer 10%; safety quantity 2", 0),
        ("SKU-0003", -3, "the feed says -3: sold before it came in, so none", 0),
        ("SKU-0004", 90, "buffer 5 of this SKU", 85),
        ("SKU-0005", 19, "buffer 10%; cap 7 of this SKU", 7),
        ("SKU-0006", 9, "buffer 10%", 8),
    ]
    report = push(shop, run_id="ruled-run")
    assert amounts(shop) == [30, 0, 0, 85, 7, 8]
    assert [(c.target, c.feed, c.note) for c in report.changes] == [
        (c.target, c.feed, c.note) for c in dry.changes
    ]
    levels(shop, **{f"SKU_000{n}": q for n, q in enumerate((500, 2, -3, 90, 19, 9), 1)})
    shop.execute("UPDATE fulfilment.stock_levels SET as_of = now()")  # the same feed once more
    assert push(shop).counts == {"refused": 0, "unchanged": 6}
    assert undo_run(shop, "ruled-run").counts["verified"] == 6
    assert amounts(shop) == [100] * 6


def test_a_shop_that_sells_by_weight_gets_and_shows_fractions(connect: Connect) -> None:
    def fill(store):  # type: ignore[no-untyped-def]
        many(3)(store)
        store.weighed |= {"stock"}
        store.set_stock(1, Decimal("18.5"))

    shop = connect(catalogue=fill)
    assert shop.rows("SELECT amount::text FROM cscart.products WHERE product_id = 1") == [("18.5",)]
    counted = int(COUNTED.timestamp())
    shop.order((2, Decimal("0.25")), timestamp=counted + 60)
    rules(shop, subtract_open_orders=True, buffer="10%")
    levels(shop, SKU_0001="20.000", SKU_0002="10.25", SKU_0003="0.50")
    report = push(shop, run_id="weighed")
    assert amounts(shop) == [Decimal(18), Decimal(9), Decimal("0.45")]
    changes = {c.target: (c.before, c.feed, c.after, c.note) for c in report.changes}
    assert changes == {
        "SKU-0001": ({"amount": 18.5}, 20, {"amount": 18}, "buffer 10%"),
        "SKU-0002": (
            {"amount": 9.75}, 10.25, {"amount": 9},
            "0.25 ordered since it was counted; buffer 10%",
        ),
        "SKU-0003": ({"amount": 10}, 0.5, {"amount": 0.45}, "buffer 10%"),
    }  # fmt: skip
    shop.shop.store.set_stock(3, Decimal("0.3"))  # 0.15 were sold
    undo_run(shop, "weighed")
    assert amounts(shop) == [Decimal("18.5"), Decimal("9.75"), Decimal("9.85")]


# --- held ----------------------------------------------------------------------------------------


def test_a_push_that_would_empty_the_shop_is_held_until_released(connect: Connect) -> None:
    shop = connect()
    [(feed,)] = shop.rows(
        "INSERT INTO fulfilment.feeds (integration, kind, source, rows_taken, rows_known,"
        " rows_refused, state) VALUES (%s, 'stock', 'a.csv', 5, 0, 0, 'taken') RETURNING id",
        shop.key,
    )
    levels(shop, SKU_0001=0, SKU_0002=0, SKU_0003=0, SKU_0004=0, SKU_0005=50)
    shop.execute("UPDATE fulfilment.stock_levels SET feed_id = %s", feed)
    dry = push(shop, dry_run=True)
    report = push(shop)
    assert report.held and report.held in report.problems
    assert "4 of the 6 products" in report.held
    assert dry.held == report.held and len(dry.changes) == 5
    assert report.changes == [] and report.waiting == 5
    assert set(inbox(shop).values()) == {("held", report.held)}
    assert shop.rows("SELECT state, reason FROM fulfilment.feeds") == [("held", report.held)]
    assert push(shop).held is None  # held rows wait for a person, not for the next round
    assert amounts(shop) == [100] * 6 and requests(shop)["PUT products"] == 0

    released = push(shop, release=True, limit=2)
    assert (released.counts["verified"], released.waiting) == (2, 3)
    assert shop.rows("SELECT state FROM fulfilment.feeds") == [("released",)]
    push(shop)  # what was released stays released
    assert amounts(shop) == [0, 0, 0, 0, 50, 100]
    assert set(states(shop).values()) == {"done"}


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_release_lets_what_was_held_through_and_judges_what_came_since(
    connect: Connect, dry_run: bool
) -> None:
    shop = connect(catalogue=many(20))
    rules(shop, most_to_zero=Decimal("0.2"))
    levels(shop, **{f"SKU_{number:04}": 0 for number in range(1, 6)})
    assert push(shop).held
    levels(shop, **{f"SKU_{number:04}": 0 for number in range(10, 16)})
    report = push(shop, release=True, dry_run=dry_run)
    assert report.held is not None and report.held.startswith("held: 6 of the 20 products")
    if dry_run:
        assert len(report.changes) == 11, "people want to see what it is about"
        assert amounts(shop) == [10] * 20
        assert sorted(set(states(shop).values())) == ["held", "waiting"]
    else:
        assert amounts(shop) == [0] * 5 + [10] * 15
        assert [states(shop)[sku] for sku in ("SKU-0001", "SKU-0010")] == ["done", "held"]


def test_the_rows_of_a_file_that_was_named_are_released_where_they_wait(connect: Connect) -> None:
    shop = connect()
    levels(shop, SKU_0001=0, SKU_0002=0, SKU_0003=0, SKU_0004=0, SKU_0005=0)
    feeds = shop.rows(
        "INSERT INTO fulfilment.feeds (integration, kind, source, rows_taken, rows_known,"
        " rows_refused, state) SELECT %s, 'stock', 'a.csv', 5, 0, 0, 'taken'"
        " FROM generate_series(1, 2) RETURNING id",
        shop.key,
    )
    shop.execute("UPDATE fulfilment.stock_levels SET feed_id = %s", feeds[0][0])
    shop.execute(
        "UPDATE fulfilment.stock_levels SET feed_id = %s WHERE sku = 'SKU-0005'", feeds[1][0]
    )
    zero = Decimal(0)
    with shop.database.connect() as connection:
        stock_inbox.release(
            connection,
            shop.key,
            [
                StockRow("SKU-0001", zero, COUNTED, "a.csv:2"),
                StockRow("SKU-0002", zero, COUNTED - timedelta(minutes=1), "a.csv:3"),  # older
                StockRow("SKU-0003", Decimal(1), COUNTED, "a.csv:4"),  # another level
                StockRow("SKU-0004", zero, None, "a.csv:5"),
                StockRow("SKU-0005", zero, None, "a.csv:6"),  # replaced by another feed
            ],
            feed_id=feeds[0][0],
        )
    released = [sku for sku, (_, reason) in inbox(shop).items() if reason == stock_inbox.RELEASED]
    assert sorted(released) == ["SKU-0001", "SKU-0004"]


def test_a_feed_is_not_let_through_in_slices(connect: Connect) -> None:
    shop = connect()
    levels(shop, SKU_0001=0, SKU_0002=0, SKU_0003=0, SKU_0004=0)
    assert push(shop, limit=1).held
    assert requests(shop)["PUT products"] == 0


def test_a_held_row_is_replaced_by_a_newer_level(connect: Connect) -> None:
    shop = connect()
    levels(shop, SKU_0001=0, SKU_0002=0, SKU_0003=0, SKU_0004=0)
    push(shop)
    level(shop, "SKU-0001", 7, as_of=COUNTED + timedelta(minutes=5))
    report = push(shop)
    assert report.held is None and amounts(shop) == [7, 100, 100, 100, 100, 100]
    assert states(shop)["SKU-0002"] == "held"


@pytest.mark.parametrize(
    "rule",
    [
        {"cap": 5, "buffer": "0"},
        {"safety_quantity": 3},
        {"buffer": "50%", "subtract_open_orders": True},
    ],
)
def test_the_breaker_judges_the_feed_and_not_what_the_rules_make_of_it(
    connect: Connect, rule: dict[str, object]
) -> None:
    shop = connect()
    rules(shop, **rule)
    levels(shop, **{f"SKU_000{number}": number // 5 for number in range(1, 7)})
    assert "4 of the 6 products" in (push(shop).held or "")
    assert amounts(shop) == [100] * 6
    # A good feed of small levels that the rules write as 0 is no broken one.
    shop.execute("UPDATE fulfilment.stock_rules SET safety_quantity = 4")
    for number in range(1, 7):
        level(shop, f"SKU-000{number}", number, as_of=datetime.now(UTC))
    assert push(shop).held is None
    assert amounts(shop, 1, 2, 3, 4) == [0] * 4


def test_the_breaker_looks_at_what_the_shop_has_now(connect: Connect) -> None:
    shop = connect()
    for number in (1, 2, 3, 4):
        shop.shop.store.set_stock(number, 0)  # sold out since the warehouse looked
    levels(shop, SKU_0001=0, SKU_0002=0, SKU_0003=0, SKU_0004=0)
    report = push(shop)
    assert (report.held, report.unchanged) == (None, 4)


def test_a_share_of_one_lets_everything_through(connect: Connect) -> None:
    shop = connect()
    rules(shop, most_to_zero=1)
    for number in range(1, 7):
        levels(shop, **{f"SKU_000{number}": 0})
    assert push(shop).held is None
    assert amounts(shop) == [0] * 6

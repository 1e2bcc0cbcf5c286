"""The feed of orders: which are pulled, what is told of them, and what changed since."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from cscart_pipelines.fulfilment.orders.pull import pull, start_of
from cscart_pipelines.integrations.settings import uses_fulfilment
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.fulfilment.order_feeds import (
    NOON,
    RawShop,
    integration_of,
    line,
    raw_shop,
)

pytestmark = pytest.mark.begun_first

ADDRESS = {
    "s_firstname": "Ada", "s_lastname": "Lovelace", "s_address": "12 St James's Square",
    "s_address_2": "Flat 3", "s_city": "London", "s_state": "LDN", "s_zipcode": "SW1Y 4JH",
    "s_country": "GB", "s_country_name": "United Kingdom", "s_phone": "1815",
}  # fmt: skip
BUYER = {"firstname": "Bob", "lastname": "Byron", "phone": "1788", "company": "Byron Ltd",
         "email": "bob@example.com", "shipping_method": "Post"}  # fmt: skip


@pytest.fixture
def shop(warehouse_database: Database) -> RawShop:
    return raw_shop(warehouse_database)


# --- what is told --------------------------------------------------------------------------------


def test_an_order_as_the_fulfilment_system_sees_it(shop: RawShop) -> None:
    shop.settings = {"order_prefix": "CS", "user_id": "C7", "currency": "GBP"}
    shop.order(1000012, [line("9", quantity=2), line("10", product_code=" ")], **ADDRESS, **BUYER)
    assert shop.pull().pulled == 1
    (order,) = shop.feed().values()
    own = ("pulled_at", "source_hash", "lines", "own_status_id")
    told = {k: order[k] for k in order if k not in own}
    assert told == {
        "integration": shop.key, "order_number": "CS1000012", "order_id": 1000012,
        "client_user_id": "C7", "status": "P", "ordered_at": NOON, "total": Decimal("10.00"),
        "currency": "GBP", "ship_to_name": "Ada Lovelace", "company": "Byron Ltd",
        "address": "12 St James's Square, Flat 3", "city": "London", "state": "LDN",
        "zipcode": "SW1Y 4JH", "country": "GB", "phone": "1815", "email": "bob@example.com",
        "shipping_method": "Post", "position": 1, "changed_at": None, "changes": None,
        "change_position": None,
    }  # fmt: skip
    assert {k: (v["sku"], v["quantity"], v["price"]) for k, v in order["lines"].items()} == {
        "9": ("BAG", 2, Decimal("10.00")), "10": (None, 1, Decimal("10.00")),
    }  # fmt: skip


def test_without_a_shipping_address_it_is_the_buyers(shop: RawShop) -> None:
    shop.order(1, **BUYER, s_firstname=" ", b_country="gr", s_country="")
    shop.order(2, **BUYER, s_lastname="Only")
    shop.pull()
    feed = shop.feed()
    assert [feed[1][k] for k in ("ship_to_name", "phone", "country", "address")] == [
        "Bob Byron", "1788", "GR", None,
    ]  # fmt: skip
    assert feed[2]["ship_to_name"] == "Only"


# --- which are pulled ----------------------------------------------------------------------------


def test_each_reason_to_leave_an_order_out_is_counted(shop: RawShop) -> None:
    shop.settings = {
        "start_date": "01/03/2026", "order_statuses": "Paid", "countries": "Greece, UK",
    }  # fmt: skip
    shop.status("P", "Processed")
    shop.order(1, s_country="GR")
    shop.order(2, s_country="GR", is_parent_order=True)
    shop.order(3, s_country="GR", deleted_at=NOON)
    shop.order(4, s_country="GR", status="N")
    shop.order(5, s_country="GR", ordered_at=NOON - timedelta(days=1))
    shop.order(6, s_country="GR", status="O")
    shop.order(7, s_country="DE", b_country="GR")
    shop.order(8, has_details=False, lines=[])
    shop.order(9, b_country="gb")
    shop.order(10, parent_order_id=2, s_country="GR")
    report = shop.pull()
    assert sorted(shop.feed()) == [1, 9, 10]
    assert report.skipped == {
        "parent of orders by vendor": 1, "deleted in the shop": 1, "checkout not finished": 1,
        "before the start date": 1, "other status": 1, "other country": 1,
    }  # fmt: skip
    assert (report.pulled, report.without_details, report.orders_total) == (3, 1, 3)
    shop.order(8, s_country="GB")
    again = shop.pull()
    assert (again.pulled, again.without_details, again.orders_total) == (1, 0, 4)


def test_the_start_date_begins_at_midnight_where_the_shop_is(shop: RawShop) -> None:
    shop.settings = {"start_date": "01/03/2026", "timezone": "Europe/Athens"}
    midnight = datetime(2026, 2, 28, 22, tzinfo=UTC)
    shop.order(1, ordered_at=midnight - timedelta(seconds=1))
    shop.order(2, ordered_at=midnight)
    shop.pull()
    assert list(shop.feed()) == [2]
    cairo = integration_of("a", start_date="24/04/2026", timezone="Africa/Cairo").settings
    assert start_of(cairo) == datetime(2026, 4, 23, 22, tzinfo=UTC)  # 00:00 does not exist there


@pytest.mark.parametrize(
    ("values", "words"),
    [({"countries": "Narnia"}, (["Narnia"], [])),
     ({"order_statuses": "Shipped"}, ([], ["Shipped"]))],
)  # fmt: skip
def test_words_that_mean_nothing_are_told_and_let_nothing_by(
    shop: RawShop, values: dict[str, Any], words: tuple[list[str], list[str]]
) -> None:
    shop.settings = values
    shop.order(1, s_country="GR", status="P")
    shop.status("P", "Paid")
    report = shop.pull()
    assert (report.unmatched_countries, report.unmatched_statuses) == words
    assert (report.pulled, sum(report.skipped.values())) == (0, 1)


def test_a_country_of_several_codes_lets_all_of_them_by_whatever_came_first(shop: RawShop) -> None:
    shop.settings = {"countries": "France"}
    shop.order(1, s_country="FR", s_country_name="France")
    shop.order(2, s_country="FX", s_country_name="France, Metropolitan")
    shop.order(3, s_country="GF", s_country_name="French Guiana")
    report = shop.pull()
    assert (sorted(shop.feed()), report.unmatched_countries) == ([1, 2], [])


def test_countries_whose_names_have_commas_are_given_in_a_list_with_commas(shop: RawShop) -> None:
    shop.settings = {"countries": "Korea, Republic of, Moldova, Republic of"}
    for order_id, country in enumerate(("KR", "MD", "KP"), 1):
        shop.order(order_id, s_country=country)
    report = shop.pull()
    assert (sorted(shop.feed()), report.unmatched_countries) == ([1, 2], [])


def test_unfinished_orders_only_where_somebody_asked(shop: RawShop) -> None:
    shop.order(1, status="N")
    assert shop.pull().skipped == {"checkout not finished": 1}
    shop.settings = {"order_statuses": "Incomplete"}
    assert shop.pull().pulled == 1


def test_a_pulled_order_stays_as_it_was_stamped(shop: RawShop) -> None:
    shop.settings = {"order_prefix": "CS", "user_id": "C7"}
    shop.order(1)
    shop.pull()
    shop.settings = {"order_prefix": "X", "start_date": "01/01/2030", "order_statuses": "C"}
    assert (shop.pull().pulled, shop.pull().changed) == (0, 0)
    shop.order(1, status="I")
    assert shop.pull().changed == 1
    order = shop.feed()[1]
    assert (order["order_number"], order["client_user_id"]) == ("CS1", "C7")
    assert (order["status"], order["changes"]) == ("I", {"status": ["P", "I"]})


def test_a_number_is_never_given_twice(shop: RawShop) -> None:
    shop.order(11)
    shop.pull()
    shop.settings = {"order_prefix": "1"}
    shop.order(1)
    assert shop.pull().skipped == {"order number given to another order": 1}


def test_two_shops_do_not_meet(warehouse_database: Database) -> None:
    one, other = raw_shop(warehouse_database), raw_shop(warehouse_database)
    one.order(1)
    other.order(1)
    assert (one.pull().pulled, other.pull().pulled) == (1, 1)
    assert one.feed()[1]["position"] == other.feed()[1]["position"] == 1


@pytest.mark.parametrize(
    ("values", "uses"),
    [({}, False), ({"user_id": "C7"}, True), ({"order_prefix": "CS"}, True),
     ({"countries": "GB"}, True), ({"start_date": "01/01/2026"}, True),
     ({"order_statuses": "P"}, True), ({"currency": "GBP"}, False),
     ({"update_tracking_url": True}, True), ({"notify_customer": True}, False)],
)  # fmt: skip
def test_who_is_pulled_unattended(values: dict[str, Any], uses: bool) -> None:
    assert uses_fulfilment(integration_of("a", **values).settings) is uses


# --- what changed since --------------------------------------------------------------------------


def test_what_changed_is_told_against_the_pull(shop: RawShop) -> None:
    shop.order(1, [line("1"), line("2")], s_city="London")
    shop.pull()
    shop.order(1, [line("1", quantity=3), line("4")], s_city="Paris", total=Decimal("40.00"))
    assert shop.pull().changed == 1
    first = shop.feed()[1]
    assert first["changes"].keys() == {"city", "total", "lines"}
    assert first["changes"]["city"] == ["London", "Paris"]
    lines = first["changes"]["lines"]
    assert (lines["1"][0]["quantity"], lines["1"][1]["quantity"]) == (1, 3)
    assert (lines["2"][1], lines["4"][0]) == (None, None)
    assert (lines["2"][0]["sku"], lines["4"][1]["sku"]) == ("BAG", "BAG")
    assert (first["change_position"], set(first["lines"])) == (2, {"1", "4"})
    shop.order(1, [line("1", quantity=3), line("2")], s_city="Rome", total=Decimal("10.00"))
    shop.pull()
    second = shop.feed()[1]
    assert second["changes"].keys() == {"city", "lines"}
    assert second["changes"]["city"] == ["London", "Rome"]
    assert set(second["changes"]["lines"]) == {"1"}
    shop.order(1, [line("1"), line("2")], s_city="London")
    assert shop.pull().changed == 1
    third = shop.feed()[1]
    assert (third["changes"], third["change_position"]) == (None, 4)
    assert third["changed_at"] > second["changed_at"]
    assert shop.pull().changed == 0


def test_what_is_not_handed_out_is_no_change(shop: RawShop) -> None:
    shop.order(1)
    shop.pull()
    shop.order(1, updated_at=NOON, user_id=5, total=Decimal("10.0"))
    assert shop.pull().changed == 0
    order = shop.feed()[1]
    assert (order["changes"], order["change_position"]) == (None, None)


def test_an_order_deleted_in_the_shop_is_marked_and_unmarked(shop: RawShop) -> None:
    shop.order(1)
    shop.pull()
    shop.order(1, deleted_at=NOON)
    assert (shop.pull().changed, shop.pull().changed) == (1, 0)
    assert shop.feed()[1]["changes"] == {"deleted": [False, True]}
    shop.order(1, status="C", deleted_at=NOON)
    shop.pull()
    assert shop.feed()[1]["changes"] == {"deleted": [False, True], "status": ["P", "C"]}
    shop.order(1)
    assert shop.pull().changed == 1
    assert (shop.feed()[1]["changes"], shop.feed()[1]["change_position"]) == (None, 4)


def wrote(shop: RawShop, letter: str, when: int | None = 0, state: str = "verified") -> None:
    """A status written to order 1, and read back `when` seconds after noon on the shop's clock."""
    after: dict[str, Any] = {"status": letter}
    if when is not None:
        after["updated_at"] = at(when).isoformat()
    shop.connection.execute(
        "INSERT INTO fulfilment.journal (integration, kind, target, state, order_id, plan, after,"
        " sent_at) VALUES (%s, 'order_status', '1', %s, 1, %s, %s, clock_timestamp())",
        [shop.key, state, Jsonb({"to": letter}), Jsonb(after) if state == "verified" else None],
    )


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def heard(shop: RawShop) -> Any:
    """What the pull tells of order 1 as changed; None: nothing."""
    before = shop.feed()[1]["change_position"]
    shop.pull()
    order = shop.feed()[1]
    return order["changes"] if order["change_position"] != before else None


def test_a_status_of_our_own_is_no_change_and_any_other_is(shop: RawShop) -> None:
    shop.order(1, status="O", updated_at=at(0))
    shop.pull()
    wrote(shop, "C", 10)
    # Read before the write, loaded after it: the shop has not shown the write yet.
    shop.order(1, status="O", updated_at=at(5), shipping_cost=Decimal(1))
    assert heard(shop) is None
    shop.order(1, status="C", updated_at=at(10))
    assert heard(shop) is None
    assert (shop.feed()[1]["status"], shop.feed()[1]["changes"]) == ("C", None)
    # Ours is told of once: what the shop does later is its own, the same letter included.
    shop.order(1, status="O", updated_at=at(20))
    assert heard(shop) == {"status": ["C", "O"]}
    shop.order(1, status="C", updated_at=at(30))
    assert heard(shop) is None  # as it was when it was pulled …
    assert shop.feed()[1]["change_position"] == 3  # … which the cursor tells


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ({"status": "I", "updated_at": at(20)}, {"status": ["C", "I"]}),
        ({"status": "I", "updated_at": at(10)}, {"status": ["C", "I"]}),  # within one second
        ({"status": "O", "updated_at": at(20)}, {"status": ["C", "O"]}),
        ({"status": "C", "s_city": "Bath", "updated_at": at(20)}, {"city": ["Ur", "Bath"]}),
        ({"status": "B", "updated_at": at(20)}, {"status": ["C", "B"]}),
    ],
)
def test_what_the_shop_does_after_our_status_is_told(
    shop: RawShop, after: dict[str, Any], told: Any
) -> None:
    shop.order(1, status="O", s_city="Ur", updated_at=at(0))
    shop.pull()
    wrote(shop, "C", 10)
    shop.order(1, **{"s_city": "Ur", **after})
    assert heard(shop) == told
    assert heard(shop) is None


def test_two_statuses_of_our_own_between_two_pulls(shop: RawShop) -> None:
    shop.order(1, status="O", updated_at=at(0))
    shop.pull()
    wrote(shop, "P", 10)
    wrote(shop, "C", 20)
    shop.order(1, status="P", updated_at=at(10))  # synchronised between the two
    assert heard(shop) is None
    shop.order(1, status="C", updated_at=at(20))
    assert heard(shop) is None
    wrote(shop, "P", 30)
    wrote(shop, "C", 40)
    shop.order(1, status="P", updated_at=at(50))  # the shop's own, though we wrote it once
    assert heard(shop) == {"status": ["C", "P"]}


@pytest.mark.parametrize("state", ["applying", "ambiguous"])
def test_a_status_in_doubt_that_has_arrived_is_ours(shop: RawShop, state: str) -> None:
    shop.order(1, status="O", updated_at=at(0))
    shop.pull()
    wrote(shop, "C", state=state)
    shop.order(1, status="C", updated_at=at(10))
    assert heard(shop) is None
    shop.connection.execute(
        "UPDATE fulfilment.journal SET state = 'verified', after = %s WHERE integration = %s",
        [Jsonb({"status": "C", "updated_at": at(10).isoformat()}), shop.key],
    )
    shop.order(1, status="O", updated_at=at(20))
    assert heard(shop) == {"status": ["C", "O"]}
    shop.order(1, status="I", updated_at=at(30))
    assert heard(shop) == {"status": ["C", "I"]}


def test_a_status_that_did_not_arrive_is_not_ours(shop: RawShop) -> None:
    shop.order(1, status="O", updated_at=at(0))
    shop.pull()
    wrote(shop, "C", state="ambiguous")
    shop.order(1, status="I", updated_at=at(10))
    assert heard(shop) == {"status": ["O", "I"]}
    shop.connection.execute(
        "UPDATE fulfilment.journal SET state = 'failed', after = %s WHERE integration = %s",
        [Jsonb({"status": "I", "updated_at": at(10).isoformat()}), shop.key],
    )
    shop.order(1, status="C", updated_at=at(20))
    assert heard(shop) == {"status": ["O", "C"]}


def test_an_own_status_keeps_an_earlier_mark_true_without_telling_it_again(shop: RawShop) -> None:
    shop.order(1, status="O", s_city="Ur", updated_at=at(0))
    shop.pull()
    shop.order(1, status="P", s_city="Ur", updated_at=at(5))
    assert heard(shop) == {"status": ["O", "P"]}
    wrote(shop, "C", 10)
    shop.order(1, status="C", s_city="Ur", updated_at=at(10))
    assert heard(shop) is None
    assert shop.feed()[1]["changes"] == {"status": ["O", "C"]}


def test_an_order_pulled_with_our_status_has_it_told(shop: RawShop) -> None:
    wrote(shop, "C", 10)
    shop.order(1, status="C", updated_at=at(10))
    shop.pull()
    shop.order(1, status="O", updated_at=at(20))
    assert heard(shop) == {"status": ["C", "O"]}


def test_where_the_shop_tells_no_time_of_change_ours_decides(shop: RawShop) -> None:
    shop.order(1, status="O")
    shop.pull()
    wrote(shop, "C", None)
    shop.order(1, status="C")
    assert heard(shop) is None
    shop.order(1, status="I")
    assert heard(shop) == {"status": ["C", "I"]}


def test_the_time_zone_of_a_session_is_no_change(shop: RawShop) -> None:
    shop.order(1)
    shop.pull()
    shop.connection.execute("SET timezone = 'Asia/Tokyo'")
    shop.order(1, ordered_at=NOON + timedelta(hours=1))
    shop.pull()
    assert shop.feed()[1]["changes"] == {
        "ordered_at": ["2026-03-01T12:00:00+00:00", "2026-03-01T13:00:00+00:00"]
    }
    shop.connection.execute("SET timezone = 'UTC'")
    shop.order(1)
    shop.pull()
    assert shop.feed()[1]["changes"] is None


# --- several at once -----------------------------------------------------------------------------


def test_a_later_pull_waits_so_that_positions_are_committed_in_order(
    warehouse_database: Database,
) -> None:
    shop = raw_shop(warehouse_database)
    shop.order(1)
    later = threading.Thread(target=lambda: _pull_alone(warehouse_database, shop))
    with warehouse_database.connect() as slow:
        with slow.transaction():
            pull(slow, shop.integration)  # has position 1, and is not committed
            shop.order(2)
            later.start()
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()" \
                " AND wait_event = 'advisory'"  # fmt: skip
            while not shop.connection.execute(waiting.encode()).fetchone()[0]:  # type: ignore[index]
                threading.Event().wait(0.01)
            assert shop.feed() == {}  # position 2 is not seen before position 1
        later.join()
    assert {one: order["position"] for one, order in shop.feed().items()} == {1: 1, 2: 2}


def _pull_alone(database: Database, shop: RawShop) -> None:
    with database.connect() as connection:
        pull(connection, shop.integration)


def test_many_pulls_at_once_pull_each_order_once(warehouse_database: Database) -> None:
    shop = raw_shop(warehouse_database)
    for order_id in range(1, 9):
        shop.order(order_id)
    threads = [
        threading.Thread(target=_pull_alone, args=[warehouse_database, shop]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(order["position"] for order in shop.feed().values()) == list(range(1, 9))


# --- against a naive reading of the rules --------------------------------------------------------

CODES = {"GR": {"GR", "Greece", "ελλάδα"}, "GB": {"UK", "gbr"}, "DE": {"Germany"}}
WATCHED = ("status", "total", "ship_to_name", "city", "country", "phone", "email")
ORDERS = st.fixed_dictionaries(
    {
        "status": st.sampled_from("PONCE"),
        "total": st.sampled_from([Decimal("10.00"), Decimal("7.5"), Decimal("0")]),
        "ordered_at": st.sampled_from([NOON - timedelta(days=2), NOON, NOON + timedelta(hours=9)]),
        "is_parent_order": st.sampled_from([False, False, False, True]),
        "has_details": st.sampled_from([True, True, True, False]),
        "deleted_at": st.sampled_from([None, None, NOON]),
        "s_country": st.sampled_from([None, "", "GR", "gb", "DE"]),
        "b_country": st.sampled_from([None, "GR", "GB"]),
        "s_firstname": st.sampled_from([None, " ", "Ada"]),
        "firstname": st.sampled_from([None, "Bob"]),
        "s_city": st.sampled_from([None, "Rome"]),
        "phone": st.sampled_from([None, "1"]),
        "email": st.sampled_from([None, "a@b.example"]),
        "lang_code": st.just("el"),
    }
)
LINES = st.dictionaries(st.sampled_from("123"), st.integers(1, 3), max_size=3)
EDIT = st.tuples(st.integers(1, 4), ORDERS, LINES)
FILTERS = st.fixed_dictionaries(
    {
        "countries": st.lists(st.sampled_from(["Greece", "ελλάδα", "UK", "gbr", "Oz"]), max_size=2),
        "order_statuses": st.lists(
            st.sampled_from(["P", "Processed", "new", "Open", "E", "Incomplete", "Paint"]),
            max_size=2,
        ),
        "start_date": st.sampled_from(["", "01/03/2026", "02/03/2026"]),
        "timezone": st.sampled_from(["UTC", "Europe/Athens", "America/New_York"]),
    }
)  # fmt: skip
LETTERS = {"P": "P", "Processed": "P", "new": "O", "Open": "O", "E": "E", "Incomplete": "N"}


class Naive:
    """The rules of the feed, order by order."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self.pulled: dict[int, dict[str, Any]] = {}
        self.original: dict[int, dict[str, Any]] = {}
        self.places: dict[int, tuple[int, int | None]] = {}
        self.counter = 0

    def passes(self, order: Mapping[str, Any]) -> bool:
        if order["is_parent_order"] or order["deleted_at"] or not order["has_details"]:
            return False
        wanted = self.values["order_statuses"]
        letters = {LETTERS.get(word) for word in wanted}
        if (wanted or order["status"] == "N") and order["status"] not in letters:
            return False
        start = start_of(integration_of("x", **self.values).settings)
        if start is not None and order["ordered_at"] < start:
            return False
        words = set(self.values["countries"])
        return not words or bool(words & CODES.get(told(order, {})["country"], set()))

    def pull(self, orders: Mapping[int, tuple[dict[str, Any], dict[str, int]]]) -> None:
        fresh = [one for one in sorted(orders) if one not in self.pulled]
        moved = [one for one in sorted(orders) if one in self.pulled]
        for one in fresh:
            if self.passes(orders[one][0]):
                self.counter += 1
                self.pulled[one] = self.original[one] = told(*orders[one])
                self.places[one] = (self.counter, None)
        for one in moved:
            if self.pulled[one] != told(*orders[one]):
                self.counter += 1
                self.pulled[one] = told(*orders[one])
                self.places[one] = (self.places[one][0], self.counter)


def told(order: Mapping[str, Any], lines: Mapping[str, int]) -> dict[str, Any]:
    return {
        "status": order["status"],
        "ordered_at": order["ordered_at"],
        "total": order["total"],
        "ship_to_name": (order["s_firstname"] or "").strip() or order["firstname"],
        "city": order["s_city"],
        "country": (order["s_country"] or order["b_country"] or "").upper() or None,
        "phone": order["phone"],
        "email": order["email"],
        "lines": dict(lines),
        "deleted": order["deleted_at"] is not None,
    }


ORACLE_KEYS = itertools.count(1)


@given(values=FILTERS, batches=st.lists(st.lists(EDIT, max_size=4), min_size=1, max_size=4))
def test_a_pull_is_what_the_rules_say_order_by_order(
    module_database: Database, values: dict[str, Any], batches: list[list[Any]]
) -> None:
    with module_database.connect() as connection:
        shop = RawShop(connection, values, key=f"oracle-{next(ORACLE_KEYS)}")
        for letter, name in (("P", "Paid"), ("O", "New"), ("C", "Complete"), ("E", "Extra")):
            shop.status(letter, name)
        # So that both countries and the language are known, whatever is drawn.
        for number, country in enumerate(("GR", "GB"), 100):
            shop.order(number, is_parent_order=True, s_country=country, lang_code="el", status="E")
        naive, orders = Naive(values), {}
        for batch in batches:
            for order_id, order, lines in batch:
                if order_id in orders:  # what once had details keeps them, and its kind
                    before = orders[order_id][0]
                    order = {**order, "has_details": order["has_details"] or before["has_details"],
                             "is_parent_order": before["is_parent_order"]}  # fmt: skip
                orders[order_id] = (order, lines)
                rows = [line(item, quantity=quantity) for item, quantity in lines.items()]
                shop.order(order_id, rows, **order)
            before = dict(naive.places)
            naive.pull(orders)
            report = shop.pull()
            news = {one for one in naive.places if naive.places[one] != before.get(one)}
            assert report.pulled == len(news - before.keys())
            assert report.changed == len(news & before.keys())
            left = len(orders) - len(naive.pulled)
            assert sum(report.skipped.values()) - 2 + report.without_details == left
            assert report.orders_total == len(naive.pulled)
        _compare(shop, naive)


def _compare(shop: RawShop, naive: Naive) -> None:
    feed = shop.feed()
    assert feed.keys() == naive.pulled.keys()
    for order_id, order in feed.items():
        here, first = naive.pulled[order_id], naive.original[order_id]
        assert (order["position"], order["change_position"]) == naive.places[order_id]
        changes = order["changes"] or {}
        assert ("deleted" in changes) == here["deleted"]
        for name in WATCHED:
            assert order[name] == here[name]
            if here[name] == first[name]:
                assert name not in changes
            else:
                was = changes[name][0]
                assert (Decimal(str(was)) if name == "total" else was) == first[name]
        assert {item: each["quantity"] for item, each in order["lines"].items()} == here["lines"]
        marked = {
            item: tuple(each and each["quantity"] for each in pair)
            for item, pair in changes.get("lines", {}).items()
        }
        assert marked == {
            item: (first["lines"].get(item), here["lines"].get(item))
            for item in first["lines"] | here["lines"]
            if first["lines"].get(item) != here["lines"].get(item)
        }

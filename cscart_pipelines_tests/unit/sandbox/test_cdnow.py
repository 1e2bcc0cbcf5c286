"""The CDNOW shop: the file's numbers exactly, the rest made up, the same every time."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from cscart_pipelines.sandbox.data.cdnow import fill_store
from cscart_pipelines.sandbox.shop.model import Order
from cscart_pipelines.sandbox.shop.store import Store
from cscart_pipelines_tests.support.shop.sandboxes import Api, Clock, small_shop

TODAY = date(2026, 3, 15)
MIDNIGHT = datetime(2026, 3, 15, tzinfo=UTC).timestamp()
DAY = 86_400


@pytest.fixture(scope="module")
def store() -> Store:
    made = Store("4.20", clock=Clock(MIDNIGHT + 3600))
    fill_store(made)
    return made


@pytest.fixture(scope="module")
def lines() -> list[list[str]]:
    """The data file, read once more and independently."""
    found = importlib.metadata.distribution("lifetimes").locate_file(
        "lifetimes/datasets/CDNOW_sample.txt"
    )
    return [line.split() for line in Path(str(found)).read_text().splitlines()]


def purchases(store: Store) -> list[Order]:
    return [order for order in store.orders.values() if order.status in "PC"]


def day_of(order: Order) -> date:
    return datetime.fromtimestamp(order.timestamp, UTC).date()


def test_purchases_buyers_and_revenue_are_those_of_the_file(
    store: Store, lines: list[list[str]]
) -> None:
    made = purchases(store)
    assert len(made) == len(lines) == 6919
    assert len({order.email.lower() for order in made}) == len({x[1] for x in lines}) == 2357
    assert sum(order.total for order in made) == sum(Decimal(x[4]) for x in lines)
    assert sum(line.amount for order in made for line in order.lines) == sum(
        int(x[3]) for x in lines
    )
    assert sum(order.total == 0 for order in made) == sum(Decimal(x[4]) == 0 for x in lines)


def test_each_buyer_has_the_files_days_and_values(store: Store, lines: list[list[str]]) -> None:
    shift = (TODAY - timedelta(days=1)) - date(1998, 6, 30)
    expected: dict[str, Counter[tuple[date, Decimal]]] = defaultdict(Counter)
    for _, customer, day, _, value in lines:
        when = date(int(day[:4]), int(day[4:6]), int(day[6:])) + shift
        expected[customer][when, Decimal(value)] += 1
    found: dict[str, Counter[tuple[date, Decimal]]] = defaultdict(Counter)
    for order in purchases(store):
        found[order.email.lower()][day_of(order), order.total] += 1

    def bag(histories: dict[str, Counter[tuple[date, Decimal]]]) -> list[list[object]]:
        return sorted(sorted(each.elements()) for each in histories.values())

    assert bag(found) == bag(expected)
    assert max(day_of(order) for order in purchases(store)) == TODAY - timedelta(days=1)


def test_lines_add_up_to_the_cent(store: Store) -> None:
    for order in store.orders.values():
        assert sum((line.price * line.amount for line in order.lines), Decimal(0)) == order.total
        assert len({line.item_id for line in order.lines}) == len(order.lines) > 0
        assert all(line.price >= 0 and line.amount > 0 for line in order.lines)


def test_nothing_lies_in_the_future_and_numbers_follow_time(store: Store) -> None:
    orders = list(store.orders.values())
    assert all(order.timestamp < MIDNIGHT and order.updated_at < MIDNIGHT for order in orders)
    assert all(not o.updated_at or o.timestamp <= o.updated_at for o in orders)
    by_number = sorted(orders, key=lambda order: order.order_id)
    assert [o.timestamp for o in by_number] == sorted(o.timestamp for o in orders)
    assert all(user.timestamp < MIDNIGHT for user in store.customers.values())


def test_accounts_are_older_than_their_orders_and_some_are_new(store: Store) -> None:
    for order in store.orders.values():
        if order.user_id:
            assert store.customers[order.user_id].timestamp <= order.timestamp
    customers = [user for user in store.customers.values() if user.user_type == "C"]
    with_purchase = {order.user_id for order in purchases(store)}
    assert sum(user.timestamp > MIDNIGHT - 30 * DAY for user in customers) == 60
    assert sum(user.user_id not in with_purchase for user in customers) >= 180
    assert 0 < sum(not user.phone for user in customers) < len(customers) / 2
    assert len({user.email for user in customers}) == len(customers)
    assert all(user.email.endswith(".internal") for user in customers)  # nobody out there


def test_there_are_guests_countries_discounts_and_orders_that_are_no_purchase(
    store: Store,
) -> None:
    orders = list(store.orders.values())
    statuses = Counter(order.status for order in orders)
    assert set(statuses) == set("PCOIFDBN") and min(statuses.values()) >= 10
    guests = {order.email.lower() for order in orders if order.user_id == 0}
    accounts = {user.email for user in store.customers.values()}
    assert len(guests - accounts) > 100 and guests & accounts
    assert any(order.email != order.email.lower() for order in orders)
    assert len({order.ship_to.country for order in orders}) >= 6
    discounted = [order for order in orders if order.promotion_ids]
    assert discounted and all(order.discount > 0 for order in discounted)
    assert all(not order.discount for order in orders if not order.promotion_ids)


def test_some_unfinished_checkouts_were_finished_within_a_day(store: Store) -> None:
    bought: dict[str, list[int]] = defaultdict(list)
    for order in purchases(store):
        bought[order.email.lower()].append(order.timestamp)
    left = [order for order in store.orders.values() if order.status == "N"]
    finished = [
        order
        for order in left
        if any(0 <= t - order.timestamp <= DAY for t in bought[order.email.lower()])
    ]
    assert len(finished) > 50 and len(left) - len(finished) > 50


def test_the_catalogue_has_120_products_in_10_categories(store: Store) -> None:
    assert len(store.products) == 120 and len(store.categories) == 10
    assert {product.main_category for product in store.products.values()} == set(store.categories)


def fingerprint(store: Store) -> str:
    text = repr(sorted(store.orders.items())) + repr(sorted(store.customers.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_same_day_gives_the_same_shop_and_another_day_moves_it(store: Store) -> None:
    again = Store("4.7", clock=Clock(0.0))
    fill_store(again, today=TODAY)
    assert fingerprint(again) == fingerprint(store)
    later = Store("4.20")
    fill_store(later, today=TODAY + timedelta(days=1))
    assert max(map(day_of, purchases(later))) == TODAY
    pairs = zip(purchases(later), purchases(store), strict=True)
    assert all(a.timestamp - b.timestamp == DAY and a.total == b.total for a, b in pairs)


def test_the_api_lists_all_but_the_unfinished(store: Store) -> None:
    hidden = sum(order.status == "N" for order in store.orders.values())
    with small_shop(orders=0, store=store) as shop:
        api = Api(shop)
        listed = api.get("orders", items_per_page=1, get_orders_data=1)["params"]["total_items"]
        settled = api.get("orders", **{"status[]": ["P", "C"]}, items_per_page=1)
    assert int(listed) == len(store.orders) - hidden
    assert settled["params"]["total_items"] == "6919"

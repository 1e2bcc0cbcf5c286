"""Whatever happens in a shop while it is read, one quiet resync later the tables are the shop."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from cscart_pipelines.sandbox.shop.shipments import ShipmentRefusedError
from cscart_pipelines.sandbox.shop.store import Store
from cscart_pipelines.settings import Settings
from cscart_pipelines.sync.run import SyncFailedError
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.examples import examples
from cscart_pipelines_tests.support.shop.syncs import Connected, connected, fill_shop

pytestmark = pytest.mark.begun_first

ONCE_A_DAY = ("products.amount", "statuses", "categories")


class CrashError(Exception):
    """Stands for a process that ends in the middle: what was not committed is lost."""


# --- what may happen in a shop -------------------------------------------------------------------


def _orders(store: Store) -> list[int]:
    return sorted(o.order_id for o in store.orders.values() if o.is_parent_order == "N")


def _users(store: Store) -> list[int]:
    return sorted(c.user_id for c in store.customers.values() if c.user_type == "C")


def _place(store: Store, n: int) -> None:
    users = _users(store)
    if n % 3 and users:
        store.place_order(user_id=users[n % len(users)], lines=[(n % 6 + 1, n % 4 + 1)])
    else:
        store.place_order(email=f"guest{n}@example.com", lines=[(n % 6 + 1, 1), (2, 2)])


def _edit(store: Store, n: int) -> None:
    if orders := _orders(store):
        order = orders[n % len(orders)]
        store.edit_order(order, total=f"{n}.50", lines=[(n % 6 + 1, n % 5 + 1)], phone=f"{n}")


def _status(store: Store, n: int) -> None:
    if orders := _orders(store):
        store.set_order_status(orders[n % len(orders)], "PCFDBION"[n % 8])


def _delete(store: Store, n: int) -> None:
    if orders := _orders(store):
        store.delete_order(orders[n % len(orders)])


def _join(store: Store, n: int) -> None:
    store.add_customer(f"joined{n}@example.com", firstname=f"Joined {n}")


def _join_and_buy(store: Store, n: int) -> None:
    user = store.add_customer(f"buyer{n}@example.com")
    store.place_order(user_id=user.user_id, lines=[(1, 1)])


def _rename(store: Store, n: int) -> None:
    if users := _users(store):
        store.edit_customer(users[n % len(users)], firstname=f"Renamed {n}", last_login=n)


def _leave(store: Store, n: int) -> None:
    if users := _users(store):
        store.delete_customer(users[n % len(users)])


def _return(store: Store, n: int) -> None:
    gone = [n for n in range(2, store._last_user + 1) if n not in store.customers]
    if gone:
        store.add_customer(f"back{n}@example.com", user_id=gone[n % len(gone)])


def _product(store: Store, n: int) -> None:
    store.edit_product(n % 6 + 1, product=f"Product {n}", price=store.products[1].price + n)


def _ship(store: Store, n: int) -> None:
    if orders := _orders(store):
        try:
            store.create_shipment(orders[n % len(orders)], carrier="ups", tracking_number=f"T{n}")
        except ShipmentRefusedError:
            return


def _unship(store: Store, n: int) -> None:
    if store.shipments:
        store.delete_shipment(sorted(store.shipments)[n % len(store.shipments)])


EDITS: dict[str, Callable[[Store, int], None]] = {
    "place": _place,
    "edit": _edit,
    "status": _status,
    "delete": _delete,
    "join": _join,
    "join and buy": _join_and_buy,
    "rename": _rename,
    "leave": _leave,
    "return": _return,
    "product": _product,
    "ship": _ship,
    "unship": _unship,
}
FAULTS = ("server_error", "truncated", "reset", "too_many_requests", "php_notices", "login_page")

happening = st.one_of(
    st.tuples(st.sampled_from(sorted(EDITS)), st.integers(0, 99)),
    st.tuples(st.just("time passes"), st.sampled_from([1, 30, 700])),
    st.tuples(st.sampled_from(FAULTS), st.integers(1, 5)),
)
"""One event; the number picks whom it hits, is seconds, or how many requests fail."""
runs = st.lists(  # of each run: what happens before each request, and after how many it crashes
    st.tuples(
        st.lists(st.lists(happening, max_size=3), max_size=25), st.none() | st.integers(0, 6)
    ),
    min_size=1,
    max_size=3,
)


def _happen(made: Connected, event: tuple[str, int]) -> None:
    kind, n = event
    if kind == "time passes":
        made.clock.now += n
    elif kind in FAULTS:
        made.shop.faults.add(kind, count=n)  # type: ignore[arg-type]
    else:
        EDITS[kind](made.store, n)


def _crashing(after: int | None) -> Any:
    left = [after]

    def listener(phase: str, done: int, total: int | None) -> None:
        if left[0] is None:
            return
        if left[0] == 0:
            raise CrashError
        left[0] -= 1

    return listener


def _live_through(made: Connected, script: list[Any]) -> None:
    """Runs with things happening, then a quiet one; the shop and the tables must be equal."""
    waiting: list[list[tuple[str, int]]] = []

    @made.shop.before_request
    def happen(request: Any) -> None:
        with made.store.lock:
            for event in waiting.pop(0) if waiting else []:
                _happen(made, event)

    for number, (events, crash) in enumerate(script):
        waiting[:] = events
        try:
            made.sync(full=number == 2, listener=_crashing(crash))
        except (SyncFailedError, CrashError) as error:
            note(f"run {number}: {type(error).__name__}: {error}")
        assert made.registry.get(made.key).status in ("enabled", "failed")
        made.shop.faults.clear()
        made.later(0.4)
    waiting.clear()
    made.later(0.4)
    made.sync()
    assert made.differences(without=ONCE_A_DAY) == {}
    assert made.rejects() == {}
    # And the run after it finds nothing left to do.
    made.later(0.4)
    quiet = made.sync()
    assert {name: done.changes.written for name, done in quiet.entities.items()} == dict.fromkeys(
        quiet.entities, 0
    )
    doubled = made.query(
        "SELECT order_id FROM cscart.orders WHERE integration = %s GROUP BY 1 HAVING count(*) > 1"
    )
    assert doubled == []


@pytest.mark.parametrize(("profile", "multivendor"), [("4.20", False), ("4.13", True)])
@given(script=runs)
@examples(10)
def test_any_interleaving_ends_in_equality_where_changes_can_be_filtered(
    warehouse_database: Database,
    settings: Settings,
    profile: str,
    multivendor: bool,
    script: list[Any],
) -> None:
    with connected(
        warehouse_database, settings, profile, parallel=1, multivendor=multivendor
    ) as made:
        fill_shop(made.store, customers=6, orders=9)
        _live_through(made, script)


@pytest.mark.parametrize("profile", ["4.7", "4.12"])
@given(script=runs)
@examples(5)
def test_any_interleaving_ends_in_equality_where_changes_cannot_be_filtered(
    warehouse_database: Database, settings: Settings, profile: str, script: list[Any]
) -> None:
    with connected(warehouse_database, settings, profile, parallel=1) as made:
        fill_shop(made.store, customers=6, orders=9)
        _live_through(made, script)


@pytest.mark.parametrize("profile", ["4.7", "4.20"])
@pytest.mark.parametrize("seed", range(4))
def test_pages_read_at_once_in_a_lively_shop(
    warehouse_database: Database, settings: Settings, profile: str, seed: int
) -> None:
    chance = random.Random(seed)
    kinds = sorted(EDITS)
    script = [
        (
            [
                [(chance.choice(kinds), chance.randrange(99)) for _ in range(chance.randrange(3))]
                for _ in range(60)
            ],
            None,
        )
        for _ in range(3)
    ]
    with connected(warehouse_database, settings, profile, parallel=4) as made:
        fill_shop(made.store, customers=20, orders=40)
        _live_through(made, script)

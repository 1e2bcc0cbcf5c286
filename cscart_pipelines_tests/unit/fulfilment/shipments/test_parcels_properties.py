"""What holds for every order and every set of rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.cscart.order_fulfilment import ShipmentSeen, ShippableOrder
from cscart_pipelines.fulfilment.carriers import CarrierMap
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.shipments.parcels.plan import OrderPlan, Parcel
from cscart_pipelines_tests.support.fulfilment.parcels import (
    NUMBER_OFF,
    apply,
    order,
    planned,
    row,
    seen,
    settings,
)

LINES = st.lists(
    st.tuples(st.sampled_from(["A", "B", "b", "C", ""]), st.integers(0, 4), st.integers(0, 4)),
    min_size=1,
    max_size=5,
)
ROWS = st.lists(
    st.builds(
        row,
        tracking=st.sampled_from(["T1", "t-1", "T2", "T3", ""]),
        sku=st.sampled_from(["A", "a", "B", "b", "C", "X", "map", ""]),
        quantity=st.sampled_from([None, None, "-1", "0", "1", "1", "2", "3", "0.5"]),
        carrier=st.sampled_from([None, "", "UPS", "ups", "Acme"]),
        tracking_url=st.sampled_from([None, "https://x.example/1", "https://x.example/2", "bad"]),
    ),
    max_size=8,
)
SETTINGS = st.sampled_from([settings(), settings(update_tracking_url=True), NUMBER_OFF])
THEIRS = st.lists(st.sampled_from(["T1", "T 2", "T9"]), max_size=2)
MAP = {"map": "A"}


def made_order(lines: list[tuple[str, int, int]], theirs: list[str]) -> ShippableOrder:
    given = [(str(90 - n), code, most + left, left) for n, (code, most, left) in enumerate(lines)]
    return order(*given, shipment_ids=tuple(range(301, 301 + len(theirs))))


def made_shipments(theirs: list[str]) -> list[ShipmentSeen]:
    return [seen(301 + n, tracking) for n, tracking in enumerate(theirs)]


def pieces(parcels: list[Parcel]) -> Counter[str]:
    total: Counter[str] = Counter()
    for parcel in parcels:
        assert parcel.quantities and all(amount > 0 for amount in parcel.quantities.values())
        total.update(parcel.quantities)
    return total


@given(LINES, ROWS, SETTINGS, THEIRS)
def test_never_more_than_is_left_and_nothing_twice(lines, rows, some_settings, theirs) -> None:  # type: ignore[no-untyped-def]
    some, shipments = made_order(lines, theirs), made_shipments(theirs)
    made = planned(rows, some, shipments, (), some_settings, sku_map=MAP)
    left = {line.item_id: line.left for line in some.lines}
    assert all(amount <= left[item] for item, amount in pieces(made.parcels).items())
    trackings = [parcel.tracking for parcel in made.parcels]
    assert len(trackings) == len(set(trackings))
    assert all(parcel.carrier or parcel.tracking_number for parcel in made.parcels)
    assert all(reason for _, reason in made.refusals)

    after, later, history = apply(made, some, shipments)
    again = planned(rows, after, later, history, some_settings, sku_map=MAP)
    assert again.parcels == []


@given(LINES, ROWS, SETTINGS, st.integers(0, 7))
def test_rows_that_come_in_two_feeds_ship_no_more_than_is_left(  # type: ignore[no-untyped-def]
    lines, rows, some_settings, cut
) -> None:
    some = made_order(lines, [])
    first = planned(rows[:cut], some, (), (), some_settings, sku_map=MAP)
    after, shipments, history = apply(first, some)
    second = planned(rows, after, shipments, history, some_settings, sku_map=MAP)
    total = pieces(first.parcels) + pieces(second.parcels)
    left = {line.item_id: line.left for line in some.lines}
    assert all(amount <= left[item] for item, amount in total.items())
    assert not any(adopted.shipment_id not in after.shipment_ids for adopted in second.adopted)


@given(st.data())
def test_with_enough_for_all_the_order_of_parcels_does_not_matter(data) -> None:  # type: ignore[no-untyped-def]
    parcels = {
        tracking: [
            row(tracking, sku, amount, carrier="UPS")
            for sku, amount in data.draw(
                st.dictionaries(st.sampled_from("ABC"), st.integers(1, 3), min_size=1)
            ).items()
        ]
        for tracking in data.draw(st.lists(st.sampled_from(["T1", "T2", "T3"]), unique=True))
    }
    some = order(*((str(n), "ABC"[n % 3], 6, 6) for n in range(6)))
    rows = [each for its_rows in parcels.values() for each in its_rows]
    one = by_code(planned(rows, some), some)
    other = by_code(planned(data.draw(st.permutations(rows)), some), some)
    assert (
        one
        == other
        == {
            tracking: Counter({each.sku: int(each.quantity or 0) for each in its_rows})
            for tracking, its_rows in parcels.items()
        }
    )


def by_code(made: OrderPlan, some: ShippableOrder) -> dict[str, Counter[str]]:
    assert not made.refusals and not made.adopted
    code = {line.item_id: line.product_code or "" for line in some.lines}
    found: dict[str, Counter[str]] = {}
    for parcel in made.parcels:
        total: Counter[str] = Counter()
        for item, amount in parcel.quantities.items():
            total[code[item]] += amount
        found[parcel.tracking] = total
    return found


@given(ROWS)
def test_a_parcel_survives_the_journal(rows: list[ShipmentRow]) -> None:
    for parcel in planned(rows, carriers=CarrierMap()).parcels:
        assert Parcel.from_json(parcel.to_json()) == parcel
        assert Parcel.from_json(replace(parcel, rows=()).to_json()).quantities == parcel.quantities

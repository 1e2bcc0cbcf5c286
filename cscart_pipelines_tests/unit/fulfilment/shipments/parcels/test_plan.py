"""Planning parcels: what is sent, which shipment is adopted, and which rows are refused and why."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from cscart_pipelines.cscart.records.shipping import ShippingMethod
from cscart_pipelines.fulfilment.carriers import CarrierMap
from cscart_pipelines.fulfilment.journal import State
from cscart_pipelines.fulfilment.models import ShipmentRow
from cscart_pipelines.fulfilment.shipments.parcels.plan import Parcel, matches
from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking
from cscart_pipelines_tests.support.fulfilment.parcels import (
    NOW,
    NUMBER_OFF,
    URL,
    apply,
    entry,
    only_reason,
    order,
    planned,
    row,
    seen,
    settings,
)

BOTH = settings(update_tracking_url=True)
LINE = f"Tracking: {URL}"

# --- what a parcel says --------------------------------------------------------------------------


def test_spellings_of_one_number_are_one_parcel() -> None:
    assert normalise_tracking(" 1z-9 9.a ") == "1Z99A"
    made = planned([row(" 1z 99-a ", "A", 2, carrier="UPS"), row("1Z99A", "B", 1)])
    (parcel,) = made.parcels
    assert (parcel.tracking, parcel.tracking_number) == ("1Z99A", "1z 99-a")
    assert parcel.quantities == {"11": 2, "22": 1} and parcel.pieces == 3
    assert (parcel.carrier, parcel.comments, parcel.shipping_id) == ("ups", "", 2)


def test_several_parcels_of_one_order() -> None:
    made = planned([row("T1", "A", 1), row("T2", "A", 1), row("T1", "B", None)])
    assert [(p.tracking, p.quantities) for p in made.parcels] == [
        ("T1", {"11": 1, "22": 1}),
        ("T2", {"11": 1}),
    ]


A, B, NAMELESS = (
    ShippingMethod(7, "Courier", "0"),
    ShippingMethod(8, "Post", "1"),
    ShippingMethod(None, "Van", "2"),
)


@pytest.mark.parametrize(
    ("methods", "rows", "shipping_ids", "notes"),
    [
        ((A, B), [row("T1", "A"), row("T2", "B")], [7, 8], 0),
        ((B, A), [row("T1", "A"), row("T2", "B")], [8, 7], 0),
        ((A, B), [row("T", "", None)], [7], 1),  # two pieces of A, one of B
        ((B, A), [row("T", "", None)], [8], 1),
        ((B, A), [row("T", "A", 1), row("T", "B", 1)], [7], 1),  # as many: the lower id
        ((A, A._replace(group="1")), [row("T", "", None)], [7], 0),
        ((A, None), [row("T1", "A"), row("T2", "B")], [7, 2], 0),  # the order's
        ((NAMELESS, A), [row("T1", "A"), row("T2", "B")], [2, 7], 0),
    ],
)
def test_a_parcel_has_the_shipping_method_of_its_lines(
    methods: tuple[ShippingMethod | None, ...],
    rows: list[ShipmentRow],
    shipping_ids: list[int],
    notes: int,
) -> None:
    some = order()
    lines = (replace(line, method=each) for line, each in zip(some.lines, methods, strict=True))
    made = planned(rows, replace(some, lines=tuple(lines)))
    assert [parcel.shipping_id for parcel in made.parcels] == shipping_ids
    assert len(made.notes) == notes
    assert all("Courier" in note and "Post" in note for note in made.notes)


def test_an_empty_sku_is_everything_that_is_left() -> None:
    some = order(("11", "A", 2, 1), ("22", "B", 1, 0), ("33", "", 4, 4))
    assert planned([row("T", "", None)], some).parcels[0].quantities == {"11": 1, "33": 4}


def test_the_earliest_time_counts_and_a_time_without_zone_is_the_shops() -> None:
    athens = settings(timezone="Europe/Athens")
    late = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    made = planned(
        [row(shipped_at=late), row(sku="B", shipped_at=datetime(2026, 3, 1, 12))],
        some_settings=athens,
    )
    assert made.parcels[0].shipped_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert planned([row()]).parcels[0].shipped_at is None


def test_an_unknown_carrier_is_sent_as_it_is_and_reported_once() -> None:
    made = planned([row("T1", carrier="Acme"), row("T2", carrier="Acme"), row("T3", "B")])
    assert [p.carrier for p in made.parcels] == ["Acme", "Acme", ""]
    assert made.notes == ["carrier 'Acme' has no code: 'Acme' is sent as it is"]


@pytest.mark.parametrize(
    ("carrier", "url", "comments"),
    [
        ("UPS", URL, ""),  # the shop computes it
        ("Acme", URL, LINE),
        ("", URL, LINE),
        ("Acme", None, ""),
    ],
)
def test_the_address_goes_into_the_comments_if_the_shop_cannot_compute_it(
    carrier: str, url: str | None, comments: str
) -> None:
    made = planned([row(carrier=carrier, tracking_url=url)], some_settings=BOTH)
    assert made.parcels[0].comments == comments
    assert made.parcels[0].tracking_number == "1Z1"
    without = planned([row(carrier=carrier, tracking_url=url)])
    assert without.parcels[0].comments == ""


def test_a_custom_carrier_that_computes_its_page_needs_no_line() -> None:
    carriers = CarrierMap({"Acme": ("acme", True)})
    made = planned([row(carrier="acme", tracking_url=URL)], some_settings=BOTH, carriers=carriers)
    assert (made.parcels[0].carrier, made.parcels[0].comments) == ("acme", "")


def test_without_the_number_the_line_is_always_there() -> None:
    made = planned([row(carrier="UPS", tracking_url=URL)], some_settings=NUMBER_OFF)
    (parcel,) = made.parcels
    assert (parcel.tracking_number, parcel.carrier, parcel.comments) == ("", "ups", LINE)


def test_without_number_and_carrier_the_fallback_carrier_is_sent() -> None:
    rows = [row(tracking_url=URL)]
    assert planned(rows, some_settings=NUMBER_OFF).parcels[0].carrier == "other"
    star = CarrierMap({"*": ("rest", False)})
    assert planned(rows, some_settings=NUMBER_OFF, carriers=star).parcels[0].carrier == "rest"


def test_the_journal_keeps_a_parcel_whole() -> None:
    made = planned(
        [row(tracking_url=URL, carrier="x", shipped_at=NOW, source="f:2"), row(sku="B")],
        some_settings=BOTH,
    )
    kept = json.loads(json.dumps(made.parcels[0].to_json()))
    assert Parcel.from_json(kept | {"more": 1}) == made.parcels[0]


# --- SKUs and quantities -------------------------------------------------------------------------


def test_the_exact_code_goes_before_the_same_in_other_letters() -> None:
    some = order(("11", "ab", 1, 1), ("22", "AB", 1, 1))
    assert planned([row(sku="AB")], some).parcels[0].quantities == {"22": 1}
    reason = only_reason(planned([row(sku="Ab")], some))
    assert reason == "SKU Ab could be any of AB, ab"
    assert planned([row(sku="a")]).parcels[0].quantities == {"11": 1}


def test_the_map_of_skus_goes_before_the_code() -> None:
    made = planned([row(sku="w-1"), row(sku="A", quantity=1)], sku_map={"W-1": "B", "A ": "x"})
    assert made.parcels[0].quantities == {"22": 1, "11": 1}
    reason = only_reason(planned([row(sku="W-1")], sku_map={"W-1": "C"}))
    assert reason == "SKU W-1 (product code C) is not in this order; it has A, B"


def test_lines_with_one_code_are_filled_by_item_id() -> None:
    some = order(("33", "A", 2, 2), ("11", "A", 2, 1), ("22", "A", 2, 2))
    made = planned([row("T1", "A", 2), row("T2", "A", 2), row("T3", "A", None)], some)
    assert [p.quantities for p in made.parcels] == [
        {"11": 1, "22": 1},
        {"22": 1, "33": 1},
        {"33": 1},
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (row(tracking="  "), "tracking_number is empty"),
        (row(tracking="- ."), "tracking_number - . has no letter or digit"),
        (row(tracking="x" * 256), "longer than 255"),
        (row(tracking="1Z\n1"), "several numbers"),
        (row(tracking="nan"), "no value"),
        (row(tracking="1.23457E17"), "rounded"),
        (row(tracking="https://t.example/1"), "is an address"),
        (row(sku="nan"), "no value"),
        (row(carrier="#N/A"), "error of a spreadsheet"),
        (row(sku="Z"), "SKU Z is not in this order; it has A, B"),
        (row(quantity=3), "SKU A: 3 asked, 2 left of 2 ordered"),
        (row(quantity=0), "quantity 0"),
        (row(quantity=-1), "quantity -1 is negative"),
        (row(quantity="1.5"), "quantity 1.5 is not whole"),
        (row(quantity="NaN"), "quantity NaN is no number"),
        (row(quantity="1E+999999"), "more than any order has"),
        (row(quantity="1E-999999"), "more than 6 decimals"),
        (row(sku="", quantity=2), "quantity 2 without a SKU"),
    ],
)
def test_a_bad_row_is_refused_with_its_numbers_and_the_good_one_goes_through(
    given: Any, reason: str
) -> None:
    made = planned([given, row("T2", "B")])
    assert [p.tracking for p in made.parcels] == ["T2"]
    assert [(each, reason in said) for each, said in made.refusals] == [(given, True)]


WEIGHED = order(("11", "A", 1.5, 1.5), ("22", "B", 2, 2), ("33", "C", 2.5, 0.5))


def test_what_shipments_of_whole_pieces_cannot_take_is_refused_with_the_reason() -> None:
    said = only_reason(planned([row(sku="", quantity=None)], WEIGHED))
    assert "1.5 of SKU A, 0.5 of SKU C are left to ship" in said and "whole pieces" in said
    assert "1.5 of SKU A is left" in only_reason(planned([row(quantity=None)], WEIGHED))
    assert "quantity 0.5 is not whole" in only_reason(planned([row(quantity="0.50")], WEIGHED))
    assert "2 asked, 1.5 left of 1.5" in only_reason(planned([row(quantity=2)], WEIGHED))
    assert "0.5 of SKU C" in only_reason(planned([row(sku="C", quantity=None)], WEIGHED))
    # Beside it the whole lines go through, and the whole part of a weight where it is asked for.
    rows = [row(sku="A", quantity=1), row(sku="B", quantity="2.000"), row(sku="C", quantity=None)]
    made = planned(rows, WEIGHED)
    assert made.parcels[0].quantities == {"11": 1, "22": 2} and len(made.refusals) == 1


def test_a_shop_whose_shipments_have_fractions_gets_them() -> None:
    made = planned([row(sku="", quantity=None)], WEIGHED, fractions=True)
    assert made.parcels[0].to_json()["quantities"] == {"11": 1.5, "22": 2, "33": 0.5}
    assert Parcel.from_json(made.parcels[0].to_json()) == made.parcels[0]
    rows = [row("T1", quantity="0.25"), row("T2", quantity="1.250"), row("T3", quantity="0.1")]
    made = planned(rows, WEIGHED, fractions=True)
    assert [str(parcel.pieces) for parcel in made.parcels] == ["0.25", "1.25"]
    assert "nothing is left of 1.5 ordered" in made.refusals[0][1]


def test_rows_that_came_by_sql_lose_the_marks_of_spreadsheets_too() -> None:
    given = row('="1Z00"', "'A", carrier=" 'ups", tracking_url='="https://x.example/1"')
    (parcel,) = planned([given], some_settings=BOTH).parcels
    assert (parcel.tracking, parcel.tracking_number, parcel.carrier) == ("1Z00", "1Z00", "ups")
    assert parcel.quantities == {"11": 1}
    assert not planned([row("1Z00"), row("'1z 00", "B")]).refusals


def test_a_whole_number_may_be_written_with_decimals() -> None:
    assert planned([row(quantity="2.00")]).parcels[0].pieces == 2


def test_rows_share_what_is_left_in_the_order_they_came() -> None:
    made = planned([row("T1", "A", 1), row("T2", "A", 2), row("T3", "A", 1), row("T4", "A", None)])
    assert [p.tracking for p in made.parcels] == ["T1", "T3"]
    assert [said for _, said in made.refusals] == [
        "SKU A: 2 asked, 1 left of 2 ordered (rows before this one: T1)",
        "SKU A: nothing is left of 2 ordered (rows before this one: T1, T3)",
    ]
    rest = planned([row("T1", "", None), row("T2", "", None)])
    assert rest.refusals[0][1] == "nothing is left of the order (rows before this one: T1)"


def test_one_refused_row_does_not_hold_its_parcel_up() -> None:
    made = planned([row("T", "A", 3), row("T", "B", 1)])
    assert made.parcels[0].rows == (row("T", "B", 1),) and len(made.refusals) == 1


def test_what_has_shipped_is_named() -> None:
    done = order(("11", "A", 2, 0), ("22", "B", 1, 0), shipment_ids=(312, 311))
    for given in (row("T9", "A", 1), row("T9", "", None)):
        said = only_reason(planned([given], done))
        assert said == "everything has shipped already: shipments 311, 312"
    some = order(("11", "A", 2, 0), ("22", "B", 1, 1), shipment_ids=(311,))
    shipments = [seen(311, "T1", quantities={"11": 2})]
    said = only_reason(planned([row("T9", "A", 1)], some, shipments))
    assert said == "SKU A: nothing is left of 2 ordered (shipments 311)"
    assert only_reason(planned([row("T", "", None)], order(("1", "A", 1, 0)))) == (
        "the order has nothing to ship"
    )


def test_a_row_without_sku_beside_rows_with_one_is_unclear() -> None:
    made = planned([row("T", "A"), row("T", "", None), row("T2", "B")])
    assert [p.tracking for p in made.parcels] == ["T2"] and len(made.refusals) == 2
    assert all("which of them" in said for _, said in made.refusals)


def test_the_same_row_twice_ships_once() -> None:
    made = planned([row("1Z 1", "A", 1, source="f:2"), row("1Z1", "a", 1, source="f:3")])
    assert made.parcels[0].quantities == {"11": 1}
    assert made.refusals == [
        (row("1Z1", "a", 1, source="f:3"), "parcel 1Z1 has SKU a already (f:2)")
    ]


def test_two_skus_of_the_warehouse_may_be_one_of_the_shop() -> None:
    made = planned([row("T", "w1", 1), row("T", "w2", 1)], sku_map={"w1": "A", "w2": "A"})
    assert made.parcels[0].quantities == {"11": 2}


def test_a_contradicting_carrier_is_refused_a_missing_one_is_not() -> None:
    rows = [row("T", "A", 1, carrier="ups"), row("T", "B", 1, carrier="DHL")]
    made = planned(rows)
    assert made.parcels[0].carrier == "ups"
    assert made.refusals == [(rows[1], "carrier DHL contradicts ups of the same parcel T")]
    for first, second in (("", "ups"), ("U.P.S.", "ups"), ("Acme", "ACME")):
        made = planned([row("T", "A", 1, carrier=first), row("T", "B", 1, carrier=second)])
        assert not made.refusals and made.parcels[0].carrier in ("ups", "Acme")


def test_a_contradicting_address_is_refused_only_where_it_is_used() -> None:
    rows = [row("T", "A", 1, tracking_url=URL), row("T", "B", 1, tracking_url=URL + "3")]
    made = planned(rows, some_settings=BOTH)
    assert made.parcels[0].comments == LINE and [each for each, _ in made.refusals] == [rows[1]]
    assert not planned(rows).refusals


@pytest.mark.parametrize(
    "url",
    ["track.example/1", "javascript:alert(1)", "https://", "https://x.example/a b",
     'https://x.example/"', "https://x.example/<b>", "https://x.example/\u200bx", "http://[1",
     "https://x.example/" + "a" * 2000],
)  # fmt: skip
def test_what_is_no_address_is_not_put_before_customers(url: str) -> None:
    assert only_reason(planned([row(tracking_url=url)], some_settings=BOTH)).startswith(
        "tracking_url"
    )
    assert planned([row(tracking_url=url)]).parcels  # switched off: nobody looks at it


def test_without_number_and_address_there_is_nothing_to_send() -> None:
    said = only_reason(planned([row()], some_settings=NUMBER_OFF))
    assert "update_tracking_number" in said and "the row has no tracking URL" in said
    off = settings(update_tracking_number=False)
    assert "so are tracking URLs" in only_reason(
        planned([row(tracking_url=URL)], some_settings=off)
    )
    one = planned([row(tracking_url=URL), row(sku="B")], some_settings=NUMBER_OFF)
    assert one.parcels[0].pieces == 2  # one address is enough for a parcel


def test_without_numbers_two_parcels_need_two_addresses() -> None:
    rows = [row("T1", "A", 1, tracking_url=URL), row("T2", "B", 1, tracking_url=URL)]
    made = planned(rows, some_settings=NUMBER_OFF)
    assert [p.tracking for p in made.parcels] == ["T1"] and "parcel T1" in made.refusals[0][1]
    after, shipments, history = apply(made, order())
    again = planned(rows[1:], after, shipments, history, NUMBER_OFF)
    assert "parcel T1" in only_reason(again)


# --- the order -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"is_parent": True}, "parent of a split order"),
        ({"status": "T"}, "parent of a split order"),
        ({"status": "N"}, "incomplete"),
    ],
)
def test_some_orders_are_never_shipped(values: dict[str, Any], reason: str) -> None:
    said = only_reason(planned([row()], order(**values)))
    assert said.startswith("order CS1001 ") and reason in said


def test_the_start_date_begins_at_midnight_in_the_shop() -> None:
    athens = settings(start_date="02/03/2026", timezone="Europe/Athens")
    midnight = datetime(2026, 3, 1, 22, tzinfo=UTC)
    assert planned([row()], order(ordered_at=midnight), some_settings=athens).parcels
    before = order(ordered_at=midnight - timedelta(seconds=1))
    assert only_reason(planned([row()], before, some_settings=athens)) == (
        "order CS1001 was placed on 01/03/2026, before the start date 02/03/2026"
    )


# --- what is there already -----------------------------------------------------------------------


def test_a_shipment_that_somebody_made_is_adopted_even_if_it_differs() -> None:
    some = order(("11", "A", 2, 1), ("22", "B", 1, 1), shipment_ids=(311,))
    theirs = seen(311, "1z-1", quantities={"11": 1})
    rows = [row("1Z1", "A", 2), row("1Z1", "B", None)]
    made = planned(rows, some, [theirs])
    (adopted,) = made.adopted
    assert not made.parcels and (adopted.tracking, adopted.shipment_id) == ("1Z1", 311)
    assert adopted.rows == tuple(rows)
    assert adopted.reason == (
        "the shop has this parcel already, as shipment 311; quantities differ: A 2 asked, 1 shipped"
    )
    same = planned([row("1Z1", "A", 1)], some, [theirs]).adopted[0]
    assert same.reason == "the shop has this parcel already, as shipment 311"


def test_without_the_number_a_shipment_is_known_by_its_address() -> None:
    theirs = seen(311, comments=f"by hand\r\n  {LINE.replace('&', '&amp;')} \r\nbye")
    made = planned([row(tracking_url=URL)], None, [theirs], (), NUMBER_OFF)
    assert made.adopted[0].shipment_id == 311
    longer = seen(311, comments=LINE + "3")
    assert planned([row(tracking_url=URL)], None, [longer], (), NUMBER_OFF).parcels
    by_number = seen(311, "1Z1")
    assert planned([row(tracking_url=URL)], None, [by_number], (), NUMBER_OFF).adopted


def test_a_shipment_of_ours_that_was_given_another_number_is_that_parcel_now() -> None:
    after, _, history = apply(planned([row("T1", "A", 1)]), order())
    renumbered = seen(301, "T2", quantities={"11": 1})
    made = planned([row("T2", "A", 1)], after, [renumbered], history)
    assert not made.parcels and made.adopted[0].shipment_id == 301


def test_a_shipment_adopted_by_its_address_is_not_adopted_for_another_parcel() -> None:
    theirs = seen(311, comments=LINE)
    first = planned([row("T1", tracking_url=URL)], None, [theirs], (), NUMBER_OFF)
    assert first.adopted
    skipped = entry(Parcel("T1", "", "", "", None, {}), 311, State.SKIPPED)
    second = planned([row("T2", tracking_url=URL)], None, [theirs], [skipped], NUMBER_OFF)
    assert not second.adopted and second.parcels[0].tracking == "T2"


def test_where_the_number_is_sent_an_address_says_nothing() -> None:
    theirs = seen(311, "OTHER", comments=LINE)
    assert planned([row(tracking_url=URL)], None, [theirs], (), BOTH).parcels
    parcel = Parcel("1Z1", "1Z1", "", LINE, None, {})
    assert not matches(parcel, theirs) and matches(parcel, seen(1, "1z 1"))
    assert not matches(Parcel("", "", "", "", None, {}), seen(1))


def test_further_rows_of_a_parcel_that_we_shipped_make_a_further_shipment() -> None:
    first = planned([row("1Z1", "A", 1)])
    after, shipments, history = apply(first, order())
    rows = [row("1Z1", "A", 1), row("1Z1", "B", 1)]
    made = planned(rows, after, shipments, history)
    assert [(p.tracking, p.quantities, p.rows) for p in made.parcels] == [
        ("1Z1", {"22": 1}, (rows[1],))
    ]
    assert [(a.rows, a.shipment_id, a.reason) for a in made.adopted] == [
        ((rows[0],), 301, "shipped already, as shipment 301")
    ]


def test_further_rows_are_shipped_also_where_the_number_is_not_sent() -> None:
    first = planned([row("T1", "A", 1, tracking_url=URL)], some_settings=NUMBER_OFF)
    after, shipments, history = apply(first, order())
    later = [row("T1", "B", 1, tracking_url=URL)]
    made = planned(later, after, shipments, history, NUMBER_OFF)
    assert [p.quantities for p in made.parcels] == [{"22": 1}] and not made.adopted


def test_a_row_that_was_shipped_with_another_quantity_is_refused() -> None:
    after, shipments, history = apply(planned([row("1Z1", "A", 1)]), order())
    said = only_reason(planned([row("1Z-1", "A", 2)], after, shipments, history))
    assert said == "this row was shipped already with 1 piece, as shipment 301"


def test_a_parcel_that_named_its_skus_does_not_take_all_that_is_left_later() -> None:
    after, shipments, history = apply(planned([row("1Z1", "A", 1)]), order())
    said = only_reason(planned([row("1Z1", "", None)], after, shipments, history))
    assert said == (
        "parcel 1Z1 was shipped with rows that name their SKU, as shipment 301; a row without one"
        " means everything that is left: which of them?"
    )
    assert planned([row("1Z2", "", None)], after, shipments, history).parcels


def test_a_shipment_that_was_deleted_since_is_told() -> None:
    _, _, history = apply(planned([row("1Z1", "A", 1)]), order())
    gone = "as shipment 301, which the shop has no more (`fulfilment deleted` settles it)"
    (adopted,) = planned([row("1Z-1", "A", 1)], order(), (), history).adopted
    assert adopted.reason == f"shipped already, {gone}"
    said = only_reason(planned([row("1Z-1", "A", 2)], order(), (), history))
    assert said == f"this row was shipped already with 1 piece, {gone}"


def test_a_product_that_a_parcel_has_is_not_shipped_again_under_another_sku() -> None:
    mapped = {"w1": "A"}
    first = planned([row("1Z1", "w1", 1)], sku_map=mapped)
    after, shipments, history = apply(first, order(("11", "A", 3, 3)))
    said = only_reason(planned([row("1Z1", "A", 1)], after, shipments, history, sku_map=mapped))
    assert said == (
        "parcel 1Z1 has product code A already, from a row with another SKU or none, as shipment"
        " 301"
    )
    again = planned([row("1Z1", "W1", 1)], after, shipments, history, sku_map=mapped)
    assert again.adopted and not again.parcels
    other = planned([row("1Z2", "A", 1)], after, shipments, history, sku_map=mapped)
    assert other.parcels


def test_a_shipment_of_a_failed_write_is_adopted_when_it_turns_up() -> None:
    parcel = planned([row()]).parcels[0]
    failed = entry(parcel, None, State.FAILED)
    made = planned([row()], None, [seen(311, "1Z1", quantities={"11": 1})], [failed])
    assert made.adopted[0].shipment_id == 311
    assert planned([row()], None, (), [failed]).parcels == [parcel]


def test_what_a_write_in_doubt_may_have_shipped_is_not_given_again() -> None:
    doubtful = entry(planned([row("T1", "A", 1)]).parcels[0], None, State.AMBIGUOUS)
    said = only_reason(planned([row("T2", "A", 2)], None, (), [doubtful]))
    assert said == (
        "SKU A: 2 asked, 1 left of 2 ordered (1 in a write whose outcome is not known yet)"
    )
    arrived = seen(311, "T1", quantities={"11": 1})
    some = order(("11", "A", 2, 1), shipment_ids=(311,))
    assert planned([row("T2", "A", 1)], some, [arrived], [doubtful]).parcels
    assert planned([row("T1", "A", 2)], None, (), [doubtful]).parcels  # its own rows, anew


def test_a_quantity_keeps_its_kind_in_the_journal() -> None:
    parcel = Parcel.from_json(planned([row(quantity="2.0")]).parcels[0].to_json())
    assert parcel.rows[0].quantity == Decimal(2)

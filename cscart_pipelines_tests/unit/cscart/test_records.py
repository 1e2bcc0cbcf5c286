"""Rows out of loose JSON: what is accepted, what is refused, what is never looked at."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.cscart import coerce
from cscart_pipelines.cscart.coerce import UnreadableRowError
from cscart_pipelines.cscart.quantities import from_json, json_number
from cscart_pipelines.cscart.records.content_hash import content_hash
from cscart_pipelines.cscart.records.customers import CustomerRow, parse_customer
from cscart_pipelines.cscart.records.orders import OrderLineRow, OrderRow, parse_order
from cscart_pipelines.cscart.records.products import (
    CategoryRow,
    ProductRow,
    parse_category,
    parse_product,
)
from cscart_pipelines.cscart.records.shipments import ShipmentRecord, parse_shipment
from cscart_pipelines.cscart.records.statuses import StatusRow, parse_status
from cscart_pipelines.warehouse.tables import raw as raw_tables

LOADER_COLUMNS = {"integration", "content_hash", "loaded_at", "deleted_at"}


def order_row(**changes):
    return {
        "order_id": "1041",
        "issuer_id": None,
        "user_id": "0",
        "is_parent_order": "N",
        "parent_order_id": "0",
        "company_id": "1",
        "company": "",
        "timestamp": "1719826800",
        "firstname": "Guest",
        "lastname": "Buyer",
        "email": "Guest@Example.com ",
        "phone": "",
        "status": "P",
        "total": "64.85",
        **changes,
    }


def line(**changes):
    return {
        "item_id": "2430973345",
        "product_id": "230",
        "product_code": "SKU-A",
        "price": "19.95",
        "amount": "2",
        "extra": {"product": "Widget, as it was called", "product_options": []},
        "product": "Widget",
        "discount": 5,
        "company_id": 0,
        "base_price": 24.95,
        "subtotal": 39.9,
        **changes,
    }


def order_detail(**changes):
    return order_row(
        **{
            "updated_at": "1719913200",
            "subtotal": 59.85,
            "discount": 5,
            "subtotal_discount": "0.00",
            "shipping_cost": "5.00",
            "payment_surcharge": "0.00",
            "products": {"2430973345": line(), "805204117": line(item_id="805204117")},
            "taxes": {"6": {"tax_subtotal": 88.36}, "7": {"tax_subtotal": "1.04"}},
            "shipping": [{"shipping": "Standard", "service_params": {"password": "MARKER"}}],
            "promotion_ids": "3",
            "secondary_currency": "EUR",
            "s_country": "IE",
            "s_country_descr": "Ireland",
            "payment_info": {"card_number": "MARKER"},
            "payment_method": {"processor_params": {"secret": "MARKER"}},
            "product_groups": [{"chosen_shippings": [{"service_params": "MARKER"}]}],
            **changes,
        }
    )


SAMPLES = {
    "customer": (
        parse_customer,
        {
            "user_id": "12",
            "email": "first@example.com",
            "firstname": "First",
            "lastname": "Customer",
            "phone": "",
            "company": "",
            "company_id": "1",
            "status": "A",
            "timestamp": "1400000000",
            "last_login": "0",
        },
    ),
    "order": (parse_order, order_row()),
    "order detail": (parse_order, order_detail()),
    "product": (
        parse_product,
        {
            "product_id": 12,
            "product_code": "U0012",
            "product": "100g Pants",
            "product_type": "P",
            "parent_product_id": "0",
            "status": "A",
            "company_id": "1",
            "amount": "-3",
            "price": "30.000000",
            "list_price": "31.00",
            "tracking": None,
            "main_category": 224,
            "timestamp": "1328558400",
            "updated_timestamp": "1383893547",
        },
    ),
    "category": (parse_category, {"category_id": "5", "parent_id": "0", "category": "Shoes"}),
    "status": (
        parse_status,
        {
            "status_id": "1",
            "status": "P",
            "type": "O",
            "description": "Paid",
            "params": {"inventory": "D", "payment_received": "Y"},
        },
    ),
    "shipment": (
        parse_shipment,
        {
            "shipment_id": "311",
            "shipment_timestamp": "1719913200",
            "comments": None,
            "status": "S",
            "order_id": "1041",
            "shipping_id": "1",
            "shipping": "Standard",
            "tracking_number": "1Z00",
            "carrier": "ups",
            "products": {"2430973345": "1", "805204117": 2},
            "carrier_info": {"name": "UPS", "tracking_url": "http://ups.example/1Z00"},
        },
    ),
}


@pytest.mark.parametrize(
    ("row", "table"),
    [
        (CustomerRow, raw_tables.customers),
        (OrderRow, raw_tables.orders),
        (OrderLineRow, raw_tables.order_lines),
        (ProductRow, raw_tables.products),
        (CategoryRow, raw_tables.categories),
        (StatusRow, raw_tables.statuses),
        (ShipmentRecord, raw_tables.shipments),
    ],
)
def test_a_row_has_the_columns_of_its_table_in_its_order(row, table):
    assert list(row._fields) == [c.name for c in table.columns if c.name not in LOADER_COLUMNS]


# --- orders --------------------------------------------------------------------------------------


def test_a_list_row_is_an_order_without_details():
    row, lines = parse_order(order_row())
    assert lines == []
    assert row[:16] == (
        1041,
        False,
        None,
        1,
        None,
        None,
        None,
        "Guest@Example.com ",
        "Guest",
        "Buyer",
        None,
        None,
        "P",
        Decimal("64.85"),
        datetime(2024, 7, 1, 9, 40, tzinfo=UTC),
        False,
    )
    assert set(row[16:]) == {None}


def test_a_detail_brings_lines_totals_and_addresses():
    row, lines = parse_order(order_detail())
    assert row.has_details
    assert row.updated_at == datetime(2024, 7, 2, 9, 40, tzinfo=UTC)
    assert (row.subtotal, row.discount) == (Decimal("59.85"), Decimal("5.00"))
    assert row.tax_total == Decimal("89.40")
    assert row.shipping_method == "Standard"
    assert (row.s_country, row.s_country_name) == ("IE", "Ireland")
    assert lines[0] == OrderLineRow(
        1041,
        "2430973345",
        230,
        "SKU-A",
        "Widget, as it was called",
        2,
        Decimal("19.95"),
        Decimal("24.95"),
        Decimal("5.00"),
        Decimal("39.90"),
        None,
        "Standard",
    )


def test_nothing_of_payment_or_carrier_secrets_is_kept():
    assert "MARKER" not in repr(parse_order(order_detail()))


@pytest.mark.parametrize("empty", [[], {}, None])
def test_empty_maps_come_in_every_shape(empty):
    row, lines = parse_order(order_detail(products=empty, shipping=empty, taxes=empty))
    assert row.has_details
    assert lines == []
    assert row.shipping_method is None
    assert row.tax_total == (None if empty is None else 0)


def test_maps_may_come_as_lists_and_lists_as_maps():
    row, lines = parse_order(
        order_detail(
            products=[line(item_id=None, cart_id=7)],
            shipping={"1": {"shipping": "Courier"}, "2": {"shipping": "Post"}},
            taxes=[{"tax_subtotal": "2"}],
        )
    )
    assert [each.item_id for each in lines] == ["7"]
    assert row.shipping_method == "Courier, Post"
    assert row.tax_total == Decimal("2.00")


def test_a_line_without_an_id_takes_the_key_of_the_map():
    _, lines = parse_order(order_detail(products={"99": line(item_id="")}))
    assert lines[0].item_id == "99"


def test_line_order_does_not_depend_on_the_shops():
    one = parse_order(order_detail(products={"9": line(item_id="9"), "1": line(item_id="1")}))
    two = parse_order(order_detail(products={"1": line(item_id="1"), "9": line(item_id="9")}))
    assert one == two
    assert content_hash(*one) == content_hash(*two)


@pytest.mark.parametrize("kind", SAMPLES)
def test_numbers_may_come_as_numbers_as_re_implemented_apis_send_them(kind):
    """Reference 23: ids, times, quantities and amounts; `category_ids` are not looked at."""
    parse, raw = SAMPLES[kind]

    def numbers(value):
        if isinstance(value, dict):
            return {key: numbers(each) for key, each in value.items()}
        if isinstance(value, list):
            return [numbers(each) for each in value]
        if isinstance(value, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
            return float(value) if "." in value else int(value)
        return value

    extra = {"category_ids": ["224", "7"]}
    assert parse(numbers(raw) | extra) == parse(raw)
    assert parse(raw | extra) == parse(raw)


def test_a_status_nobody_knows_is_accepted():
    assert parse_order(order_row(status="Ω"))[0].status == "Ω"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order_id", "0"),
        ("order_id", None),
        ("order_id", "abc"),
        ("order_id", str(2**63)),
        ("order_id", 2**70),
        ("order_id", True),
        ("status", ""),
        ("status", "\x00"),
        ("status", None),
        ("total", ""),
        ("total", "12,50"),
        ("total", "NaN"),
        ("total", "1e30"),
        ("total", []),
        ("timestamp", "0"),
        ("timestamp", "2024-01-31"),
        ("timestamp", 10**12),
        ("products", [5]),
        ("products", {"1": line(amount="1,5")}),
        ("products", {"1": line(amount="1e9")}),
        ("products", {"1": line(amount="1_0")}),
        ("products", {"1": line(amount="NaN")}),
        ("products", {"1": line(price="")}),
        ("products", [line(), line()]),
        ("products", {"1": line(item_id="9" * 256)}),
    ],
)
def test_an_order_without_what_it_needs_is_refused_by_field_without_its_values(field, value):
    with pytest.raises(UnreadableRowError) as caught:
        parse_order(order_detail(**{field: value}))
    assert caught.value.field.startswith(field)
    assert str(caught.value) == f"{caught.value.field}: expected {caught.value.expectation}"
    if isinstance(value, str) and len(value) > 1:
        assert value not in str(caught.value)


@pytest.mark.parametrize("raw", [[], None, False, 5, "order"])
@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_what_is_no_object_is_no_row(kind, raw):
    with pytest.raises(UnreadableRowError):
        SAMPLES[kind][0](raw)


def test_an_optional_field_that_cannot_be_read_does_not_cost_the_order():
    row, _ = parse_order(order_detail(discount="much", issuer_id="x", updated_at="soon"))
    assert (row.discount, row.issuer_id, row.updated_at) == (None, None, None)


# --- the others ----------------------------------------------------------------------------------


def test_a_customer():
    row = parse_customer(SAMPLES["customer"][1])
    assert row.user_id == 12
    assert row.phone is None
    assert row.registered_at == datetime(2014, 5, 13, 16, 53, 20, tzinfo=UTC)
    assert row.last_login_at is None


def test_a_product():
    row = parse_product(SAMPLES["product"][1])
    assert (row.product_id, row.amount, row.main_category) == (12, -3, 224)
    assert str(row.price) == "30.00"


@pytest.mark.parametrize(
    ("params", "paid"),
    [
        ({"payment_received": "Y"}, True),
        ({"payment_received": "N"}, False),
        ({"inventory": "D"}, None),
        ([], None),
    ],
)
def test_a_status_says_whether_it_is_paid_or_nothing(params, paid):
    row = parse_status({**SAMPLES["status"][1], "params": params})
    assert row.payment_received is paid


def test_a_shipment_with_its_quantities_as_json():
    row = parse_shipment(SAMPLES["shipment"][1])
    assert orjson.loads(row.products) == {"2430973345": 1, "805204117": 2}
    assert row.tracking_url == "http://ups.example/1Z00"


def test_a_shipment_without_a_number_has_no_tracking_address():
    raw = {**SAMPLES["shipment"][1], "tracking_number": "", "products": []}
    raw["carrier_info"] = {"tracking_url": "http://ups.example/%s"}
    row = parse_shipment(raw)
    assert (row.tracking_url, row.products) == (None, "{}")


# --- scalars -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("972.00", "972.00"),
        ("0.00", "0.00"),
        ("-5.00", "-5.00"),
        ("30.000000", "30.00"),
        ("0.125", "0.125"),
        ("677.9500000000000455", "677.95"),
        (677.9500000000000455, "677.95"),
        (59.849999999999994, "59.85"),
        (972, "972.00"),
        (972.1, "972.10"),
        (5.0, "5.00"),
        (1e-07, "0.00"),
        (-0.0, "0.00"),
        ("7", "7.00"),
        ("1234567890.123456", "1234567890.123456"),
    ],
)
def test_money_is_exact_and_always_written_the_same_way(sent, kept):
    assert str(coerce.money(sent)) == kept


@given(st.decimals(-(10**12), 10**12, places=2))
def test_money_survives_as_text_and_as_a_number(amount):
    assert coerce.money(str(amount)) == amount
    assert coerce.money(float(amount)) == amount


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_text_is_kept_as_it_is_except_for_what_postgresql_refuses(sent):
    kept = coerce.text(sent)
    expected = "".join(c for c in sent if c != "\x00" and not 0xD800 <= ord(c) <= 0xDFFF)
    assert (kept or "") == expected
    (kept or "").encode()


def test_entities_and_blanks_are_left_alone():
    assert coerce.text(" A &amp; B ") == " A &amp; B "


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["", "0", "-1", "1.0", "1e400", "²", "NaN", "Infinity", "\ud800", "9" * 40])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_any_json_in_any_field_is_read_or_refused_and_nothing_else(kind, data):
    parse, sample = SAMPLES[kind]
    raw = dict(sample)
    for field in data.draw(st.lists(st.sampled_from(sorted(raw)), min_size=1, max_size=3)):
        raw[field] = data.draw(anything)
    if "products" in raw and kind == "order detail" and data.draw(st.booleans()):
        field = data.draw(st.sampled_from(sorted(line())))
        raw["products"] = [line(**{field: data.draw(anything)})]
    try:
        parsed = parse(raw)
    except UnreadableRowError:
        return
    row, lines = parsed if kind.startswith("order") else (parsed, [])
    assert len(content_hash(row, lines)) == 16
    for value in (*row, *(value for each in lines for value in each)):
        if isinstance(value, str):
            value.encode()
            assert "\x00" not in value
        if type(value) is int:
            assert -(2**63) <= value < 2**63


# --- the hash ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"total": "64.86"},
        {"email": "other@example.com"},
        {"firstname": None},
        {"s_country_descr": "Éire"},
        {"timestamp": "1719826801"},
        {"products": {"2430973345": line()}},
        {"products": {"2430973345": line(amount="3"), "805204117": line(item_id="805204117")}},
    ],
)
def test_the_hash_changes_with_the_order_and_its_lines(change):
    assert content_hash(*parse_order(order_detail())) != content_hash(
        *parse_order(order_detail(**change))
    )


def test_the_hash_does_not_change_with_how_the_shop_writes_a_value():
    other = order_detail(order_id=1041, total=64.85, user_id=0, subtotal="59.850000")
    assert content_hash(*parse_order(order_detail())) == content_hash(*parse_order(other))


def test_the_hash_is_the_same_in_every_process():
    code = (
        "from cscart_pipelines.cscart.records.customers import parse_customer;"
        "from cscart_pipelines.cscart.records.content_hash import content_hash;"
        "row = parse_customer({'user_id': '1', 'email': 'a', 'timestamp': '9'});"
        "print(content_hash(row).hex())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    }
    row = parse_customer({"user_id": "1", "email": "a", "timestamp": "9"})
    assert hashes == {content_hash(row).hex() + "\n"}


@pytest.mark.parametrize(
    ("spellings", "shown"),
    [
        (("1", "1.0", 1, 1.0, "1.000", "01", " 1 ", "+1", "1e0"), "1"),
        (("1.5", "1.50", 1.5, "1.500", "1.5000000000000002", "15e-1"), "1.5"),
        (("100", 100, "1E+2", "100.000"), "100"),
        (("0", "0.000", 0, -0.0, "-0", "0.0000001"), "0"),
        (("-2.5", -2.5, "-2.500"), "-2.5"),
        (("0.000001", 0.000001), "0.000001"),
        (("999999999.999999",), "999999999.999999"),
    ],
)
def test_a_quantity_has_one_text_and_one_hash_however_it_is_spelled(spellings, shown):
    assert {str(coerce.quantity(each)) for each in spellings} == {shown}
    orders = [parse_order(order_row(products={"1": line(amount=each)})) for each in spellings]
    assert {str(lines[0].quantity) for _, lines in orders} == {shown}
    assert len({content_hash(row, lines) for row, lines in orders}) == 1
    products = [parse_product({"product_id": "12", "amount": each}) for each in spellings]
    assert {str(each.amount) for each in products} == {shown}
    assert len({content_hash(each) for each in products}) == 1


@given(st.integers(-(10**15) + 1, 10**15 - 1).map(lambda n: Decimal(n) / 10**6))
def test_a_quantity_survives_as_text_as_a_number_and_in_json(value):
    found = coerce.quantity(f"{value:f}")
    assert found == value == coerce.quantity(float(value))
    assert from_json(orjson.loads(orjson.dumps(json_number(found)))) == value
    assert str(found) == f"{value.normalize():f}" or not value


def test_a_shipment_keeps_fractions_of_its_lines():
    row = parse_shipment({"shipment_id": "1", "products": {"7": "1.50", "8": "2.000", "9": "x"}})
    assert row.products == '{"7":1.5,"8":2}'

"""Files of shipments and stock levels: every way they can be written, and every way to be wrong."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.feeds.fields import RefusedValueError, clean
from cscart_pipelines.fulfilment.feeds.parse import (
    Parsed,
    UnreadableFileError,
    read_shipments,
    read_stock,
)
from cscart_pipelines.fulfilment.feeds.tracking_field import tracking_number
from cscart_pipelines.fulfilment.models import ShipmentRow, StockRow
from cscart_pipelines.fulfilment.tracking_numbers import normalise_tracking

ATHENS = ZoneInfo("Europe/Athens")
NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HEADER = "order_number,tracking_number,carrier,tracking_url,shipped_at,sku,quantity"


def shipments(text: str | bytes, name: str = "f.csv") -> Parsed[ShipmentRow]:
    data = text.encode() if isinstance(text, str) else text
    return read_shipments(data, name, ATHENS, now=NOW)


def stock(text: str | bytes, name: str = "f.csv", **more: Any) -> Parsed[StockRow]:
    data = text.encode() if isinstance(text, str) else text
    return read_stock(data, name, ATHENS, now=NOW, **more)


def why(parsed: Parsed[Any]) -> dict[int, str]:
    """Line to reason."""
    return {int((r.source or "").rpartition(":")[2]): r.reason for r in parsed.refusals}


def quantity_of(text: str) -> Decimal | str | None:
    """Of a stock level, or why it is refused."""
    parsed = stock(f"sku;quantity\nA;{text}\n")
    return parsed.rows[0].quantity if parsed.rows else parsed.refusals[0].reason


# --- what is read --------------------------------------------------------------------------------


def test_a_full_line_is_read() -> None:
    parsed = shipments(
        f"{HEADER}\nCS1,1Z 999,Royal  Mail,https://t.example/1,2024-05-01T10:00:00+02:00,A-1,2\n"
    )
    assert parsed.refusals == [] and parsed.notes == []
    assert parsed.rows == [
        ShipmentRow("CS1", "1Z 999", "A-1", Decimal(2), "Royal Mail", "https://t.example/1",
                    datetime(2024, 5, 1, 8, tzinfo=UTC), "f.csv:2")
    ]  # fmt: skip


def test_only_two_columns_are_needed_and_order_spelling_and_others_do_not_matter() -> None:
    parsed = shipments(" Weight ,Tracking-Number,ORDER number,weight,\n1,T1,CS1,2,\n")
    assert [(r.order_number, r.tracking_number, r.sku, r.quantity) for r in parsed.rows] == [
        ("CS1", "T1", "", None)
    ]
    assert parsed.notes == ["columns that are not read: Weight, weight"]


@pytest.mark.parametrize(
    ("columns", "missing", "name"),
    [
        ("sku,qty", "quantity", "qty"),
        ("sku,Qty shipped", "quantity", "Qty shipped"),
        ("sku,QTYS", "quantity", "QTYS"),
        ("product_code,quantity", "sku", "product_code"),
        ("productCode,weight", "sku", "productCode"),
        ("Artikelnummer,Menge", "sku", "Artikelnummer"),
        ("weight,Ποσότητα", "quantity", "Ποσότητα"),
    ],
)
def test_a_sku_or_quantity_under_another_name_does_not_ship_all_that_is_left(
    columns: str, missing: str, name: str
) -> None:
    why = f"it has no {missing}, and {name} is not read: without a {missing} all that is left"
    head = f"order_number,tracking_number,{columns}"
    with pytest.raises(UnreadableFileError, match=re.escape(f"line 2: {why}")):
        shipments(f"{head}\nCS1,T1,1,1\n")
    keys = [*head.split(",")]
    record = json.dumps({key: f"{place}1" for place, key in enumerate(keys)}, ensure_ascii=False)
    with pytest.raises(UnreadableFileError, match=re.escape(f"line 1: {why}")):
        shipments(record + "\n", "f.jsonl")


def test_columns_that_are_no_sku_and_no_quantity_do_not_matter() -> None:
    head = "order_number,tracking_number,item,product name,qty ordered"
    assert shipments(f"{head},sku,quantity\nCS1,T1,x,y,3,A,1\n").rows[0].quantity == 1
    head = "order_number,tracking_number,order_amount,service,clean,shipped by"
    assert shipments(f"{head}\nCS1,T1,9.95,x,y,z\n").rows[0].sku == ""
    nested = '{"order_number": "1", "tracking_number": "T", "items": [{"sku": "A", "qty": 1}]}'
    with pytest.raises(UnreadableFileError, match="it has no sku, and items is not read"):
        shipments(nested, "f.json")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_separator_line_end_and_encoding(separator: str, end: str, encoding: str) -> None:
    lines = ["sku,quantity,as_of", "Ä-1,5,31/01/2024", '"B",7.0,31/01/2024 15:30', "C,x,"]
    text = end.join(line.replace(",", separator) for line in lines)
    parsed = stock(text.encode(encoding))
    assert parsed.rows == [
        StockRow("Ä-1", Decimal(5), datetime(2024, 1, 30, 22, tzinfo=UTC), "f.csv:2"),
        StockRow("B", Decimal(7), datetime(2024, 1, 31, 13, 30, tzinfo=UTC), "f.csv:3"),
    ]
    assert list(why(parsed)) == [4]


def test_excel_may_say_its_separator_first() -> None:
    parsed = stock("sep=;\nsku;quantity\nA;1\nB;x\n")
    assert [row.source for row in parsed.rows] == ["f.csv:3"]
    assert list(why(parsed)) == [4]


def test_lines_count_through_quoted_line_ends_and_empty_lines() -> None:
    parsed = shipments(
        '\n\norder_number,tracking_number,carrier\nCS1,T1,"two\r\nlines"\n\n,,\nCS2,,x\nCS3,T3,x\n'
    )
    assert [(r.order_number, r.carrier, r.source) for r in parsed.rows] == [
        ("CS1", "two lines", "f.csv:4"),
        ("CS3", "x", "f.csv:9"),
    ]
    assert why(parsed) == {8: "tracking_number is empty"}
    assert parsed.original("f.csv:4") == 'CS1,T1,"two\nlines"'
    assert parsed.original("f.csv:8") == "CS2,,x"
    assert parsed.original(None) == parsed.original("f.csv:99") == ""


def test_json_lines_by_name_or_by_content() -> None:
    text = (
        '{"Order Number": 12, "tracking_number": "T1", "sku": "A", "quantity": 2.0, "x": [1]}\n'
        "\n"
        '{"order_number": "CS2", "tracking_number": null}\n'
        "not json\n"
        "[1]\n"
        '{"order_number": "CS3", "tracking_number": "T3", "sku": "A", "quantity": 1.5}\n'
        '{"order_number": "CS4", "order number": "CS5", "tracking_number": "T"}\n'
        '{"order_number": true, "tracking_number": "T"}\n'
        '{"order_number": 1.5, "tracking_number": "T"}\n'
        '{"order_number": "CS\\u0000", "tracking_number": "T"}\n'
        '{"order_number": "CS\\ud800", "tracking_number": "T"}\n'
    )
    for name in ("a.jsonl", "a.ndjson", "a.json", "stdin", "a.txt"):
        parsed = shipments(text, name)
        assert [(r.order_number, r.quantity) for r in parsed.rows] == [
            ("12", Decimal(2)), ("CS3", Decimal("1.5")),
        ]  # fmt: skip
        assert list(why(parsed)) == [3, 4, 5, 7, 8, 9, 10, 11]
        assert parsed.notes == ["columns that are not read: x"]


def test_a_json_array_keeps_its_lines() -> None:
    parsed = stock(
        '[\n  {"sku": "A",\n   "quantity": 1},\n  {"sku": "B", "quantity": -1}\n]\n', "-"
    )
    assert [(r.sku, r.quantity, r.source) for r in parsed.rows] == [
        ("A", 1, "-:2"),
        ("B", -1, "-:4"),
    ]
    assert parsed.original("-:2") == '  {"sku": "A",\n   "quantity": 1},'
    assert stock("[]", "a.json").rows == []
    for broken in ('[{"sku": "A"', '[{"sku": "A"} {}]', "[1] 2", "[", "[{},,{}]", "[" * 100_000):
        with pytest.raises(UnreadableFileError):
            stock(broken, "a.json")


def test_numbers_of_json_are_not_ambiguous() -> None:
    parsed = stock('{"sku":"A","quantity":1.000}\n{"sku":"B","quantity":"1.000"}\n', "a.jsonl")
    assert [(r.sku, r.quantity) for r in parsed.rows] == [("A", Decimal(1))]
    assert "ambiguous" in why(parsed)[2]
    huge = ["1e999999999", "1e99999999999999999999", "9" * 5000, "NaN", "Infinity", "1e-7"]
    parsed = stock("\n".join(f'{{"sku":"A{n}","quantity":{q}}}' for n, q in enumerate(huge)), "-")
    assert parsed.rows == [] and list(why(parsed)) == [1, 2, 3, 4, 5, 6]


# --- what cannot be read -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\n \r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"PK\x03\x04rest", "Excel"),
        (b"\xd0\xcf\x11\xe0rest", "Excel"),
        (b"sku,quantity\nA,1\0\n", "NUL"),
        ("sku,quantity\nA,1".encode("utf-16-le"), "NUL"),
        (b"\xff\xfes\0k", "UTF-16|NUL|column"),
        (b"\xff\xfes\0\x00\xd8", "UTF-16"),
        (b"A,1\nB,2\n", "no column sku and no quantity"),
        (b"sku,amount\nA,1\n", "no column quantity"),
        (b"sku,quantity,SKU\nA,1,B\n", "sku more than once"),
        (b'sku,"quantity\nA,1\n', "malformed"),
        (b'sku,quantity\nA,1\n"B,2\nC,3\n', "opened in line 3"),
        (b'sku,quantity\n"A,1\nB,2\n"C,3\nD,4\n', "opened in line 2"),
        (b"sep=;", "no column"),
    ],
)
def test_what_cannot_be_read_says_what_to_do(data: bytes, said: str) -> None:
    with pytest.raises(UnreadableFileError, match=said):
        stock(data)


def test_a_line_that_is_not_utf8_costs_that_line() -> None:
    parsed = stock(b"sku,quantity\nA,1\n\xc4-2,2\nC,3\n")
    assert [row.sku for row in parsed.rows] == ["A", "C"]
    assert "UTF-8" in why(parsed)[3]
    parsed = stock(b'{"sku":"A","quantity":1}\n{"sku":"\xc4","quantity":1}\n', "-")
    assert [row.sku for row in parsed.rows] == ["A"] and list(why(parsed)) == [2]
    parsed = stock(b'[{"sku":"\xc4","quantity":1},\n{"sku":"B","quantity":1}]', "-")
    assert [row.sku for row in parsed.rows] == ["B"] and list(why(parsed)) == [1]


def test_a_malformed_line_costs_that_line() -> None:
    parsed = stock('sku,quantity\n"A"x,1\nB\nC,1,2\nD,4\n')
    assert [row.sku for row in parsed.rows] == ["D"]
    assert list(why(parsed)) == [2, 3, 4]


# --- cells ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("2.0", 2), ("2.00", 2), ("+3", 3), (" 4 ", 4), ("0.000", 0),
     ("1000.000", 1000), ("8388607", 8388607), ("1.5", 1.5), ("1,50", 1.5), ("2,0", 2),
     ("0,250", 0.25), ("-1", -1), ("\u22121", -1), ("'-1.5", -1.5), ('="5"', 5),
     ("\u00a05\u200b", 5),
     ("\uff11\uff12", 12), ("0.000001", 0.000001)],
)  # fmt: skip
def test_quantities(text: str, number: float) -> None:
    assert quantity_of(text) == Decimal(str(number))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.000", "ambiguous"), ("1 000", "ambiguous"), ("1\u00a0000", "ambiguous"),
        ("1,000", "ambiguous"), ("12.345.678", "ambiguous"), ("1'000", "ambiguous"),
        ("", "empty"), ("x", "not a number"), ("1e3", "not a number"), ("\u0661", "not a number"),
        ("8388608", "above"), ("-8388608", "below"), ("9" * 5000, "above"), ("NaN", "no value"),
        ("-", "no value"), ("#N/A", "error"), ("true", "error"), ("0x1", "not a number"),
        ("5-", "not a number"), ("\u221e", "not a number"), ("=A1+1", "formula"),
        ("0.30000000000000004", "places"), ("5 pcs", "not a number"),
    ],
)  # fmt: skip
def test_quantities_that_are_refused(text: str, said: str) -> None:
    refused = quantity_of(text)
    assert isinstance(refused, str) and said in refused and len(refused) < 200


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("CS1,T1,,,,A,0", "more than 0"),
        ("CS1,T1,,,,A,-1", "more than 0"),
        ("CS1,T1,,,,,2", "no sku"),
        (",T1,,,,,", "order_number is empty"),
        ("CS1, ,,,,,", "tracking_number is empty"),
        ("CS1,-.-,,,,,", "no letter or digit"),
        (f"CS1,{'9' * 256},,,,,", "longer than 255"),
        (f"{'9' * 101},T1,,,,,", "longer than 100"),
        (f"CS1,T1,{'x' * 256},,,,", "longer than 255"),
        ("CS1,T\u200b1,,,,,", "cannot be shown"),
        ('"CS1\nCS2",T1,,,,,', "line breaks"),
        ("CS1,T1,,ftp://x.example/1,,,", "not an address"),
        ("CS1,T1,,javascript:alert(1),,,", "not an address"),
        ("CS1,T1,,https://,,,", "not an address"),
        ("CS1,T1,,https://[::1,,,", "not an address"),
        ("CS1,T1,,https://x.example/<b>,,,", "not an address"),
        ('CS1,T1,,"https://x.example/\nComment",,,', "not an address"),
        (f"CS1,T1,,https://x.example/{'x' * 2000},,,", "longer than 2000"),
        ("CS1,T1,,,yesterday,,", "not a time"),
        ("CS1,T1,,,20240101,,", "not a time"),
        ("CS1,T1,,,45231,,", "count of days"),
        ("CS1,T1,,,31/01/24,,", "year of two digits"),
        ("CS1,T1,,,31.01.2024,,", "not a time"),
        ("CS1,T1,,,#VALUE!,,", "error of a spreadsheet"),
        ("CS1,T1,,,31/02/2024,,", "not a time"),
        ("CS1,T1,,,2024-13-01,,", "not a time"),
        ("CS1,T1,,,0001-01-01T00:00:00+14:00,,", "not a time"),
        ("CS1,T1,,,1999-01-01,,", "before the year 2000"),
        ("CS1,T1,,,2024-06-02T12:00:01Z,,", "in the future"),
    ],
)
def test_shipments_that_are_refused(line: str, said: str) -> None:
    parsed = shipments(f"{HEADER}\n{line}\nCS9,T9,,,,,\n")
    assert [row.order_number for row in parsed.rows] == ["CS9"]
    (refusal,) = parsed.refusals
    assert said in refusal.reason and refusal.source == "f.csv:2" and refusal.target


def test_a_day_of_wrong_clocks_is_forgiven() -> None:
    assert shipments(f"{HEADER}\nCS1,T1,,,2024-06-02T12:00:00Z,,\n").refusals == []


def test_the_name_of_a_file_never_breaks_what_repeats_it() -> None:
    (row,) = stock("sku,quantity\nA,1\n", "a\udce4\n\x1b[31m.csv").rows
    assert row.source == "a???[31m.csv:2"


# --- what spreadsheets and scripts make of cells --------------------------------------------------

LONG = "00340434161094042557"


def number_of(text: str) -> str:
    """A tracking number as it is read, or why it is refused."""
    cell = io.StringIO(newline="")
    csv.writer(cell).writerow(["CS1", text])
    parsed = shipments(f"order_number,tracking_number\n{cell.getvalue()}")
    return parsed.rows[0].tracking_number if parsed.rows else parsed.refusals[0].reason


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (f'="{LONG}"', LONG), (f"'{LONG}", LONG), (f"'{LONG}'", LONG), (f'"{LONG}"', LONG),
        (f"'=\"{LONG}\"", LONG), (f"\u00a0\u200b{LONG}\ufeff\t", LONG), (f"{LONG},", LONG),
        (f"\u202a{LONG}\u202c", LONG), (LONG, LONG), ("340434161094.0", "340434161094"),
        ("340434161094,00", "340434161094"), ("\uff11\uff12\uff21", "12A"), ("10E5", "10E5"),
        ("1e7", "1e7"), ("1Z\u00a0999", "1Z 999"), ("LX 123 456 789 DE", "LX 123 456 789 DE"),
        ("12.345 678.901 2", "12.345 678.901 2"), ("2024/00123", "2024/00123"), ("T1", "T1"),
        ("9400111899223100123456", "9400111899223100123456"), ("JVGL0612345678", "JVGL0612345678"),
        ("7035114477138470", "7035114477138470"), ("A_1-b", "A_1-b"), ("MAR-1234", "MAR-1234"),
    ],
)  # fmt: skip
def test_what_is_surely_no_part_of_a_number_is_taken_off(text: str, number: str) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((word, "no value") for word in ("nan", "NaN", "None", "null", "NULL", "N/A", "NaT", "-",
          "<NA>", "'nan'", '="None"', "\\N", "(null)", "\u2014", "?", "n/d", "s/o", "k.A.",
          "n.v.t.")),
        *((word, "error of a spreadsheet") for word in ("#N/A", "#REF!", "#VALUE!", "#NV", "#WERT!",
          "#DIV/0!", "#VALEUR !", "#\u0394/\u03a5", "#\u041d/\u0414", "#\u00a1VALOR!", "########",
          "#GETTING_DATA", "undefined", "[object Object]", "TRUE", "WAHR", "FAUX",
          "\u0391\u039b\u0397\u0398\u0395\u03a3")),
        *((word, "was rounded") for word in ("1.23457E17", "1.23457E+17", "1,23457E+17", "1E+17",
          "1.2e-5", "3.4043416109404256E19", "1234567890123456.0", '="1.23457E+17"')),
        *((word, "ends in zeros") for word in ("9400111899223100000000", "340434161094042000",
          "9400 1118 9922 3100 0000 00", "34043416109404260000")),
        ("9400111899223099703296", "lost its last digits"),
        *((word, "several numbers") for word in ("1Z999AA101, 1Z999AA102", "1Z999AA101;1Z999AA102",
          "1Z999AA101/1Z999AA102", "1Z999AA101 1Z999AA102", "1Z999AA101\n1Z999AA102", "T1 and T2",
          "T1 & T2", "T1|T2", "T1\tT2", "340,434,161", "T1 und T2")),
        *((word, "is an address") for word in ("https://t.example/1", "www.t.example/1",
          "t.example/track/1", "tel:+491512", "mailto:a@b.example", "a1@b.example")),
        *((word, "is a word") for word in ("pending", "see mail 2", "Royal Mail AB123456789GB",
          "collected", "x")),
        *((word, "the name of a carrier") for word in ("DHL", "UPS", "USPS")),
        *((word, "is zero") for word in ("0", "0.0", "000")),
        *((word, "is a date") for word in ("31/01/2024", "2024-01-31", "1-Mar", "01-MAR-24",
          "Mar-24", "1. Mai", "5-janv", "1 May 2024")),
        ("\u0421\u0421123456789", "cyrillic capital letter es"), ("\u0661\u0662", "arabic-indic"),
        ("+4915123", "holds \u201c+\u201d"), ("-1", "begins or ends"), ("=A1&B1", "formula"),
        ("=1+1", "formula"), ("'=A1", "holds \u201c=\u201d"), ('["T1"]', "holds \u201c[\u201d"),
        ("b'0034'", "holds"), ("\u221e", "infinity"), ("T\x001", "NUL"),
        ("T\x071", "cannot be shown"),
    ],
)  # fmt: skip
def test_what_is_surely_no_number_is_refused_with_the_reason(text: str, said: str) -> None:
    try:
        reason = number_of(text)
    except UnreadableFileError as error:  # a NUL is no text at all
        reason = str(error)
    assert said in reason and reason.isprintable()


def test_one_zero_is_a_coincidence_and_the_same_in_every_number_of_a_file_is_none() -> None:
    head = "order_number,tracking_number\n"
    three = ["7035114477138470", "7035114477138480", "7035114477138490"]
    text = head + "".join(f"CS{n},{number}\n" for n, number in enumerate(three)) + "CS9,T9\n"
    parsed = shipments(text)
    assert [row.tracking_number for row in parsed.rows] == ["T9"]
    assert list(why(parsed)) == [2, 3, 4] and "15th digit" in why(parsed)[2]
    for lost in ("9400111899223100000000", "34043416109404260000"):
        parsed = shipments(f"{head}CS1,9400111899223100123456\nCS2,{lost}\n")
        assert list(why(parsed)) == [3], "beside a number with all its digits"
    parsed = shipments(f"{text}CS8,7035114477138471\n")
    assert len(parsed.rows) == 5 and parsed.refusals == []


def test_numbers_that_a_program_kept_as_floating_point_are_seen_in_a_file() -> None:
    """pandas makes them of a column with an empty cell: one of 18 digits loses 6 bits."""
    lines = "".join(f"CS{n},{int(float(340434161094042557 + n * 977))}\n" for n in range(2))
    parsed = shipments(f"order_number,tracking_number\n{lines}CS9,340434161094\n")
    assert [row.order_number for row in parsed.rows] == ["CS9"]
    assert all("rounded by a spreadsheet or script" in reason for reason in why(parsed).values())
    parsed = shipments(f"order_number,tracking_number\n{lines}CS8,340434161094042557\n")
    assert len(parsed.rows) == 3


def test_the_other_columns_have_the_same_reader() -> None:
    parsed = shipments(
        "order_number,tracking_number,carrier,tracking_url,shipped_at,sku,quantity\n"
        '="CS1",T1,\'UPS,\'https://t.example/1,nan,\'007,="2"\n'
        "1000012.0,T2,nan,None,,10E5,1\n"
        "CS3,T3,#N/A,,,A,1\nCS4,T4,,,,nan,\nCS5,T5,,,,1.2E+05,1\nCS6,T6,,,,A,nan\n"
        "1.5E+6,T7,,,,,\n\u0421S8,T8,,,,,\nCS9,T9,0,,,,\nCS10,T10,,,,=A1,1\nCS11,T11,,,,'=A1,1\n"
        "CS12,T12,,,,1.0,1\nCS13,T13,,,,MUG \u00c4,1\n"
    )
    assert [(r.order_number, r.carrier, r.sku, r.quantity) for r in parsed.rows] == [
        ("CS1", "UPS", "007", 2), ("1000012", None, "10E5", 1), ("CS11", None, "=A1", 1),
        ("CS12", None, "1.0", 1), ("CS13", None, "MUG \u00c4", 1),
    ]  # fmt: skip
    assert parsed.rows[0].tracking_url == "https://t.example/1"
    assert {line: reason.partition(" ")[0] for line, reason in why(parsed).items()} == {
        4: "carrier", 5: "sku", 6: "sku", 7: "quantity", 8: "order_number", 9: "order_number",
        10: "carrier", 11: "sku",
    }  # fmt: skip
    for carrier in ("#\u0394/\u03a5", "#\u00a1VALOR!", "########", "0.0", "FAUX"):
        assert "error" in why(shipments(f"{HEADER}\nCS1,T1,{carrier},,,,\n"))[2]
    assert shipments(f"{HEADER}\nCS1,T1,n/d,,,,\n").rows[0].carrier is None


@pytest.mark.parametrize("number", ["1,000", "1.000", "12,000", "999.000"])
def test_a_thousand_is_not_taken_for_the_order_one(number: str) -> None:
    parsed = shipments(f'order_number,tracking_number\n"{number}",T1\nCS1,"{number}"\n')
    assert parsed.rows == [] and all("is ambiguous" in reason for reason in why(parsed).values())
    assert clean(number, "order_number") == number  # of a row that came by SQL
    lines = "".join(f'"{each}",T1\n' for each in ("1000.0", "1234.000", "0.000", "1.00"))
    whole = shipments(f"order_number,tracking_number\n{lines}").rows
    assert [row.order_number for row in whole] == ["1000", "1234", "0", "1"]


def test_numbers_of_json_that_programs_do_not_keep_are_refused() -> None:
    numbers = ["340434161094", "340434161094.0", "9007199254740993", "1.23457E17", "1.5", "1e5",
               '"00340434161094042557"', "NaN"]  # fmt: skip
    parsed = shipments(
        "\n".join(
            f'{{"order_number": "CS{n}", "tracking_number": {number}}}'
            for n, number in enumerate(numbers)
        ),
        "a.jsonl",
    )
    assert [r.tracking_number for r in parsed.rows] == ["340434161094", "340434161094", LONG]
    assert list(why(parsed)) == [3, 4, 5, 6, 8]
    assert "write it in quotes" in why(parsed)[3]
    parsed = stock('{"sku": 123, "quantity": 1}\n{"sku": 1.0, "quantity": 1}', "a.jsonl")
    assert [r.sku for r in parsed.rows] == ["123"] and list(why(parsed)) == [2]


@pytest.mark.parametrize(
    "marks",
    [b"\xef\xbb\xbf" * 2, b"\xef\xbb\xbf" * 3, b"\xc3\xaf\xc2\xbb\xc2\xbf",
     b"\xef\xbb\xbf\xc3\xaf\xc2\xbb\xc2\xbf"],
)  # fmt: skip
def test_a_second_byte_order_mark_is_one(marks: bytes) -> None:
    assert [r.sku for r in stock(marks + b'"sku",quantity\nA,1\n').rows] == ["A"]
    assert [r.sku for r in stock(marks + b'{"sku":"A","quantity":1}\n', "-").rows] == ["A"]
    # Two files one behind the other: the mark stands in the middle.
    cat = stock(b"sku,quantity\nA,1\n\xef\xbb\xbfB,2\n")
    assert [r.sku for r in cat.rows] == ["A", "B"]
    utf16 = "\ufeff\ufeffsku,quantity\nA,1\n".encode("utf-16-le")
    assert [r.sku for r in stock(utf16).rows] == ["A"]


@pytest.mark.parametrize(
    "date", ["01/31/2024", "1/31/2024", "1/31/24", "01/31/2024 15:00", "01.31.2024", "'01/31/2024"]
)
def test_a_date_that_can_only_be_month_first_makes_guesses_of_the_others(date: str) -> None:
    rows = f"A,1,03/02/2024\nB,1,{date}\nC,x,04/02/2024\n"
    with pytest.raises(UnreadableFileError, match=r"line 3: as_of .* month first"):
        stock(f"sku,quantity,as_of\n{rows}")
    with pytest.raises(UnreadableFileError, match="month first"):
        shipments(f"order_number,tracking_number,shipped_at\nCS1,,2024-01-31\nCS2,nan,{date}\n")
    with pytest.raises(UnreadableFileError, match="line 1"):
        stock(f'{{"sku": "A", "quantity": 1, "as_of": "{date}"}}', "-")


def test_days_and_iso_dates_may_stand_together() -> None:
    parsed = stock("sku,quantity,as_of\nA,1,13/02/2024\nB,1,2024-02-14\nC,1,31/31/2024\n")
    assert [r.sku for r in parsed.rows] == ["A", "B"] and list(why(parsed)) == [4]


def test_stock_below_zero_is_read_and_told() -> None:
    parsed = stock("sku,quantity\nA,-3\nB,1\nC,-0.5\n")
    assert [r.quantity for r in parsed.rows] == [-3, 1, Decimal("-0.5")]
    (note,) = parsed.notes
    assert note.endswith("A (-3), C (-0.5)")
    many = "".join(f"S{n},-1\n" for n in range(30))
    assert stock(f"sku,quantity\n{many}").notes[0].endswith("and 10 more")


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_a_number_that_is_taken_is_one_line_of_letters_and_digits(text: str) -> None:
    try:
        number = tracking_number(text)
    except RefusedValueError as error:
        assert str(error).isprintable()
        return
    assert number.isascii() and number.isprintable() and number[0].isalnum()
    assert normalise_tracking(number).isalnum() or "_" in number or "/" in number
    assert tracking_number(number) == number
    assert normalise_tracking(f"'{number}") == normalise_tracking(f'="{number}"')


# --- rows of one file about each other -----------------------------------------------------------


def test_the_same_twice_is_taken_once_and_said() -> None:
    parsed = shipments(f"{HEADER}\nCS1,1Z 999,,,,A,1\ncs1,1z-999,,,,A,1.0\nCS1,1Z 999,,,,B,1\n")
    assert [(r.sku, r.source) for r in parsed.rows] == [("A", "f.csv:2"), ("B", "f.csv:4")]
    assert why(parsed) == {3: "a duplicate: says the same as line 2, which was read"}


def test_contradictions_are_all_refused() -> None:
    parsed = shipments(f"{HEADER}\nCS1,T1,,,,A,1\nCS1,T1,,,,A,2\nCS1,T1,,,,A,1\nCS2,T2,,,,,\n")
    assert [r.order_number for r in parsed.rows] == ["CS2"]
    assert why(parsed) == {
        2: "contradicts line 3; neither was taken",
        3: "contradicts line 2; neither was taken",
        4: "contradicts line 3; neither was taken",
    }


def test_of_several_countings_the_newest_counts() -> None:
    parsed = stock(
        "sku,quantity,as_of\nA,1,2024-01-01\nA,2,2024-01-03\nA,3,2024-01-02\n"
        "B,1,2024-01-01\nB,2,2024-01-01\nC,5,2024-01-01\nC,6,\nD,1,\nD,1,\n"
    )
    assert [(r.sku, r.quantity) for r in parsed.rows] == [("A", 2), ("C", 6), ("D", 1)]
    assert list(why(parsed)) == [2, 4, 7, 5, 6, 10]
    assert why(parsed)[2] == "older than line 3, which counts"
    assert stock("sku,quantity\nA,1\n", as_of=NOW).rows[0].as_of == NOW


# --- for all files -------------------------------------------------------------------------------

printable = (
    st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=12)
    .map(lambda text: f"A{text}Z")
    .filter(str.isprintable)
)
numbers = st.from_regex(r"[A-Z][0-9]{1,4}(?:[ ._-][A-Z0-9]{1,4})?[A-Z]", fullmatch=True)
moments = st.datetimes(datetime(2001, 1, 1), datetime(2024, 5, 1)).map(
    lambda d: d.replace(tzinfo=UTC)
)
rows_of_shipments = st.lists(
    st.builds(
        ShipmentRow,
        numbers,
        numbers,
        printable,
        st.none() | st.integers(1, 9999).map(Decimal) | st.just(Decimal("1.25")),
        st.none() | printable.map(lambda t: f"{t} {t}"),
        st.none() | st.just("https://t.example/?a=1;b=2|c,d"),
        st.none() | moments,
    ),
    max_size=8,
    unique_by=lambda r: (r.order_number.casefold(), normalise_tracking(r.tracking_number), r.sku),
)


def cells_of(row: ShipmentRow) -> dict[str, str]:
    values = {name: getattr(row, name) for name in HEADER.split(",")}
    return {
        name: "" if value is None else value.isoformat() if name == "shipped_at" else str(value)
        for name, value in values.items()
    }


@given(
    rows_of_shipments,
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.permutations(HEADER.split(",")),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_is_written_is_read(
    rows: list[ShipmentRow],
    separator: str,
    encoding: str,
    end: str,
    header: list[str],
    quoting: Any,
) -> None:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, header, delimiter=separator, lineterminator=end, quoting=quoting)
    table.writeheader()
    table.writerows(cells_of(row) for row in rows)
    parsed = shipments(text.getvalue().encode(encoding))
    assert parsed.refusals == [] and parsed.notes == []
    assert [cells_of(row) for row in parsed.rows] == [cells_of(row) for row in rows]
    assert [row.source for row in parsed.rows] == [f"f.csv:{n + 2}" for n in range(len(rows))]
    lines = "\n".join(json.dumps(cells_of(row)) for row in rows)
    if rows:
        again = shipments(lines.encode(encoding), "a.jsonl")
        assert [cells_of(row) for row in again.rows] == [cells_of(row) for row in rows]
        array = shipments(f"[{lines.replace(chr(10), ',' + chr(10))}]".encode(encoding), "stdin")
        assert again.rows == [
            ShipmentRow(**{**vars(row), "source": (row.source or "").replace("stdin", "a.jsonl")})
            for row in array.rows
        ]


pieces = st.sampled_from(
    [b"sku,quantity\n", b"order_number;tracking_number\n", b'"', b",", b";", b"\n", b"\r", b"{",
     b"}", b"[", b"]", b'"sku":', b"1.5", b"A,1\n", b"CS1;T1\n", b"\xff\xfe", b"\xff",
     b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\x85", b"sep=;\n", b"9e9", b"2024-01-01",
     b'{"sku":"A","quantity":1}\n']
)  # fmt: skip


@given(
    st.binary(max_size=200) | st.lists(pieces, max_size=12).map(b"".join),
    st.sampled_from(["a.csv", "a.jsonl", "a.json", "stdin", "a.txt"]),
)
@example(b'sku,quantity\n"' + b"x" * 200_000 + b"\n", "a.csv")
@example(b"sku,quantity\n" + b"x" * 200_000 + b"\nA,1", "a.csv")
@example(b'{"a":' * 50_000, "a.jsonl")
def test_whatever_the_bytes_a_file_is_read_or_refused_as_a_whole(data: bytes, name: str) -> None:
    for read in (read_shipments, read_stock):
        try:
            parsed: Parsed[Any] = read(data, name, ATHENS, now=NOW)
        except UnreadableFileError as error:
            assert str(error).isprintable()
            continue
        for refusal in parsed.refusals:
            assert refusal.reason and refusal.source
            f"{refusal.target}{refusal.reason}{refusal.source}".encode()
            assert "\0" not in refusal.target + refusal.reason


@given(moments, st.integers(-12, 14))
def test_a_moment_means_the_same_in_every_zone(moment: datetime, hours: int) -> None:
    there = moment.astimezone(timezone(timedelta(hours=hours)))
    local = moment.astimezone(ATHENS).replace(tzinfo=None)
    said = [there.isoformat(), moment.isoformat().replace("+00:00", "Z")]
    if local.replace(tzinfo=ATHENS).astimezone(UTC) == moment:  # not in the hour that comes twice
        said.append(local.isoformat(" "))
        if not local.microsecond:
            said.append(local.strftime("%d/%m/%Y %H:%M:%S"))
    for text in said:
        assert stock(f"sku,quantity,as_of\nA,1,{text}\n").rows[0].as_of == moment

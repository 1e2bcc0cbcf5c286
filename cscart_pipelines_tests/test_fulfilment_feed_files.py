"""Files of shipments and stock levels: every way they can be written, and every way to be wrong."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.feed_files import (
    Parsed,
    UnreadableFileError,
    read_shipments,
    read_stock,
)
from cscart_pipelines.fulfilment.rows import ShipmentRow, StockRow
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


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_separator_line_end_and_encoding(separator: str, end: str, encoding: str) -> None:
    lines = ["sku,quantity,as_of", "Ä-1,5,31/01/2024", '"B",7.0,31/01/2024 15:30', "C,1.5,"]
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
        assert [(r.order_number, r.quantity) for r in parsed.rows] == [("12", Decimal(2))]
        assert list(why(parsed)) == [3, 4, 5, 6, 7, 8, 9, 10, 11]
        assert parsed.notes == ["columns that are not read: x"]


def test_a_json_array_keeps_its_lines() -> None:
    parsed = stock(
        '[\n  {"sku": "A",\n   "quantity": 1},\n  {"sku": "B", "quantity": -1}\n]\n', "-"
    )
    assert [(r.sku, r.source) for r in parsed.rows] == [("A", "-:2")]
    assert list(why(parsed)) == [4]
    assert parsed.original("-:2") == '  {"sku": "A",\n   "quantity": 1},'
    assert stock("[]", "a.json").rows == []
    for broken in ('[{"sku": "A"', '[{"sku": "A"} {}]', "[1] 2", "[", "[{},,{}]", "[" * 100_000):
        with pytest.raises(UnreadableFileError):
            stock(broken, "a.json")


def test_numbers_of_json_are_not_ambiguous() -> None:
    parsed = stock('{"sku":"A","quantity":1.000}\n{"sku":"B","quantity":"1.000"}\n', "a.jsonl")
    assert [(r.sku, r.quantity) for r in parsed.rows] == [("A", Decimal(1))]
    assert "ambiguous" in why(parsed)[2]
    huge = ["1e999999999", "1e99999999999999999999", "9" * 5000, "NaN", "Infinity", "1e-5"]
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
     ("1000.000", 1000), ("8388607", 8388607)],
)  # fmt: skip
def test_whole_quantities(text: str, number: int) -> None:
    assert quantity_of(text) == number


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.5", "whole"), ("1,5", "whole"), ("2,0", "whole"), ("1.000", "ambiguous"),
        ("1,000", "ambiguous"), ("12.345.678", "ambiguous"), ("1'000", "ambiguous"),
        ("-1", "below 0"), ("\u22121", "below 0"), ("-1.5", "whole"), ("", "empty"), ("x", "whole"),
        ("1e3", "whole"), ("\u0661", "whole"), ("8388608", "above"), ("9" * 5000, "above"),
        ("NaN", "whole"), ("-", "whole"), ("0x1", "whole"),
    ],
)  # fmt: skip
def test_quantities_that_are_refused(text: str, said: str) -> None:
    refused = quantity_of(text)
    assert isinstance(refused, str) and said in refused and len(refused) < 200


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("CS1,T1,,,,A,0", "below 1"),
        ("CS1,T1,,,,A,-1", "below 1"),
        ("CS1,T1,,,,,2", "no sku"),
        (",T1,,,,,", "order_number is empty"),
        ("CS1, ,,,,,", "tracking_number is empty"),
        ("CS1,-.-,,,,,", "no letter or digit"),
        ("CS1,1.23457E+11,,,,,", "rounded by a spreadsheet"),
        (f"CS1,{'9' * 256},,,,,", "longer than 255"),
        (f"{'9' * 101},T1,,,,,", "longer than 100"),
        (f"CS1,T1,{'x' * 256},,,,", "longer than 255"),
        ("CS1,T\u200b1,,,,,", "cannot be shown"),
        ('CS1,"T1\nT2",,,,,', "line breaks"),
        ("CS1,T1,,ftp://x.example/1,,,", "not an address"),
        ("CS1,T1,,javascript:alert(1),,,", "not an address"),
        ("CS1,T1,,https://,,,", "not an address"),
        ("CS1,T1,,https://[::1,,,", "not an address"),
        ("CS1,T1,,https://x.example/<b>,,,", "not an address"),
        ('CS1,T1,,"https://x.example/\nComment",,,', "not an address"),
        (f"CS1,T1,,https://x.example/{'x' * 2000},,,", "longer than 2000"),
        ("CS1,T1,,,yesterday,,", "not a time"),
        ("CS1,T1,,,20240101,,", "not a time"),
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

printable = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12
).filter(lambda t: t.isprintable() and normalise_tracking(t) != "" and "E+" not in t.upper())
moments = st.datetimes(datetime(2001, 1, 1), datetime(2024, 5, 1)).map(
    lambda d: d.replace(tzinfo=UTC)
)
rows_of_shipments = st.lists(
    st.builds(
        ShipmentRow,
        printable,
        printable,
        printable,
        st.none() | st.integers(1, 9999).map(Decimal),
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

"""From bytes to JSON: notices around it are skipped, half of it is never used."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.cscart.http.responses import (
    NotJsonError,
    error_messages,
    parse_body,
    parse_date,
    parse_retry_after,
)

NOTICE = b"<br />\n<b>Notice</b>:  Undefined index: a[1] in <b>/x.php</b> on line <b>7</b><br />\n"
DOCUMENT = {"orders": [{"order_id": "1", "extra": {"a": []}}], "params": {"page": 1}}
COMPACT = orjson.dumps(DOCUMENT)


@pytest.mark.parametrize(
    ("content", "notices"),
    [
        (COMPACT, False),
        (b" \r\n" + COMPACT + b"\n", False),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + COMPACT, False),
        (NOTICE + COMPACT, True),
        (NOTICE * 3 + COMPACT, True),
        (COMPACT + NOTICE, True),
        (NOTICE + COMPACT + NOTICE, True),
        (b"PHP Warning: foo() in /x.php on line 3\n" + COMPACT, True),
        (b"Array [0] => {x}\n" + COMPACT, True),
    ],
)
def test_the_document_is_found_between_notices(content, notices):
    assert parse_body(content) == (DOCUMENT, notices)


@given(st.integers(0, len(COMPACT) - 1), st.booleans())
def test_half_a_document_is_none(length, noticed):
    with pytest.raises(NotJsonError):
        parse_body((NOTICE if noticed else b"") + COMPACT[:length])


@pytest.mark.parametrize("content", [b"", b"  ", b"<html>[1]</html>", b"Array", COMPACT + b"x"])
def test_what_is_no_document_is_none(content):
    with pytest.raises(NotJsonError):
        parse_body(content)


@given(st.binary())
def test_any_bytes_are_a_document_or_none(content):
    with contextlib.suppress(NotJsonError):
        parse_body(content)


def test_lone_surrogates_are_read():
    assert parse_body(b'{"a":"\\ud83d"}') == ({"a": "\ud83d"}, False)


def test_dates_and_waits():
    now = datetime(2024, 7, 1, 12, 0, tzinfo=UTC)
    assert parse_date("Mon, 01 Jul 2024 12:00:00 GMT") == now
    assert parse_date("Mon, 01 Jul 2024 14:00:00 +0200") == now
    assert parse_date("yesterday") is None
    assert parse_date(None) is None
    assert parse_date("Fri, 31 Dec 9999 23:59:59 -1200") is None
    assert parse_retry_after("30", now) == 30.0
    assert parse_retry_after("Mon, 01 Jul 2024 12:00:05 GMT", now) == 5.0
    assert parse_retry_after("Mon, 01 Jul 2024 11:00:00 GMT", now) == 0.0
    assert parse_retry_after("-1", now) is None


def test_what_the_shop_says_is_short_and_one_line():
    assert error_messages({"message": "Bad Request: one.\ntwo", "status": 400}) == (
        "Bad Request: one. two",
    )
    body = {"message": "x", "messages": ["a" * 999], "errors": ["b", 5, {}]}
    assert error_messages(body) == ("b", "a" * 200)
    assert error_messages([]) == ()

"""When a sensor requests a run: once for what waits, again when it changes or after a while."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cscart_pipelines.defs.shared.run_requests import (
    RETRY_SECONDS,
    RequestCursor,
    keys_to_request,
)


@pytest.mark.parametrize(
    "cursor", [None, "", "nonsense", "[]", "3", '{"a": 1}', '{"a": ["x", "y"]}']
)
def test_an_unreadable_cursor_counts_as_none(cursor: str | None) -> None:
    assert RequestCursor.from_cursor(cursor) == RequestCursor()


def test_what_waits_is_requested_once_until_it_changes() -> None:
    keys, cursor = keys_to_request({"a": "1", "b": "1"}, RequestCursor(), 1000.0)
    assert keys == ["a", "b"]
    cursor = RequestCursor.from_cursor(cursor.to_cursor())
    assert keys_to_request({"a": "1", "b": "1"}, cursor, 1030.0) == ([], cursor)
    keys, cursor = keys_to_request({"a": "1", "b": "2"}, cursor, 1060.0)
    assert keys == ["b"]
    assert keys_to_request({"a": "1", "b": "2"}, cursor, 1090.0)[0] == []


def test_what_was_left_as_it_was_is_requested_again_later() -> None:
    """A run that was cancelled in the queue, or died before it reached the shop."""
    _, cursor = keys_to_request({"a": "1"}, RequestCursor(), 1000.0)
    assert keys_to_request({"a": "1"}, cursor, 999.0 + RETRY_SECONDS)[0] == []
    assert keys_to_request({"a": "1"}, cursor, 1000.0 + RETRY_SECONDS)[0] == ["a"]


def test_the_clock_may_be_set_back() -> None:
    _, cursor = keys_to_request({"a": "1"}, RequestCursor(), 1000.0)
    keys, cursor = keys_to_request({"a": "1"}, cursor, 1000.0 - timedelta(days=1).total_seconds())
    assert keys == ["a"]


def test_what_waits_no_more_is_forgotten() -> None:
    _, cursor = keys_to_request({"a": "1", "b": "1"}, RequestCursor(), 1000.0)
    _, cursor = keys_to_request({"b": "1"}, cursor, 1030.0)
    assert set(cursor.last) == {"b"}

"""The wire format: everything readable comes through clean, everything else is refused in order."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.onsite.collector.rows import COLUMNS, Sender, payload
from cscart_pipelines.onsite.collector.schema import NAMES, Batch, UnreadableBatchError, read_batch
from cscart_pipelines.onsite.sanitise import clean, page, referrer
from cscart_pipelines.onsite.write_keys import Site

AT = 1_800_000_000_000
ID = "abcdefghijklmnop"
SENDER = Sender("k" * 32, Site("shop", frozenset()), AT, "192.0.2.0/24", "phone")


def body(*events: Any, **more: Any) -> bytes:
    given = events or ({"id": ID, "name": "page_view", "at": AT},)
    return orjson.dumps({"v": 1, "sent_at": AT, "visitor": ID, "events": given, **more})


def one(**more: Any) -> Batch:
    return read_batch(body({"id": ID, "name": "page_view", "at": AT, **more}))


def test_the_smallest_batch_is_read() -> None:
    found = one()
    assert (found.sent_at, found.visitor, found.rejected) == (AT, ID, ())
    assert [(event.id, event.name, event.at) for event in found.events] == [(ID, "page_view", AT)]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_is_taken(name: str) -> None:
    (event,) = one(name=name, order_id="1001").events
    assert event.order_id == ("1001" if name == "purchase" else None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"v": 2}, {"v": True}, {"v": "1"}, {"sent_at": None}, {"sent_at": "now"}, {"sent_at": True},
        {"sent_at": -1}, {"sent_at": 10**18}, {"visitor": "short"}, {"visitor": "a" * 65},
        {"visitor": "a@b.example/abcdefg"}, {"visitor": 12345678901234567}, {"events": []},
        {"events": {}}, {"events": [{}] * 51}, {"events": None},
    ],
)  # fmt: skip
def test_a_batch_that_is_wrong_as_a_whole_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UnreadableBatchError):
        read_batch(body(**wrong))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"id": "short"}, "bad id"), ({"id": None}, "bad id"), ({"id": "x" * 65}, "bad id"),
        ({"id": "abcdefghijklmnop\n"}, "bad id"), ({"name": "PURCHASE"}, "unknown name"),
        ({"name": ["login"]}, "unknown name"), ({"at": "1"}, "bad time"), ({"at": -5}, "bad time"),
        ({"page": 7}, "bad page"), ({"referrer": []}, "bad referrer"), ({"term": {}}, "bad term"),
        ({"source": "magic"}, "bad source"), ({"items": {}}, "bad items"),
        ({"items": ["A"]}, "bad items"), ({"items": [{"quantity": 0}]}, "bad quantity"),
        ({"items": [{"quantity": 1.5}]}, "bad quantity"),
        ({"items": [{"quantity": True}]}, "bad quantity"),
        ({"items": [{"quantity": 10**9}]}, "bad quantity"),
        ({"name": "purchase"}, "bad order_id"),
        ({"name": "purchase", "order_id": "a b"}, "bad order_id"),
    ],
)  # fmt: skip
def test_a_wrong_event_is_left_out_with_its_reason(wrong: dict[str, Any], reason: str) -> None:
    found = one(**wrong)
    assert found.events == ()
    assert [rejection.reason for rejection in found.rejected] == [reason]


def test_ids_may_be_numbers_and_prices_are_dropped() -> None:
    item = {"sku": 5, "product_id": 12, "quantity": 2.0, "price": 3, "revenue": 9}
    (event,) = one(items=[item] * 60, revenue=5).events
    assert event.item_rows() == [{"sku": "5", "product_id": "12", "quantity": 2}] * 50


def test_identity_is_a_hash_however_it_is_given() -> None:
    email = "Maria@Mail.Example"
    sha = hashlib.sha256(email.lower().encode()).hexdigest()
    found = read_batch(body(identity={"email": f" {email}\n"}))
    assert (found.email_sha256, found.email) == (sha, email.lower())
    found = read_batch(body(identity={"email_sha256": sha.upper()}))
    assert (found.email_sha256, found.email) == (sha, None)
    for wrong in ("x", {"email_sha256": "abc"}, {"email": "x"}, {"email": 5}, {"email": "a@b\0c"}):
        found = read_batch(body(identity=wrong))
        assert (found.email_sha256, found.email) == (None, None)
        assert [rejection.reason for rejection in found.rejected] == ["bad identity"]
        assert len(found.events) == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/shoes?a=b&dispatch=products.view&c=d#e", "/shoes?dispatch=products.view"),
        ("https://shop.example/x?sid=1", "/x"),
        ("https://shop.example", "/"),
        ("x", "/x"),
        ("//evil.example/x", "/evil.example/x"),
        ("/u/maria@mail.example/", "/u/[e-mail]/"),
        ("/u/maria%40mail.example", "/u/[e-mail]"),
        ("/a\u0000b\nc", "/a b c"),
        ("", None),
    ],
)
def test_pages_are_a_path_and_a_dispatch(given: str, kept: str | None) -> None:
    assert page(given) == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("www.Google.com", "www.google.com"), ("https://t.co/x?y", "t.co"),
        ("https://user:pass@x.example/", "x.example"), ("http://[::1", None), ("a b", None),
        ("maria@mail.example", None), ("", None),
    ],
)  # fmt: skip
def test_a_referrer_is_a_host(given: str, kept: str | None) -> None:
    assert referrer(given) == kept


@given(st.text(max_size=300), st.emails(), st.text(max_size=300))
def test_no_address_survives_in_words(before: str, email: str, after: str) -> None:
    found = clean(f"{before} {email} {after}", 1000) or ""
    assert "@" not in found
    assert found.isprintable() or not any(ord(c) < 32 for c in found)


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["id", "name", "at", "page", "referrer", "items", "order_id", "term", "source"]
)
EVENTS = st.dictionaries(KEYS, VALUES) | st.builds(
    lambda extra, name: {"id": ID, "name": name, "at": AT, **extra},
    st.dictionaries(KEYS, VALUES, max_size=3),
    st.sampled_from(sorted(NAMES)),
)


@given(st.lists(EVENTS, min_size=1, max_size=5), VALUES)
def test_whatever_comes_is_taken_or_refused_and_its_rows_are_rows(
    events: list[Any], identity: Any
) -> None:
    data = {"v": 1, "sent_at": AT, "visitor": ID, "events": events, "identity": identity}
    found = (
        read_batch(json.dumps(data, allow_nan=False, default=str).encode())
        if _sane(data)
        else read_batch(body())
    )
    rows, rejected = payload(found, SENDER)
    lines = rows.text.decode().split("\n")
    assert lines.pop() == ""
    assert len(lines) == rows.events + len(rejected)
    assert all(line.count("\t") == len(COLUMNS) - 1 for line in lines)
    assert not any("@" in line for line in lines)


def _sane(value: Any) -> bool:
    """What JSON can say: no NaN, whole numbers that fit, text that is Unicode."""
    try:
        orjson.dumps(value)
    except (TypeError, ValueError):
        return False
    return b"NaN" not in json.dumps(value).encode() and "Infinity" not in json.dumps(value)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    try:
        read_batch(data)
    except UnreadableBatchError as error:
        assert len(error.reason) < 40


def test_a_batch_with_a_few_bytes_changed_never_breaks_it() -> None:
    shuffle = random.Random(5)  # the same mistakes everywhere
    item = {"sku": "A1", "quantity": 2}
    sound = body({"id": ID, "name": "view_item", "at": AT, "page": "/x", "items": [item]})
    for _ in range(20_000):
        data = bytearray(sound)
        for _ in range(shuffle.randint(1, 4)):
            data[shuffle.randrange(len(data))] = shuffle.randrange(256)
        try:
            found = read_batch(bytes(data))
        except UnreadableBatchError:
            continue
        payload(found, SENDER)

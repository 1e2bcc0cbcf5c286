"""What a push says of itself survives JSON, and counts what happened."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from cscart_pipelines.fulfilment.report import PushReport, RefusedRow, WrittenChange

texts = st.text(max_size=10)
states = st.sampled_from(["planned", "verified", "skipped", "failed", "ambiguous"])
plain = st.dictionaries(texts, st.integers() | texts, max_size=2)
changes = st.builds(
    WrittenChange, texts, texts, states, st.none() | plain, st.none() | plain, st.none() | texts
)
reports = st.builds(
    PushReport,
    texts,
    st.sampled_from(["shipments", "stock"]),
    st.booleans(),
    st.lists(changes, max_size=5),
    st.lists(st.builds(RefusedRow, texts, texts, st.none() | texts), max_size=3),
    st.lists(texts, max_size=2),
    st.lists(texts, max_size=2),
    st.none() | st.text(min_size=1, max_size=5),
    st.integers(0, 9),
    st.integers(0, 9),
)


@given(reports)
def test_a_report_survives_json(report: PushReport) -> None:
    assert PushReport.from_json(json.loads(json.dumps(report.to_json()))) == report


@given(reports)
def test_every_change_and_refusal_is_counted(report: PushReport) -> None:
    counts = dict(report.counts)
    assert counts.pop("refused") == len(report.refusals)
    assert counts.pop("unchanged") == report.unchanged
    assert sum(counts.values()) == len(report.changes)


@given(reports)
def test_troubles_are_what_a_person_must_look_at(report: PushReport) -> None:
    bad = sum(change.state in ("failed", "ambiguous") for change in report.changes)
    assert len(report.problems) == bad + len(report.postponed) + (report.held is not None)


def test_a_trouble_is_told_by_its_note_else_by_its_state() -> None:
    noted = WrittenChange("stock", "SKU", "failed", note="the shop has no such product")
    report = PushReport("shop", "stock", changes=[noted, WrittenChange("stock", "B", "ambiguous")])
    assert report.problems == ["SKU: the shop has no such product", "B: ambiguous"]


def test_a_report_of_an_older_version_is_read() -> None:
    assert PushReport.from_json({"integration": "shop", "kind": "stock", "new": 1}) == PushReport(
        "shop", "stock"
    )

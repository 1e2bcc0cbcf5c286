"""Cells that spreadsheets do not run, and that come back as they were."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cscart_pipelines.spreadsheets import Table, bare, guarded, unguarded

RISKY = st.text(st.sampled_from("=+-@'\";\t\r\n \u00a0\ufeff\uff1d19,.aA|&\\"), max_size=8)
BREAKS = re.compile("[;\t\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+1+1", "'+1+1"), ("-2+3", "'-2+3"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"), (" =1", "' =1"), ("\ufeff=1", "'\ufeff=1"),
        ("\uff1d1", "'\uff1d1"), ("'=1", "''=1"), ("\t=1", "'\t'=1"), ("a\n=1", "a\n'=1"),
        ("a;=1", "a;'=1"), ("-12.50", "-12.50"), ("+306912345678", "+306912345678"),
        ("+30 691 2345678", "+30 691 2345678"), ("+49 (0)151", "'+49 (0)151"),
        ("O'Neill", "O'Neill"),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"), ("A-1", "A-1"), ("", ""), ("a = b", "a = b"),
    ],
)  # fmt: skip
def test_a_cell_that_would_be_run_gets_a_guard(text: str, safe: str) -> None:
    assert guarded(text) == safe
    assert unguarded(safe) == text


@given(RISKY | st.text())
@example("';=")
@example("\t;\n'=")
def test_no_piece_of_a_cell_is_a_formula_and_nothing_is_lost(text: str) -> None:
    safe = guarded(text)
    assert unguarded(safe) == text
    for piece in BREAKS.split(safe):
        number = re.fullmatch(r"[+-]\d[\d ]*([.,]\d+)?", piece)
        assert number or not re.match("[ \u00a0\ufeff]*[=+@\uff1d-]", piece)


@given(st.lists(st.lists(RISKY | st.text(), min_size=1, max_size=3), max_size=4))
def test_tables_come_back_letter_by_letter(rows: list[list[str]]) -> None:
    for raw in (False, True):
        text = io.StringIO(newline="")
        Table(text, raw=raw).rows(rows)
        found = list(csv.reader(io.StringIO(text.getvalue(), newline="")))
        again = [[cell if raw else unguarded(cell) for cell in row] for row in found]
        assert again == rows


def test_what_is_no_text_is_left_alone() -> None:
    assert guarded(-5) == -5 and guarded(None) is None


@given(RISKY | st.text())
def test_a_bare_text_stays_as_it_is(text: str) -> None:
    once = bare(text)
    doubled = once.replace('"', '""')
    assert bare(once) == once == bare(f'="{doubled}"') == bare(f" '{once}'\u200b")

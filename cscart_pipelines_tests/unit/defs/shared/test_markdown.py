"""Tables in the metadata of runs."""

from __future__ import annotations

from cscart_pipelines.defs.shared import markdown


def test_a_table_has_a_line_for_each_row_and_as_many_cells_as_its_head() -> None:
    made = markdown.table(("shop", "outcome", "rows"), [("a", "ok", 1234), ("b", None)], right=1)
    assert made.value == "\n".join(
        ["| shop | outcome | rows |", "|---|---|--:|", "| a | ok | 1,234 |", "| b |  |  |"]
    )


def test_a_text_stays_in_its_cell() -> None:
    made = markdown.table(("shop",), [("a | b\nc",)])
    assert made.value.splitlines()[2:] == ["| a \\| b c |"]


def test_a_long_table_is_cut_and_counted() -> None:
    made = markdown.table(("n",), [(number,) for number in range(2000)], limit=3)
    assert made.value.splitlines()[2:] == ["| 0 |", "| 1 |", "| 2 |", "", "and 1,997 more"]

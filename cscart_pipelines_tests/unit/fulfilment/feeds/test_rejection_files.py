"""Refusals of a push, beside the files that were taken in before."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from cscart_pipelines.fulfilment.feeds.drop_folder import folder
from cscart_pipelines.fulfilment.feeds.drop_folder_paths import make, move_to_done
from cscart_pipelines.fulfilment.feeds.parse import Parsed
from cscart_pipelines.fulfilment.feeds.rejection_files import write_late_rejections
from cscart_pipelines.fulfilment.report import PushReport, RefusedRow
from cscart_pipelines.settings import Settings, read_settings

TEXT = "order_number,tracking_number\nCS1,T1\nCS2,T2\nCS3,T3\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"CSCART_PIPELINES_HOME": str(tmp_path)})


@pytest.fixture
def done(settings: Settings) -> Path:
    shipments = folder(settings, "one") / "shipments"
    make(shipments / "done")
    return shipments / "done"


def put(done: Path, name: str, text: str = TEXT) -> Path:
    """As if taken in."""
    waiting = done.parent / name
    waiting.write_bytes(text.encode("utf-8", "surrogateescape"))
    return move_to_done(waiting, done, [], Parsed([], []))


def report(*refusals: RefusedRow, **options: object) -> PushReport:
    made = PushReport("one", "shipments", refusals=list(refusals))
    for name, value in options.items():
        setattr(made, name, value)
    return made


def rows(path: Path) -> list[list[str]]:
    with path.with_name(f"{path.name}.refused.csv").open(newline="") as stream:
        return list(csv.reader(stream))


HEAD = ["line", "reason", "original"]
NO_ORDER = RefusedRow("CS2 T2", "the shop has no order 2", "a.csv:3")


def test_a_refusal_stands_beside_its_file_once(settings: Settings, done: Path) -> None:
    path = put(done, "a.csv")
    for _ in range(2):
        write_late_rejections(settings, report(NO_ORDER))
    write_late_rejections(
        settings, report(RefusedRow("CS1 T1", "everything has shipped", "a.csv:2"))
    )
    assert rows(path) == [
        HEAD,
        ["3", "the shop has no order 2", "CS2,T2"],
        ["2", "everything has shipped", "CS1,T1"],
    ]
    assert sorted(each.name for each in done.iterdir()) == ["a.csv", "a.csv.refused.csv"]


def test_of_files_with_one_name_the_one_that_says_so(settings: Settings, done: Path) -> None:
    first = put(done, "a.csv")
    second = put(done, "a.csv", "order_number,tracking_number\nCS8,T8\nCS9,T9\n")
    assert second.name != "a.csv"
    write_late_rejections(settings, report(NO_ORDER, RefusedRow("CS8 T8", "unknown", "a.csv:2")))
    assert rows(first)[1:] == [["3", "the shop has no order 2", "CS2,T2"]]
    assert rows(second)[1:] == [["2", "unknown", "CS8,T8"]]


def test_the_newest_of_equal_files(settings: Settings, done: Path) -> None:
    put(done, "a.csv")
    newest = put(done, "a.csv")
    write_late_rejections(settings, report(NO_ORDER))
    assert [each.name for each in done.iterdir() if each.name.endswith("refused.csv")] == [
        f"{newest.name}.refused.csv"
    ]


def test_a_file_whose_own_name_ends_like_our_stamp(settings: Settings, done: Path) -> None:
    name = "parcels.20260102T030405.csv"
    first = put(done, name)
    second = put(done, name, "order_number,tracking_number\nCS8,T8\n")
    plain_one = put(done, "parcels.csv", "order_number,tracking_number\nCS9,T9\n")
    write_late_rejections(
        settings,
        report(
            RefusedRow("CS2 T2", "own", f"{name}:3"),
            RefusedRow("CS8 T8", "again", f"{name}:2"),
            RefusedRow("CS9 T9", "plain", "parcels.csv:2"),
        ),
    )
    assert rows(first)[1:] == [["3", "own", "CS2,T2"]]
    assert rows(second)[1:] == [["2", "again", "CS8,T8"]]
    assert rows(plain_one)[1:] == [["2", "plain", "CS9,T9"]]


@pytest.mark.parametrize(
    ("line", "target", "named"),
    [
        ("CS1,1Z9996", "96 1Z9996", False),
        ("CS1,1Z9996", "CS1 1Z999", False),
        ("CS1,1Z9996", "1Z9996 CS1", True),
        ("CS1 , 1Z 9996,UPS", "CS1 1Z 9996", True),
        ("CS1,1Z 9996", "CS1 1Z", False),
        ("MUG BLUE,5", "MUG BLUE", True),
        ('1000012.0,="1Z 9996"', "1000012 1Z 9996", True),
        ("'CS1,'1Z9996", "CS1 1Z9996", True),
        ('{"order_number": "CS1", "tracking_number": "\'1Z"}', "CS1 1Z", True),
        ("MUG BLUE LARGE,5", "MUG BLUE", False),
        ("MUG,BLUE LARGE,5", "MUG BLUE", False),
        ('"MUG, ""BLUE""";5', 'MUG, "BLUE"', True),
        ("MUG|5", "MUG", True),
        ("MUG\t5", "MUG", True),
        ('{"order_number": 96, "tracking_number": "T/1"}', "96 T/1", True),
        ('{"order_number": 196, "tracking_number": "T/1"}', "96 T/1", False),
        ('[{"sku": "MUG \\"BLUE\\"", "quantity": 5},', 'MUG "BLUE"', True),
    ],
)
def test_a_line_names_what_stands_in_it_as_whole_cells(
    line: str, target: str, named: bool, settings: Settings, done: Path
) -> None:
    path = put(done, "a.csv", f"head\n{line}\n")
    write_late_rejections(settings, report(RefusedRow(target, "why", "a.csv:2")))
    beside = path.with_name("a.csv.refused.csv")
    assert beside.exists() is named
    assert not named or rows(path)[1:] == [["2", "why", line]]


@pytest.mark.parametrize(
    "refusal",
    [
        RefusedRow("CS2 T2", "by SQL"),
        RefusedRow("CS2 T2", "another file", "b.csv:3"),
        RefusedRow("CS2 T2", "another line", "a.csv:2"),
        RefusedRow("CS2 T2", "beyond its end", "a.csv:77"),
        RefusedRow("CS2 T2", "no line", "a.csv:x"),
    ],
)
def test_what_did_not_come_from_there_leaves_no_file(
    refusal: RefusedRow, settings: Settings, done: Path
) -> None:
    put(done, "a.csv")
    write_late_rejections(settings, report(refusal))
    assert [each.name for each in done.iterdir()] == ["a.csv"]


def test_a_dry_run_and_a_shop_without_a_folder_write_nothing(
    settings: Settings, done: Path
) -> None:
    put(done, "a.csv")
    write_late_rejections(settings, report(NO_ORDER, dry_run=True))
    write_late_rejections(settings, report(NO_ORDER, integration="two"))
    write_late_rejections(settings, report(NO_ORDER, kind="stock"))
    assert [each.name for each in done.iterdir()] == ["a.csv"]


def test_guards_against_formulas_are_put_on_once(settings: Settings, done: Path) -> None:
    path = put(done, "a.csv", 'order_number,tracking_number\n="CS1",T1\n')
    for reason in ("the first", "the second"):
        write_late_rejections(settings, report(RefusedRow("CS1 T1", reason, "a.csv:2")))
    assert [row[2] for row in rows(path)[1:]] == ['\'="CS1",T1'] * 2


def test_bytes_that_were_no_text_come_out_as_they_went_in(settings: Settings, done: Path) -> None:
    path = put(done, "a.csv", "order_number,tracking_number\nCS1,T\udcff\n")
    for line in ("the first", "the second"):
        write_late_rejections(settings, report(RefusedRow("CS1 T?", line, "a.csv:2")))
    beside = path.with_name("a.csv.refused.csv").read_bytes()
    assert beside.count(b"CS1,T\xff") == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_noted(settings: Settings, done: Path) -> None:
    put(done, "a.csv")
    done.chmod(0o500)
    told = report(NO_ORDER)
    write_late_rejections(settings, told)
    done.chmod(0o700)
    assert told.notes == ["refusals could not be written beside their files: Permission denied"]


def test_a_link_in_place_of_the_table_is_not_written_through(
    settings: Settings, done: Path, tmp_path: Path
) -> None:
    path = put(done, "a.csv")
    target = tmp_path / "target"
    target.write_text("theirs")
    path.with_name("a.csv.refused.csv").symlink_to(target)
    told = report(NO_ORDER)
    write_late_rejections(settings, told)
    assert target.read_text() == "theirs"
    assert "could not be written" in told.notes[0]

"""The benchmarks run as a person runs them, on tiny shops; figures of a clock are never judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks import __main__ as command
from benchmarks.catalogue import BENCHMARKS
from benchmarks.support.report import Aim, Report, Table, print_report, shown
from cscart_pipelines_tests import PROJECT_ROOT

pytestmark = pytest.mark.begun_first

ROOT = PROJECT_ROOT
SIZES = (150, 450)


def pages(rows: int, size: int) -> int:
    return max(1, -(-rows // size))


def test_a_small_run_fills_every_table_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Of all that run without being named but for `visit`, which is in `test_instance`."""
    temporary, figures = tmp_path / "temporary", tmp_path / "figures.json"
    temporary.mkdir()
    sizes = ",".join(map(str, SIZES))
    names = [name for name, one in BENCHMARKS.items() if not one.only_by_name and name != "visit"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *names, "--quick", "--orders", sizes,
         "--json", figures],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(temporary.iterdir()) == []
    found: dict[str, Any] = json.loads(figures.read_text())["benchmarks"]
    assert list(found) == names
    assert "first sync" in done.stdout and "bare COPY" in done.stdout

    kinds = found["parse"]["tables"]["Reading one row, CPU"]
    assert [row["rows"] for row in kinds] == [
        "orders with details",
        "orders as list rows",
        "customers",
    ]
    (ways,) = found["load"]["tables"].values()
    assert [row["way"] for row in ways][:3] == ["bare COPY", "executemany", "our load, new rows"]
    assert {row["orders"] for row in ways} == {450}
    assert all(row["rows"] > 2 * 450 for row in ways)

    (ticks,) = found["tick"]["tables"].values()
    assert [(row["integrations"], row["run"]) for row in ticks] == [(2, "first sync")]

    (offered,) = found["collector"]["tables"].values()
    assert [row["refused"] for row in offered] == [0, 0, 0]
    assert [row["events each"] for row in offered] == [5, 5, 50]

    runs = found["sync"]["tables"]["Synchronisations, each a process of its own"]
    assert [(row["orders"], row["run"]) for row in runs] == [
        (orders, run) for orders in SIZES for run in ("first sync", "resync, 1 %")
    ]
    parts = {
        (row["orders"], row["run"], row["part"]): row
        for row in found["sync"]["tables"]["Their parts"]
    }
    for run in runs:
        orders, changed = run["orders"], run["changed"]
        read = parts[orders, run["run"], "orders, details"]
        listed = parts[orders, run["run"], "list rows"]
        assert read["rows"] == changed
        assert changed == (orders if run["run"] == "first sync" else orders // 100)
        assert orders // 3 <= listed["rows"] <= 2 * (orders // 3)
        least = pages(changed, 50) + pages(orders // 3, 500)
        assert least < run["requests"] <= least + 8
        assert parts[orders, run["run"], "whole process"]["requests"] == run["requests"]
        assert 20 < run["peak MB"] < 1000
    beside = found["sync"]["tables"][
        "CPU of an order in the first sync, beside reading one in the same minute"
    ]
    assert [row["orders"] for row in beside] == list(SIZES)
    growth = found["sync"]["tables"]["The largest shop beside the smallest"]
    assert [row["run"] for row in growth] == ["first sync", "resync, 1 %"]

    written = found["write_back"]["tables"]
    shipped = written["Shipments, one parcel an order"]
    assert [(row["answers after ms"], row["write"]) for row in shipped] == [
        (0, "tracking"), (0, "tracking and status"), (50, "tracking"), (50, "tracking and status")
    ]  # fmt: skip
    assert [row["calls"] / row["shipments"] for row in shipped] == [3, 6, 3, 6]
    levels = {row["levels are"]: row for row in written["Stock levels"]}
    assert levels["changed"]["calls"] == levels["unchanged"]["calls"] + 100 + 2
    assert {aim["verdict"] for aim in found["write_back"]["aims"]} == {"met"}

    requests = [aim for aim in found["sync"]["aims"] if aim["aim"].endswith("requests")]
    assert [(aim["found"], aim["verdict"]) for aim in requests] == [
        (run["requests"], "met") for run in runs if run["run"] != "first sync"
    ]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (
            ["nonsense"],
            "no benchmark 'nonsense'; there are parse, load, tick, collector",
        ),
        (["--orders", "0"], "expected numbers above 0"),
        (["--orders", "many"], "expected numbers above 0"),
        (["--orders", "100,,200"], "expected numbers above 0"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_measured(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("aim", "verdict"),
    [
        (Aim("requests", 6, 6), "met"),
        (Aim("requests", 6, 7), "not met"),
        (Aim("rows/s", 5000, 5000, 1.0, at_least=True), "met"),
        (Aim("rows/s", 5000, 4999, 5001, at_least=True), "met by CPU"),
        (Aim("rows/s", 5000, 4999, 4999, at_least=True), "not met"),
        (Aim("seconds", 3, 4, 2.9), "met by CPU"),
    ],
)
def test_aims_are_judged_on_their_own_side(aim: Aim, verdict: str) -> None:
    assert aim.verdict == verdict


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("a", "a"), (1234567, "1,234,567"), (1234.5, "1,234"), (12.34, "12.3"),
     (0.126, "0.13")],
)  # fmt: skip
def test_figures_are_short(value: Any, text: str) -> None:
    assert shown(value) == text


def test_rows_that_belong_together_are_printed_as_one_block() -> None:
    table = Table("T", ("size", "part"), [(1, "a"), (1, "b"), (2, "a")], group=1)
    console = Console(width=40, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    print_report(console, Report("x", [table]))
    lines = console.export_text().splitlines()
    rows = [place for place, line in enumerate(lines) if line.startswith("│")]
    assert len(rows) == 3
    assert rows[1] == rows[0] + 1 and rows[2] == rows[1] + 2

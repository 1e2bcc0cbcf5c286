"""`fulfilment carriers`, `skus` and `rules`: what is set is shown, what is wrong is refused."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from cscart_pipelines.fulfilment.carriers import read_carriers
from cscart_pipelines.fulfilment.stock_rules import StockRules, read_rules
from cscart_pipelines_tests.desk_fixtures import Desk, Run
from cscart_pipelines_tests.desk_fixtures import desk as desk
from cscart_pipelines_tests.desk_fixtures import run as run


@pytest.fixture(autouse=True)
def shop(desk: Desk) -> None:
    desk.save()


@pytest.mark.parametrize("command", ["carriers", "skus", "rules", "journal", "inbox"])
def test_an_unknown_integration_is_told(run: Run, command: str) -> None:
    done = run("fulfilment", command, "nobody")
    assert (done.code, "there is no integration 'nobody'" in done.err) == (2, True)


# --- carriers ------------------------------------------------------------------------------------


def test_carriers_are_set_replaced_and_taken_away(run: Run, desk: Desk) -> None:
    assert "No carriers are mapped" in run("fulfilment", "carriers", "shop").out
    run("fulfilment", "carriers", "shop", "--set", "Royal Mail=rm", "--set", "My UPS=ups",
        "--set", "*=")  # fmt: skip
    found = run("fulfilment", "carriers", "shop", "--json").json
    assert found == [
        # What CS-Cart knows needs no word about its links.
        {"name": "My UPS", "code": "ups", "computes_url": True},
        {"name": "Royal Mail", "code": "rm", "computes_url": False},
        {"name": "*", "code": "", "computes_url": False},
    ]
    done = run("fulfilment", "carriers", "shop", "--set", "ROYAL MAIL=royal_mail",
               "--computes-url", "royal mail", "--unset", "*", "--unset", "my ups")  # fmt: skip
    assert done.code == 0
    with desk.database.connect() as connection:
        match = read_carriers(connection, "shop").code_of("Royal Mail")
    assert (match.code, match.computes_url, match.matched) == ("royal_mail", True, True)
    assert len(run("fulfilment", "carriers", "shop", "--json").json) == 1


@pytest.mark.parametrize(
    "options", [["--set", "GLS"], ["--set", "=gls"], ["--unset", "GLS"], ["--computes-url", "GLS"]]
)
def test_a_wrong_carrier_changes_nothing(run: Run, options: list[str]) -> None:
    done = run("fulfilment", "carriers", "shop", "--set", "DHL=dhl", *options)
    assert (done.code, options[0] in done.err) == (2, True)
    assert run("fulfilment", "carriers", "shop", "--json").json == []


# --- SKUs ----------------------------------------------------------------------------------------


def test_skus_come_one_by_one_or_as_a_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "a SKU is the product code itself" in run("fulfilment", "skus", "shop").out
    (tmp_path / "map.csv").write_text(
        'product_code;sku\n="TEA-1";A\nTEA-2;\'B\n', encoding="utf-8-sig"
    )
    done = run("fulfilment", "skus", "shop", str(tmp_path / "map.csv"), "--set", "C=TEA-3")
    assert (done.code, "3 SKUs" in done.out) == (0, True)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"sku,product_code\nA,TEA-9\n")))
    run("fulfilment", "skus", "shop", "-", "--unset", "B")
    assert run("fulfilment", "skus", "shop", "--json").json == [
        {"sku": "A", "product_code": "TEA-9"},
        {"sku": "C", "product_code": "TEA-3"},
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"sku\nA\n", "no column product_code"),
        (b"", "the file is empty"),
        (b"sku,product_code\nA,TEA-1\nB,\n", "product_code is empty; nothing was mapped"),
        (b"sku,product_code\nA,TEA-1\nB,nan\n", "product_code nan is a program's word"),
        (b"sku,product_code\nA,\xff\n", "not UTF-8"),
        (b'sku,product_code\nA,"TEA\n', "a quote that is opened in line 2"),
    ],
)
def test_a_mapping_is_taken_whole_or_not_at_all(
    run: Run, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "map.csv").write_bytes(content)
    done = run("fulfilment", "skus", "shop", str(tmp_path / "map.csv"))
    assert done.code == 2
    assert done.err.startswith("✗ map.csv:")
    assert said in done.err
    assert run("fulfilment", "skus", "shop", "--unset", "A").code == 2
    assert run("fulfilment", "skus", "shop", "--json").json == []


# --- rules ---------------------------------------------------------------------------------------


def test_rules_are_shown_and_changed_one_by_one(run: Run, desk: Desk) -> None:
    defaults = run("fulfilment", "rules", "shop", "--json").json
    assert defaults == {
        "buffer": 0, "floor": 0, "cap": None, "subtract_open_orders": False, "most_to_zero": "0.5",
    }  # fmt: skip
    run("fulfilment", "rules", "shop", "--buffer", "2", "--cap", "50")
    run("fulfilment", "rules", "shop", "--most-to-zero", "0.8", "--subtract-open-orders", "yes")
    with desk.database.connect() as connection:
        rules = read_rules(connection, "shop")
    assert rules == StockRules(2, 0, 50, True, rules.most_to_zero)
    assert str(rules.most_to_zero) == "0.8"
    shown = run("fulfilment", "rules", "shop", "--cap", "none").out
    assert [line.split()[1] for line in shown.splitlines()[1:]] == ["2", "0", "none", "yes", "0.8"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cap", "-1"], "--cap '-1' is no cap"),
        (["--cap", "9999999999"], "is no cap"),
        (["--most-to-zero", "1.01"], "--most-to-zero '1.01' is no share"),
        (["--most-to-zero", "NaN"], "is no share"),
        (["--subtract-open-orders", "perhaps"], "neither yes nor no"),
        (["--floor", "9", "--cap", "8"], "--cap 8 is below the floor, 9"),
        (["--buffer", "-1"], "--buffer"),
    ],
)
def test_a_wrong_rule_changes_nothing(run: Run, desk: Desk, options: list[str], said: str) -> None:
    done = run("fulfilment", "rules", "shop", *options)
    assert (done.code, said in done.err) == (2, True), done.err
    assert desk.rows("SELECT * FROM fulfilment.stock_rules") == []

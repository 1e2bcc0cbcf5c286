"""`fulfilment carriers`, `skus` and `rules`: what is set is shown, what is wrong is refused."""

from __future__ import annotations

import io
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from cscart_pipelines.fulfilment.carriers import read_carriers
from cscart_pipelines.fulfilment.stock.rule_book import read_rules
from cscart_pipelines.fulfilment.stock.rules import Buffer, StockRules
from cscart_pipelines_tests.support.shop.commands import Installation, Run
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.commands import run as run


@pytest.fixture(autouse=True)
def shop(installation: Installation) -> None:
    installation.save()


@pytest.mark.parametrize("command", ["carriers", "skus", "rules", "journal", "inbox"])
def test_an_unknown_integration_is_told(run: Run, command: str) -> None:
    done = run("fulfilment", command, "nobody")
    assert (done.code, "there is no integration 'nobody'" in done.err) == (2, True)


# --- carriers ------------------------------------------------------------------------------------


def test_carriers_are_set_replaced_and_taken_away(run: Run, installation: Installation) -> None:
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
    with installation.database.connect() as connection:
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
        (b"sku,product_code\nA,TEA-1\nB,nan\n", "product_code nan stands for no value"),
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


def test_rules_are_shown_and_changed_one_by_one(run: Run, installation: Installation) -> None:
    defaults = run("fulfilment", "rules", "shop", "--json").json
    assert defaults == {
        "subtract_open_orders": False, "buffer": "0", "safety_quantity": 0, "cap": None,
        "most_to_zero": "0.5", "skus": [],
    }  # fmt: skip
    run("fulfilment", "rules", "shop", "--buffer", "2.50", "--cap", "50", "--safety-quantity", "3")
    run("fulfilment", "rules", "shop", "--most-to-zero", "0.8", "--subtract-open-orders", "yes")
    with installation.database.connect() as connection:
        general = read_rules(connection, "shop").general
    assert general == StockRules(
        Buffer(Decimal("2.5")), Decimal(3), Decimal(50), True, Decimal("0.8")
    )
    shown = run("fulfilment", "rules", "shop", "--cap", "none", "--buffer", "10%").out
    assert [line.split()[1] for line in shown.splitlines()[1:]] == [
        "yes",
        "10%",
        "3",
        "none",
        "0.8",
    ]


def test_rules_of_skus_come_one_by_one_or_as_a_file(
    run: Run, installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "rules.csv").write_text(
        "SKU;Safety Quantity;Buffer;Cap\nA;2;;none\nB;;10%;\nC;;;7\n", encoding="utf-8-sig"
    )
    done = run("fulfilment", "rules", "shop", str(tmp_path / "rules.csv"), "--cap", "20")
    assert (done.code, "3 SKUs with rules of their own" in done.out) == (0, True)
    run("fulfilment", "rules", "shop", "--sku", "b", "--safety-quantity", "1.5", "--unset", "c")
    assert run("fulfilment", "rules", "shop", "--json").json["skus"] == [
        {"sku": "A", "buffer": None, "safety_quantity": 2, "cap": "none"},
        {"sku": "B", "buffer": "10%", "safety_quantity": 1.5, "cap": None},
    ]
    with installation.database.connect() as connection:
        book = read_rules(connection, "shop")
    assert (book.of("a").cap, book.of("X", "b").cap, book.of("C").cap) == (None, 20, 20)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("sku,buffer\nA,2\nB,-1\n", "line 3: '-1' is no buffer"),
        ("sku,saftey_quantity\nA,2\n", "unknown columns: saftey_quantity"),
        ("buffer,cap\n2,3\n", "sku"),
        ("sku,cap\nA,7\na,8\n", "line 3: a has rules in line 2 already"),
        ("sku,cap\nA,\n", "line 2: A has no rule"),
        ("sku,cap\n,7\n", "line 2: sku is empty"),
        ("", ""),
    ],
)
def test_a_file_of_rules_is_taken_whole_or_not_at_all(
    run: Run, installation: Installation, tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "rules.csv").write_text(content, encoding="utf-8")
    done = run("fulfilment", "rules", "shop", str(tmp_path / "rules.csv"), "--buffer", "9")
    assert (done.code, said in done.err, "rules.csv" in done.err) == (2, True, True), done.err
    assert installation.rows("SELECT * FROM fulfilment.sku_stock_rules") == []
    assert installation.rows("SELECT * FROM fulfilment.stock_rules") == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cap", "-1"], "--cap '-1' is no cap"),
        (["--cap", "9999999999"], "is no cap"),
        (["--most-to-zero", "1.01"], "--most-to-zero '1.01' is no share"),
        (["--most-to-zero", "NaN"], "is no share"),
        (["--subtract-open-orders", "perhaps"], "neither yes nor no"),
        (["--buffer", "-1"], "'-1' is no buffer"),
        (["--buffer", "120%"], "'120%' is more than 100%"),
        (["--safety-quantity", "some"], "--safety-quantity 'some' is no quantity"),
        (["--sku", "A"], "--sku needs --buffer"),
        (["--sku", "A", "--buffer", "1", "--most-to-zero", "1"], "goes with no other rule"),
        (["--buffer", "1", "--unset", "A"], "--unset 'A': this SKU has no rules"),
    ],
)
def test_a_wrong_rule_changes_nothing(
    run: Run, installation: Installation, options: list[str], said: str
) -> None:
    done = run("fulfilment", "rules", "shop", *options)
    assert (done.code, said in done.err) == (2, True), done.err
    assert installation.rows("SELECT * FROM fulfilment.stock_rules") == []
    assert installation.rows("SELECT * FROM fulfilment.sku_stock_rules") == []

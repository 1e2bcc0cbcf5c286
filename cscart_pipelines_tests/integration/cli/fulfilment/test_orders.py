"""`fulfilment …`: what each command prints, its JSON, its exit code. No run of Dagster here."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cscart_pipelines.cscart.client import ShopClient
from cscart_pipelines.fulfilment.shop_write_lock import acquire
from cscart_pipelines_tests.support.fulfilment.shops import Connect, Connected
from cscart_pipelines_tests.support.fulfilment.shops import connect as connect
from cscart_pipelines_tests.support.shop.commands import Installation, Result, Run
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.commands import run as run

pytestmark = pytest.mark.begun_first

SHIPMENTS = "order_number,tracking_number,carrier,tracking_url,shipped_at,sku,quantity\n"


def with_orders(connect: Connect, *statuses: str, **options: Any) -> Connected:
    """A shop with an order of each status, synchronised."""
    shop = connect(order_prefix="CS", user_id="ACME", **options)
    for status in statuses or ("P",):
        shop.order((1, 2), status=status, email="anna@example.com", firstname="Anna")
    shop.sync()
    shop.shop.requests.clear()
    return shop


def number_of(shop: Connected, place: int = 0) -> str:
    return f"CS{sorted(shop.shop.store.orders)[place]}"


def written(shop: Connected) -> list[tuple[str, str]]:
    """Requests that change a shop."""
    return [(one.method, one.path) for one in shop.shop.requests if one.method != "GET"]


def rows_of(shop: Connected, table: str) -> int:
    return int(shop.rows(f"SELECT count(*) FROM fulfilment.{table}")[0][0])


def stdin(monkeypatch: pytest.MonkeyPatch, text: str | bytes, *, terminal: bool = False) -> None:
    data = text.encode() if isinstance(text, str) else text
    stream = io.TextIOWrapper(io.BytesIO(data))
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stdin", stream)


# --- orders --------------------------------------------------------------------------------------


def test_orders_are_pulled_and_written_as_csv_with_the_cursor(run: Run, connect: Connect) -> None:
    shop = with_orders(connect, "P", "O")
    done = run("fulfilment", "orders", "shop")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert done.code == 0
    assert [row["order_number"] for row in rows] == [number_of(shop), number_of(shop, 1)]
    assert {row["client_user_id"] for row in rows} == {"ACME"}
    assert "2 orders; the next cursor is 2" in done.err
    assert f"--since {rows[-1]['cursor']}" in done.err
    after = run("fulfilment", "orders", "shop", "--since", rows[-1]["cursor"])
    assert len(after.out.splitlines()) == 1  # the header
    assert "no orders; the next cursor is 2" in after.err


def test_a_cursor_that_the_feed_never_told_is_refused(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    shop = with_orders(connect)
    file = tmp_path / "orders.csv"
    for options in ([], ["--changes"]):
        done = run("fulfilment", "orders", "shop", "--since", "2", "-o", str(file), *options)
        assert done.code == 2
        assert "the last cursor of shop is 1" in done.err
        assert "Start again with --since 0" in done.err
        assert (done.out, file.exists()) == ("", False)
        assert run("fulfilment", "orders", "shop", "--since", "1", *options).code == 0
    # The cursor of changes goes on from that of orders.
    shop.shop.store.set_order_status(sorted(shop.shop.store.orders)[0], "C")
    shop.sync()
    changed = run("fulfilment", "orders", "shop", "--changes", "--since", "1", "--json").json
    assert (changed["cursor"], len(changed["orders"])) == (2, 1)
    assert run("fulfilment", "orders", "shop", "--changes", "--since", "2").code == 0
    assert run("fulfilment", "orders", "shop", "--since", "2").code == 2


def test_names_are_guarded_against_spreadsheets_unless_raw(run: Run, connect: Connect) -> None:
    shop = with_orders(connect)
    shop.execute("UPDATE cscart.orders SET s_firstname = '=1+1', s_lastname = ''")
    names = []
    for options in ([], ["--raw"]):
        done = run("fulfilment", "orders", "shop", "--format", "csv", *options)
        names += [row["ship_to_name"] for row in csv.DictReader(io.StringIO(done.out))]
    assert names == ["'=1+1", "=1+1"]


def test_an_empty_feed_has_the_cursor_0(run: Run, connect: Connect) -> None:
    with_orders(connect, order_statuses="C")
    done = run("fulfilment", "orders", "shop", "--since", "0")
    assert (done.code, "the next cursor is 0" in done.err) == (0, True)
    assert run("fulfilment", "orders", "shop", "--since", "1").code == 2


@pytest.mark.parametrize("options", [["--json"], ["--format", "json"]])
def test_orders_as_json_have_their_lines_and_the_cursor(
    run: Run, connect: Connect, options: list[str]
) -> None:
    with_orders(connect)
    found = run("fulfilment", "orders", "shop", *options).json
    assert found["cursor"] == 1
    (order,) = found["orders"]
    assert [line["quantity"] for line in order["lines"]] == [2]
    assert order["email"] == "anna@example.com"


def test_a_file_of_orders_appears_whole_and_its_name_tells_the_format(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    with_orders(connect)
    for name in ("orders.json", "orders.csv"):
        done = run("fulfilment", "orders", "shop", "-o", str(tmp_path / name))
        assert (done.code, done.out) == (0, "")
    assert json.loads((tmp_path / "orders.json").read_text())["cursor"] == 1
    assert (tmp_path / "orders.csv").read_text().startswith("cursor,order_number")
    assert sorted(path.name for path in tmp_path.glob("orders*")) == ["orders.csv", "orders.json"]
    assert run("fulfilment", "orders", "shop", "--format", "json", "--raw").code == 2
    workbook = run("fulfilment", "orders", "shop", "-o", str(tmp_path / "orders.xlsx"))
    assert (workbook.code, "expected .csv or .json" in workbook.err) == (2, True)
    nowhere = run("fulfilment", "orders", "shop", "-o", str(tmp_path / "no" / "orders.csv"))
    assert (nowhere.code, "No such file" in nowhere.err) == (2, True)


def test_on_a_terminal_orders_are_a_table(
    run: Run, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = with_orders(connect, "P", "P", "P")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    done = run("fulfilment", "orders", "shop", "--limit", "2")
    assert number_of(shop, 1) in done.out
    assert number_of(shop, 2) not in done.out
    assert "country" in done.out.splitlines()[0]
    assert "2 orders, perhaps more; the next cursor is 2" in done.err


def test_changed_orders_say_what_changed(
    run: Run, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = with_orders(connect)
    run("fulfilment", "orders", "shop")
    shop.shop.store.set_order_status(sorted(shop.shop.store.orders)[0], "C")
    shop.sync()
    changed = run("fulfilment", "orders", "shop", "--changes", "--json").json
    assert changed["orders"][0]["changes"]["status"] == ["P", "C"]
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    assert "status: P → C" in run("fulfilment", "orders", "shop", "--changes").out


def test_words_that_mean_nothing_are_told_and_what_is_left_out_is_counted(
    run: Run, connect: Connect
) -> None:
    with_orders(connect, countries="Atlantis,GR", order_statuses="Nope,C")
    done = run("fulfilment", "orders", "shop", "--json")
    assert (done.code, done.json["orders"]) == (0, [])
    assert "unknown countries: Atlantis" in done.err
    assert "unknown statuses: Nope" in done.err
    assert "left out: 1 " in done.err


def test_before_the_first_synchronisation_there_are_no_orders(
    run: Run, installation: Installation
) -> None:
    installation.save()
    done = run("fulfilment", "orders", "shop")
    assert (done.code, "integration start shop" in done.err) == (4, True)
    assert run("fulfilment", "orders", "nobody").code == 2


# --- the gate ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["ship"], ["stock"], ["undo", "abcdef", "--yes"]])
def test_what_may_not_be_written_is_told_with_the_next_step(
    run: Run, installation: Installation, command: list[str]
) -> None:
    verb, rest = command[0], command[1:]
    installation.save(update_stock=True, stock_schedule="0 * * * *", update_tracking_number=True)
    done = run("fulfilment", verb, "shop", *rest)
    assert (done.code, "use start" in done.err) == (4, True)
    installation.put("shop", "disabled")
    done = run("fulfilment", verb, "shop", *rest)
    assert (done.code, "use enable first" in done.err) == (4, True)
    installation.save("quiet")
    installation.put("quiet", "enabled")
    done = run("fulfilment", verb, "quiet", *rest)
    if verb == "undo":  # also when the update was switched off meanwhile
        assert (done.code, "abcdef" in done.err) == (2, True)
    else:
        hint = "is switched off; `cscart-pipelines integration edit quiet"
        assert (done.code, hint in done.err) == (4, True)
    assert run("fulfilment", verb, "nobody", *rest).code == 2


def test_an_undo_waits_its_turn_in_vain_and_says_so(
    run: Run, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = connect()
    monkeypatch.setattr("cscart_pipelines.cli.fulfilment.push.LOCK_WAIT_SECONDS", 0.0)
    with acquire(shop.database.warehouse, "shop"):
        done = run("fulfilment", "undo", "shop", "abcdef", "--yes")
    assert (done.code, "another run is writing to the shop" in done.err) == (4, True)


# --- into the inbox ------------------------------------------------------------------------------


def test_queued_rows_enter_the_inbox_and_nothing_is_written(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    shop = with_orders(connect)
    file = tmp_path / "parcels.csv"
    file.write_text(SHIPMENTS + f"{number_of(shop)},X1,UPS,,,,\n{number_of(shop)},,UPS,,,,\n")
    done = run("fulfilment", "ship", "shop", str(file), "--queue")
    assert done.code == 1  # a row was refused
    assert "parcels.csv: 1 row taken, 1 refused" in done.out
    assert "parcels.csv:3" in done.out
    assert "The daemon pushes them" in done.out
    assert (rows_of(shop, "shipments"), written(shop)) == (1, [])
    file.write_text(SHIPMENTS + f"{number_of(shop)},X1,UPS,,,,\n")
    again = run("fulfilment", "ship", "shop", str(file), "--queue")
    assert (again.code, "0 rows taken, 1 known already" in again.out) == (0, True)


def test_a_disabled_integration_still_takes_rows_and_says_that_they_wait(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    shop = connect()
    run("integration", "disable", "shop")
    (tmp_path / "s.csv").write_text("sku,quantity\nSKU-0001,5\n")
    done = run("fulfilment", "stock", "shop", str(tmp_path / "s.csv"), "--queue")
    assert (done.code, "the rows wait in the inbox: " in done.err) == (0, True)
    assert rows_of(shop, "stock_levels") == 1


def test_rows_come_from_standard_input_only_when_asked_for(
    run: Run, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = connect()
    stdin(monkeypatch, '{"sku": "SKU-0001", "quantity": 4}\n')
    assert "Nothing waits for shop." in run("fulfilment", "stock", "shop").out
    assert rows_of(shop, "stock_levels") == 0
    assert "stdin: 1 row taken" in run("fulfilment", "stock", "shop", "-", "--queue").out
    stdin(monkeypatch, "sku,quantity\nSKU-0002,4\n", terminal=True)
    done = run("fulfilment", "stock", "shop", "-", "--queue")
    assert (done.code, "Ctrl-D" in done.err) == (0, True)
    assert rows_of(shop, "stock_levels") == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04", "an Excel workbook"),
        (b"sku\nSKU-0001\n", "no column quantity"),
        (b"sku,quantity\n\0", "NUL"),
        (b"sku,quantity,as_of\nA,1,01/02/2024\nB,1,01/31/2024\n", "month first"),
    ],
)
def test_a_file_that_cannot_be_read_is_wrong_usage_and_is_kept_in_mind(
    run: Run, connect: Connect, tmp_path: Path, content: bytes, said: str
) -> None:
    shop = connect()
    (tmp_path / "s.csv").write_bytes(content)
    done = run("fulfilment", "stock", "shop", str(tmp_path / "s.csv"))
    assert done.code == 2
    assert done.err.startswith("✗ s.csv: ")
    assert said in done.err
    assert shop.rows("SELECT state FROM fulfilment.feeds") == [("refused",)]
    run("fulfilment", "stock", "shop", str(tmp_path / "s.csv"), "--dry-run")
    assert rows_of(shop, "feeds") == 1


def test_a_file_that_is_not_there_and_options_that_do_not_go_together(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    connect()
    missing = run("fulfilment", "stock", "shop", str(tmp_path / "none.csv"))
    assert (missing.code, "No such file" in missing.err) == (2, True)
    assert run("fulfilment", "stock", "shop", str(tmp_path)).code == 2
    for options in (["--queue"], ["x.csv", "--queue", "--dry-run"],
                    ["x.csv", "--queue", "--release"], ["--limit", "0"]):  # fmt: skip
        assert run("fulfilment", "stock", "shop", *options).code == 2


def test_a_feed_that_is_held_on_its_way_in_is_not_pushed(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    shop = connect()
    (tmp_path / "empty.csv").write_text("sku,quantity\n")
    done = run("fulfilment", "stock", "shop", str(tmp_path / "empty.csv"))
    assert done.code == 1
    assert "held the feed has no row" in done.out
    assert "no row of it was taken in" in done.out
    assert len(shop.shop.requests) == 0
    found = run("fulfilment", "stock", "shop", str(tmp_path / "empty.csv"), "--json").json
    assert (found["feed"]["state"], found["push"]) == ("held", None)


# --- only to look --------------------------------------------------------------------------------


def test_a_dry_run_of_parcels_writes_nothing_anywhere(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    shop = with_orders(connect)
    file = tmp_path / "parcels.csv"
    file.write_text(SHIPMENTS + f"{number_of(shop)},X1,UPS,,,,\nEU1,X2,UPS,,,,\n")
    done = run("fulfilment", "ship", "shop", str(file), "--dry-run")
    assert done.code == 1  # a row would be refused
    assert "2 pieces, ups" in done.out
    assert "P → C" in done.out
    assert "parcels.csv:3" in done.out
    assert "dry run, nothing was written: 2 would be written, 1 refused" in done.out
    assert written(shop) == []
    assert [
        rows_of(shop, name) for name in ("shipments", "journal", "feeds", "last_push_runs")
    ] == [0] * 4


def test_a_dry_run_of_stock_shows_before_and_after(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    shop = connect()
    product = shop.shop.store.products[1]
    file = tmp_path / "levels.csv"
    file.write_text(f"sku,quantity\n{product.product_code},{product.amount - 1}\n")
    done = run("fulfilment", "stock", "shop", str(file), "--dry-run")
    assert done.code == 0
    assert f"{product.amount} → {product.amount - 1}" in done.out
    found = run("fulfilment", "stock", "shop", str(file), "--dry-run", "--json").json
    assert found["push"]["changes"][0]["after"] == {"amount": product.amount - 1}
    assert (found["run_id"], found["feed"]) == (None, None)
    assert (written(shop), rows_of(shop, "stock_levels")) == ([], 0)


def test_a_dry_run_against_a_shop_that_is_gone(
    run: Run, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ShopClient, "pause", lambda *_: False)  # tries again at once
    shop = with_orders(connect)
    shop.shop.stop()
    file = tmp_path / "parcels.csv"
    file.write_text(SHIPMENTS + f"{number_of(shop)},X1,UPS,,,,\n")
    done = run("fulfilment", "ship", "shop", str(file), "--dry-run")
    assert (done.code, "refuses connections" in done.err) == (3, True)


# --- looking back, taking back -------------------------------------------------------------------


def pushed(connect: Connect) -> Connected:
    """A shop after a push of two parcels (run A…) and one of stock (run B…)."""
    shop = with_orders(connect, "P", "I")
    shop.ship(number_of(shop), "X1", carrier="UPS")
    shop.ship(number_of(shop, 1), "X2", carrier="UPS")
    shop.ship("EU1", "X3")
    shop.push(run_id="aaaaaaaa-1")
    shop.execute(
        "INSERT INTO fulfilment.stock_levels (integration, sku, quantity) VALUES ('shop', %s, 77)",
        shop.shop.store.products[2].product_code,
    )
    shop.push("stock", run_id="bbbbbbbb-2")
    return shop


def entries(done: Result) -> list[tuple[str, str]]:
    return [(row["kind"], row["state"]) for row in done.json]


def test_the_journal_is_newest_first_and_can_be_narrowed(run: Run, connect: Connect) -> None:
    shop = pushed(connect)
    everything = run("fulfilment", "journal", "shop", "--json")
    ids = [row["id"] for row in everything.json]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 5
    first = number_of(shop)
    for options, expected in (
        (["--run", "bbbb"], [("stock", "verified")]),
        (["--kind", "stock"], [("stock", "verified")]),
        (["--order", first.lower()], [("order_status", "verified"), ("shipment", "verified")]),
        (["--state", "skipped"], [("order_status", "skipped")]),
        (["--sku", shop.shop.store.products[2].product_code], [("stock", "verified")]),
        (["--run", "cccc"], []),
    ):
        assert entries(run("fulfilment", "journal", "shop", "--json", *options)) == expected
    shown = run("fulfilment", "journal", "shop").out
    for words in (
        "run bbbbbbbb-2",
        "run aaaaaaaa-1",
        "2 pieces, ups",
        "P → C",
        " → 77",
        f"{first} X1",
    ):
        assert words in shown
    assert "the newest 2; --limit shows more" in run(
        "fulfilment", "journal", "shop", "--limit", "2"
    ).out  # fmt: skip
    assert "No entry matches." in run("fulfilment", "journal", "shop", "--run", "cc").out
    wrong = run("fulfilment", "journal", "shop", "--order", "XY1")
    assert (wrong.code, "expected CS and the order's id" in wrong.err) == (2, True)
    assert run("fulfilment", "journal", "shop", "--kind", "parcel").code == 2


def test_an_undo_restores_and_is_a_run_of_its_own(run: Run, connect: Connect) -> None:
    shop = pushed(connect)
    before = shop.rows("SELECT before FROM fulfilment.journal WHERE kind = 'stock'")[0][0]["amount"]
    dry = run("fulfilment", "undo", "shop", "bbbbbbbb", "--dry-run")
    assert (dry.code, f"77 → {before}" in dry.out) == (0, True)
    assert shop.shop.store.products[2].amount == 77
    done = run("fulfilment", "undo", "shop", "bbbbbbbb", "--json", "--yes").json
    assert shop.shop.store.products[2].amount == before
    assert done["run_id"].startswith("undo-")
    assert entries(run("fulfilment", "journal", "shop", "--json", "--run", done["run_id"])) == [
        ("stock", "verified")
    ]
    again = run("fulfilment", "undo", "shop", "bbbbbbbb", "--yes")
    assert (again.code, "Nothing of that run is left" in again.out) == (0, True)
    unknown = run("fulfilment", "undo", "shop", "cccccccc", "--yes")
    assert (unknown.code, "no run of shop that wrote stock" in unknown.err) == (2, True)


def test_the_inbox_says_what_waits_and_why_rows_were_refused(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    shop = pushed(connect)
    shop.ship(number_of(shop), "X9")
    (tmp_path / "s.csv").write_text("sku,quantity\nSKU-0003,nan\nSKU-0004,-2\n")
    queued = run("fulfilment", "stock", "shop", str(tmp_path / "s.csv"), "--queue")
    assert "below zero, sold before it came in, so the shop shows none: SKU-0004 (-2)" in queued.out
    done = run("fulfilment", "inbox", "shop")
    assert done.code == 0
    for words in ("1 waiting, 1 refused, 2 done", "'EU1' is no order number", "s.csv:2", "no value",
                  "-2", "fulfilment ship shop", "fulfilment stock shop"):  # fmt: skip
        assert words in done.out
    found = run("fulfilment", "inbox", "shop", "--json").json
    assert found["shipments"]["counts"] == {"waiting": 1, "refused": 1, "done": 2}
    assert Path(found["stock"]["folder"]).is_dir()
    assert found["feeds"][0]["rows_refused"] == 1
    for number in ("EU2", "EU3", "EU4", "EU5"):
        shop.ship(number, f"X{number}")
    assert run("fulfilment", "ship", "shop").code == 1
    said = run("fulfilment", "inbox", "shop").out
    assert said.count("is no order number") == said.count("the same") == 1, said
    assert "3 more with this reason" in said
    run("fulfilment", "inbox", "shop", "--retry")
    found = run("fulfilment", "inbox", "shop", "--json").json
    assert found["shipments"]["counts"] == {"waiting": 6, "done": 2}


def test_held_levels_are_told_until_somebody_decides(run: Run, connect: Connect) -> None:
    shop = connect()
    for product in shop.shop.store.products.values():
        shop.execute(
            "INSERT INTO fulfilment.stock_levels (integration, sku, quantity)"
            " VALUES ('shop', %s, 0)",
            product.product_code,
        )
    assert shop.push("stock").held
    done = run("fulfilment", "stock", "shop")
    assert done.code == 1
    assert "held" in done.out
    assert "fulfilment stock shop --release" in done.out
    assert "fulfilment stock shop --release" in run("fulfilment", "inbox", "shop").out
    look = run("fulfilment", "stock", "shop", "--release", "--dry-run")
    assert (look.code, " → 0" in look.out) == (0, True)
    assert written(shop) == []

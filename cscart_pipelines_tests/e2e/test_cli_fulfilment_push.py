"""`fulfilment ship` and `stock` for real: a run of Dagster, the shop's own record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from cscart_pipelines.cli.support.environment import PROJECT, private_folder
from cscart_pipelines.fulfilment.shop_write_lock import acquire
from cscart_pipelines.warehouse.advisory import Lock
from cscart_pipelines_tests.support.dagster.launching import launched_here as launched_here
from cscart_pipelines_tests.support.database.locks import ADVISORY
from cscart_pipelines_tests.support.fulfilment.shops import Connect
from cscart_pipelines_tests.support.fulfilment.shops import connect as connect
from cscart_pipelines_tests.support.shop.backoff import no_backoff as no_backoff
from cscart_pipelines_tests.support.shop.commands import Installation, Run
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.commands import run as run

pytestmark = pytest.mark.begun_first


@pytest.mark.usefixtures("launched_here")
def test_parcels_from_a_file_reach_the_shop_once(
    installation: Installation, run: Run, connect: Connect, tmp_path: Path
) -> None:
    """The first time by a process that starts a process."""
    shop = connect(order_prefix="CS", partially_shipped_status="B")
    whole, part = (shop.order((1, 2), (2, 1), status="P").order_id for _ in range(2))
    code = shop.shop.store.products[1].product_code
    shop.sync()
    file = tmp_path / "parcels.csv"
    file.write_text(
        "order_number,tracking_number,carrier,sku,quantity\n"
        f"CS{whole},1Z999,UPS,,\n"
        f"CS{part},JD014,DHL,{code},2\n"
        "CS99999999,X1,UPS,,\n"
        f"CS{part},,UPS,,\n"
    )
    done = installation.command("fulfilment", "ship", "shop", str(file))
    assert done.returncode == 1, done.stderr  # two rows were refused
    assert "parcels.csv: 3 rows taken, 1 refused" in done.stdout
    for words in ("parcels.csv:4", "parcels.csv:5", "3 pieces, ups", "2 pieces, dhl", "P → C",
                  "P → B", "4 written, 2 refused", "fulfilment journal shop --run"):  # fmt: skip
        assert words in done.stdout
    store = shop.shop.store
    assert [store.orders[number].status for number in (whole, part)] == ["C", "B"]
    assert sorted(one.tracking_number for one in store.shipments.values()) == ["1Z999", "JD014"]
    # The journal knows the run by the name that was told.
    run_id = done.stdout.partition("--run ")[2].split()[0]
    assert installation.rows("SELECT DISTINCT run_id FROM fulfilment.journal") == [(run_id,)]
    file.write_text(f"order_number,tracking_number,carrier\nCS{whole},1Z999,UPS\n")
    again = run("fulfilment", "ship", "shop", str(file))
    assert (again.code, "Nothing waits for shop." in again.out) == (0, True)
    assert len(store.shipments) == 2


@pytest.mark.usefixtures("launched_here")
def test_stock_from_a_file_is_held_looked_at_and_released(
    installation: Installation, run: Run, connect: Connect, tmp_path: Path
) -> None:
    shop = connect()
    products = shop.shop.store.products
    file = tmp_path / "levels.csv"
    lines = [f"{product.product_code},0\n" for product in products.values()]
    file.write_text("sku,quantity\n" + "".join(lines))
    held = run("fulfilment", "stock", "shop", str(file))
    assert held.code == 1, held.err
    assert "would be set to zero" in held.out
    assert "fulfilment stock shop --release" in held.out
    assert any(product.amount for product in products.values())
    # A file that came since waits for its own turn: nobody has looked at it.
    new = Path(run("fulfilment", "inbox", "shop", "--json").json["stock"]["folder"]) / "new.csv"
    new.write_text("sku,quantity\nSKU-0001,7\n")
    os.utime(new, (1_750_000_000, 1_750_000_000))
    done = run("fulfilment", "stock", "shop", "--release", "--json", "--yes")
    assert done.code == 0, done.err
    found = done.json
    assert found["push"]["counts"]["verified"] == len(
        [change for change in found["push"]["changes"] if change["after"] == {"amount": 0}]
    )
    assert not any(product.amount for product in products.values())
    assert found["held"] == 0
    assert new.exists()
    runs = installation.rows("SELECT DISTINCT run_id FROM fulfilment.journal")
    assert runs == [(found["run_id"],)]


@pytest.mark.usefixtures("launched_here")
def test_a_file_that_is_named_with_the_release_goes_through_at_once(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    shop = connect()
    products = shop.shop.store.products
    file = tmp_path / "levels.csv"
    lines = [f"{product.product_code},0\n" for product in products.values()]
    file.write_text("sku,quantity\n" + "".join(lines))
    done = run("fulfilment", "stock", "shop", str(file), "--release", "--yes")
    assert done.code == 0, done.said
    assert not any(product.amount for product in products.values())


@pytest.mark.usefixtures("launched_here", "no_backoff")
def test_a_shop_that_is_gone_has_its_own_exit_code_and_the_rows_wait(
    run: Run, connect: Connect, tmp_path: Path
) -> None:
    shop = connect(order_prefix="CS")
    number = shop.order((1, 1), status="P").order_id
    file = tmp_path / "parcels.jsonl"
    rows = [{"order_number": f"{prefix}{number}", "tracking_number": "X1"} for prefix in ("", "CS")]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    shop.shop.stop()
    done = run("fulfilment", "ship", "shop", str(file))
    assert done.code == 3, done.err
    assert "refuses connections" in done.err
    assert "What waits stays" in done.err
    assert sorted(state for state, _ in shop.inbox()) == ["refused", "waiting"]
    # What was refused before is told all the same.
    assert "parcels.jsonl:1" in done.out
    assert "1 refused, 1 still waiting" in done.out
    again = run("fulfilment", "ship", "shop", "--json")
    assert again.code == 3, again.err
    found = again.json
    assert (found["push"]["waiting"], found["refusals"]) == (1, [])
    assert "refuses connections" in found["failure"]


@pytest.mark.usefixtures("launched_here")
def test_commands_that_were_killed_keep_none_waiting(
    installation: Installation, run: Run, connect: Connect
) -> None:
    """More of them than a pool has places: one writes, the others wait for it."""
    home = private_folder(installation.settings.dagster_home)
    ours = (PROJECT / "dagster.yaml").read_text()
    assert "default_limit: 4" in ours
    (home / "dagster.yaml").write_text(ours.replace("default_limit: 4", "default_limit: 1"))
    shop = connect()
    number = shop.order().order_id
    shop.sync()
    shop.ship(str(number), "1Z999")
    go_on = threading.Event()

    @shop.shop.before_request
    def hold(request: Any) -> None:
        if request.method == "POST":
            go_on.wait(300)

    killed = [installation.start("fulfilment", "ship", "shop") for _ in range(2)]
    until(killed, lambda: turns(installation) == (1, 1))
    family = [one for each in killed for one in psutil.Process(each.pid).children(recursive=True)]
    for each in [*killed, *family]:
        each.kill()
    for each in killed:
        each.communicate()
    psutil.wait_procs(family)
    go_on.set()
    done = run("fulfilment", "ship", "shop")
    assert done.code == 0, done.err
    assert [one.tracking_number for one in shop.shop.store.shipments.values()] == ["1Z999"]
    with dagster_instance(installation) as instance:
        states = Counter(run.status.value for run in instance.get_runs())
    assert states.keys() == {"SUCCESS", "FAILURE"}
    assert states["SUCCESS"] == 1


def test_a_wait_is_told_and_ends_with_the_command(
    installation: Installation, connect: Connect
) -> None:
    """By a Ctrl-C that reaches the command alone, and when the command is killed."""
    shop = connect()
    number = shop.order().order_id
    shop.sync()
    shop.ship(str(number), "1Z999")
    with acquire(shop.database.warehouse, "shop"):
        waiting = [installation.start("fulfilment", "ship", "shop") for _ in range(2)]
        family = [psutil.Process(each.pid) for each in waiting]
        for each in waiting:
            said = next(line for line in each.stderr or () if "Waiting" in line)
            assert "Waiting for at most 10 min 0 s: another run is writing to the shop" in said
        children = [child for one in family for child in one.children(recursive=True)]
        waiting[0].send_signal(signal.SIGINT)
        waiting[1].kill()
        _, said = waiting[0].communicate()
        assert waiting[0].returncode == 130, said
        waiting[1].communicate()
        psutil.wait_procs(children)  # though the turn is still taken
    with dagster_instance(installation) as instance:
        assert all(run.is_finished for run in instance.get_runs())
    assert shop.shop.store.shipments == {}


def turns(installation: Installation) -> tuple[int, int]:
    """Who writes to the shop, and who waits for that."""
    ((has, waits),) = installation.rows(
        "SELECT count(*) FILTER (WHERE granted), count(*) FILTER (WHERE NOT granted)"
        f" FROM {ADVISORY} WHERE number = %s",
        Lock.SHOP_WRITE.number("shop"),
    )
    return has, waits


def until(processes: list[subprocess.Popen[str]], done: Callable[[], bool]) -> None:
    """Waits for something that the processes do; none must end before."""
    while not done():
        for one in processes:
            assert one.poll() is None, one.communicate()
        time.sleep(0.05)


def dagster_instance(installation: Installation) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(installation.settings.home / "dagster"))

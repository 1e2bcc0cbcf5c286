"""The journeys a user makes, end to end, with the program as it is installed.

Slow by nature (a run of Dagster takes seconds to begin), so few. Details of commands: test_cli_*.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from cscart_pipelines.cli import main as cli
from cscart_pipelines.cli.support import console
from cscart_pipelines.local_postgres.client import connect, wait_until_stopped
from cscart_pipelines.local_postgres.paths import remove_files
from cscart_pipelines.sandbox.http.routing import Request
from cscart_pipelines.sandbox.server import SandboxShop
from cscart_pipelines.sandbox.shop.store import Store
from cscart_pipelines_tests.support.dagster.launching import launched_here as launched_here
from cscart_pipelines_tests.support.dagster.location import PYDANTIC
from cscart_pipelines_tests.support.shop.commands import KEY, Installation, Run
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.commands import run as run

PROGRAM = str(Path(sys.executable).with_name("cscart-pipelines"))
SECONDS = 120

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.begun_first,
    pytest.mark.filterwarnings(PYDANTIC),
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.op is deprecated"),
]  # whole runs on a machine that others use too


def processes_of(home: Path) -> list[str]:
    """Those that were started in or for this home."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            known = [process.cwd(), *process.cmdline(), *process.environ().values()]
            if process.pid != os.getpid() and any(str(home) in text for text in known):
                found.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
    return found


def await_that(what: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    end = time.monotonic() + SECONDS
    while not what():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)


@pytest.fixture
def empty_folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "somewhere"
    folder.mkdir()
    yield folder
    home = folder / ".cscart-pipelines"
    wait_until_stopped(home, seconds=30)
    remove_files(home)


def cdnow() -> tuple[int, int, Decimal]:
    """Purchases, buyers and revenue of the sample, straight from its file."""
    file = importlib.metadata.distribution("lifetimes").locate_file(
        "lifetimes/datasets/CDNOW_sample.txt"
    )
    rows = [line.split() for line in Path(str(file)).read_text().splitlines() if line.strip()]
    return (
        len(rows),
        len({row[0] for row in rows}),
        sum((Decimal(row[4]) for row in rows), Decimal()),
    )


def shown(label: str, text: str) -> str:
    found = re.search(rf"{re.escape(label)}\s+([\d,.]+)", text)
    assert found, text
    return found[1]


@pytest.mark.usefixtures("launched_here")
def test_the_demo_from_nothing_twice_with_true_numbers_and_nothing_left_running(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """First as it is installed. The second time the command and its run need no process: what may
    be different then is what it finds, and that it meets a shop that began anew."""
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(empty_folder)}  # that of cron
    home = empty_folder / ".cscart-pipelines"
    done = subprocess.run(
        [PROGRAM, "demo"], cwd=empty_folder, env=clean, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "connected as integration" in done.stdout
    has_shown_true_numbers(done.stdout)
    assert "Traceback" not in done.stdout + done.stderr
    assert home.is_dir()
    # Its shop has ended: the hourly schedule must not report that as a failure.
    status = subprocess.run(
        [PROGRAM, "integration", "status", "demo", "--json"], cwd=empty_folder, env=clean,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    is_disabled(status.stdout)
    await_that(lambda: not processes_of(empty_folder))

    monkeypatch.setenv("CSCART_PIPELINES_HOME", str(home))
    for stream in (console.out, console.err):
        monkeypatch.setattr(stream, "width", console.WIDE)
    try:
        capsys.readouterr()
        assert cli.run(["demo"]) == 0, capsys.readouterr().err
        again = capsys.readouterr()
        assert "is there already" in again.out
        has_shown_true_numbers(again.out)
        assert "Traceback" not in again.out + again.err
        assert cli.run(["integration", "status", "demo", "--json"]) == 0
        is_disabled(capsys.readouterr().out)
    finally:
        connect(home).disconnect()
    await_that(lambda: not processes_of(empty_folder))


def has_shown_true_numbers(text: str) -> None:
    purchases, buyers, revenue = cdnow()
    assert (purchases, buyers) == (6919, 2357)
    assert shown("purchases in all", text) == f"{purchases:,}"
    assert shown("\u2502  buyers", text) == f"{buyers:,}"
    assert shown("net revenue in all", text) == f"{revenue:,.2f}"
    for segment in ("new_customers", "frequent_buyers", "lapsed_customers"):
        assert segment in text
    visit = re.search(r"the list has ([\d,]+) → ([\d,]+) subscribers", text)
    assert visit, text
    before, after = (int(number.replace(",", "")) for number in visit.groups())
    assert after == before + 1 == int(shown("subscribers", text).replace(",", "")) + 1
    assert "onsite_sessions: visitor@mail.internal, 7 pages, 1 product viewed" in text


def is_disabled(status: str) -> None:
    assert (said := json.loads(status))["status"] == "disabled"
    assert "make up SANDBOX=1" in said["reason"]


def many_orders(store: Store) -> None:
    store.add_product("Bag", "10.00")
    for number in range(40):
        store.add_customer(f"b{number}@mail.internal")
    for number in range(200):
        store.place_order(email=f"b{number % 50}@mail.internal", status="C", lines=[(1, 1)])


@pytest.mark.usefixtures("launched_here")
def test_ctrl_c_in_the_middle_of_start_and_then_resync(
    installation: Installation, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The start is a process that starts a process; what comes before and after needs none."""
    monkeypatch.setenv("SHOP_KEY", KEY)
    with SandboxShop("4.20", many_orders, page_size=10, api_key=KEY) as shop:
        added = run(
            "integration", "add", "shop", "--url", shop.url, "--email", shop.email,
            "--api-key-env", "SHOP_KEY",
        )  # fmt: skip
        assert added.code == 0, added.err
        reached, go_on = threading.Event(), threading.Event()

        @shop.before_request
        def keep_waiting(request: Request) -> None:
            if "orders" in request.path:
                reached.set()
                go_on.wait(900)  # who pressed Ctrl-C does not wait for the shop

        process = subprocess.Popen(
            [PROGRAM, "integration", "start", "shop"],
            env=installation.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C reaches the whole group, as at a terminal
            # Whoever runs the tests in the background may have it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        await_that(reached.is_set, process)
        refused = run("integration", "resync", "shop")
        assert (refused.code, "in progress" in refused.err) == (4, True)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate()
        assert process.returncode == 130
        assert said.index("Stopping: ") < said.index("Stopped. What was loaded stays")
        assert "Traceback" not in said
        assert installation.status() == "failed"
        assert installation.registry.get("shop").status_reason in (
            "the run was interrupted",
            "the run was cancelled; what was loaded stays",
        )
        assert installation.rows("SELECT count(*) FROM cscart.customers") == [(40,)]
        go_on.set()
        folder = tmp_path / "segments"
        resynced = run("integration", "resync", "shop")
        assert resynced.code == 0, resynced.err
        assert "shop  enabled  since" in resynced.out
        assert "200 orders" in resynced.out
        assert installation.rows("SELECT count(*), sum(total) FROM cscart.orders") == [(200, 2000)]
        exported = run("segments", "shop", "--export", str(folder))
        assert exported.code == 0
        with (folder / "recent_buyers_30.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == 50
        # A wrong key fails the integration at once, for the right reason, with the right code.
        shop.api_user.api_key = "replaced"
        refused = run("integration", "resync", "shop")
        assert refused.code == 3
        assert "shop: " in refused.err and "refused the credentials (401)" in refused.err
        assert installation.registry.get("shop").failure_permanent
        # Nowhere in what is left on disk is the key, and the folders are closed to others.
        home = installation.settings.home
        for path in home.rglob("*"):
            if path.is_file():
                assert KEY.encode() not in path.read_bytes(), path
        assert (home / "logs").stat().st_mode & 0o077 == 0
        assert (home / "dagster").stat().st_mode & 0o077 == 0
    await_that(lambda: not processes_of(home))
